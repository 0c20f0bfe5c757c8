package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
	"kiln.example/interop/internal/source"
	"kiln.example/interop/internal/tree"
)

// maxFaults bounds the report: one bad entry shows in every tile above it.
const maxFaults = 8

// audit is the verification of one state of a log.
type audit struct {
	log      *source.Source
	verifier note.Verifier
	dir, url string
	earlier  string
	sample   int64
	lines    *lines

	cp     checkpoint.Checkpoint
	tree   tree.Tree // grown from the entries alone: what the tiles ought to say
	counts counts
}

// counts is what the audit looked at and found right.
type counts struct {
	size, fullTiles, partialTiles, bundles, entries int64
	inclusions, consistencies, earlier, leftovers   int64
}

func (c counts) String() string {
	return fmt.Sprintf("size %d: 1 checkpoint, %d full and %d partial tiles, %d bundles, %d entries, "+
		"%d inclusion and %d consistency proofs by tlog and by Tessera, %d earlier checkpoints, %d older partial files",
		c.size, c.fullTiles, c.partialTiles, c.bundles, c.entries, c.inclusions, c.consistencies, c.earlier, c.leftovers)
}

// check verifies everything that the checkpoint implies. Proofs come last: over tiles that are
// known to be bad they would say nothing new.
func (a *audit) check(ctx context.Context) error {
	if err := a.openCheckpoint(ctx); err != nil {
		return err
	}
	if err := a.readEntries(ctx); err != nil {
		return err
	}
	if err := errors.Join(a.checkTiles(ctx), a.checkRoot(), a.checkLeftovers(), a.checkHeaders(ctx)); err != nil {
		return err
	}
	return errors.Join(a.proveInclusions(ctx), a.proveConsistencies(ctx), a.checkEarlier(ctx), a.runTesseraFsck(ctx))
}

func (a *audit) openCheckpoint(ctx context.Context) error {
	raw, err := a.log.ReadCheckpoint(ctx)
	if err != nil {
		return err
	}
	if a.cp, err = checkpoint.Open(raw, a.verifier); err != nil {
		return err
	}
	if a.cp.Origin != a.verifier.Name() {
		return fmt.Errorf("checkpoint of %q, signed by the key of %q", a.cp.Origin, a.verifier.Name())
	}
	a.counts.size = a.cp.Tree.N
	return nil
}

// readEntries reads each bundle with Tessera's client and grows the tree from its entries.
func (a *audit) readEntries(ctx context.Context) error {
	size := uint64(a.cp.Tree.N)
	for index := uint64(0); index*layout.EntryBundleWidth < size; index++ {
		width := layout.EntryBundleWidth
		partial := layout.PartialTileSize(0, index, size)
		if partial > 0 {
			width = int(partial)
		}
		path := layout.EntriesPath(index, partial)
		bundle, err := client.GetEntryBundle(ctx, a.log.ReadEntryBundle, index, size)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := a.appendBundle(bundle, width); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		a.counts.bundles++
	}
	a.counts.entries = a.tree.Size()
	return a.lines.done()
}

func (a *audit) appendBundle(bundle api.EntryBundle, width int) error {
	// The full bundle may stand in for a partial one; no other number of entries will do.
	if n := len(bundle.Entries); n != width && n != layout.EntryBundleWidth {
		return fmt.Errorf("%d entries, not %d", n, width)
	}
	for _, entry := range bundle.Entries[:width] {
		if err := a.tree.Append(entry); err != nil {
			return err
		}
		if err := a.lines.take(entry); err != nil {
			return err
		}
	}
	return nil
}

// checkTiles compares each tile of this size, byte for byte, with what the entries make of it.
func (a *audit) checkTiles(ctx context.Context) error {
	var faults []error
	for _, tile := range tlog.NewTiles(tree.Height, 0, a.cp.Tree.N) {
		if err := a.checkTile(ctx, tile); err != nil {
			faults = append(faults, err)
		}
		if len(faults) == maxFaults {
			break
		}
	}
	return errors.Join(faults...)
}

func (a *audit) checkTile(ctx context.Context, tile tlog.Tile) error {
	partial := uint8(tile.W % layout.TileWidth)
	got, err := a.log.ReadTile(ctx, uint64(tile.L), uint64(tile.N), partial)
	if err != nil {
		return err
	}
	want, err := tlog.ReadTileData(tile, &a.tree)
	if err != nil {
		return err
	}
	if err := compareHashes(layout.TilePath(uint64(tile.L), uint64(tile.N), partial), got, want); err != nil {
		return err
	}
	if partial > 0 {
		a.counts.partialTiles++
	} else {
		a.counts.fullTiles++
	}
	return nil
}

func compareHashes(path string, got, want []byte) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d bytes, not %d", path, len(got), len(want))
	}
	for i := 0; i < len(want); i += tlog.HashSize {
		if !bytes.Equal(got[i:i+tlog.HashSize], want[i:i+tlog.HashSize]) {
			return fmt.Errorf("%s: hash %d is not that of the entries below it", path, i/tlog.HashSize)
		}
	}
	return nil
}

func (a *audit) checkRoot() error {
	root, err := a.tree.Root(a.cp.Tree.N)
	if err != nil {
		return err
	}
	if root != a.cp.Tree.Hash {
		return fmt.Errorf("root hash: the entries make %v, the checkpoint says %v", root, a.cp.Tree.Hash)
	}
	return nil
}
