// Makeproof cuts a c2sp.org/tlog-proof@v1 out of a log with Go:
// makeproof -vkey V (-dir DIR | -url URL) -index N [-o FILE]
package main

import (
	"context"
	"flag"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/source"
	"kiln.example/interop/internal/tlogproof"
)

func main() {
	cli.Exit("makeproof", run())
}

func run() error {
	vkey := flag.String("vkey", "", "verifier key of the log")
	dir := flag.String("dir", "", "folder that holds checkpoint and tile/")
	url := flag.String("url", "", "URL of the log, instead of -dir")
	index := flag.Int64("index", -1, "index of the entry")
	out := flag.String("o", "/dev/stdout", "file to write")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return cli.Usage("-vkey: %v", err)
	}
	log, err := source.Open(*dir, *url)
	if err != nil {
		return cli.Usage("%v", err)
	}
	proof, err := cut(context.Background(), log, verifier, *index)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, []byte(proof.String()), 0o644)
}

// cut reads the path through TileHashReader, which authenticates each tile on the way.
func cut(ctx context.Context, log *source.Source, verifier note.Verifier, index int64) (tlogproof.Proof, error) {
	raw, err := log.ReadCheckpoint(ctx)
	if err != nil {
		return tlogproof.Proof{}, err
	}
	cp, err := checkpoint.Open(raw, verifier)
	if err != nil {
		return tlogproof.Proof{}, err
	}
	if index < 0 || index >= cp.Tree.N {
		return tlogproof.Proof{}, cli.Usage("-index: the log has entries 0 to %d", cp.Tree.N-1)
	}
	hashes, err := tlog.ProveRecord(cp.Tree.N, index, tlog.TileHashReader(cp.Tree, log.Tiles(ctx)))
	return tlogproof.Proof{Index: index, Hashes: hashes, Checkpoint: string(raw)}, err
}
