// Package checkpoint opens checkpoints strictly, as https://c2sp.org/tlog-checkpoint has them.
package checkpoint

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a note text that was read, and perhaps verified: see Open.
type Checkpoint struct {
	Origin     string
	Tree       tlog.Tree
	Extensions []string
}

// Open verifies a signed checkpoint with note and with formats/log, both of which must agree
// with our own strict reading of the text.
func Open(raw []byte, verifier note.Verifier) (Checkpoint, error) {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	cp, err := Parse(opened.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	theirs, _, _, err := log.ParseCheckpoint(raw, verifier.Name(), verifier)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint, by formats/log: %w", err)
	}
	if theirs.Origin != cp.Origin || theirs.Size != uint64(cp.Tree.N) || string(theirs.Hash) != string(cp.Tree.Hash[:]) {
		return Checkpoint{}, fmt.Errorf("checkpoint: formats/log reads another tree than we do")
	}
	return cp, nil
}

// Parse reads the text of a checkpoint, rule by rule.
func Parse(text string) (Checkpoint, error) {
	body, ok := strings.CutSuffix(text, "\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("checkpoint: the text does not end in a newline")
	}
	lines := strings.Split(body, "\n")
	if len(lines) < 3 {
		return Checkpoint{}, fmt.Errorf("checkpoint: fewer than three lines")
	}
	for i, line := range lines {
		if line == "" {
			return Checkpoint{}, fmt.Errorf("checkpoint: line %d is empty", i+1)
		}
	}
	tree, err := parseTree(lines[1], lines[2])
	if err != nil {
		return Checkpoint{}, err
	}
	return Checkpoint{Origin: lines[0], Tree: tree, Extensions: lines[3:]}, nil
}

func parseTree(size, root string) (tlog.Tree, error) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != size {
		return tlog.Tree{}, fmt.Errorf("checkpoint: line 2 is not a tree size in canonical decimal")
	}
	hash, err := ParseHash(root)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: line 3: %w", err)
	}
	return tlog.Tree{N: n, Hash: hash}, nil
}

// ParseHash reads a hash in base64 of one spelling. tlog.ParseHash and the decoder below it
// accept stray bits in the last character and newlines, hence the comparison.
func ParseHash(text string) (tlog.Hash, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != tlog.HashSize || base64.StdEncoding.EncodeToString(raw) != text {
		return tlog.Hash{}, fmt.Errorf("not the base64 of a SHA-256 hash")
	}
	return tlog.Hash(raw), nil
}
