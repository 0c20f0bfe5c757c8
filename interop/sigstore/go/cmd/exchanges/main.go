// Exchanges records what a log of Rekor's version 2 answers to many requests, good and bad, and checks that another
// one answers the same:
//
//	exchanges record entries|envelopes URL NAME    asks a log, and prints what it answers; NAME says which log it is
//	exchanges replay URL FILE                      sends the same again, and a second time what was logged
//
// Compared are the status, the code and the message of an error, the recorded body of an entry byte for byte, and what
// else an entry has to hold. Sent twice, an entry is to come back as it is. testdata/rekor was recorded so.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"kiln.example/interop/sigstore/internal/exit"
	"kiln.example/interop/sigstore/internal/report"
)

func main() {
	exit.With("exchanges", run())
}

func run() error {
	switch {
	case len(os.Args) == 5 && os.Args[1] == "record" && (os.Args[2] == "entries" || os.Args[2] == "envelopes"):
		return record(os.Args[2] == "envelopes", os.Args[3], os.Args[4])
	case len(os.Args) == 4 && os.Args[1] == "replay":
		return replay(os.Args[2], os.Args[3])
	}
	return exit.Usage("exchanges record entries|envelopes URL NAME | exchanges replay URL FILE")
}

// An exchange is a request and what the log answered.
type exchange struct {
	Name    string `json:"name"`
	By      string `json:"by"` // who answered
	Method  string `json:"method"`
	Path    string `json:"path"`
	Request string `json:"request"`
	Status  int    `json:"status"`
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Body    string `json:"body,omitempty"`
	// Where Kiln does not do the same: its status and code, and why.
	Kiln *decided `json:"kiln,omitempty"`
}

type decided struct {
	Status int    `json:"status"`
	Code   int    `json:"code"`
	Why    string `json:"why"`
}

// record asks all at once, for each answer waits for a checkpoint.
func record(envelopes bool, url, by string) error {
	asked, err := questions(envelopes)
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	failures := make([]error, len(asked))
	for i := range asked {
		asking.Go(func() {
			each := &asked[i]
			each.By = by
			answer, err := each.ask(url)
			if err == nil {
				each.Status, each.Code, each.Message = answer.status, answer.Code, answer.Message
				each.Body = string(answer.CanonicalizedBody)
				if each.Kiln != nil && each.Kiln.Status == each.Status && each.Kiln.Code == each.Code {
					each.Kiln = nil
				}
			}
			failures[i] = err
		})
	}
	asking.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, each := range asked {
		if err := encoder.Encode(each); err != nil {
			return err
		}
	}
	return nil
}

func replay(url, file string) error {
	exchanges, err := read(file)
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	results := make([]error, len(exchanges))
	for i, each := range exchanges {
		asking.Go(func() { results[i] = each.check(url) })
	}
	asking.Wait()
	var said report.Report
	for i, each := range exchanges {
		what := fmt.Sprintf("%s: %d, as from %s", each.Name, each.Status, each.By)
		if each.Kiln != nil {
			what = fmt.Sprintf("%s: %d, where %s answers %d: %s", each.Name, each.Kiln.Status, each.By, each.Status, each.Kiln.Why)
		}
		said.Check(what, results[i])
	}
	if said.Failed > 0 {
		return fmt.Errorf("%d answers differ", said.Failed)
	}
	return nil
}

func read(file string) ([]exchange, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var exchanges []exchange
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var each exchange
		if err := json.Unmarshal(lines.Bytes(), &each); err != nil {
			return nil, err
		}
		exchanges = append(exchanges, each)
	}
	return exchanges, lines.Err()
}

func (e exchange) check(url string) error {
	answer, err := e.ask(url)
	if err != nil {
		return err
	}
	want := decided{Status: e.Status, Code: e.Code}
	if e.Kiln != nil {
		want = *e.Kiln
	}
	if answer.status != want.Status || answer.Code != want.Code {
		return fmt.Errorf("got %d with code %d: %s", answer.status, answer.Code, answer.text)
	}
	if want.Status == http.StatusCreated {
		if err := answer.good(e.Body); err != nil {
			return err
		}
		return e.checkAgain(url, answer)
	}
	if answer.kind != "application/json" || answer.Details == nil {
		return fmt.Errorf("got an error as %q with details %v: %s", answer.kind, answer.Details, answer.text)
	}
	if e.Kiln == nil && fixed[e.Message] && answer.Message != e.Message {
		return fmt.Errorf("got the message %q, not %q", answer.Message, e.Message)
	}
	return nil
}

// fixed are the messages that somebody might read. What a parser says is its own.
var fixed = map[string]bool{
	"invalid hashedrekord request":       true,
	"invalid dsse request":               true,
	"invalid type, must be hashedrekord": true,
	"http: request body too large":       true,
	"Method Not Allowed":                 true,
	"Not Found":                          true,
}

// checkAgain sends the same once more: there is no second entry, and it says where the first is.
func (e exchange) checkAgain(url string, first *answer) error {
	again, err := e.ask(url)
	if err != nil {
		return err
	}
	if again.status != http.StatusCreated || again.LogIndex != first.LogIndex {
		return fmt.Errorf("sent again, got %d with index %s, where the entry has %s", again.status, again.LogIndex, first.LogIndex)
	}
	if again.index != first.LogIndex {
		return fmt.Errorf("sent again, x-log-index is %q, where the entry has %s", again.index, first.LogIndex)
	}
	return again.good(e.Body)
}

type answer struct {
	entry
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details *[]any `json:"details"`
	status  int
	kind    string
	index   string // in the header
	text    string
}

// spaces stand for a request of that many, which would be long to write down.
func (e exchange) body() io.Reader {
	var spaces int
	if n, _ := fmt.Sscanf(e.Request, "<%d spaces>", &spaces); n == 1 {
		return strings.NewReader(strings.Repeat(" ", spaces))
	}
	return strings.NewReader(e.Request)
}

func (e exchange) ask(url string) (*answer, error) {
	asked, err := http.NewRequest(e.Method, url+e.Path, e.body())
	if err != nil {
		return nil, err
	}
	asked.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 30 * time.Second}
	got, err := client.Do(asked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, 10<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	said := &answer{status: got.StatusCode, kind: got.Header.Get("Content-Type"), index: got.Header.Get("x-log-index"), text: string(text)}
	if err := json.Unmarshal(text, said); err != nil {
		return nil, fmt.Errorf("%s: %d, and no JSON: %w", e.Name, got.StatusCode, err)
	}
	return said, nil
}
