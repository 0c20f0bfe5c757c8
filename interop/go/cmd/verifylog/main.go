// Verifylog verifies a whole log twice, with Go's tlog and with Tessera's client:
// verifylog -vkey V (-dir FOLDER | -url URL) [-sample N] [-earlier FOLDER] [-lines FILE]
//
// It prints one line of counts, or what failed and exits 1. See check for what it verifies.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/source"
)

func main() {
	cli.Exit("verifylog", run())
}

func run() error {
	vkey := flag.String("vkey", "", "verifier key of the log")
	dir := flag.String("dir", "", "folder that holds checkpoint and tile/")
	url := flag.String("url", "", "URL of the log, instead of -dir")
	sample := flag.Int64("sample", 0, "prove about so many entries, evenly spread (default: every entry)")
	earlier := flag.String("earlier", "", "folder of earlier checkpoints, with which this one must be consistent")
	linesFile := flag.String("lines", "", "file whose lines must be the log's entries, in any order")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return cli.Usage("-vkey: %v", err)
	}
	log, err := source.Open(*dir, *url)
	if err != nil {
		return cli.Usage("%v", err)
	}
	lines, err := readLines(*linesFile)
	if err != nil {
		return err
	}
	cli.HushTessera()
	start := time.Now()
	audit := &audit{log: log, verifier: verifier, dir: *dir, url: *url, sample: *sample, earlier: *earlier, lines: lines}
	if err := audit.check(context.Background()); err != nil {
		return err
	}
	fmt.Printf("ok: %s, %.1f s\n", audit.counts, time.Since(start).Seconds())
	return nil
}
