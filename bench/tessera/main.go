// Tessera-server is Tessera's POSIX storage behind net/http, for comparison with Kiln in one run:
// tessera-server [-batch N] [-age D] [-outstanding N] [-checkpoints D] DIR ADDRESS
//
// Without flags Tessera has its own defaults, but for the checkpoints: one a second, as Kiln's. POST /add
// answers the index once the entry is durable, which for Tessera is before it is published; POST /add-batch
// takes entries as Kiln does. GET serves the log. It speaks HTTP/1.1 and HTTP/2, prints its URL, then
// `ready`, and ends with SIGTERM.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

// maxStreams is what Kiln takes of one HTTP/2 connection.
const maxStreams = 256

// maxBody is the longest batch that Kiln takes.
const maxBody = 4 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tessera-server:", err)
		os.Exit(1)
	}
}

func run() error {
	batch := flag.Uint("batch", tessera.DefaultBatchMaxSize, "most entries of a batch")
	age := flag.Duration("age", tessera.DefaultBatchMaxAge, "longest wait for a batch to fill")
	outstanding := flag.Uint("outstanding", tessera.DefaultPushbackMaxOutstanding, "most entries that wait to be integrated")
	checkpoints := flag.Duration("checkpoints", time.Second, "time between checkpoints")
	flag.Parse()
	if flag.NArg() != 2 {
		return errors.New("usage: tessera-server [flags] DIR ADDRESS")
	}
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	signer, err := newSigner()
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: flag.Arg(0)})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(*checkpoints).
		WithBatching(*batch, *age).
		WithPushback(*outstanding).
		WithAntispam(tessera.DefaultAntispamInMemorySize, nil)
	// Its own context: what waits is answered before the log closes.
	appender, closeLog, _, err := tessera.NewAppender(context.Background(), driver, options)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", flag.Arg(1))
	if err != nil {
		return err
	}
	server := newServer(appender, flag.Arg(0))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("http://%s\nready\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(last), closeLog(last))
}

func newSigner() (note.Signer, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "tessera.example/bench")
	if err != nil {
		return nil, err
	}
	return note.NewSigner(secret)
}

func newServer(appender *tessera.Appender, folder string) *http.Server {
	files := http.FileServer(http.Dir(folder))
	mux := http.NewServeMux()
	mux.Handle("GET /checkpoint", files)
	mux.Handle("GET /tile/", files)
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, appender, func(body []byte) ([][]byte, error) { return [][]byte{body}, nil })
	})
	mux.HandleFunc("POST /add-batch", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, appender, split)
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: mux, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams}}
}

func answer(w http.ResponseWriter, r *http.Request, appender *tessera.Appender, entries func([]byte) ([][]byte, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	all, err := entries(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	futures := make([]tessera.IndexFuture, len(all))
	for i, entry := range all {
		futures[i] = appender.Add(r.Context(), tessera.NewEntry(entry))
	}
	var indices []byte
	for _, future := range futures {
		index, err := future()
		if err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		indices = strconv.AppendUint(indices, index.Index, 10)
		if len(all) > 1 {
			indices = append(indices, '\n')
		}
	}
	_, _ = w.Write(indices) // a client that is gone does not want to know
}

// split takes a batch apart: entries, each behind its length in two bytes.
func split(body []byte) ([][]byte, error) {
	var entries [][]byte
	for len(body) > 0 {
		if len(body) < 2 || len(body)-2 < int(binary.BigEndian.Uint16(body)) {
			return nil, errors.New("the batch is cut short")
		}
		end := 2 + int(binary.BigEndian.Uint16(body))
		entries, body = append(entries, body[2:end]), body[end:]
	}
	return entries, nil
}
