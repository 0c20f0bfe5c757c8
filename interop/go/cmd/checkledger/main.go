// Checkledger compares a log with what those remember who submitted to it:
// checkledger -vkey V -dir FOLDER LEDGER...
//
// It reads the whole log, grows its tree from the entries alone, and says whether
//   - the signed root is that of the entries,
//   - every entry that was acknowledged stands at the index that was answered: nothing is lost,
//   - no entry stands there twice: nothing is doubled,
//   - every entry was sent by somebody: nothing is made up,
//   - every checkpoint that anybody saw is of a tree that this one extends: nothing is forked.
//
// It prints one line of counts, or what failed and exits 1.
package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/checkpoint"
	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/ledger"
	"kiln.example/interop/internal/source"
	"kiln.example/interop/internal/tree"
)

func main() {
	cli.Exit("checkledger", run())
}

func run() error {
	vkey := flag.String("vkey", "", "verifier key of the log")
	dir := flag.String("dir", "", "folder that holds checkpoint and tile/")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return cli.Usage("-vkey: %v", err)
	}
	if flag.NArg() == 0 {
		return cli.Usage("no ledger")
	}
	said, err := ledger.Read(flag.Args()...)
	if err != nil {
		return err
	}
	found, err := readLog(*dir, verifier)
	if err != nil {
		return err
	}
	return found.compare(said)
}

// found is a log that was read.
type found struct {
	tree tree.Tree
	at   map[ledger.Hash]int64
}

func readLog(dir string, verifier note.Verifier) (*found, error) {
	ctx := context.Background()
	log, err := source.Open(dir, "")
	if err != nil {
		return nil, cli.Usage("%v", err)
	}
	raw, err := log.ReadCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := checkpoint.Open(raw, verifier)
	if err != nil {
		return nil, err
	}
	f := &found{at: map[ledger.Hash]int64{}}
	for f.tree.Size() < signed.Tree.N {
		if err := f.readBundle(ctx, log, uint64(signed.Tree.N)); err != nil {
			return nil, err
		}
	}
	root, err := f.tree.Root(signed.Tree.N)
	if err == nil && root != signed.Tree.Hash {
		err = fmt.Errorf("the entries have root %s, signed is %s", root, signed.Tree.Hash)
	}
	return f, err
}

func (f *found) readBundle(ctx context.Context, log *source.Source, size uint64) error {
	number := uint64(f.tree.Size()) / layout.EntryBundleWidth
	raw, err := log.ReadEntryBundle(ctx, number, layout.PartialTileSize(0, number, size))
	if err != nil {
		return err
	}
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(raw); err != nil {
		return fmt.Errorf("bundle %d: %w", number, err)
	}
	for _, entry := range bundle.Entries {
		hash, index := ledger.Of(entry), f.tree.Size()
		if uint64(index) == size {
			break // the full bundle of a tree that has grown since
		}
		if earlier, ok := f.at[hash]; ok {
			return fmt.Errorf("DOUBLED: entry %x stands at index %d and at index %d", hash, earlier, index)
		}
		f.at[hash] = index
		if err := f.tree.Append(entry); err != nil {
			return err
		}
	}
	return nil
}

func (f *found) compare(said *ledger.Ledger) error {
	for hash, index := range said.Acknowledged {
		at, ok := f.at[hash]
		if !ok {
			return fmt.Errorf("LOST: entry %x was acknowledged at index %d and is not in the log", hash, index)
		}
		if at != index {
			return fmt.Errorf("MOVED: entry %x was acknowledged at index %d and stands at %d", hash, index, at)
		}
	}
	for hash, index := range f.at {
		if !said.Sent[hash] {
			return fmt.Errorf("MADE UP: nobody sent entry %x, which stands at index %d", hash, index)
		}
	}
	for size, seen := range said.Seen {
		if size > f.tree.Size() {
			return fmt.Errorf("ROLLED BACK: a checkpoint of tree size %d was seen, the log has %d", size, f.tree.Size())
		}
		if root, err := f.tree.Root(size); err != nil || root != seen {
			return fmt.Errorf("FORKED: tree size %d was seen with root %s, the log has %s (%v)", size, seen, root, err)
		}
	}
	fmt.Printf("ok: size %d; %d sent, %d acknowledged, each at its index, none lost, doubled or made up; "+
		"%d checkpoints seen, all of one tree\n",
		f.tree.Size(), len(said.Sent), len(said.Acknowledged), len(said.Seen))
	return nil
}
