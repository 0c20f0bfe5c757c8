// Package loglist is the form in which witnesses are told of logs:
// https://github.com/transparency-dev/witness-network, log-list-format.md. An origin may stand there several times,
// each time with another key.
package loglist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"kiln.example/interop/witness/internal/cosign"
)

// Entry is a key of a log.
type Entry struct {
	Key    cosign.Verifier
	Origin string
	QPD    float64 // queries a day; 0 where nothing is said
}

// Write is the text of a list.
func Write(entries []Entry) string {
	text := strings.Builder{}
	text.WriteString("# made for tests\nlogs/v0\n")
	for _, e := range entries {
		fmt.Fprintf(&text, "\nvkey %s\n", e.Key.VKey())
		if e.Origin != e.Key.Name() {
			fmt.Fprintf(&text, "origin %s\n", e.Origin)
		}
		if e.QPD != 0 {
			fmt.Fprintf(&text, "qpd %s\n", strconv.FormatFloat(e.QPD, 'f', -1, 64))
		}
	}
	return text.String()
}

// Read reads one.
func Read(from io.Reader) ([]Entry, error) {
	var entries []Entry
	begun := false
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		keyword, value, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case !begun:
			if line != "logs/v0" {
				return nil, fmt.Errorf("the list begins with %q", line)
			}
			begun = true
		case keyword == "vkey":
			key, err := cosign.ParseVKey(value)
			if err != nil {
				return nil, err
			}
			entries = append(entries, Entry{Key: key, Origin: key.Name()})
		case len(entries) == 0:
			return nil, fmt.Errorf("%q stands before the first vkey", line)
		default:
			if err := entries[len(entries)-1].set(keyword, value); err != nil {
				return nil, err
			}
		}
	}
	if !begun {
		return nil, errors.New("no line logs/v0")
	}
	return entries, lines.Err()
}

func (e *Entry) set(keyword, value string) (err error) {
	switch keyword {
	case "origin":
		e.Origin = value
	case "qpd":
		e.QPD, err = strconv.ParseFloat(value, 64)
	case "contact":
	default:
		return fmt.Errorf("unknown keyword %q", keyword)
	}
	return err
}
