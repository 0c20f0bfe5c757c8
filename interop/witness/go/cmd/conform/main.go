// Conform holds a witness against https://c2sp.org/tlog-witness, rule by rule, and against what a strict one does
// with bad input:
//
//	conform -write-logs FILE [-seed S]    the list of logs that the witness is to be started with
//	conform -submission URL [-monitoring URL] -vkey V... [-seed S] [GROUP...]
//
// It holds the secret keys of those logs, which anyone can derive. A -vkey for each of the witness' keys, Ed25519
// (0x04) and ML-DSA-44 (0x06): each must sign every answer, and nobody else may. The witness must not have seen
// the logs; another seed makes others.
//
// A group of checks: statuses empty signatures malformed sizes subtrees monitoring connections races quotas; all
// unless some are named. Where the specification leaves the status open, each that would do is taken. Prints a line for each
// check; exits 1 when one failed.
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
	cli.Exit("conform", run())
}

var groups = []struct {
	name string
	run  func(c *checker)
}{
	{"statuses", checkStatuses}, {"empty", checkEmpty}, {"signatures", checkSignatures}, {"malformed", checkMalformed},
	{"sizes", checkSizes}, {"subtrees", checkSubtrees}, {"monitoring", checkMonitoring},
	{"connections", checkConnections}, {"races", checkRaces}, {"quotas", checkQuotas},
}

func run() error {
	write := flag.String("write-logs", "", "write the list of logs to this file, and end")
	seed := flag.String("seed", "1", "makes the logs other logs")
	submission := flag.String("submission", "", "submission prefix of the witness")
	monitoring := flag.String("monitoring", "", "monitoring prefix, where it is another")
	writers := flag.Int("writers", 64, "how many race")
	requests := flag.Int("requests", 40, "how many requests each of them sends")
	var verifiers []cosign.Verifier
	flag.Func("vkey", "a key of the witness", func(vkey string) error {
		v, err := cosign.ParseVKey(vkey)
		verifiers = append(verifiers, v)
		return err
	})
	flag.Parse()
	if *write != "" {
		return os.WriteFile(*write, []byte(newWorld(*seed).list()), 0o644)
	}
	if *submission == "" || len(verifiers) == 0 {
		return cli.Usage("-submission and -vkey are needed")
	}
	if *monitoring == "" {
		*monitoring = *submission
	}
	c := &checker{
		Client: wire.NewClient(*submission, *monitoring, *writers+4), world: newWorld(*seed), verifiers: verifiers,
		writers: *writers, requests: *requests,
	}
	wanted := " " + strings.Join(flag.Args(), " ") + " "
	for _, group := range groups {
		if flag.NArg() == 0 || strings.Contains(wanted, " "+group.name+" ") {
			c.Group = group.name
			group.run(c)
		}
	}
	return c.Err()
}
