// Mirror-conform holds a mirror against https://c2sp.org/tlog-mirror, rule by rule:
//
//	mirror-conform -write-logs FILE [-seed S]    the list of logs that the mirror is to be started with
//	mirror-conform -submission URL [-monitoring URL] -vkey V... [-seed S] [GROUP...]
//
// It holds the secret keys of those logs, which anyone can derive. A -vkey for each of the mirror's keys: each must sign
// what is mirrored, and nobody may sign what is merely pending. The mirror must not have seen the logs; another seed makes
// others.
//
// A group of checks: pending statuses prefixes overlap tickets gzip cut races subtrees reads; all unless some are named.
// Prints a line for each check; exits 1 when one failed.
package main

import (
	"flag"
	"os"
	"strings"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/wire"
)

func main() {
	cli.Exit("mirror-conform", run())
}

var groups = []struct {
	name string
	run  func(c *checker)
}{
	{"pending", checkPending}, {"statuses", checkStatuses}, {"prefixes", checkPrefixes}, {"overlap", checkOverlap},
	{"tickets", checkTickets}, {"gzip", checkGzip}, {"cut", checkCut}, {"races", checkRaces},
	{"subtrees", checkSubtrees}, {"reads", checkReads},
}

func run() error {
	write := flag.String("write-logs", "", "write the list of logs to this file, and end")
	seed := flag.String("seed", "1", "makes the logs other logs")
	submission := flag.String("submission", "", "submission prefix of the mirror")
	monitoring := flag.String("monitoring", "", "monitoring prefix, where it is another")
	var verifiers []cosign.Verifier
	flag.Func("vkey", "a key of the mirror", func(vkey string) error {
		v, err := cosign.ParseVKey(vkey)
		verifiers = append(verifiers, v)
		return err
	})
	flag.Parse()
	if *write != "" {
		return os.WriteFile(*write, []byte(list(*seed)), 0o644)
	}
	if *submission == "" || len(verifiers) == 0 {
		return cli.Usage("-submission and -vkey are needed")
	}
	if *monitoring == "" {
		*monitoring = *submission
	}
	c := &checker{Client: wire.NewClient(*submission, *monitoring, 40), seed: *seed, verifiers: verifiers}
	wanted := " " + strings.Join(flag.Args(), " ") + " "
	for _, group := range groups {
		if flag.NArg() == 0 || strings.Contains(wanted, " "+group.name+" ") {
			c.Group = group.name
			group.run(c)
		}
	}
	return c.Err()
}
