// Package source reads a log from a folder or a URL with Tessera's fetchers, and hands the same
// bytes to Tessera's client and to tlog.
package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/tree"
)

type fetcher interface {
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error)
	ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error)
}

// Source is a log to read. It asks for each resource once and keeps the answer: all that is
// verified is one state of the log, even while the log grows.
type Source struct {
	fetcher
	mu   sync.Mutex
	kept map[string][]byte
}

// Open opens the log in the folder dir or at rawURL, whichever is not empty.
func Open(dir, rawURL string) (*Source, error) {
	if (dir == "") == (rawURL == "") {
		return nil, errors.New("give one of -dir and -url")
	}
	kept := make(map[string][]byte)
	if dir != "" {
		return &Source{fetcher: client.FileFetcher{Root: dir}, kept: kept}, nil
	}
	root, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	http, err := client.NewHTTPFetcher(root, &http.Client{Timeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	return &Source{fetcher: http, kept: kept}, nil
}

func (s *Source) once(name string, read func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := s.kept[name]; ok {
		return data, nil
	}
	data, err := read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.kept[name] = data
	return data, nil
}

// ReadCheckpoint reads the checkpoint, always the same one.
func (s *Source) ReadCheckpoint(ctx context.Context) ([]byte, error) {
	return s.once(layout.CheckpointPath, func() ([]byte, error) { return s.fetcher.ReadCheckpoint(ctx) })
}

// ReadTile reads a tile. Where a full tile replaced the partial one it returns that one's part.
func (s *Source) ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error) {
	return s.once(layout.TilePath(level, index, partial), func() ([]byte, error) {
		data, err := s.fetcher.ReadTile(ctx, level, index, partial)
		if partial > 0 && len(data) == layout.TileWidth*tlog.HashSize {
			data = data[:int(partial)*tlog.HashSize]
		}
		return data, err
	})
}

// ReadEntryBundle reads a bundle, which may be the full one where a partial one was asked for.
func (s *Source) ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error) {
	return s.once(layout.EntriesPath(index, partial), func() ([]byte, error) {
		return s.fetcher.ReadEntryBundle(ctx, index, partial)
	})
}

// Hashes reads the stored hashes of one tree size out of the log's tiles, for tlog. It checks
// nothing: what tlog computes from it must lead to the root hash. For one goroutine.
type Hashes struct {
	ctx    context.Context
	source *Source
	size   int64
	memo   map[int64]tlog.Hash // neighbours share most of their proofs
}

// Hashes returns a tlog.HashReader for the tree of size entries.
func (s *Source) Hashes(ctx context.Context, size int64) *Hashes {
	return &Hashes{ctx: ctx, source: s, size: size, memo: make(map[int64]tlog.Hash)}
}

// ReadHashes makes Hashes a tlog.HashReader.
func (h *Hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hash, ok := h.memo[x]
		if !ok {
			var err error
			if hash, err = h.read(x); err != nil {
				return nil, err
			}
			h.memo[x] = hash
		}
		hashes[i] = hash
	}
	return hashes, nil
}

func (h *Hashes) read(x int64) (tlog.Hash, error) {
	tile := tlog.TileForIndex(tree.Height, x)
	partial := layout.PartialTileSize(uint64(tile.L), uint64(tile.N), uint64(h.size))
	tile.W = layout.TileWidth // TileForIndex gives the narrowest tile; the log has that of its size
	if partial > 0 {
		tile.W = int(partial)
	}
	data, err := h.source.ReadTile(h.ctx, uint64(tile.L), uint64(tile.N), partial)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.HashFromTile(tile, data, x)
}

// Tiles hands the log's tiles to tlog.TileHashReader, which authenticates each of them.
type Tiles struct {
	ctx    context.Context
	source *Source
}

// Tiles returns a tlog.TileReader.
func (s *Source) Tiles(ctx context.Context) Tiles { return Tiles{ctx, s} }

// Height is that of https://c2sp.org/tlog-tiles.
func (t Tiles) Height() int { return tree.Height }

// ReadTiles makes Tiles a tlog.TileReader.
func (t Tiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		partial := uint8(tile.W % layout.TileWidth)
		if all[i], err = t.source.ReadTile(t.ctx, uint64(tile.L), uint64(tile.N), partial); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// SaveTiles does nothing: Source keeps what it read.
func (t Tiles) SaveTiles([]tlog.Tile, [][]byte) {}
