package main

import (
	"fmt"
	"os"
	"strings"
)

// lines are those of a file that the log must hold as its entries, in any order.
type lines struct {
	missing map[string]bool
	known   map[string]bool
}

// readLines returns nil, which expects nothing, when there is no file.
func readLines(file string) (*lines, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	l := &lines{map[string]bool{}, map[string]bool{}}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		l.missing[line], l.known[line] = true, true
	}
	return l, nil
}

// take notes that the log holds entry.
func (l *lines) take(entry []byte) error {
	if l == nil {
		return nil
	}
	line := string(entry)
	if !l.missing[line] {
		if l.known[line] {
			return fmt.Errorf("entry %q is in the log twice", line)
		}
		return fmt.Errorf("entry %q is no line of the file", line)
	}
	delete(l.missing, line)
	return nil
}

// done reports the lines that the log does not hold.
func (l *lines) done() error {
	if l == nil {
		return nil
	}
	for line := range l.missing {
		return fmt.Errorf("%d lines are not in the log, such as %q", len(l.missing), line)
	}
	return nil
}
