package main

import (
	"fmt"
	"math"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
	"kiln.example/interop/internal/tilepath"
	"kiln.example/interop/internal/tree"
)

type pathVector struct {
	Path  string `json:"path"`
	Level *int   `json:"level"`
	Index uint64 `json:"index"`
	Width int    `json:"width"`
	SumDB string `json:"sumdb_path,omitempty"`
}

type badPath struct {
	Rule    string `json:"rule"`
	Path    string `json:"path"`
	Tessera string `json:"tessera"`
}

type pathVectors struct {
	About string       `json:"about"`
	Good  []pathVector `json:"good"`
	Bad   []badPath    `json:"bad"`
}

func tilePathsFile() pathVectors {
	file := pathVectors{About: "Paths of tiles and entry bundles (c2sp.org/tlog-tiles) by Tessera's api/layout. level is null for an entry bundle; " +
		"width 256 is a full tile. sumdb_path is tlog's path of the same tile. Each of bad has another spelling than the one allowed, or none; " +
		"tessera says whether Tessera's own parser rejects it."}
	for level := range 64 {
		file.Good = append(file.Good, goodPath(&level, uint64(level), 256))
	}
	level := 0
	for _, index := range []uint64{0, 1, 255, 999, 1000, 1001, 999_999, 1_000_000, 1_234_067, 999_999_999, 1 << 40, 1<<55 - 1, math.MaxUint64} {
		for _, width := range []int{1, 9, 10, 112, 255, 256} {
			file.Good = append(file.Good, goodPath(&level, index, width), goodPath(nil, index, width))
		}
	}
	for _, bad := range badPaths() {
		_, err := tilepath.Parse(bad.Path)
		mustFail(err, bad.Rule)
		file.Bad = append(file.Bad, bad)
	}
	return file
}

func goodPath(level *int, index uint64, width int) pathVector {
	resource := tilepath.Resource{Entries: level == nil, Index: index, Partial: uint8(width % layout.TileWidth)}
	v := pathVector{Level: level, Index: index, Width: width}
	if level != nil {
		resource.Level = uint64(*level)
	}
	if level != nil && index <= math.MaxInt64 {
		v.SumDB = tlog.Tile{H: tree.Height, L: *level, N: int64(index), W: width}.Path()
	}
	v.Path = resource.String()
	parsed, err := tilepath.Parse(v.Path)
	must(err)
	if parsed != resource {
		panic(fmt.Sprintf("%s reads as %+v", v.Path, parsed))
	}
	return v
}

