// Package testlog has logs that exist for witnesses only: a tree in memory, and keys that anyone can derive.
package testlog

import (
	"fmt"

	"kiln.example/interop/internal/seq"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/loglist"
	"kiln.example/interop/witness/internal/merkle"
	"kiln.example/interop/witness/internal/wire"
)

// Log signs checkpoints of a tree with all its keys.
type Log struct {
	Origin string
	Keys   []cosign.Key
	Tree   *merkle.Tree
	QPD    float64
	Time   uint64 // of its lines by keys that sign with a time
}

// Entries is the tree that the logs have unless they lie.
var Entries = merkle.New(seq.Entry)

// Forked is a tree that is another one from entry `from` on.
func Forked(from int) *merkle.Tree {
	return merkle.New(func(i int) []byte {
		if i >= from {
			return append(seq.Entry(i), " of a fork"...)
		}
		return seq.Entry(i)
	})
}

// New makes a log with an Ed25519 key of its name.
func New(origin string) *Log {
	return &Log{Origin: origin, Keys: []cosign.Key{cosign.TestKey(cosign.Note, origin, origin)}, Tree: Entries, Time: 1}
}

// Text is that of the checkpoint at a size.
func (l *Log) Text(size int64) string {
	return fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, l.Tree.Root(size))
}

// Lines are the signatures of a text.
func (l *Log) Lines(text string) string {
	var lines string
	for _, key := range l.Keys {
		lines += key.Cosign(text, l.Time)
	}
	return lines
}

// Note is a text with signatures.
func (l *Log) Note(text string) string { return text + "\n" + l.Lines(text) }

// Checkpoint is the signed checkpoint at a size.
func (l *Log) Checkpoint(size int64) string { return l.Note(l.Text(size)) }

// Grow is the request to go from a size to another.
func (l *Log) Grow(old, size int64) string {
	return wire.AddCheckpoint(old, l.Tree.Consistency(old, size), l.Checkpoint(size))
}

// On is the same log with another tree.
func (l *Log) On(tree *merkle.Tree) *Log {
	other := *l
	other.Tree = tree
	return &other
}

// SignedBy is the same log with other keys.
func (l *Log) SignedBy(keys ...cosign.Key) *Log {
	other := *l
	other.Keys = keys
	return &other
}

// Verifiers are the keys as the witness knows them.
func (l *Log) Verifiers() []cosign.Verifier {
	var verifiers []cosign.Verifier
	for _, key := range l.Keys {
		verifiers = append(verifiers, key.Verifier)
	}
	return verifiers
}

// Entries is the log in a list of logs.
func (l *Log) Entries() []loglist.Entry {
	var entries []loglist.Entry
	for _, key := range l.Keys {
		entries = append(entries, loglist.Entry{Key: key.Verifier, Origin: l.Origin, QPD: l.QPD})
	}
	return entries
}
