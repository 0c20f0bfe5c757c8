package main

import (
	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/testlog"
)

// plenty is a quota that nobody here reaches.
const plenty = 8_640_000_000

// world is the logs that the witness knows.
type world struct {
	seed  string
	named map[string]*testlog.Log
	order []*testlog.Log
}

// Each group has logs of its own, so that none depends on another.
func newWorld(seed string) *world {
	w := &world{seed: seed, named: map[string]*testlog.Log{}}
	for _, name := range []string{
		"statuses", "forks", "late", "empty", "empty-root", "empty-proof", "signatures", "other-name", "malformed",
		"sizes-0", "sizes-1", "sizes-2", "sizes-3", "sizes-4", "sizes-5", "large", "subtrees", "extended", "never", "monitored",
		"connections", "race", "fork-race", "bystander", "plain",
	} {
		w.add(name)
	}
	for i := range allMalformed {
		w.add(malformedLog(i))
	}
	two := w.add("two-keys")
	two.Keys = append(two.Keys, cosign.TestKey(cosign.Note, two.Origin, two.Origin+" second key"))
	both := w.add("both-kinds")
	both.Keys = append(both.Keys, cosign.TestKey(cosign.MLDSA44, both.Origin, both.Origin))
	pq := w.add("ml-dsa")
	pq.Keys = []cosign.Key{cosign.TestKey(cosign.MLDSA44, pq.Origin, pq.Origin)}
	key := w.origin("a-key-of-other-name")
	w.named["other-name"].Keys = []cosign.Key{cosign.TestKey(cosign.Note, key, key)}
	w.add("few").QPD = 24
	w.named["plain"].QPD = 0
	return w
}

func (w *world) origin(name string) string { return "conform.example/" + w.seed + "/" + name }

func (w *world) add(name string) *testlog.Log {
	log := testlog.New(w.origin(name))
	log.QPD = plenty
	w.named[name] = log
	w.order = append(w.order, log)
	return log
}

// log is one that the witness knows.
func (w *world) log(name string) *testlog.Log {
	if w.named[name] == nil {
		panic(name)
	}
	return w.named[name]
}

// stranger is one that it does not.
func (w *world) stranger() *testlog.Log { return testlog.New(w.origin("stranger")) }

func (w *world) list() string {
	var entries []loglist.Entry
	for _, log := range w.order {
		entries = append(entries, log.Entries()...)
	}
	return loglist.Write(entries)
}