func badPaths() []badPath {
	rules := [][2]string{
		{"nothing", ""}, {"no index", "tile/0"}, {"empty index", "tile/0/"}, {"empty level", "tile//000"}, {"no tile/", "0/000"},
		{"slash in front", "/tile/0/000"}, {"slash at the end", "tile/0/000/"}, {"two slashes", "tile/0//000"}, {"capital letter", "Tile/0/000"},
		{"level 64", "tile/64/000"}, {"level with a leading zero", "tile/00/000"}, {"level 01", "tile/01/000"}, {"level -1", "tile/-1/000"},
		{"level +1", "tile/+1/000"}, {"level in hex", "tile/0x1/000"}, {"level of 20 digits", "tile/18446744073709551616/000"},
		{"tlog's path, with a height", "tile/8/0/000"}, {"tlog's data level", "tile/data/000"}, {"level in words", "tile/entry/000"},
		{"entries in capitals", "tile/ENTRIES/000"}, {"index of one digit", "tile/0/0"}, {"index of two digits", "tile/0/00"},
		{"index of four digits", "tile/0/0000"}, {"index of 1000 in one element", "tile/0/1000"}, {"x on the last element", "tile/0/x000"},
		{"no x on an upper element", "tile/0/001/000"}, {"x missing on the first of three elements", "tile/0/001/x234/067"},
		{"x on all elements", "tile/0/x001/x234/x067"}, {"capital X", "tile/0/X001/000"}, {"xx", "tile/0/xx01/000"},
		{"leading element x000", "tile/0/x000/001"}, {"leading elements x000/x000", "tile/0/x000/x000/001"},
		{"x000 before a real element", "tile/0/x000/x001/001"}, {"x000 in an entry bundle's path", "tile/entries/x000/001"},
		{"x000 alone", "tile/0/x000"}, {"letter in the index", "tile/0/00a"}, {"sign in the index", "tile/0/+00"}, {"space in the index", "tile/0/ 00"},
		{"Arabic digits", "tile/0/٠٠٠"}, {"index 2^64", "tile/0/x018/x446/x744/x073/x709/x551/616"},
		{"index of seven elements, far beyond 2^64", "tile/0/x999/x999/x999/x999/x999/x999/x999/999"},
		{"width 0", "tile/0/000.p/0"}, {"width 256", "tile/0/000.p/256"}, {"width 257", "tile/0/000.p/257"}, {"width with a leading zero", "tile/0/000.p/01"},
		{"width 010", "tile/0/000.p/010"}, {"width -1", "tile/0/000.p/-1"}, {"width +1", "tile/0/000.p/+1"}, {"no width", "tile/0/000.p/"},
		{"no width and no slash", "tile/0/000.p"}, {"width of three digits and a letter", "tile/0/000.p/12a"}, {"two widths", "tile/0/000.p/1/2"},
		{"capital P", "tile/0/000.P/1"}, {"p without a dot", "tile/0/000p/1"}, {".p on an upper element", "tile/0/x001.p/000"},
		{".p twice", "tile/0/000.p.p/1"}, {".p and no index", "tile/0/.p/1"}, {"width of an entry bundle 0", "tile/entries/000.p/0"},
		{"something after the width", "tile/0/000.p/1/"}, {"newline at the end", "tile/0/000\n"}, {"NUL at the end", "tile/0/000\x00"},
		{"parent folder", "tile/0/../0/000"}, {"parent folder as index", "tile/0/.."}, {"this folder", "tile/./0/000"}, {"backslashes", "tile\\0\\000"},
		{"percent encoding", "tile/0/%30%30%30"}, {"query", "tile/0/000?x"}, {"the checkpoint", "checkpoint"},
	}
	list := make([]badPath, len(rules))
	for i, r := range rules {
		list[i] = badPath{Rule: r[0], Path: r[1], Tessera: "rejects"}
		if tilepath.TesseraAccepts(r[1]) {
			list[i].Tessera = "accepts"
		}
	}
	return list
}

type levelVector struct {
	Level       uint64 `json:"level"`
	FullTiles   uint64 `json:"full_tiles"`
	PartialPath string `json:"partial_path,omitempty"`
}

type sizeVector struct {
	Size    uint64        `json:"size"`
	Levels  []levelVector `json:"levels"`
	Bundles levelVector   `json:"bundles"`
}

type sizeVectors struct {
	About string       `json:"about"`
	Sizes []sizeVector `json:"sizes"`
}

func tilesOfSizeFile() sizeVectors {
	file := sizeVectors{About: "The tiles that a tree of each size consists of (c2sp.org/tlog-tiles#partial-tiles), by Tessera's api/layout: the number of full tiles " +
		"on each level, 0 upwards, and the path of the partial tile at its end, if any. bundles are the entry bundles, level 0 of their own. " +
		"Up to size 70000 it was compared with tlog.NewTiles."}
	for _, size := range []uint64{0, 1, 2, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 70_000, 1<<24 - 1, 1 << 24, 1<<24 + 1, 1_000_000_000, 1<<40 + 257, math.MaxInt64} {
		v := sizeVector{Size: size, Levels: []levelVector{}}
		for level := uint64(0); level < 8 && size>>(8*level) > 0; level++ {
			v.Levels = append(v.Levels, levelOf(size, level, layout.TilePath))
		}
		v.Bundles = levelOf(size, 0, func(_, index uint64, partial uint8) string { return layout.EntriesPath(index, partial) })
		if size <= 70_000 {
			compareWithTlog(v)
		}
		file.Sizes = append(file.Sizes, v)
	}
	return file
}

