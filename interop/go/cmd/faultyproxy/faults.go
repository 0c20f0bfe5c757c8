package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// faults says what happens to requests, and how often: 0.1 is every tenth.
type faults struct {
	// The request is done, and its answer is lost.
	drop float64
	// A write breaks off for its sender, and arrives up to lateFor later all the same.
	late    float64
	lateFor time.Duration
	// A write is held back until its sender has given up, and arrives then.
	stuck float64
	// 500 is answered instead of doing it, and after it was done.
	before, after float64
	// 503 Slow Down is answered instead of doing it.
	slowDown float64
	// The connection is closed instead of doing it.
	closed float64
	// Everything is answered with this status and code: 403 and AccessDenied, or 400 and ExpiredToken.
	deny string
	// Everything takes so much longer.
	latency time.Duration
	// Each stallEvery nothing is answered for stallFor.
	stallEvery, stallFor time.Duration
}

// parseFaults reads a query, and refuses what it does not know.
func parseFaults(query url.Values) (faults, error) {
	f := faults{lateFor: 20 * time.Second}
	shares := map[string]*float64{
		"drop": &f.drop, "late": &f.late, "stuck": &f.stuck, "before": &f.before, "after": &f.after,
		"slow-down": &f.slowDown, "closed": &f.closed,
	}
	spans := map[string]*time.Duration{
		"late-for": &f.lateFor, "latency": &f.latency, "stall-every": &f.stallEvery, "stall-for": &f.stallFor,
	}
	for name, values := range query {
		var err error
		if share, ok := shares[name]; ok {
			*share, err = strconv.ParseFloat(values[0], 64)
		} else if span, ok := spans[name]; ok {
			*span, err = time.ParseDuration(values[0])
		} else if name == "deny" {
			f.deny = values[0]
		} else {
			err = fmt.Errorf("no such fault")
		}
		if err != nil {
			return faults{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}

// fate is what becomes of one request.
type fate string

const (
	done     fate = "done"
	drop     fate = "drop"
	late     fate = "late"
	stuck    fate = "stuck"
	before   fate = "before"
	after    fate = "after"
	slowDown fate = "slow-down"
	closed   fate = "closed"
	denied   fate = "denied"
	arrived  fate = "arrived-late"
)

// chance draws fates. With one seed and one order of requests they are the same each time.
type chance struct {
	mutex sync.Mutex
	rand  *rand.Rand
}

func newChance(seed uint64) *chance {
	return &chance{rand: rand.New(rand.NewPCG(seed, 0))}
}

// fate draws what becomes of a request. Reads that come late or get stuck are just read.
func (c *chance) fate(f faults, writes bool) fate {
	if f.deny != "" {
		return denied
	}
	c.mutex.Lock()
	at := c.rand.Float64()
	c.mutex.Unlock()
	shares := []struct {
		fate  fate
		share float64
	}{
		{drop, f.drop}, {before, f.before}, {after, f.after}, {slowDown, f.slowDown}, {closed, f.closed},
		{late, f.late}, {stuck, f.stuck},
	}
	for _, s := range shares {
		if at < s.share {
			if !writes && (s.fate == late || s.fate == stuck) {
				return done
			}
			return s.fate
		}
		at -= s.share
	}
	return done
}

// span draws a time up to the longest.
func (c *chance) span(longest time.Duration) time.Duration {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return time.Duration(c.rand.Float64() * float64(longest))
}
