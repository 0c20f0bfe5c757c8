package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// figures is what is counted on the way.
type figures struct {
	mutex         sync.Mutex
	began, ended  time.Time
	last          time.Time // when something was acknowledged
	silence       time.Duration
	entries, open int
	latencies     []time.Duration
	answers       map[string]int
	wrong         []string
}

func (f *figures) start() { f.began, f.last = time.Now(), time.Now() }
func (f *figures) stop()  { f.ended = time.Now() }

func (f *figures) answered(kind string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.answers[kind]++
}

func (f *figures) acknowledged(entries int, took time.Duration) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	now := time.Now()
	f.entries, f.latencies = f.entries+entries, append(f.latencies, took)
	f.silence, f.last = max(f.silence, now.Sub(f.last)), now
}

func (f *figures) unknown(entries int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.open += entries
}

// contradiction notes what must not happen; the first few say enough.
func (f *figures) contradiction(format string, args ...any) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(f.wrong) < 20 {
		f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
	}
}

func (f *figures) percentile(p float64) int64 {
	if len(f.latencies) == 0 {
		return 0
	}
	return f.latencies[int(p*float64(len(f.latencies)-1))].Milliseconds()
}

// String is one line of NAME=FIGURE.
func (f *figures) String() string {
	slices.Sort(f.latencies)
	seconds := f.ended.Sub(f.began).Seconds()
	answers := make([]string, 0, len(f.answers))
	for kind, count := range f.answers {
		answers = append(answers, fmt.Sprintf("%s: %d", kind, count))
	}
	slices.Sort(answers)
	return fmt.Sprintf("acknowledged=%d unknown=%d seconds=%.1f per_second=%.0f p50_ms=%d p99_ms=%d max_ms=%d silence_ms=%d (%s)",
		f.entries, f.open, seconds, float64(f.entries)/seconds, f.percentile(0.5), f.percentile(0.99), f.percentile(1),
		f.silence.Milliseconds(), strings.Join(answers, ", "))
}
