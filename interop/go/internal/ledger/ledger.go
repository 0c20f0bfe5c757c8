// Package ledger is the memory of those who submitted entries to a log: what they sent, what they were
// answered, and what they saw published. Whatever becomes of the log, it must agree with it.
//
// It is a text, a fact a line, each written down before anybody goes on:
//
//	sent <hash of the entry>
//	acknowledged <milliseconds since 1970> <writer> <index> <hash of the entry>
//	seen <milliseconds since 1970> <writer> <size> <root>
package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
)

// Hash is the SHA-256 of an entry.
type Hash [sha256.Size]byte

// Of is the hash of an entry.
func Of(entry []byte) Hash { return sha256.Sum256(entry) }

// Writer appends to a ledger. Many may use it at once.
type Writer struct {
	mutex sync.Mutex
	file  *os.File
}

// Append opens a ledger to append to, and makes it where there is none.
func Append(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Writer{file: file}, nil
}

func (w *Writer) write(text string) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_, err := w.file.WriteString(text)
	return err
}

// Sent notes entries that are about to be sent.
func (w *Writer) Sent(hashes []Hash) error {
	var text strings.Builder
	for _, hash := range hashes {
		fmt.Fprintf(&text, "sent %x\n", hash)
	}
	return w.write(text.String())
}

// Acknowledged notes the indices that a writer answered.
func (w *Writer) Acknowledged(writer int, indices []int64, hashes []Hash) error {
	var text strings.Builder
	now := time.Now().UnixMilli()
	for i, hash := range hashes {
		fmt.Fprintf(&text, "acknowledged %d %d %d %x\n", now, writer, indices[i], hash)
	}
	return w.write(text.String())
}

// Seen notes a checkpoint.
func (w *Writer) Seen(writer int, tree tlog.Tree) error {
	return w.write(fmt.Sprintf("seen %d %d %d %s\n", time.Now().UnixMilli(), writer, tree.N, tree.Hash))
}

// Ledger is what a ledger says.
type Ledger struct {
	Sent         map[Hash]bool
	Acknowledged map[Hash]int64
	Seen         map[int64]tlog.Hash
}

// Read reads ledgers as one, and refuses those that contradict themselves: an entry with two indices, an
// index with two entries, or a tree size with two roots.
func Read(paths ...string) (*Ledger, error) {
	l := &Ledger{map[Hash]bool{}, map[Hash]int64{}, map[int64]tlog.Hash{}}
	at := map[int64]Hash{}
	for _, path := range paths {
		if err := l.read(path, at); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return l, nil
}

func (l *Ledger) read(path string, at map[int64]Hash) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		if err := l.add(strings.Fields(lines.Text()), at); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return lines.Err()
}

func (l *Ledger) add(words []string, at map[int64]Hash) error {
	switch {
	case len(words) == 2 && words[0] == "sent":
		hash, err := parse(words[1])
		l.Sent[hash] = true
		return err
	case len(words) == 5 && words[0] == "acknowledged":
		hash, err := parse(words[4])
		if err != nil {
			return err
		}
		var index int64
		if _, err := fmt.Sscan(words[3], &index); err != nil {
			return err
		}
		return l.acknowledge(hash, index, at)
	case len(words) == 5 && words[0] == "seen":
		var size int64
		if _, err := fmt.Sscan(words[3], &size); err != nil {
			return err
		}
		root, err := checkpoint.ParseHash(words[4])
		if err != nil {
			return err
		}
		if known, ok := l.Seen[size]; ok && known != root {
			return fmt.Errorf("FORKED: tree size %d was signed with root %s and with root %s", size, known, root)
		}
		l.Seen[size] = root
		return nil
	}
	return fmt.Errorf("not a line of a ledger: %q", words)
}

func (l *Ledger) acknowledge(hash Hash, index int64, at map[int64]Hash) error {
	if known, ok := l.Acknowledged[hash]; ok && known != index {
		return fmt.Errorf("DOUBLED: entry %x was acknowledged at index %d and at index %d", hash, known, index)
	}
	if known, ok := at[index]; ok && known != hash {
		return fmt.Errorf("FORKED: index %d was acknowledged for entry %x and for entry %x", index, known, hash)
	}
	l.Acknowledged[hash], at[index] = index, hash
	return nil
}

func parse(text string) (Hash, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Hash{}, fmt.Errorf("not a hash: %q", text)
	}
	return Hash(raw), nil
}
