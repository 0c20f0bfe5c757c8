// Changebundle writes copies of a bundle to a folder, in each of which one thing is wrong with the log's part:
// NAME.json for each change. OTHER is another bundle of the same log: changebundle BUNDLE OTHER DIR
package main

import (
	"os"
	"path/filepath"

	"kiln.example/interop/sigstore/internal/change"
	"kiln.example/interop/sigstore/internal/exit"
)

func main() {
	exit.With("changebundle", run())
}

func run() error {
	if len(os.Args) != 4 {
		return exit.Usage("changebundle BUNDLE OTHER DIR")
	}
	bundle, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	other, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	for _, c := range change.Changes {
		changed, err := c.Apply(bundle, other)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(os.Args[3], c.Name+".json"), changed, 0o644); err != nil {
			return err
		}
	}
	return nil
}
