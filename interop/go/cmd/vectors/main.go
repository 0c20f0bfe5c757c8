// Vectors writes the test vectors of testdata/, made and judged by Go's note and tlog and by
// Tessera's packages: vectors TESTDATA
//
// It writes TESTDATA/vectors/*.json and TESTDATA/go-log/. Running it again writes the same bytes.
// It panics when Go judges a vector otherwise than the vector claims.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/seq"
	"kiln.example/interop/internal/tree"
)

func main() {
	if len(os.Args) != 2 {
		cli.Exit("vectors", cli.Usage("vectors TESTDATA"))
	}
	cli.Exit("vectors", write(os.Args[1]))
}

func write(testdata string) error {
	files := map[string]any{
		"keys.json":               keysFile(),
		"notes-good.json":         goodNotesFile(),
		"notes-bad.json":          badNotesFile(),
		"hashes.json":             hashesFile(),
		"roots.json":              rootsFile(),
		"inclusion-proofs.json":   inclusionFile(),
		"consistency-proofs.json": consistencyFile(),
		"tile-paths.json":         tilePathsFile(),
		"tiles-of-size.json":      tilesOfSizeFile(),
		"bundles.json":            bundlesFile(),
		"checkpoints.json":        checkpointsFile(),
		"tlog-proofs.json":        tlogProofsFile(),
	}
	folder := filepath.Join(testdata, "vectors")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := writeJSON(filepath.Join(folder, name), content); err != nil {
			return err
		}
	}
	return writeGoLog(filepath.Join(testdata, "go-log"))
}

func writeJSON(path string, content any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(content); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// vectorTree is the tree that all proofs and roots are of.
var vectorTree = grow(600)

func grow(size int) *tree.Tree {
	t := new(tree.Tree)
	for i := range size {
		must(t.Append(seq.Entry(i)))
	}
	return t
}

func root(size int64) tlog.Hash {
	hash, err := vectorTree.Root(size)
	must(err)
	return hash
}

// text is a string of bytes, as JSON text where it is UTF-8 and in base64 where not.
type text struct {
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
}

func newText(s string) text {
	if utf8.ValidString(s) {
		return text{Text: &s}
	}
	encoded := b64([]byte(s))
	return text{Base64: &encoded}
}

func b64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// mustFail is for what Go has to reject, else the vector claims what is not so.
func mustFail(err error, rule string) {
	if err == nil {
		panic(fmt.Sprintf("Go accepts the bad vector %q", rule))
	}
}
