// Verify opens a published checkpoint and says whose word it has:
//
//	verify -log VKEY[,VKEY...] [-witness NAME=VKEY[,VKEY...]]... [-quorum K] FILE|URL
//
// Each of the log's keys must have signed it, and K of the witnesses cosigned it, by any of their keys; a bad line by
// a key that is known makes it bad. Prints what it found; exits 0 if that is enough, 1 if it is not.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/judge"
)

func main() {
	cli.Exit("verify", run())
}

func run() error {
	var policy judge.Policy
	log := flag.String("log", "", "keys of the log, with commas")
	flag.Func("witness", "a witness, and its keys", func(text string) error {
		witness, err := judge.ParseWitness(text)
		policy.Witnesses = append(policy.Witnesses, witness)
		return err
	})
	flag.IntVar(&policy.Quorum, "quorum", 0, "how many witnesses are needed")
	flag.Parse()
	if flag.NArg() != 1 {
		return cli.Usage("one FILE or URL")
	}
	var err error
	if policy.Log, err = judge.ParseVKeys(*log); err != nil {
		return cli.Usage("-log: %v", err)
	}
	raw, err := read(flag.Arg(0))
	if err != nil {
		return err
	}
	verdict, err := policy.Judge(raw)
	for _, witness := range policy.Witnesses {
		if at, cosigned := verdict.Cosigned[witness.Name]; cosigned {
			fmt.Printf("cosigned by %s at %s\n", witness.Name, at.UTC().Format(time.RFC3339))
		}
	}
	if err != nil {
		return err
	}
	fmt.Printf("ok: size %d, root %s, %d lines, all %d keys of the log, %d of %d witnesses\n", verdict.Tree.N, verdict.Tree.Hash,
		verdict.Lines, len(policy.Log), len(verdict.Cosigned), len(policy.Witnesses))
	return nil
}

func read(from string) (string, error) {
	if !slices.ContainsFunc([]string{"http://", "https://"}, func(scheme string) bool { return strings.HasPrefix(from, scheme) }) {
		raw, err := os.ReadFile(from)
		return string(raw), err
	}
	response, err := http.Get(from)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", response.Status)
	}
	return string(raw), err
}
