// Load asks a witness for cosignatures of growing checkpoints of many logs, and remembers what it was answered:
//
//	load -write-logs FILE [-logs N]          the list of logs that the witness is to be started with
//	load -submission URL -vkey V... -state FILE [-logs N] [-connections C] [-for 10s] [-verify 0.01]
//	load -submission URL -vkey V... -state FILE [-logs N] -check
//
// The state is the size of each log that was acknowledged last, and those of requests that were not answered.
// With -check it asks for the size of each log: it must be one of those. So it can be told, after the witness was
// killed, whether it went back. SIGTERM ends it early; what was not answered then is kept as such.
//
// Prints one line of figures; exits 1 if the witness contradicted itself, or answered what it should not.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/wire"
)

func main() {
	cli.Exit("load", run())
}

func run() error {
	write := flag.String("write-logs", "", "write the list of logs to this file, and end")
	submission := flag.String("submission", "", "submission prefix of the witness, and monitoring prefix")
	state := flag.String("state", "", "file that the sizes are kept in")
	count := flag.Int("logs", 1000, "how many logs there are")
	connections := flag.Int("connections", 32, "how many requests are underway at once")
	duration := flag.Duration("for", 10*time.Second, "how long")
	check := flag.Bool("check", false, "ask for the size of each log instead")
	l := load{answers: map[string]int{}}
	flag.Float64Var(&l.verify, "verify", 0.01, "share of the answers of which each signature is verified")
	flag.Func("vkey", "a key of the witness", func(vkey string) error {
		v, err := cosign.ParseVKey(vkey)
		l.verifiers = append(l.verifiers, v)
		return err
	})
	flag.Parse()
	l.logs = makeLogs(*count)
	if *write != "" {
		var entries []loglist.Entry
		for _, log := range l.logs {
			entries = append(entries, log.Entries()...)
		}
		return os.WriteFile(*write, []byte(loglist.Write(entries)), 0o644)
	}
	if *submission == "" || *state == "" || len(l.verifiers) == 0 {
		return cli.Usage("-submission, -vkey and -state are needed")
	}
	if err := l.restore(*state); err != nil {
		return err
	}
	l.Client = wire.NewClient(*submission, *submission, *connections)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	stop, cancel = context.WithTimeout(stop, *duration)
	defer cancel()
	began := time.Now()
	if *check {
		l.checkAll(*connections)
	} else {
		l.run(stop, *connections)
	}
	fmt.Println(l.figures(time.Since(began)))
	if err := l.keep(*state); err != nil {
		return err
	}
	for _, wrong := range l.wrong {
		fmt.Fprintln(os.Stderr, wrong)
	}
	if len(l.wrong) > 0 {
		return fmt.Errorf("the witness was wrong")
	}
	return nil
}
