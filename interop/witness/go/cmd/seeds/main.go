// Seeds writes what keys and cosignatures come of seeds, by Go: seeds FILE
//
// All of it comes out the same each time; testdata/witness/go-cosignatures.json is what it wrote.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/merkle"
	"kiln.example/interop/witness/internal/testlog"
)

func main() {
	cli.Exit("seeds", run())
}

const about = "Cosignatures by Go, crypto/ed25519 and filippo.io/mldsa v1.0.0: deterministic, with an empty context. Each key is " +
	"made of its seed (hex); type is that of its vkey: 1 signs notes, 4 and 6 are cosignatures. A cosignature's `key` is its place in `keys`, its `line` is " +
	"by that key for the checkpoint `text` at `time`, and that of a subtree has the fields of cosigned_message in its " +
	"place. `message` (hex) is what was signed. Verified by transparency-dev/formats v0.1.1 too. Written by " +
	"interop/witness/go/cmd/seeds. The keys are no secrets."

type file struct {
	About        string        `json:"about"`
	Keys         []key         `json:"keys"`
	Cosignatures []cosignature `json:"cosignatures"`
	Subtrees     []subtree     `json:"subtrees"`
}

type key struct {
	Name string      `json:"name"`
	Type cosign.Kind `json:"type"`
	Seed string      `json:"seed"`
	ID   string      `json:"id"`
	SKey string      `json:"skey"`
	VKey string      `json:"vkey"`
}

type cosignature struct {
	Key     int    `json:"key"` // in Keys
	Text    string `json:"text"`
	Time    uint64 `json:"time"`
	Message string `json:"message"`
	Line    string `json:"line"`
}

type subtree struct {
	Key     int    `json:"key"`
	Origin  string `json:"origin"`
	Start   uint64 `json:"start"`
	End     uint64 `json:"end"`
	Hash    string `json:"hash"`
	Time    uint64 `json:"time"`
	Message string `json:"message"`
	Line    string `json:"line"`
}

func run() error {
	flag.Parse()
	if flag.NArg() != 1 {
		return cli.Usage("one FILE")
	}
	keys := makeKeys()
	out := file{About: about}
	for _, k := range keys {
		out.Keys = append(out.Keys, key{k.Name(), k.Kind, hex.EncodeToString(k.Seed[:]), fmt.Sprintf("%08x", k.KeyHash()), k.SKey(), k.VKey()})
	}
	for _, text := range texts() {
		for i, k := range keys {
			if err := out.cosign(i, k, text); err != nil {
				return err
			}
		}
	}
	for i, k := range keys {
		if k.Kind == cosign.MLDSA44 {
			if err := out.cosignSubtrees(i, k); err != nil {
				return err
			}
		}
	}
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(flag.Arg(0), append(raw, '\n'), 0o644)
}

// makeKeys is two names, and three kinds of keys: the same seed makes a key of each kind.
func makeKeys() (keys []cosign.Key) {
	var counting, ones [32]byte
	for i := range counting {
		counting[i], ones[i] = byte(i), 0xff
	}
	for _, kind := range []cosign.Kind{cosign.Note, cosign.Ed25519, cosign.MLDSA44} {
		keys = append(keys, cosign.NewKey(kind, "witness.example/w1", counting))
	}
	for _, kind := range []cosign.Kind{cosign.Ed25519, cosign.MLDSA44} {
		keys = append(keys, cosign.NewKey(kind, "zeugin.example/größe", ones))
	}
	return keys
}

// texts are the checkpoints, of a tree whose entry i is that of all test logs.
func texts() []string {
	log := testlog.Log{Origin: "log.example/seeds", Tree: testlog.Entries}
	long := testlog.Log{Origin: "log.example/" + strings.Repeat("l", 255-len("log.example/")), Tree: testlog.Entries}
	return []string{log.Text(0), log.Text(1), log.Text(1000) + "an extension\nund noch eine: ü\n", long.Text(257)}
}

func (f *file) cosign(i int, k cosign.Key, text string) error {
	times := []uint64{1679315147}
	if strings.Contains(text, "\n1\n") {
		times = []uint64{1, 1679315147, math.MaxInt64}
	}
	if k.Kind == cosign.Note {
		times = []uint64{0}
	}
	for _, time := range times {
		line := k.Cosign(text, time)
		lines, err := cosign.ParseLines(line)
		if err != nil {
			return err
		}
		if at, err := k.Check(text, lines[0].Signature); err != nil || at != time {
			return fmt.Errorf("what we sign does not verify: %w", err)
		}
		f.Cosignatures = append(f.Cosignatures, cosignature{i, text, time, hex.EncodeToString(k.Message(text, time)), line})
	}
	return nil
}

func (f *file) cosignSubtrees(i int, k cosign.Key) error {
	for _, s := range []cosign.Subtree{
		{Origin: "log.example/seeds", Start: 8, End: 13, Hash: testlog.Entries.Subtree(8, 13)},
		{Origin: "log.example/seeds", Start: 0, End: 8, Hash: testlog.Entries.Subtree(0, 8)},
		{Origin: "log.example/seeds", Start: 1 << 63, End: math.MaxUint64, Hash: merkle.Empty},
	} {
		line := k.CosignSubtree(s, 0)
		lines, err := cosign.ParseLines(line)
		if err != nil {
			return err
		}
		if _, err := k.CheckSubtree(s, lines[0].Signature); err != nil {
			return fmt.Errorf("what we sign does not verify: %w", err)
		}
		f.Subtrees = append(f.Subtrees, subtree{i, s.Origin, s.Start, s.End, s.Hash.String(), 0, hex.EncodeToString(s.Message(k.Name(), 0)), line})
	}
	return nil
}
