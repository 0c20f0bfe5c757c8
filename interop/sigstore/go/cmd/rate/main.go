// Rate tells how many entries a second a log of Rekor's version 2 takes, after how long it answers, and how much of
// a core that costs it: rate [-entries N] [-connections C] [-pid SERVER] URL
//
// All requests are signed before, with ECDSA P-256 and a few keys; each connection sends one when the last is answered.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kiln.example/interop/sigstore/internal/exit"
	"kiln.example/interop/sigstore/internal/request"
)

func main() {
	exit.With("rate", run())
}

func run() error {
	entries := flag.Int("entries", 20000, "how many to log")
	connections := flag.Int("connections", 4000, "how many wait for an answer at a time")
	pid := flag.Int("pid", 0, "the server's process, to count its processor time")
	flag.Parse()
	if flag.NArg() != 1 || *entries < 1 || *connections < 1 {
		return exit.Usage("rate [-entries N] [-connections C] [-pid SERVER] URL")
	}
	requests, err := signed(*entries)
	if err != nil {
		return err
	}
	before, err := processorTime(*pid)
	if err != nil {
		return err
	}
	start := time.Now()
	took, refused, why := send(flag.Arg(0)+"/api/v2/log/entries", requests, *connections)
	elapsed := time.Since(start)
	after, err := processorTime(*pid)
	if err != nil {
		return err
	}
	if len(took) == 0 {
		return fmt.Errorf("nothing was logged: %w", why)
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(time.Millisecond)
	}
	fmt.Printf("%d entries in %.1f s: %.0f a second; answers after %v (median), %v (99 of 100), %v (last)",
		len(took), elapsed.Seconds(), float64(len(took))/elapsed.Seconds(), at(0.5), at(0.99), at(1))
	if *pid != 0 {
		fmt.Printf("; %.3f ms of a core each", float64((after-before).Microseconds())/1000/float64(len(took)))
	}
	fmt.Println()
	if refused > 0 {
		return fmt.Errorf("%d were not logged: %w", refused, why)
	}
	return nil
}

// signed makes requests on all cores.
func signed(n int) ([][]byte, error) {
	const keys = 16
	requests := make([][]byte, n)
	failures := make([]error, keys)
	var signing sync.WaitGroup
	for key := range keys {
		signing.Go(func() {
			signer, err := request.NewSigner(request.Algorithms[0], 0)
			failures[key] = err
			for i := key; err == nil && i < n; i += keys {
				requests[i] = []byte(request.Text(signer.Hashed(fmt.Appendf(nil, "entry %d", i), false)))
			}
		})
	}
	signing.Wait()
	return requests, errors.Join(failures...)
}

// send tells how long each answer took, and how many were refused, with one reason.
func send(url string, requests [][]byte, connections int) (took []time.Duration, refused int, why error) {
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}
	times, failures := make([]time.Duration, len(requests)), make([]error, len(requests))
	var next atomic.Int64
	var sending sync.WaitGroup
	for range min(connections, len(requests)) {
		sending.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(requests)); i = next.Add(1) - 1 {
				start := time.Now()
				failures[i] = post(client, url, requests[i])
				times[i] = time.Since(start)
			}
		})
	}
	sending.Wait()
	for i, err := range failures {
		if err != nil {
			refused, why = refused+1, err
			continue
		}
		took = append(took, times[i])
	}
	return took, refused, why
}

func post(client *http.Client, url string, body []byte) error {
	got, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", got.Status, text)
	}
	return err
}

// processorTime is what a process has used, see proc_pid_stat(5); Linux counts in hundredths of a second.
func processorTime(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before may hold anything
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}
