// Package honest is a witness that does all that https://c2sp.org/tlog-witness says, and forgets it when it ends.
// Where a witness that misbehaves is wanted, this is what it would be otherwise; and the checks of conform have
// somebody to agree with.
package honest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/merkle"
	"kiln.example/interop/witness/internal/wire"
)

const bodyLimit = 64 << 10

// Witness cosigns with all its keys.
type Witness struct {
	Keys []cosign.Key
	logs map[string]*log
	at   map[string]*log // by the path below the monitoring prefix
}

// log is what it knows of one.
type log struct {
	verifiers []cosign.Verifier
	qpd       float64

	mutex    sync.Mutex
	tree     tlog.Tree
	note     string // that was cosigned last, or none
	quota    float64
	counting time.Time
}

// New makes a witness of the logs of a list.
func New(keys []cosign.Key, entries []loglist.Entry) *Witness {
	w := &Witness{Keys: keys, logs: map[string]*log{}, at: map[string]*log{}}
	for _, e := range entries {
		if w.logs[e.Origin] == nil {
			l := &log{qpd: e.QPD, quota: burst(e.QPD), tree: tlog.Tree{Hash: merkle.Empty}}
			w.logs[e.Origin], w.at[wire.MonitoringPath(e.Origin)] = l, l
		}
		w.logs[e.Origin].verifiers = append(w.logs[e.Origin].verifiers, e.Key)
	}
	return w
}

// ServeHTTP has both prefixes at its root.
func (w *Witness) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, refused := "", error(nil)
	switch {
	case in.URL.Path == "/add-checkpoint" || in.URL.Path == "/sign-subtree":
		answer := w.Add
		if in.URL.Path == "/sign-subtree" {
			answer = w.signSubtree
		}
		if body, refused = readBody(out, in); refused == nil {
			body, refused = answer(body)
		}
	case in.Method == http.MethodGet:
		body, refused = w.monitored(in.URL.Path)
	default:
		refused = refuse(http.StatusNotFound, "there is nothing here")
	}
	Answer(out, body, refused)
}

// Answer writes what came of a request.
func Answer(out http.ResponseWriter, body string, err error) {
	var refused *refusal
	if !errors.As(err, &refused) {
		io.WriteString(out, body)
		return
	}
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for name, values := range refused.header {
		out.Header()[name] = values
	}
	out.WriteHeader(refused.status)
	io.WriteString(out, refused.why)
}

func readBody(out http.ResponseWriter, in *http.Request) (string, error) {
	if in.Method != http.MethodPost {
		return "", refuse(http.StatusMethodNotAllowed, "this takes POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, bodyLimit))
	if err != nil {
		return "", refuse(http.StatusRequestEntityTooLarge, "%v", err)
	}
	return string(body), nil
}

// Add is add-checkpoint: the lines that it answers with, or a refusal.
func (w *Witness) Add(body string) (string, error) {
	request, err := ParseAddition(body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "%v", err)
	}
	l, known := w.logs[request.Origin]
	if !known {
		return "", refuse(http.StatusNotFound, "the origin is unknown")
	}
	trusted, err := cosign.Trusted(request.Text, request.Lines, l.verifiers)
	if err != nil {
		return "", refuse(http.StatusForbidden, "%v", err)
	}
	if request.Old > request.Tree.N {
		return "", refuse(http.StatusBadRequest, "the old size is larger than the checkpoint's")
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err := l.take(); err != nil {
		return "", err
	}
	if err := l.check(request); err != nil {
		return "", err
	}
	l.tree = request.Tree
	lines := w.Cosign(request.Text, uint64(time.Now().Unix()))
	l.note = request.Text + "\n"
	for _, line := range trusted {
		l.note += line.Text
	}
	l.note += lines
	return lines, nil
}

// check is what depends on what was cosigned last.
func (l *log) check(request Addition) error {
	if request.Old != l.tree.N {
		return &refusal{http.StatusConflict, fmt.Sprintf("%d\n", l.tree.N), http.Header{"Content-Type": {"text/x.tlog.size"}}}
	}
	switch {
	case request.Tree.N == 0 && request.Tree.Hash != merkle.Empty:
		return refuse(http.StatusUnprocessableEntity, "not the root of the empty tree")
	case request.Old == 0 && len(request.Proof) > 0:
		return refuse(http.StatusUnprocessableEntity, "a proof from the empty tree")
	case request.Old == 0:
		return nil
	case request.Old == request.Tree.N && (len(request.Proof) > 0 || request.Tree.Hash != l.tree.Hash):
		return refuse(http.StatusUnprocessableEntity, "another tree of this size")
	case request.Old == request.Tree.N:
		return nil
	}
	// For trees above 2^62 entries, which anybody can claim to have, tlog.CheckTree never ends.
	err := merkle.CheckSubtree(0, uint64(l.tree.N), l.tree.Hash, uint64(request.Tree.N), request.Tree.Hash, request.Proof)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	return nil
}

// burst is how many queries may come at once: those of a second, and ten at least.
func burst(qpd float64) float64 { return max(10, qpd/86400) }

// take counts a query.
func (l *log) take() error {
	if l.qpd == 0 {
		return nil
	}
	now := time.Now()
	if !l.counting.IsZero() {
		l.quota = min(burst(l.qpd), l.quota+now.Sub(l.counting).Hours()/24*l.qpd)
	}
	l.counting = now
	if l.quota < 1 {
		wait := strconv.Itoa(int((1-l.quota)/l.qpd*86400) + 1)
		return &refusal{http.StatusTooManyRequests, "too many queries\n", http.Header{"Retry-After": {wait}}}
	}
	l.quota--
	return nil
}

// Cosign is a line by each key.
func (w *Witness) Cosign(text string, time uint64) string {
	var lines strings.Builder
	for _, key := range w.Keys {
		lines.WriteString(key.Cosign(text, time))
	}
	return lines.String()
}

func (w *Witness) signSubtree(body string) (string, error) {
	request, err := parseSubtreeRequest(body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "%v", err)
	}
	if _, known := w.logs[request.Origin]; !known {
		return "", refuse(http.StatusNotFound, "the origin is unknown")
	}
	var own []cosign.Verifier
	for _, key := range w.Keys {
		own = append(own, key.Verifier)
	}
	if _, err := cosign.Trusted(request.Text, request.Lines, own); err != nil {
		return "", refuse(http.StatusForbidden, "%v", err)
	}
	subtree := cosign.Subtree{Origin: request.Origin, Start: uint64(request.start), End: uint64(request.end), Hash: request.hash}
	err = merkle.CheckSubtree(subtree.Start, subtree.End, subtree.Hash, uint64(request.Tree.N), request.Tree.Hash, request.proof)
	if err != nil {
		return "", refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	var lines strings.Builder
	for _, key := range w.Keys {
		if key.Kind == cosign.MLDSA44 {
			lines.WriteString(key.CosignSubtree(subtree, 0))
		}
	}
	if lines.Len() == 0 {
		return "", refuse(http.StatusNotFound, "no key here signs subtrees")
	}
	return lines.String(), nil
}

func (w *Witness) monitored(path string) (string, error) {
	l, known := w.at[path]
	if !known {
		return "", refuse(http.StatusNotFound, "there is nothing here")
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.note == "" {
		return "", refuse(http.StatusNotFound, "nothing was cosigned")
	}
	return l.note, nil
}
