// Verifyproof verifies a c2sp.org/tlog-proof@v1 with Go:
// verifyproof -vkey V -entry FILE PROOF
package main

import (
	"flag"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/tlogproof"
)

func main() {
	cli.Exit("verifyproof", run())
}

func run() error {
	vkey := flag.String("vkey", "", "verifier key of the log")
	entryFile := flag.String("entry", "", "file that holds the entry")
	flag.Parse()
	if flag.NArg() != 1 || *entryFile == "" {
		return cli.Usage("verifyproof -vkey V -entry FILE PROOF")
	}
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return cli.Usage("-vkey: %v", err)
	}
	entry, err := os.ReadFile(*entryFile)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(flag.Arg(0))
	if err != nil {
		return err
	}
	return verify(string(text), entry, verifier)
}

func verify(text string, entry []byte, verifier note.Verifier) error {
	proof, err := tlogproof.Parse(text)
	if err != nil {
		return err
	}
	cp, err := proof.Verify(entry, verifier)
	if err != nil {
		return err
	}
	fmt.Printf("ok: index %d in %s at size %d, %d hashes\n", proof.Index, cp.Origin, cp.Tree.N, len(proof.Hashes))
	return nil
}
