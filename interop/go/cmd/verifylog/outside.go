package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/tilepath"
	"kiln.example/interop/internal/tree"
)

// fsckPatience is far beyond what any log of ours needs. Tessera's fsck can wait for ever for
// its own workers once these have failed.
const fsckPatience = 5 * time.Minute

// runTesseraFsck asks Tessera's own checker for its opinion.
func (a *audit) runTesseraFsck(ctx context.Context) error {
	if a.cp.Tree.N == 0 {
		return nil // it takes an empty log for a broken one
	}
	checker := fsck.New(a.cp.Origin, a.verifier, a.log, leafHashes, fsck.Opts{N: 2})
	done := make(chan error, 1)
	go func() { done <- checker.Check(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("tessera's fsck: %w", err)
		}
		return nil
	case <-time.After(fsckPatience):
		return errors.New("tessera's fsck does not come to an end")
	}
}

func leafHashes(bundle []byte) ([][]byte, error) {
	var parsed api.EntryBundle
	if err := parsed.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(parsed.Entries))
	for i, entry := range parsed.Entries {
		hashes[i] = rfc6962.DefaultHasher.HashLeaf(entry)
	}
	return hashes, nil
}

// checkLeftovers looks at the files of a folder that its size does not imply: the partial tiles
// and bundles of earlier checkpoints. They are served too, so they must be right, and nothing else
// may lie under tile/.
func (a *audit) checkLeftovers() error {
	if a.dir == "" || a.cp.Tree.N == 0 {
		return nil
	}
	var faults []error
	err := filepath.WalkDir(filepath.Join(a.dir, "tile"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if err := a.checkFile(file); err != nil && len(faults) < maxFaults {
			faults = append(faults, err)
		}
		return nil
	})
	return errors.Join(append(faults, err)...)
}

func (a *audit) checkFile(file string) error {
	relative, err := filepath.Rel(a.dir, file)
	if err != nil {
		return err
	}
	resource, err := tilepath.Parse(filepath.ToSlash(relative))
	if err != nil {
		return fmt.Errorf("no resource of a log: %w", err)
	}
	first := resource.Index * layout.TileWidth
	end := first + uint64(resource.Width())
	atLevel := uint64(a.cp.Tree.N) >> (resource.Level * layout.TileHeight)
	if end > atLevel {
		return nil // beyond the checkpoint: of a round that is not published
	}
	if resource.Partial > 0 && resource.Partial != layout.PartialTileSize(resource.Level, resource.Index, uint64(a.cp.Tree.N)) {
		a.counts.leftovers++
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return a.checkContent(resource, raw)
}

func (a *audit) checkContent(resource tilepath.Resource, raw []byte) error {
	tile := tlog.Tile{H: tree.Height, L: int(resource.Level), N: int64(resource.Index), W: resource.Width()}
	want, err := tlog.ReadTileData(tile, &a.tree)
	if err != nil {
		return err
	}
	if resource.Entries {
		hashes, err := leafHashes(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", resource, err)
		}
		raw = bytes.Join(hashes, nil)
	}
	return compareHashes(resource.String(), raw, want)
}

// checkHeaders looks at the one header that https://c2sp.org/tlog-tiles demands of a server.
func (a *audit) checkHeaders(ctx context.Context) error {
	if a.url == "" {
		return nil
	}
	faults := []error{a.checkType(ctx, layout.CheckpointPath, "text/plain; charset=utf-8")}
	if size := uint64(a.cp.Tree.N); size > 0 {
		last := (size - 1) / layout.TileWidth
		partial := layout.PartialTileSize(0, last, size)
		faults = append(faults,
			a.checkType(ctx, layout.TilePath(0, last, partial), "application/octet-stream"),
			a.checkType(ctx, layout.EntriesPath(last, partial), "application/octet-stream"))
	}
	return errors.Join(faults...)
}

func (a *audit) checkType(ctx context.Context, path, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.url, "/")+"/"+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusNotFound && strings.Contains(path, ".p/") {
		return nil // the log has grown since and may have dropped it
	}
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != want {
		return fmt.Errorf("%s: status %d and Content-Type %q, not 200 and %q", path, response.StatusCode, got, want)
	}
	return nil
}
