// Package merkle is what witnesses and those who ask them need of Merkle trees: roots, consistency proofs, by
// tlog, and subtrees, from draft-ietf-plants-merkle-tree-certs, section 4.
package merkle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/tree"
)

// Empty is the root of the empty tree.
var Empty = tlog.Hash(sha256.Sum256(nil))

// Tree grows as it is asked. Many may use it at once.
type Tree struct {
	entry func(i int) []byte
	mutex sync.RWMutex
	tree  tree.Tree
}

// New makes a tree whose entry i is entry(i).
func New(entry func(i int) []byte) *Tree { return &Tree{entry: entry} }

// Root is the root of the first size entries.
func (t *Tree) Root(size int64) tlog.Hash {
	if size == 0 {
		return Empty
	}
	return t.Subtree(0, size)
}

// Consistency is the proof from one size to another; none from 0, and from a size to itself.
func (t *Tree) Consistency(old, size int64) []tlog.Hash {
	if old == 0 {
		return nil
	}
	defer t.upTo(size)()
	proof, err := tlog.ProveTree(size, old, &t.tree)
	must(err)
	return proof
}

// Subtree is the hash of entries start to end, which must be a subtree of some tree.
func (t *Tree) Subtree(start, end int64) tlog.Hash {
	defer t.upTo(end)()
	return t.subtree(start, end)
}

// SubtreeProof is the subtree consistency proof to the tree of that size.
func (t *Tree) SubtreeProof(start, end, size int64) []tlog.Hash {
	defer t.upTo(size)()
	return t.subproof(start, end, 0, size, true)
}

// upTo sees to it that the tree has that many entries, and keeps it so until what it returns is called.
func (t *Tree) upTo(size int64) (done func()) {
	t.mutex.RLock()
	if t.tree.Size() >= size {
		return t.mutex.RUnlock
	}
	t.mutex.RUnlock()
	t.mutex.Lock()
	for t.tree.Size() < size {
		must(t.tree.Append(t.entry(int(t.tree.Size()))))
	}
	return t.mutex.Unlock
}

func (t *Tree) subtree(start, end int64) tlog.Hash {
	width := end - start
	if width&(width-1) == 0 && start%width == 0 {
		hashes, err := t.tree.ReadHashes([]int64{tlog.StoredHashIndex(bits.Len64(uint64(width))-1, start/width)})
		must(err)
		return hashes[0]
	}
	k := split(width)
	return tlog.NodeHash(t.subtree(start, start+k), t.subtree(start+k, end))
}

// subproof is SUBTREE_SUBPROOF, over the entries from low to high.
func (t *Tree) subproof(start, end, low, high int64, known bool) []tlog.Hash {
	if start == low && end == high {
		if known {
			return nil
		}
		return []tlog.Hash{t.subtree(low, high)}
	}
	middle := low + split(high-low)
	switch {
	case end <= middle:
		return append(t.subproof(start, end, low, middle, known), t.subtree(middle, high))
	case middle <= start:
		return append(t.subproof(start, end, middle, high, known), t.subtree(low, middle))
	default:
		return append(t.subproof(middle, end, middle, high, false), t.subtree(low, middle))
	}
}

// split is the largest power of two below n.
func split(n int64) int64 { return 1 << (bits.Len64(uint64(n-1)) - 1) }

// ValidSubtree is whether there can be a subtree of entries start to end: section 4.1.
func ValidSubtree(start, end uint64) bool {
	if start >= end {
		return false
	}
	ceil := uint64(1) << bits.Len64(end-start-1) // 0 where it is 2^64
	return start == 0 || ceil != 0 && start%ceil == 0
}

var errProof = errors.New("the subtree consistency proof does not verify")

// CheckSubtree verifies a subtree consistency proof, in the steps of section 4.4.3.
func CheckSubtree(start, end uint64, node tlog.Hash, size uint64, root tlog.Hash, proof []tlog.Hash) error {
	if !ValidSubtree(start, end) || end > size {
		return fmt.Errorf("[%d, %d) is no subtree of a tree of %d", start, end, size)
	}
	fn, sn, tn := start, end-1, size-1
	shift := func() { fn, sn, tn = fn>>1, sn>>1, tn>>1 }
	if sn == tn {
		for fn != sn {
			shift()
		}
	} else {
		for fn != sn && sn&1 == 1 {
			shift()
		}
	}
	fr, sr := node, node
	if fn != sn {
		if len(proof) == 0 {
			return errProof
		}
		fr, sr, proof = proof[0], proof[0], proof[1:]
	}
	for _, c := range proof {
		if tn == 0 {
			return errProof
		}
		if sn&1 == 1 || sn == tn {
			if fn < sn {
				fr = tlog.NodeHash(c, fr)
			}
			sr = tlog.NodeHash(c, sr)
			for sn&1 == 0 {
				shift()
			}
		} else {
			sr = tlog.NodeHash(sr, c)
		}
		shift()
	}
	if tn != 0 || fr != node || sr != root {
		return errProof
	}
	return nil
}

func must(err error) {
	if err != nil {
		panic(err) // the tree is ours
	}
}
