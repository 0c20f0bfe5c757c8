package main

import (
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/honest"
)

// server is a witness, and what becomes of its answers.
type server struct {
	witness   *honest.Witness
	strangers []cosign.Key

	mutex  sync.Mutex
	mode   string
	delay  time.Duration
	counts map[string]int
}

func newServer(witness *honest.Witness, strangers ...cosign.Key) *server {
	return &server{witness: witness, strangers: strangers, counts: map[string]int{}}
}

// misdeeds are the modes that answer otherwise than an honest witness would.
var misdeeds = map[string]func(s *server, out http.ResponseWriter, in *http.Request, body string){
	"wrong-signature":   cosigning(wrongSignature),
	"wrong-key":         cosigning(wrongKey),
	"zero-time":         cosigning(func(s *server, text string) string { return s.witness.Cosign(text, 0) }),
	"future":            cosigning(future),
	"other-checkpoint":  cosigning(otherCheckpoint),
	"stall":             stall,
	"conflict-for-ever": conflictForEver,
	"ahead":             ahead,
	"bad-conflict":      func(_ *server, out http.ResponseWriter, _ *http.Request, _ string) { conflict(out, "about 12") },
	"garbage":           garbage,
	"empty":             func(*server, http.ResponseWriter, *http.Request, string) {},
	"huge":              huge,
	"close":             func(*server, http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) },
	"500":               status(500),
	"404":               status(404),
	"403":               status(403),
	"429":               status(429),
}

func (s *server) setMode(mode string) error {
	name, milliseconds, slow := strings.Cut(mode, " ")
	delay := 0
	var err error
	switch {
	case name == "slow" && slow:
		delay, err = strconv.Atoi(milliseconds)
	case mode != "honest" && misdeeds[mode] == nil:
		err = cli.Usage("no mode %q", mode)
	}
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.mode, s.delay = name, time.Duration(delay)*time.Millisecond
	return nil
}

func (s *server) steering() http.Handler {
	steer := http.NewServeMux()
	steer.HandleFunc("POST /mode", func(out http.ResponseWriter, in *http.Request) {
		if err := s.setMode(in.FormValue("mode")); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
		}
	})
	steer.HandleFunc("GET /counts", func(out http.ResponseWriter, _ *http.Request) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		var lines []string
		for mode, count := range s.counts {
			lines = append(lines, fmt.Sprintf("%s %d\n", mode, count))
		}
		sort.Strings(lines)
		io.WriteString(out, strings.Join(lines, ""))
	})
	return steer
}

func (s *server) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.URL.Path != "/add-checkpoint" {
		s.witness.ServeHTTP(out, in)
		return
	}
	s.mutex.Lock()
	mode, delay := s.mode, s.delay
	s.counts[mode]++
	s.mutex.Unlock()
	time.Sleep(delay)
	misdeed := misdeeds[mode]
	if misdeed == nil {
		s.witness.ServeHTTP(out, in)
		return
	}
	body, err := io.ReadAll(io.LimitReader(in.Body, 1<<20))
	if err == nil {
		misdeed(s, out, in, string(body))
	}
}

// cosigning is what goes wrong at the end only: all is checked and remembered, and then lines are made of the text.
func cosigning(lines func(s *server, text string) string) func(*server, http.ResponseWriter, *http.Request, string) {
	return func(s *server, out http.ResponseWriter, _ *http.Request, body string) {
		answer, err := s.witness.Add(body)
		if err == nil {
			request, _ := honest.ParseAddition(body)
			answer = lines(s, request.Text)
		}
		honest.Answer(out, answer, err)
	}
}

func now() uint64 { return uint64(time.Now().Unix()) }

func wrongSignature(s *server, text string) (changed string) {
	lines, _ := cosign.ParseLines(s.witness.Cosign(text, now()))
	for _, line := range lines {
		line.Signature[len(line.Signature)-1] ^= 1
		changed += line.Format()
	}
	return changed
}

func wrongKey(s *server, text string) (lines string) {
	for _, key := range s.strangers {
		lines += key.Cosign(text, now())
	}
	return lines
}

func future(s *server, text string) string { return s.witness.Cosign(text, now()+10*366*86400) }

// otherCheckpoint cosigns a tree of another size, of which the root may be anything.
func otherCheckpoint(s *server, text string) string {
	lines := strings.Split(text, "\n")
	size, _ := strconv.ParseInt(lines[1], 10, 64)
	lines[1] = strconv.FormatInt(max(0, size-1), 10)
	return s.witness.Cosign(strings.Join(lines, "\n"), now())
}

func stall(_ *server, _ http.ResponseWriter, in *http.Request, _ string) { <-in.Context().Done() }

func conflict(out http.ResponseWriter, body string) {
	out.Header().Set("Content-Type", "text/x.tlog.size")
	out.WriteHeader(http.StatusConflict)
	io.WriteString(out, body)
}

// conflictForEver names a size that could be, and another one each time.
func conflictForEver(_ *server, out http.ResponseWriter, _ *http.Request, body string) {
	request, err := honest.ParseAddition(body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	conflict(out, fmt.Sprintf("%d\n", (request.Old+1)%(request.Tree.N+1)))
}

func ahead(_ *server, out http.ResponseWriter, _ *http.Request, body string) {
	request, err := honest.ParseAddition(body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	conflict(out, fmt.Sprintf("%d\n", request.Tree.N+1000))
}

func garbage(s *server, out http.ResponseWriter, _ *http.Request, body string) {
	random := make([]byte, 3000)
	_, _ = rand.Read(random)
	key := s.witness.Keys[0]
	sorts := []string{
		string(random),
		body,
		"\n\n\n",
		"<html><body>It works!</body></html>\n",
		"— \n",
		"— " + key.Name() + " AAAA\n",
		cosign.FormatLine(key.Name(), random[:76]),
		strings.TrimSuffix(cosign.FormatLine(key.Name(), random[:76]), "\n"),
		cosign.FormatLine(key.Name(), append(key.IDBytes(), random[:10]...)),
		strings.Repeat("— \x00\n", 100),
	}
	io.WriteString(out, sorts[mathrand.IntN(len(sorts))])
}

func huge(s *server, out http.ResponseWriter, in *http.Request, _ string) {
	lines := strings.Repeat(cosign.FormatLine("somebody.example/else", make([]byte, 76)), 1000)
	for in.Context().Err() == nil {
		if _, err := io.WriteString(out, lines); err != nil {
			return
		}
	}
}

func status(code int) func(*server, http.ResponseWriter, *http.Request, string) {
	return func(_ *server, out http.ResponseWriter, _ *http.Request, _ string) {
		if code == http.StatusTooManyRequests {
			out.Header().Set("Retry-After", "1")
		}
		http.Error(out, http.StatusText(code), code)
	}
}
