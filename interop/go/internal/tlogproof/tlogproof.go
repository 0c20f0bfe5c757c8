// Package tlogproof reads and writes https://c2sp.org/tlog-proof.
package tlogproof

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
)

const header = "c2sp.org/tlog-proof@v1"

// maxHashes bounds the proof lines: a tree of 2^64 entries has no longer path.
const maxHashes = 64

// Proof is the content of a tlog-proof file. Nothing in it is verified.
type Proof struct {
	Extra      []byte // nil: no extra line
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint string // a signed note
}

// String writes the file.
func (p Proof) String() string {
	var b strings.Builder
	b.WriteString(header + "\n")
	if p.Extra != nil {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, hash := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(hash[:]))
	}
	return b.String() + "\n" + p.Checkpoint
}

// Parse accepts only what String writes.
func Parse(text string) (Proof, error) {
	p, err := parse(text)
	if err != nil {
		return Proof{}, fmt.Errorf("tlog-proof: %w", err)
	}
	if p.String() != text {
		return Proof{}, fmt.Errorf("tlog-proof: not in its one spelling")
	}
	return p, nil
}

func parse(text string) (p Proof, err error) {
	head, note, ok := strings.Cut(text, "\n\n")
	if !ok {
		return p, fmt.Errorf("no empty line before the checkpoint")
	}
	p.Checkpoint = note
	lines := strings.Split(head, "\n")
	if lines[0] != header {
		return p, fmt.Errorf("line 1 is not %q", header)
	}
	lines = lines[1:]
	if p.Extra, lines, err = takeExtra(lines); err != nil {
		return p, err
	}
	if p.Index, lines, err = takeIndex(lines); err != nil {
		return p, err
	}
	p.Hashes, err = parseHashes(lines)
	return p, err
}

func takeExtra(lines []string) ([]byte, []string, error) {
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "extra ") {
		return nil, lines, nil
	}
	extra, err := base64.StdEncoding.Strict().DecodeString(lines[0][len("extra "):])
	if err != nil {
		return nil, nil, fmt.Errorf("extra line: %w", err)
	}
	return extra, lines[1:], nil
}

func takeIndex(lines []string) (int64, []string, error) {
	if len(lines) == 0 {
		return 0, nil, fmt.Errorf("no index line")
	}
	digits, ok := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || index < 0 || strconv.FormatInt(index, 10) != digits {
		return 0, nil, fmt.Errorf("no index line with an index in canonical decimal")
	}
	return index, lines[1:], nil
}

func parseHashes(lines []string) (tlog.RecordProof, error) {
	if len(lines) > maxHashes {
		return nil, fmt.Errorf("%d hashes are more than any tree is high", len(lines))
	}
	var hashes tlog.RecordProof
	for i, line := range lines {
		hash, err := checkpoint.ParseHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// Verify checks that the proof shows entry in the log of verifier, with tlog and again with the
// verifier that Tessera uses. It returns the checkpoint that vouches for it.
func (p Proof) Verify(entry []byte, verifier note.Verifier) (checkpoint.Checkpoint, error) {
	cp, err := checkpoint.Open([]byte(p.Checkpoint), verifier)
	if err != nil {
		return cp, err
	}
	if cp.Origin != verifier.Name() {
		return cp, fmt.Errorf("checkpoint of %q, signed by the key of %q", cp.Origin, verifier.Name())
	}
	if p.Index >= cp.Tree.N {
		return cp, fmt.Errorf("index %d is not in a tree of %d entries", p.Index, cp.Tree.N)
	}
	leaf := tlog.RecordHash(entry)
	if err := tlog.CheckRecord(p.Hashes, cp.Tree.N, cp.Tree.Hash, p.Index, leaf); err != nil {
		return cp, fmt.Errorf("inclusion, by tlog: %w", err)
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), uint64(cp.Tree.N), leaf[:], Slices(p.Hashes), cp.Tree.Hash[:])
	if err != nil {
		return cp, fmt.Errorf("inclusion, by merkle: %w", err)
	}
	return cp, nil
}

// Slices turns tlog's hashes into what Tessera's packages take.
func Slices(hashes []tlog.Hash) [][]byte {
	slices := make([][]byte, len(hashes))
	for i := range hashes {
		slices[i] = hashes[i][:]
	}
	return slices
}
