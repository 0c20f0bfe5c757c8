// Package cli holds what all our commands do at their ends.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/klog/v2"
)

// ErrUsage marks a wrong call, as opposed to a bad log, proof or note.
var ErrUsage = errors.New("wrong usage")

// Exit ends the process: 0 without an error, 2 after a wrong call, 1 after anything else.
func Exit(name string, err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: FAILED: %v\n", name, err)
	if errors.Is(err, ErrUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// Usage makes an error that Exit turns into exit code 2.
func Usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUsage, fmt.Sprintf(format, args...))
}

// HushTessera drops what Tessera logs on its way. What it finds comes back as errors.
func HushTessera() {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("logtostderr", "false")
	_ = flags.Set("stderrthreshold", "FATAL")
	klog.SetOutput(io.Discard)
}
