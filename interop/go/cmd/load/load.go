package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/checkpoint"
	"kiln.example/interop/internal/ledger"
)

type load struct {
	urls     []string
	verifier note.Verifier
	ledger   *ledger.Writer
	client   *http.Client
	figures  figures

	most        int64
	batch, size int
	rate, again float64
	wait        string

	name   string       // makes the entries of this run its own
	begun  atomic.Int64 // entries
	writer atomic.Int64 // who took entries last
	turn   chan struct{}
}

func (l *load) prepare(connections int, timeout time.Duration) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections + 1, DisableCompression: true}
	l.client = &http.Client{Transport: transport, Timeout: timeout}
	l.name = fmt.Sprintf("%x", time.Now().UnixNano())
	l.figures.answers = map[string]int{}
	if l.rate > 0 {
		l.turn = make(chan struct{})
	}
}

// run submits until stop is done, and then until all has an index, for the grace at most.
func (l *load) run(stop context.Context, connections int, grace time.Duration, watch bool) {
	end, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(0, func() {
		<-stop.Done()
		time.AfterFunc(grace, cancel)
	})
	l.figures.start()
	var submitters, watchers sync.WaitGroup
	if l.rate > 0 {
		go l.giveTurns(end)
	}
	for range connections {
		submitters.Go(func() { l.submit(stop, end) })
	}
	watched, enough := context.WithCancel(end)
	for writer := range l.urls {
		if !watch {
			break
		}
		watchers.Go(func() { l.watch(watched, writer) })
	}
	submitters.Wait()
	l.figures.stop()
	enough()
	watchers.Wait()
}

func (l *load) giveTurns(end context.Context) {
	ticks := time.NewTicker(time.Duration(float64(time.Second) / l.rate))
	for end.Err() == nil {
		<-ticks.C
		l.turn <- struct{}{}
	}
}

// submit sends one request after another.
func (l *load) submit(stop, end context.Context) {
	for stop.Err() == nil {
		if l.turn != nil {
			select {
			case <-l.turn:
			case <-stop.Done():
				return
			}
		}
		first := l.begun.Add(int64(l.batch)) - int64(l.batch)
		if first >= l.most {
			return
		}
		entries := l.entries(first)
		hashes := make([]ledger.Hash, len(entries))
		for i, entry := range entries {
			hashes[i] = ledger.Of(entry)
		}
		l.check(l.ledger.Sent(hashes))
		indices := l.submitUntilAcknowledged(end, entries, hashes)
		if indices != nil && rand.Float64() < l.again {
			if again := l.submitUntilAcknowledged(end, entries, hashes); again != nil && again[0] != indices[0] {
				l.figures.contradiction("DOUBLED: entry %x got index %d, and then %d", hashes[0], indices[0], again[0])
			}
		}
	}
}

// entries are text that nobody else sends, as long as they should be.
func (l *load) entries(first int64) [][]byte {
	entries := make([][]byte, min(int64(l.batch), l.most-first))
	for i := range entries {
		name := fmt.Sprintf("%s/%d ", l.name, first+int64(i))
		entries[i] = []byte(name + strings.Repeat("kiln ", l.size/5+1))[:max(l.size, len(name))]
	}
	return entries
}

func (l *load) submitUntilAcknowledged(end context.Context, entries [][]byte, hashes []ledger.Hash) []int64 {
	start := time.Now()
	for end.Err() == nil {
		writer := l.writer.Load()
		indices, kind := l.post(end, l.urls[writer], entries)
		l.figures.answered(kind)
		if indices != nil {
			l.check(l.ledger.Acknowledged(int(writer), indices, hashes))
			l.figures.acknowledged(len(indices), time.Since(start))
			return indices
		}
		// Somebody may have found another writer meanwhile.
		l.writer.CompareAndSwap(writer, (writer+1)%int64(len(l.urls)))
		time.Sleep(100 * time.Millisecond)
	}
	l.figures.unknown(len(entries))
	return nil
}

// post sends entries once. It returns their indices, or none, and what came of it in a word.
func (l *load) post(end context.Context, url string, entries [][]byte) ([]int64, string) {
	path, body := "/add", entries[0]
	if l.batch > 1 {
		path, body = "/add-batch", bundle(entries)
	}
	request, err := http.NewRequestWithContext(end, http.MethodPost, url+path+"?wait="+l.wait, bytes.NewReader(body))
	if err != nil {
		return nil, "no request"
	}
	response, err := l.client.Do(request)
	if err != nil {
		if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
			return nil, "no answer in time"
		}
		return nil, "no connection"
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, "no whole answer"
	}
	if response.StatusCode != http.StatusOK {
		if response.StatusCode != http.StatusServiceUnavailable {
			l.figures.contradiction("%d: %s", response.StatusCode, text)
		} else if response.Header.Get("Retry-After") == "" {
			l.figures.contradiction("503 without Retry-After: %s", text)
		}
		return nil, strconv.Itoa(response.StatusCode)
	}
	indices, err := parseIndices(string(text), len(entries))
	if err != nil {
		l.figures.contradiction("%v", err)
		return nil, "200 and nonsense"
	}
	return indices, "200"
}

// bundle frames entries as https://c2sp.org/tlog-tiles#log-entries has them.
func bundle(entries [][]byte) []byte {
	var body []byte
	for _, entry := range entries {
		body = binary.BigEndian.AppendUint16(body, uint16(len(entry)))
		body = append(body, entry...)
	}
	return body
}

func parseIndices(text string, count int) ([]int64, error) {
	words := strings.Fields(text)
	if len(words) != count {
		return nil, fmt.Errorf("%d indices for %d entries", len(words), count)
	}
	indices := make([]int64, count)
	for i, word := range words {
		index, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("not an index: %q", word)
		}
		indices[i] = index
	}
	return indices, nil
}

// watch reads a writer's checkpoint now and then.
func (l *load) watch(end context.Context, writer int) {
	var last int64
	for end.Err() == nil {
		if cp, err := l.readCheckpoint(end, l.urls[writer]); err == nil {
			switch {
			case cp.Tree.N < last:
				l.figures.contradiction("%s: %s published tree size %d, and then %d", time.Now().Format(time.StampMilli), l.urls[writer], last, cp.Tree.N)
			case cp.Tree.N > last:
				l.check(l.ledger.Seen(writer, cp.Tree))
			}
			last = max(last, cp.Tree.N)
		}
		select {
		case <-end.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (l *load) readCheckpoint(end context.Context, url string) (checkpoint.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(end, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/checkpoint", nil)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return checkpoint.Checkpoint{}, fmt.Errorf("%s: %w", response.Status, err)
	}
	cp, err := checkpoint.Open(raw, l.verifier)
	if err != nil {
		l.figures.contradiction("%s: %s: %v: %q", time.Now().Format(time.StampMilli), url, err, raw)
	}
	return cp, err
}

// check ends everything where the ledger cannot be written: what is not written down was not said.
func (l *load) check(err error) {
	if err != nil {
		panic(err)
	}
}
