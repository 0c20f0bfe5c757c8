// Tessera-client has logs by Tessera's POSIX driver ask a witness, with Tessera's own client:
//
//	tessera-client -write-logs FILE                     the list of logs that the witness is to be started with
//	tessera-client -submission URL -vkey V... FOLDER    a log for each key of the witness
//
// Each log grows over several checkpoints, all of which must be published with a cosignature by that key. Then it
// grows without its witness, which is behind when it is asked again. Prints a line for each check; exits 1 when one
// failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/seq"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/judge"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/report"
	"kiln.example/interop/witness/internal/wire"
)

func main() {
	cli.Exit("tessera-client", run())
}

func run() error {
	write := flag.String("write-logs", "", "write the list of logs to this file, and end")
	submission := flag.String("submission", "", "submission prefix of the witness, and monitoring prefix")
	var vkeys []cosign.Verifier
	flag.Func("vkey", "a key of the witness", func(vkey string) error {
		v, err := cosign.ParseVKey(vkey)
		vkeys = append(vkeys, v)
		return err
	})
	flag.Parse()
	if *write != "" {
		var entries []loglist.Entry
		for _, kind := range []cosign.Kind{cosign.Ed25519, cosign.MLDSA44} {
			key := logKey(kind)
			entries = append(entries, loglist.Entry{Key: key.Verifier, Origin: key.Name(), QPD: 8_640_000_000})
		}
		return os.WriteFile(*write, []byte(loglist.Write(entries)), 0o644)
	}
	if *submission == "" || len(vkeys) == 0 || flag.NArg() != 1 {
		return cli.Usage("-submission, -vkey and FOLDER are needed")
	}
	cli.HushTessera()
	checks := &report.Report{}
	for _, vkey := range vkeys {
		l := &witnessed{Report: checks, vkey: vkey, key: logKey(vkey.Kind), submission: *submission,
			dir: filepath.Join(flag.Arg(0), vkey.Kind.String())}
		l.Group = fmt.Sprintf("Tessera and an %s key", vkey.Kind)
		l.live(context.Background())
	}
	return checks.Err()
}

// logKey is that of the log that trusts a witness' key of this kind.
func logKey(kind cosign.Kind) cosign.Key {
	name := "tessera.example/witnessed/" + kind.String()
	return cosign.TestKey(cosign.Note, name, name)
}

// witnessed is a log.
type witnessed struct {
	*report.Report
	vkey            cosign.Verifier
	key             cosign.Key
	submission, dir string
	answers         answers
}

// live is its life.
func (l *witnessed) live(ctx context.Context) {
	quorum := judge.Policy{Log: []cosign.Verifier{l.key.Verifier}, Witnesses: []judge.Witness{{Name: "w", Keys: []cosign.Verifier{l.vkey}}}, Quorum: 1}
	alone := quorum
	alone.Quorum = 0
	if !l.Check("it begins, with its witness", l.grow(ctx, quorum, 0, 1, 2, 5, 255, 256, 257, 513, 700)) {
		return
	}
	l.Check("it is started again, and grows", l.grow(ctx, quorum, 700, 701, 1000))
	l.Check("it grows without its witness", l.grow(ctx, alone, 1000, 1300))
	conflicts := l.answers.of(http.StatusConflict)
	l.Check("it asks its witness again, which is behind", l.grow(ctx, quorum, 1300, 1301, 1500))
	var err error
	if l.answers.of(http.StatusConflict) == conflicts {
		err = errors.New("nobody said so")
	}
	l.Check("... which was told with 409", err)
	l.Check("the witness shows the last checkpoint", l.shown(quorum, 1500))
	l.Check(fmt.Sprintf("the witness answered %v", l.answers.statuses), l.answers.odd())
}

// grow opens the log, adds entries up to one size after another, each of which is published, and shuts it down.
func (l *witnessed) grow(ctx context.Context, policy judge.Policy, from int, sizes ...int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	appender, shutdown, reader, err := l.open(ctx, policy.Quorum > 0)
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond)
	for _, size := range sizes {
		if err := l.growTo(ctx, appender, awaiter, policy, from, size); err != nil {
			return fmt.Errorf("from %d to %d: %w", from, size, err)
		}
		from = size
	}
	return shutdown(ctx)
}

func (l *witnessed) open(ctx context.Context, asks bool) (*tessera.Appender, func(context.Context) error, tessera.LogReader, error) {
	fail := func(err error) (*tessera.Appender, func(context.Context) error, tessera.LogReader, error) {
		return nil, nil, nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: l.dir, HTTPClient: &http.Client{Transport: &l.answers}})
	if err != nil {
		return fail(err)
	}
	signer, err := note.NewSigner(l.key.SKey())
	if err != nil {
		return fail(err)
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithCheckpointInterval(100*time.Millisecond).
		WithBatching(10000, 200*time.Millisecond).WithPushback(10000)
	if asks {
		group, err := tessera.NewWitnessGroupFromPolicy(fmt.Appendf(nil, "witness w %s %s\nquorum w\n", l.vkey.VKey(), l.submission))
		if err != nil {
			return fail(fmt.Errorf("Tessera refuses the policy: %w", err))
		}
		options = options.WithWitnesses(group, nil)
	}
	return tessera.NewAppender(ctx, driver, options)
}

func (l *witnessed) growTo(ctx context.Context, appender *tessera.Appender, awaiter *tessera.PublicationAwaiter, policy judge.Policy, from, size int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last tessera.IndexFuture
	for i := from; i < size; i++ {
		last = appender.Add(ctx, tessera.NewEntry(seq.Entry(i)))
	}
	_, checkpoint, err := awaiter.Await(ctx, last)
	if err != nil {
		return err
	}
	verdict, err := policy.Judge(string(checkpoint))
	if err == nil && verdict.Tree.N != int64(size) {
		err = fmt.Errorf("size %d was published", verdict.Tree.N)
	}
	return err
}

// shown is what the witness itself shows.
func (l *witnessed) shown(policy judge.Policy, size int64) error {
	answer, err := wire.NewClient(l.submission, l.submission, 1).Monitored(l.key.Name())
	if err != nil {
		return err
	}
	verdict, err := policy.Judge(answer.Body)
	if err == nil && verdict.Tree.N != size {
		err = fmt.Errorf("size %d is shown", verdict.Tree.N)
	}
	return err
}

// answers counts what the witness answers Tessera.
type answers struct {
	mutex    sync.Mutex
	statuses map[int]int
}

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		if a.statuses == nil {
			a.statuses = map[int]int{}
		}
		a.statuses[response.StatusCode]++
	}
	return response, err
}

func (a *answers) of(status int) int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.statuses[status]
}

// odd is whether there was one that an honest log does not get.
func (a *answers) odd() error {
	for status := range a.statuses {
		if !slices.Contains([]int{200, 409}, status) {
			return fmt.Errorf("%d", status)
		}
	}
	return nil
}
