package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

type proxy struct {
	transport *http.Transport
	chance    *chance

	mutex  sync.Mutex
	faults faults
	since  time.Time // of these faults
	counts map[string]int
}

// answer is what the store said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender is gone
	}
	faults, since := p.current()
	p.delay(faults, since)
	fate := p.chance.fate(faults, r.Method != http.MethodGet && r.Method != http.MethodHead)
	status := p.meet(fate, faults, w, r, body)
	p.count(r, fate, status)
	if status == 0 {
		// Closes the connection, and says nothing.
		panic(http.ErrAbortHandler)
	}
}

// meet lets a request meet its fate. It returns the status that its sender saw, 0 where it saw none.
func (p *proxy) meet(fate fate, faults faults, w http.ResponseWriter, r *http.Request, body []byte) int {
	switch fate {
	case drop:
		p.ask(r, body)
		return 0
	case late:
		go p.askLater(r, body, p.chance.span(faults.lateFor))
		return 0
	case stuck:
		<-r.Context().Done()
		p.ask(r, body)
		return 0
	case closed:
		return 0
	case before:
		return fail(w, 500, "InternalError")
	case after:
		p.ask(r, body)
		return fail(w, 500, "InternalError")
	case slowDown:
		return fail(w, 503, "SlowDown")
	case denied:
		code := faults.deny
		if code == "ExpiredToken" {
			return fail(w, 400, code)
		}
		return fail(w, 403, code)
	}
	answer, err := p.ask(r, body)
	if err != nil {
		say("%s %s: %v", r.Method, r.URL.Path, err)
		return 0
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
	return answer.status
}

// ask passes a request on, whether its sender still waits or not.
func (p *proxy) ask(r *http.Request, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request := r.Clone(ctx)
	request.RequestURI = ""
	request.URL.Scheme, request.URL.Host = "http", r.Host
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		request.Body = http.NoBody
	}
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if response.ContentLength >= 0 {
		response.Header.Set("Content-Length", fmt.Sprint(response.ContentLength))
	}
	return answer{response.StatusCode, response.Header, got}, err
}

func (p *proxy) askLater(r *http.Request, body []byte, later time.Duration) {
	time.Sleep(later)
	// What a write did that nobody expected any more: most often it fails its condition.
	if answer, err := p.ask(r, body); err == nil {
		p.count(r, arrived, answer.status)
	}
}

// fail answers as S3 does, which is near enough for the others.
func fail(w http.ResponseWriter, status int, code string) int {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
	return status
}

// delay waits for what everything waits for.
func (p *proxy) delay(faults faults, since time.Time) {
	time.Sleep(faults.latency)
	if faults.stallEvery > 0 {
		if past := time.Since(since) % faults.stallEvery; past < faults.stallFor {
			time.Sleep(faults.stallFor - past)
		}
	}
}

func (p *proxy) current() (faults, time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.faults, p.since
}

// kind says what a request is about, by the names of docs/design.md.
func kind(r *http.Request) string {
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/private/head"):
		return "head"
	case strings.HasSuffix(path, "/private/lease"):
		return "lease"
	case strings.HasSuffix(path, "/private/probe"):
		return "probe"
	case strings.HasSuffix(path, "/checkpoint"):
		return "checkpoint"
	case strings.HasSuffix(path, "/log.json"):
		return "log.json"
	case strings.Contains(path, "/tile/entries/"):
		return "bundle"
	case strings.Contains(path, "/tile/"):
		return "tile"
	case strings.Contains(path, "guard"):
		return "guard"
	case r.URL.Query().Has("list-type") || r.URL.Query().Get("comp") == "list" || r.URL.Query().Has("delimiter"):
		return "list"
	}
	return "other"
}

func (p *proxy) count(r *http.Request, fate fate, status int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.counts[fmt.Sprintf("%s %s %s %d", r.Method, kind(r), fate, status)]++
}

func (p *proxy) setFaults(w http.ResponseWriter, r *http.Request) {
	faults, err := parseFaults(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mutex.Lock()
	p.faults, p.since = faults, time.Now()
	p.mutex.Unlock()
}

// tell writes a line for each: METHOD KIND FATE STATUS COUNT.
func (p *proxy) tell(w http.ResponseWriter, _ *http.Request) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.write(w)
}

func (p *proxy) tellAndForget(w http.ResponseWriter, _ *http.Request) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.write(w)
	p.counts = map[string]int{}
}

func (p *proxy) write(w io.Writer) {
	lines := make([]string, 0, len(p.counts))
	for what, count := range p.counts {
		lines = append(lines, fmt.Sprintf("%s %d\n", what, count))
	}
	sort.Strings(lines)
	for _, line := range lines {
		_, _ = io.WriteString(w, line)
	}
}
