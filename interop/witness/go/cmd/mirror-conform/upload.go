package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kiln.example/interop/internal/seq"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/merkle"
	"kiln.example/interop/witness/internal/report"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// names are those of the logs: each group has some of its own.
var names = []string{"pending", "statuses", "prefixes", "overlap", "tickets", "gzip", "cut", "races", "subtrees", "reads"}

func logOf(seed, name string) *testlog.Log {
	return testlog.New("mirror-conform.example/" + seed + "/" + name)
}

func list(seed string) string {
	var entries []loglist.Entry
	for _, name := range names {
		entries = append(entries, logOf(seed, name).Entries()...)
	}
	return loglist.Write(entries)
}

// checker asks, and says whether the answers are right.
type checker struct {
	*wire.Client
	report.Report
	seed      string
	verifiers []cosign.Verifier
}

func (c *checker) log(name string) *testlog.Log { return logOf(c.seed, name) }

// upload is a request to add-entries: which entries, and what may be wrong with it.
type upload struct {
	origin     string
	start, end int64
	ticket     []byte
	packages   int                            // at most
	tree       *merkle.Tree                   // of the proofs
	entry      func(i int) []byte             // of the entries
	spoil      func(i int, pkg []byte) []byte // of package i
}

func whole(log *testlog.Log, start, end int64) upload {
	return upload{origin: log.Origin, start: start, end: end, packages: 1 << 20, tree: log.Tree, entry: seq.Entry}
}

// header is the beginning of a request.
func header(origin string, start, end uint64, ticket []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(origin)))
	b = append(b, origin...)
	b = binary.BigEndian.AppendUint64(b, start)
	b = binary.BigEndian.AppendUint64(b, end)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ticket)))
	return append(b, ticket...)
}

// bytes is the request, from the words of the specification.
func (u upload) bytes() []byte {
	b := header(u.origin, uint64(u.start), uint64(u.end), u.ticket)
	roundedStart, roundedEnd := u.start/256*256, (u.end+255)/256*256
	if u.start == u.end {
		return b
	}
	for i := int64(0); i < (roundedEnd-roundedStart)/256 && i < int64(u.packages); i++ {
		start, end := max(u.start, roundedStart+i*256), min(u.end, roundedStart+(i+1)*256)
		var pkg []byte
		for j := start; j < end; j++ {
			entry := u.entry(int(j))
			pkg = binary.BigEndian.AppendUint16(pkg, uint16(len(entry)))
			pkg = append(pkg, entry...)
		}
		proof := u.tree.SubtreeProof(roundedStart+i*256, end, u.end)
		pkg = append(pkg, byte(len(proof)))
		for _, hash := range proof {
			pkg = append(pkg, hash[:]...)
		}
		if u.spoil != nil {
			pkg = u.spoil(int(i), pkg)
		}
		b = append(b, pkg...)
	}
	return b
}

// send posts a body to add-entries.
func (c *checker) send(body io.Reader, headers ...string) (wire.Answer, error) {
	request, err := http.NewRequest(http.MethodPost, c.Submission+"/add-entries", body)
	if err != nil {
		return wire.Answer{}, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return wire.Answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return wire.Answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}, err
}

func (c *checker) push(u upload) (wire.Answer, error) { return c.send(bytes.NewReader(u.bytes())) }

// info is what a 202 or 409 says.
type info struct {
	size, next int64
	ticket     []byte
}

func parseInfo(a wire.Answer, status int) (info, error) {
	if a.Status != status {
		return info{}, fmt.Errorf("answered %s, not %d", a, status)
	}
	if got := a.Header.Get("Content-Type"); got != "text/x.tlog.mirror-info" {
		return info{}, fmt.Errorf("Content-Type %q", got)
	}
	lines := strings.Split(a.Body, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return info{}, fmt.Errorf("not three lines: %q", a.Body)
	}
	var i info
	var err error
	for at, number := range []*int64{&i.size, &i.next} {
		if *number, err = strconv.ParseInt(lines[at], 10, 64); err != nil || strconv.FormatInt(*number, 10) != lines[at] {
			return info{}, fmt.Errorf("line %d is %q", at+1, lines[at])
		}
	}
	i.ticket, err = base64.StdEncoding.Strict().DecodeString(lines[2])
	return i, err
}

// says checks that an answer tells where to go on, and returns the ticket.
func (c *checker) says(what string, a wire.Answer, err error, status int, size, next int64) []byte {
	var i info
	if err == nil {
		i, err = parseInfo(a, status)
	}
	if err == nil && (i.size != size || i.next != next) {
		err = fmt.Errorf("it says size %d, next %d, not %d and %d", i.size, i.next, size, next)
	}
	c.Check(fmt.Sprintf("%s: %d, size %d, next %d", what, status, size, next), err)
	return i.ticket
}

// refused checks a status, and that nothing is signed.
func (c *checker) refused(what string, a wire.Answer, err error, statuses ...int) {
	switch {
	case err != nil:
	case !slices.Contains(statuses, a.Status):
		err = fmt.Errorf("answered %s", a)
	case strings.Contains(a.Body, "— "):
		err = fmt.Errorf("a signature line in %s", a)
	}
	c.Check(fmt.Sprintf("%s: %s", what, strings.Trim(fmt.Sprint(statuses), "[]")), err)
}

// mirrored checks that each key of the mirror has signed the tree of that size, and nobody else.
func (c *checker) mirrored(what string, log *testlog.Log, size int64, a wire.Answer, err error) {
	c.Check(what+": 200, signed", c.signed(log, size, a, err))
}

func (c *checker) signed(log *testlog.Log, size int64, a wire.Answer, err error) error {
	if err != nil {
		return err
	}
	if a.Status != 200 {
		return fmt.Errorf("answered %s", a)
	}
	lines, err := cosign.ParseLines(a.Body)
	if err != nil {
		return err
	}
	if len(lines) != len(c.verifiers) {
		return fmt.Errorf("%d lines, for %d keys", len(lines), len(c.verifiers))
	}
	for _, v := range c.verifiers {
		i := slices.IndexFunc(lines, v.Made)
		if i < 0 {
			return fmt.Errorf("no line by the %s key", v.Kind)
		}
		at, err := v.Check(log.Text(size), lines[i].Signature)
		if err != nil || at == 0 {
			return fmt.Errorf("%s key: time %d, %w", v.Kind, at, err)
		}
	}
	return nil
}

// pend makes a checkpoint pending: nothing is signed.
func (c *checker) pend(log *testlog.Log, old, size int64) {
	a, err := c.Post("/add-checkpoint", log.Grow(old, size))
	if err == nil && (a.Status != 200 || a.Body != "") {
		err = fmt.Errorf("answered %s", a)
	}
	c.Check(fmt.Sprintf("add-checkpoint %d to %d: 200, and no line", old, size), err)
}
