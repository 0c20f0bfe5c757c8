// Package tree grows a whole Merkle tree in memory with tlog, from entries alone.
package tree

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Height is the height of a tile, fixed by https://c2sp.org/tlog-tiles#merkle-tree.
const Height = 8

// Tree holds every stored hash of a log. The zero value is the empty tree.
type Tree struct {
	size   int64
	hashes []tlog.Hash
}

// Append adds one entry.
func (t *Tree) Append(entry []byte) error {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, tlog.RecordHash(entry), t)
	if err != nil {
		return err
	}
	t.hashes = append(t.hashes, hashes...)
	t.size++
	return nil
}

// Size returns the number of entries.
func (t *Tree) Size() int64 { return t.size }

// LeafHash returns the leaf hash at index.
func (t *Tree) LeafHash(index int64) tlog.Hash {
	return t.hashes[tlog.StoredHashIndex(0, index)]
}

// Root returns the root hash of the first size entries.
func (t *Tree) Root(size int64) (tlog.Hash, error) {
	if size > t.size {
		return tlog.Hash{}, fmt.Errorf("tree has %d entries, not %d", t.size, size)
	}
	return tlog.TreeHash(size, t)
}

// ReadHashes makes Tree a tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("stored hash %d is beyond a tree of %d entries", x, t.size)
		}
		hashes[i] = t.hashes[x]
	}
	return hashes, nil
}
