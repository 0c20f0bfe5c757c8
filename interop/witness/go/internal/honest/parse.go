package honest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/merkle"
)

// refusal is an answer other than 200.
type refusal struct {
	status int
	why    string
	header http.Header
}

func (r *refusal) Error() string { return r.why }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, why: fmt.Sprintf(format, args...) + "\n"}
}

// Signed is a checkpoint that was read, and not verified.
type Signed struct {
	Text  string
	Lines []cosign.Line
	checkpoint.Checkpoint
}

// Addition is a request to add-checkpoint.
type Addition struct {
	Old   int64
	Proof []tlog.Hash
	Signed
}

// ParseAddition reads the body of one.
func ParseAddition(body string) (Addition, error) {
	head, proof, signed, err := parseRequest(body)
	if err != nil {
		return Addition{}, err
	}
	if len(head) != 1 {
		return Addition{}, errors.New("it does not begin with one line")
	}
	number, ok := strings.CutPrefix(head[0], "old ")
	if !ok {
		return Addition{}, errors.New("it does not begin with an old size")
	}
	old, err := parseNumber(number)
	return Addition{old, proof, signed}, err
}

// subtreeRequest is a request to sign-subtree.
type subtreeRequest struct {
	start, end int64
	hash       tlog.Hash
	proof      []tlog.Hash
	Signed
}

func parseSubtreeRequest(body string) (r subtreeRequest, err error) {
	var head []string
	if head, r.proof, r.Signed, err = parseRequest(body); err != nil {
		return r, err
	}
	if len(head) != 2 {
		return r, errors.New("it does not begin with a range and a hash")
	}
	words := strings.Split(head[0], " ")
	if len(words) != 3 || words[0] != "subtree" {
		return r, errors.New("it does not begin with a subtree range")
	}
	if r.start, err = parseNumber(words[1]); err != nil {
		return r, err
	}
	if r.end, err = parseNumber(words[2]); err != nil {
		return r, err
	}
	if !merkle.ValidSubtree(uint64(r.start), uint64(r.end)) || r.end > r.Tree.N {
		return r, errors.New("there is no such subtree")
	}
	r.hash, err = checkpoint.ParseHash(head[1])
	return r, err
}

// parseRequest reads what both kinds of requests have in common. The head is the first line, and for subtrees
// the second one too.
func parseRequest(body string) (head []string, proof []tlog.Hash, signed Signed, err error) {
	above, note, found := strings.Cut(body, "\n\n")
	if !found {
		return nil, nil, signed, errors.New("no empty line")
	}
	lines := strings.Split(above, "\n")
	heads := 1
	if strings.HasPrefix(body, "subtree") {
		heads = 2
	}
	if len(lines) < heads || len(lines) > heads+63 {
		return nil, nil, signed, fmt.Errorf("%d lines before the checkpoint", len(lines))
	}
	for _, line := range lines[heads:] {
		hash, err := checkpoint.ParseHash(line)
		if err != nil {
			return nil, nil, signed, fmt.Errorf("proof: %w", err)
		}
		proof = append(proof, hash)
	}
	if signed.Text, signed.Lines, err = cosign.ParseNote(note); err != nil {
		return nil, nil, signed, err
	}
	signed.Checkpoint, err = checkpoint.Parse(signed.Text)
	return lines[:heads], proof, signed, err
}

func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%.40q is no number in its one spelling", text)
	}
	return n, nil
}
