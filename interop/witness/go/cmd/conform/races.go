package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// step is a checkpoint that was cosigned.
type step struct {
	old  int64
	tree tlog.Tree
}

// race is many writers of one log, each of which believes in one of some trees.
type race struct {
	c     *checker
	log   *testlog.Log
	trees []*testlog.Log

	begun   int64
	mutex   sync.Mutex
	most    int64 // that was cosigned or told so far
	steps   []step
	wrong   []string
	answers map[int]int
	slowest time.Duration
}

// checkRaces is that checking the old size and keeping the new one is one step: the example of the specification,
// and what many writers do to it.
func checkRaces(c *checker) {
	log := c.log("race")
	c.grows("a log", log, 0, 1)
	newRace(c, log, 1, log).run("of one tree")
	forked := c.log("fork-race")
	c.grows("another log", forked, 0, 20)
	var trees []*testlog.Log
	for i := range 4 {
		trees = append(trees, forked.On(testlog.Forked(20+i)))
	}
	newRace(c, forked, 20, trees...).run("of four trees that are one up to 20")
}

// newRace is one that begins where the log was cosigned first.
func newRace(c *checker, log *testlog.Log, begun int64, trees ...*testlog.Log) *race {
	first := step{0, tlog.Tree{N: begun, Hash: log.Tree.Root(begun)}}
	return &race{c: c, log: log, trees: trees, begun: begun, most: begun, steps: []step{first}, answers: map[int]int{}}
}

func (r *race) run(what string) {
	var writers sync.WaitGroup
	for i := range r.c.writers {
		writers.Go(func() { r.write(r.trees[i%len(r.trees)], rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	writers.Wait()
	what = fmt.Sprintf("%d writers %s, %d requests each", r.c.writers, what, r.c.requests)
	r.c.Check(fmt.Sprintf("%s: answered as they should be %v, within %s", what, r.answers, r.slowest.Round(time.Millisecond)), r.first())
	r.c.Check(fmt.Sprintf("... %d checkpoints were cosigned, one after another: no size left twice, none gone back to", len(r.steps)), r.chained())
	r.c.Check("... no size with two roots, and all of one tree", r.oneTree())
	last := r.steps[len(r.steps)-1].tree
	r.c.monitored(fmt.Sprintf("... the last one is shown, of size %d", last.N), r.log,
		fmt.Sprintf("%s\n%d\n%s\n", r.log.Origin, last.N, last.Hash), "")
}

// write sends one request after another, each from the size that it heard of last.
func (r *race) write(log *testlog.Log, chance *rand.Rand) {
	size := r.begun
	for range r.c.requests {
		next := size + chance.Int64N(4)
		r.mutex.Lock()
		most := r.most
		r.mutex.Unlock()
		before := time.Now()
		answer, err := r.c.Post("/add-checkpoint", log.Grow(size, next))
		if err != nil {
			r.fault("%v", err)
			continue
		}
		size = r.note(log, size, next, most, answer, before)
	}
}

// note keeps what came of a request, and tells from which size to go on.
func (r *race) note(log *testlog.Log, size, next, most int64, answer wire.Answer, before time.Time) int64 {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.answers[answer.Status]++
	r.slowest = max(r.slowest, time.Since(before))
	switch answer.Status {
	case 200:
		if err := r.cosigned(answer, log.Text(next), before); err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
		r.steps = append(r.steps, step{size, tlog.Tree{N: next, Hash: log.Tree.Root(next)}})
		r.most = max(r.most, next)
		return next
	case 409:
		told, err := answer.Size()
		switch {
		case err != nil:
			r.wrong = append(r.wrong, err.Error())
		case told == size:
			r.wrong = append(r.wrong, fmt.Sprintf("409 for old size %d, which it says it has", size))
		case told < most:
			r.wrong = append(r.wrong, fmt.Sprintf("it says it has %d after it had %d", told, most))
		}
		r.most = max(r.most, told)
		return max(told, 1)
	case 422:
		// Somebody else's tree is this size, or this one's prefix is not what was cosigned.
		if len(r.trees) == 1 {
			r.wrong = append(r.wrong, fmt.Sprintf("from %d to %d: %s", size, next, answer))
		}
		return size
	}
	r.wrong = append(r.wrong, fmt.Sprintf("from %d to %d: %s", size, next, answer))
	return size
}

// cosigned looks at the lines, and at all of them now and then: verifying takes time that races do not have.
func (r *race) cosigned(answer wire.Answer, text string, before time.Time) error {
	if len(r.steps)%16 == 0 {
		return r.c.cosignatures(answer, text, before)
	}
	lines, err := cosign.ParseLines(answer.Body)
	if err == nil && len(lines) != len(r.c.verifiers) {
		err = fmt.Errorf("%d lines", len(lines))
	}
	return err
}

func (r *race) fault(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

func (r *race) first() error {
	if len(r.wrong) > 0 {
		return fmt.Errorf("%d were not, such as: %s", len(r.wrong), r.wrong[0])
	}
	return nil
}

// chained is whether the checkpoints that were cosigned can have been cosigned one after another, each from the one
// before. From a size to itself is no step.
func (r *race) chained() error {
	slices.SortFunc(r.steps, func(a, b step) int { return int(a.tree.N - b.tree.N) })
	at := int64(0)
	left := map[int64]bool{}
	sizes := map[int64]bool{0: true}
	for _, s := range r.steps {
		if s.old == s.tree.N {
			continue
		}
		if left[s.old] {
			return fmt.Errorf("size %d was left twice: once for %d", s.old, s.tree.N)
		}
		if s.old != at {
			return fmt.Errorf("from %d to %d, and from %d to %d", s.old, s.tree.N, at, s.tree.N)
		}
		left[s.old], sizes[s.tree.N] = true, true
		at = s.tree.N
	}
	for _, s := range r.steps {
		if !sizes[s.tree.N] {
			return fmt.Errorf("size %d was cosigned again, and never first", s.tree.N)
		}
	}
	return nil
}

func (r *race) oneTree() error {
	roots := map[int64]tlog.Hash{}
	for _, s := range r.steps {
		if known, ok := roots[s.tree.N]; ok && known != s.tree.Hash {
			return fmt.Errorf("size %d was cosigned with two roots", s.tree.N)
		}
		roots[s.tree.N] = s.tree.Hash
	}
	for _, log := range r.trees {
		one := true
		for size, root := range roots {
			one = one && log.Tree.Root(size) == root
		}
		if one {
			return nil
		}
	}
	return fmt.Errorf("the %d checkpoints are of no one tree", len(roots))
}
