// Tesseralog writes a log of N deterministic entries with Tessera's POSIX storage driver, for our
// client to verify: tesseralog [-skey FILE] [-sizes A,B,...] [-checkpoints FOLDER] DIR N
//
// It publishes a checkpoint at each of the sizes and at N, and leaves in DIR what readers see:
// checkpoint and tile/. It prints the log's verifier key, unless it was handed the secret key.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
	"kiln.example/interop/internal/seq"
)

// stateFolder is where the POSIX driver keeps what readers need not see.
const stateFolder = ".state"

// maxGrowth is the most entries between two sizes. The driver's own limit is 4096.
const maxGrowth = 1 << 20

type config struct {
	dir         string
	checkpoints string
	sizes       []int
	signer      note.Signer
	vkey        string // to print
}

func main() {
	cli.Exit("tesseralog", run())
}

func run() error {
	skey := flag.String("skey", "", "file that holds the log's secret key in note form (default: one from a fixed seed)")
	sizes := flag.String("sizes", "1,2,255,256,257,513", "sizes to publish on the way to N")
	checkpoints := flag.String("checkpoints", "", "folder that keeps each checkpoint under its size")
	flag.Parse()
	cfg, err := parse(*skey, *sizes, *checkpoints, flag.Args())
	if err != nil {
		return err
	}
	cli.HushTessera()
	if err := cfg.write(context.Background()); err != nil {
		return err
	}
	fmt.Print(cfg.vkey)
	return nil
}

func parse(skey, sizes, checkpoints string, args []string) (config, error) {
	if len(args) != 2 {
		return config{}, cli.Usage("tesseralog [flags] DIR N")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return config{}, cli.Usage("%q is no number of entries", args[1])
	}
	if _, err := os.Stat(filepath.Join(args[0], "checkpoint")); err == nil {
		return config{}, cli.Usage("%s holds a log already", args[0])
	}
	fixed := seq.NewKey("tessera.example/kiln-interop", "tessera log")
	cfg := config{dir: args[0], checkpoints: checkpoints, signer: fixed.Signer, vkey: fixed.VKey + "\n"}
	if skey != "" {
		cfg.vkey = ""
		if cfg.signer, err = readKey(skey); err != nil {
			return config{}, err
		}
	}
	for _, field := range strings.Split(sizes, ",") {
		size, err := strconv.Atoi(field)
		if err != nil || size < 1 {
			return config{}, cli.Usage("%q is no tree size", field)
		}
		if size < n {
			cfg.sizes = append(cfg.sizes, size)
		}
	}
	cfg.sizes = append(cfg.sizes, n)
	return cfg, nil
}

// readKey returns a note.Signer, whose name is the log's origin.
func readKey(file string) (note.Signer, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return note.NewSigner(strings.TrimSuffix(string(raw), "\n"))
}

// write grows the log from size to size, waiting for each checkpoint before it goes on, so that
// the same partial tiles come out each time.
func (cfg config) write(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	appender, shutdown, reader, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond)
	from := 0
	for _, size := range cfg.sizes {
		checkpoint, err := grow(ctx, appender, awaiter, from, size)
		if err != nil {
			return err
		}
		if err := cfg.keep(size, checkpoint); err != nil {
			return err
		}
		from = size
	}
	return errors.Join(shutdown(ctx), os.RemoveAll(filepath.Join(cfg.dir, stateFolder)))
}

func (cfg config) open(ctx context.Context) (*tessera.Appender, func(context.Context) error, tessera.LogReader, error) {
	driver, err := posix.New(ctx, posix.Config{Path: cfg.dir})
	if err != nil {
		return nil, nil, nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(cfg.signer).
		WithCheckpointInterval(100*time.Millisecond).  // the shortest that the driver takes
		WithBatching(maxGrowth, 500*time.Millisecond). // one batch for each size
		WithPushback(maxGrowth).
		WithGarbageCollectionInterval(0) // keep the partial tiles of every checkpoint
	return tessera.NewAppender(ctx, driver, options)
}

// grow adds the entries from..size and returns the checkpoint that covers the last of them.
func grow(ctx context.Context, appender *tessera.Appender, awaiter *tessera.PublicationAwaiter, from, size int) ([]byte, error) {
	var last tessera.IndexFuture
	for i := from; i < size; i++ {
		last = appender.Add(ctx, tessera.NewEntry(seq.Entry(i)))
	}
	index, checkpoint, err := awaiter.Await(ctx, last)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", size-1, err)
	}
	if index.Index != uint64(size-1) || index.IsDup {
		return nil, fmt.Errorf("entry %d came to stand at index %d", size-1, index.Index)
	}
	return checkpoint, nil
}

func (cfg config) keep(size int, checkpoint []byte) error {
	if cfg.checkpoints == "" {
		return nil
	}
	if err := os.MkdirAll(cfg.checkpoints, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(cfg.checkpoints, strconv.Itoa(size)), checkpoint, 0o644)
}