func levelOf(size, level uint64, path func(level, index uint64, partial uint8) string) levelVector {
	v := levelVector{Level: level, FullTiles: size >> (8 * level) / layout.TileWidth}
	if partial := layout.PartialTileSize(level, v.FullTiles, size); partial > 0 {
		v.PartialPath = path(level, v.FullTiles, partial)
	}
	return v
}

func compareWithTlog(v sizeVector) {
	full := make([]uint64, len(v.Levels))
	partial := make([]string, len(v.Levels))
	for _, tile := range tlog.NewTiles(tree.Height, 0, int64(v.Size)) {
		if tile.W == layout.TileWidth {
			full[tile.L]++
		} else {
			partial[tile.L] = layout.TilePath(uint64(tile.L), uint64(tile.N), uint8(tile.W))
		}
	}
	for i, level := range v.Levels {
		if level.FullTiles != full[i] || level.PartialPath != partial[i] {
			panic(fmt.Sprintf("size %d, level %d: tlog has %d and %q, layout %+v", v.Size, i, full[i], partial[i], level))
		}
	}
}

type bundleVector struct {
	Case          string   `json:"case"`
	BundleBase64  string   `json:"bundle_base64"`
	EntriesBase64 []string `json:"entries_base64,omitempty"`
}

type bundleVectors struct {
	About string         `json:"about"`
	Good  []bundleVector `json:"good"`
	Bad   []bundleVector `json:"bad"`
}

func bundlesFile() bundleVectors {
	file := bundleVectors{About: "Entry bundles (c2sp.org/tlog-tiles#log-entries) that Tessera's api.EntryBundle reads as the entries listed, and some that it rejects. " +
		"It does not count the entries: that a bundle has as many as its path says is for the reader to check. The longest entry stands in go-log/."}
	file.Good = []bundleVector{
		goodBundle("one entry", seq.Entry(0)),
		goodBundle("one empty entry (no log of ours takes one, others may hold it)", []byte{}),
		goodBundle("three entries, the middle one empty", []byte("a"), []byte{}, []byte("b")),
		goodBundle("entries that look like length prefixes", []byte{0, 1}, []byte{0}, []byte{0xff, 0xff}),
		goodBundle("an entry of 256 bytes, its length in the upper byte", make([]byte, 256)),
		goodBundle("256 entries, a full bundle", seqEntries(256)...),
	}
	bad := map[string][]byte{
		"length cut off": {0}, "no entry after its length": {0, 1}, "entry cut off": {0, 3, 'a', 'b'},
		"second length cut off": {0, 1, 'a', 0}, "second entry missing": {0, 1, 'a', 0, 1}, "length of 65,535 and one byte": {0xff, 0xff, 0},
	}
	for _, name := range sortedKeys(bad) {
		mustFail(new(api.EntryBundle).UnmarshalText(bad[name]), name)
		file.Bad = append(file.Bad, bundleVector{Case: name, BundleBase64: b64(bad[name])})
	}
	return file
}

func seqEntries(n int) [][]byte {
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = seq.Entry(i)
	}
	return entries
}

// marshal writes a bundle. That it is right shows when Tessera reads it.
func marshal(entries [][]byte) []byte {
	var raw []byte
	for _, entry := range entries {
		raw = append(raw, byte(len(entry)>>8), byte(len(entry)))
		raw = append(raw, entry...)
	}
	return raw
}

func goodBundle(name string, entries ...[]byte) bundleVector {
	v := bundleVector{Case: name, BundleBase64: b64(marshal(entries))}
	var bundle api.EntryBundle
	must(bundle.UnmarshalText(marshal(entries)))
	if len(bundle.Entries) != len(entries) {
		panic(name)
	}
	for _, entry := range bundle.Entries {
		v.EntriesBase64 = append(v.EntriesBase64, b64(entry))
	}
	return v
}
