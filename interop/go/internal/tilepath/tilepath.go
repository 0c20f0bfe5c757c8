// Package tilepath reads paths of tiles and entry bundles as https://c2sp.org/tlog-tiles has them.
package tilepath

import (
	"fmt"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
)

// Resource is what a path names. Partial is 0 for a full tile or bundle.
type Resource struct {
	Entries bool
	Level   uint64
	Index   uint64
	Partial uint8
}

// String writes the one spelling of the path.
func (r Resource) String() string {
	if r.Entries {
		return layout.EntriesPath(r.Index, r.Partial)
	}
	return layout.TilePath(r.Level, r.Index, r.Partial)
}

// Width is the number of hashes or entries in the resource.
func (r Resource) Width() int {
	if r.Partial == 0 {
		return layout.TileWidth
	}
	return int(r.Partial)
}

// Parse accepts only what String writes. Tessera's parser lets a few other spellings through
// (a level with a leading zero, an index with a leading `x000`), hence the comparison.
func Parse(path string) (Resource, error) {
	r, err := parseLoosely(path)
	if err != nil {
		return Resource{}, fmt.Errorf("%q: %w", path, err)
	}
	if r.String() != path {
		return Resource{}, fmt.Errorf("%q: the one spelling is %q", path, r)
	}
	return r, nil
}

// TesseraAccepts reports whether Tessera's own parser takes the path, in whatever spelling.
func TesseraAccepts(path string) bool {
	_, err := parseLoosely(path)
	return err == nil
}

func parseLoosely(path string) (r Resource, err error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return r, fmt.Errorf("no tile/ at the start")
	}
	level, index, ok := strings.Cut(rest, "/")
	if !ok {
		return r, fmt.Errorf("no index")
	}
	if level == "entries" {
		r.Entries = true
		r.Index, r.Partial, err = layout.ParseTileIndexPartial(index)
		return r, err
	}
	r.Level, r.Index, r.Partial, err = layout.ParseTileLevelIndexPartial(level, index)
	return r, err
}
