package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

type load struct {
	*wire.Client
	verifiers []cosign.Verifier
	verify    float64
	logs      []*target

	mutex     sync.Mutex
	latencies []time.Duration
	answers   map[string]int
	wrong     []string
}

// target is a log, of which one request is underway at a time.
type target struct {
	*testlog.Log
	mutex        sync.Mutex
	acknowledged int64
	unknown      []int64 // sizes that may have been cosigned meanwhile
}

func makeLogs(count int) (logs []*target) {
	for i := range count {
		log := testlog.New(fmt.Sprintf("load.example/%d", i))
		log.QPD = 8_640_000_000
		logs = append(logs, &target{Log: log})
	}
	return logs
}

// run asks until it is told to stop. The requests that are underway then are waited for.
func (l *load) run(stop context.Context, connections int) {
	var askers sync.WaitGroup
	for range connections {
		askers.Go(func() {
			for stop.Err() == nil {
				if log := l.logs[rand.IntN(len(l.logs))]; log.mutex.TryLock() {
					l.ask(log)
					log.mutex.Unlock()
				}
			}
		})
	}
	askers.Wait()
}

// ask sends one checkpoint that is larger than the last.
func (l *load) ask(log *target) {
	next := log.acknowledged + 1 + rand.Int64N(8)
	body := log.Grow(log.acknowledged, next)
	began := time.Now()
	answer, err := l.Post("/add-checkpoint", body)
	if err != nil {
		log.unknown = append(log.unknown, next)
		l.count("no answer", 0)
		time.Sleep(20 * time.Millisecond)
		return
	}
	l.count(fmt.Sprint(answer.Status), time.Since(began))
	switch answer.Status {
	case 200:
		log.acknowledged, log.unknown = next, nil
		l.look(log, next, answer, began)
	case 409:
		if answer.Body == fmt.Sprintf("%d\n", log.acknowledged) {
			l.fault("%s: 409 for old size %d, which it says it has", log.Origin, log.acknowledged)
		}
		l.told(log, answer)
	case 429, 503:
		time.Sleep(50 * time.Millisecond)
	default:
		l.fault("%s, from %d to %d: %s", log.Origin, log.acknowledged, next, answer)
	}
}

// told is that the witness named a size.
func (l *load) told(log *target, answer wire.Answer) {
	size, err := answer.Size()
	switch {
	case err != nil:
		l.fault("%s: %v", log.Origin, err)
	case size < log.acknowledged:
		l.fault("ROLLED BACK: %s: %d was acknowledged, and the witness has %d", log.Origin, log.acknowledged, size)
	case size != log.acknowledged && !slices.Contains(log.unknown, size):
		l.fault("MADE UP: %s: %d was acknowledged, %v may have been, and the witness has %d", log.Origin, log.acknowledged, log.unknown, size)
	default:
		log.acknowledged, log.unknown = size, nil
	}
}

// look counts the lines of an answer, and verifies them now and then.
func (l *load) look(log *target, size int64, answer wire.Answer, began time.Time) {
	lines, err := cosign.ParseLines(answer.Body)
	if err == nil && len(lines) != len(l.verifiers) {
		err = fmt.Errorf("%d lines", len(lines))
	}
	if err == nil && rand.Float64() < l.verify {
		err = l.verifyLines(log.Text(size), lines, began)
	}
	if err != nil {
		l.fault("%s, size %d: %v", log.Origin, size, err)
	}
}

func (l *load) verifyLines(text string, lines []cosign.Line, began time.Time) error {
	for _, v := range l.verifiers {
		i := slices.IndexFunc(lines, v.Made)
		if i < 0 {
			return fmt.Errorf("no line by the %s key", v.Kind)
		}
		at, err := v.Check(text, lines[i].Signature)
		if err != nil {
			return err
		}
		if time.Unix(int64(at), 0).Before(began.Add(-2 * time.Second)) {
			return fmt.Errorf("a cosignature of %d", at)
		}
	}
	return nil
}

// checkAll asks each log's size, by an old size that it cannot have, and reads what is shown of it.
func (l *load) checkAll(connections int) {
	var askers sync.WaitGroup
	var next atomic.Int64
	for range connections {
		askers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(l.logs)); i = next.Add(1) - 1 {
				l.checkOne(l.logs[i])
			}
		})
	}
	askers.Wait()
}

func (l *load) checkOne(log *target) {
	old := slices.Max(append(log.unknown, log.acknowledged)) + 1
	began := time.Now()
	answer, err := l.Post("/add-checkpoint", wire.AddCheckpoint(old, nil, log.Checkpoint(old)))
	if err != nil {
		l.fault("%s: %v", log.Origin, err)
		return
	}
	l.count(fmt.Sprint(answer.Status), time.Since(began))
	if answer.Status != 409 {
		l.fault("%s: asked for its size, it is answered %s", log.Origin, answer)
		return
	}
	l.told(log, answer)
	shown, err := l.Monitored(log.Origin)
	if err == nil {
		err = l.shows(log, shown)
	}
	if err != nil {
		l.fault("%s: shown is %v", log.Origin, err)
	}
}

func (l *load) shows(log *target, shown wire.Answer) error {
	if log.acknowledged == 0 {
		if shown.Status != 404 {
			return fmt.Errorf("%s, and nothing was cosigned", shown)
		}
		return nil
	}
	text, lines, err := cosign.ParseNote(shown.Body)
	if err != nil {
		return err
	}
	if text != log.Text(log.acknowledged) {
		return fmt.Errorf("%s, and %d was cosigned", shown, log.acknowledged)
	}
	if rand.Float64() < l.verify {
		return l.verifyLines(text, lines, time.Unix(2, 0))
	}
	return nil
}

func (l *load) count(kind string, took time.Duration) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.answers[kind]++
	if took > 0 {
		l.latencies = append(l.latencies, took)
	}
}

// fault notes what must not happen; the first few say enough.
func (l *load) fault(format string, args ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// figures is one line of NAME=FIGURE.
func (l *load) figures(took time.Duration) string {
	slices.Sort(l.latencies)
	percentile := func(p float64) float64 {
		if len(l.latencies) == 0 {
			return 0
		}
		return l.latencies[int(p*float64(len(l.latencies)-1))].Seconds() * 1000
	}
	var kinds []string
	for kind, count := range l.answers {
		kinds = append(kinds, fmt.Sprintf("%s: %d", kind, count))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("requests=%d cosigned=%d seconds=%.1f per_second=%.0f p50_ms=%.1f p99_ms=%.1f max_ms=%.1f (%s)",
		len(l.latencies), l.answers["200"], took.Seconds(), float64(len(l.latencies))/took.Seconds(),
		percentile(0.5), percentile(0.99), percentile(1), strings.Join(kinds, ", "))
}
