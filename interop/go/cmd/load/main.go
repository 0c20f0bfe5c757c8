// Load submits entries to a log, over whichever of its writers takes them, until each is acknowledged,
// and keeps a ledger of it:
// load -vkey V -ledger FILE -to URL[,URL...] [-for 10s] [-entries N] [-connections N] [-batch N] ...
//
// An entry that was answered with an error, or not at all, may be in the log or not: it is sent again,
// until it has an index. Some that have one are sent again too, and must get the same. Meanwhile the
// checkpoint of each writer is read: it must never shrink. SIGTERM ends it early.
//
// It prints one line of figures, and exits 1 if the log contradicted itself, or entries were never acknowledged.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/ledger"
)

func main() {
	cli.Exit("load", run())
}

func run() error {
	var l load
	vkey := flag.String("vkey", "", "verifier key of the log")
	path := flag.String("ledger", "", "file that the ledger is appended to")
	to := flag.String("to", "", "URLs of the log's writers, with commas")
	duration := flag.Duration("for", 10*time.Second, "how long to begin new entries")
	flag.Int64Var(&l.most, "entries", math.MaxInt64, "how many entries to begin at most")
	connections := flag.Int("connections", 16, "how many submit at once")
	flag.IntVar(&l.batch, "batch", 1, "entries of one request; more than one go to /add-batch")
	flag.IntVar(&l.size, "size", 300, "bytes of an entry")
	flag.Float64Var(&l.rate, "rate", 0, "requests a second at most; 0 is as many as are answered")
	flag.Float64Var(&l.again, "again", 0.02, "share of acknowledged entries that are sent again")
	flag.StringVar(&l.wait, "wait", "published", "what an answer waits for: published or sequenced")
	watch := flag.Bool("watch", true, "read the checkpoints meanwhile; a writer asks its store for each")
	timeout := flag.Duration("timeout", 20*time.Second, "how long to wait for an answer")
	grace := flag.Duration("grace", time.Minute, "how long to go on with entries that are not acknowledged at the end")
	flag.Parse()
	if *path == "" || *to == "" {
		return cli.Usage("-ledger and -to are needed")
	}
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return cli.Usage("-vkey: %v", err)
	}
	if l.ledger, err = ledger.Append(*path); err != nil {
		return err
	}
	l.urls, l.verifier = strings.Split(*to, ","), verifier
	l.prepare(*connections, *timeout)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	stop, cancel = context.WithTimeout(stop, *duration)
	defer cancel()
	l.run(stop, *connections, *grace, *watch)
	fmt.Println(l.figures.String())
	for _, wrong := range l.figures.wrong {
		fmt.Fprintln(os.Stderr, wrong)
	}
	if len(l.figures.wrong) > 0 {
		return fmt.Errorf("the log contradicted itself %d times", len(l.figures.wrong))
	}
	if l.figures.open > 0 {
		return fmt.Errorf("%d entries were never acknowledged", l.figures.open)
	}
	return nil
}
