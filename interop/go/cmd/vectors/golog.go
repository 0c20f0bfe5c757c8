package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
	"kiln.example/interop/internal/tree"
)

// goLogSize ends in a partial tile on both levels.
const goLogSize = 300

var goLogKey = seq.NewKey("go.example/kiln-vectors", "go log")

// writeGoLog writes a log that is as tlog-tiles allows and ours never would be: an empty entry,
// entries of any bytes and of all lengths, and no partial tiles but the last.
func writeGoLog(folder string) error {
	entries := goLogEntries()
	t := new(tree.Tree)
	files := map[string][]byte{}
	for _, entry := range entries {
		must(t.Append(entry))
	}
	for _, tile := range tlog.NewTiles(tree.Height, 0, goLogSize) {
		data, err := tlog.ReadTileData(tile, t)
		must(err)
		files[layout.TilePath(uint64(tile.L), uint64(tile.N), uint8(tile.W%layout.TileWidth))] = data
	}
	for start := 0; start < goLogSize; start += layout.TileWidth {
		path := layout.EntriesPathForLogIndex(uint64(start), goLogSize)
		files[path] = marshal(entries[start:min(start+layout.TileWidth, goLogSize)])
	}
	hash, err := t.Root(goLogSize)
	must(err)
	files[layout.CheckpointPath] = []byte(signText(fmt.Sprintf("%s\n%d\n%s\n", goLogKey.Name, goLogSize, hash), goLogKey, witnessKey))
	for path, data := range files {
		if err := writeFile(filepath.Join(folder, path), data); err != nil {
			return err
		}
	}
	return os.WriteFile(folder+".vkey", []byte(goLogKey.VKey+"\n"), 0o644)
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func goLogEntries() [][]byte {
	entries := append([][]byte{}, oddEntries()...)
	entries = append(entries, []byte(strings.Repeat("the longest entry there is. ", 2341))[:65_535])
	for i := len(entries); i < goLogSize; i++ {
		entries = append(entries, seq.Entry(i))
	}
	return entries
}
