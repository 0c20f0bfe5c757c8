package main

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
)

type inclusionVector struct {
	Case     string      `json:"case,omitempty"`
	Index    int64       `json:"index"`
	Size     int64       `json:"size"`
	LeafHash tlog.Hash   `json:"leaf_hash"`
	RootHash tlog.Hash   `json:"root_hash"`
	Proof    []tlog.Hash `json:"proof"`
}

type inclusionVectors struct {
	About string            `json:"about"`
	Good  []inclusionVector `json:"good"`
	Bad   []inclusionVector `json:"bad"`
}

var proofSizes = []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 100, 255, 256, 257, 258, 300, 511, 512, 513, 600}

// indicesOf is a spread of indices in a tree of size entries, both ends and odd corners included.
func indicesOf(size int64) []int64 {
	indices := []int64{0, 1, size / 3, size / 2, 255, 256, size - 2, size - 1}
	slices.Sort(indices)
	indices = slices.Compact(indices)
	return slices.DeleteFunc(indices, func(i int64) bool { return i < 0 || i >= size })
}

func inclusionFile() inclusionVectors {
	file := inclusionVectors{About: "Inclusion proofs (RFC 6962, section 2.1.1) by tlog.ProveRecord, all hashes in base64, in the sequence where " +
		seq.About + ". tlog.CheckRecord accepts good and rejects bad."}
	for _, size := range proofSizes {
		for _, index := range indicesOf(size) {
			file.Good = append(file.Good, inclusion(index, size))
		}
	}
	for _, v := range []inclusionVector{inclusion(0, 2), inclusion(5, 7), inclusion(255, 256), inclusion(256, 257), inclusion(299, 600)} {
		file.Bad = append(file.Bad, spoiledInclusions(v)...)
	}
	for _, v := range file.Good {
		must(checkInclusion(v))
	}
	for _, v := range file.Bad {
		mustFail(checkInclusion(v), v.Case)
	}
	return file
}

func checkInclusion(v inclusionVector) error {
	return tlog.CheckRecord(v.Proof, v.Size, v.RootHash, v.Index, v.LeafHash)
}

func inclusion(index, size int64) inclusionVector {
	proof, err := tlog.ProveRecord(size, index, vectorTree)
	must(err)
	if proof == nil {
		proof = tlog.RecordProof{} // an empty list, not null
	}
	return inclusionVector{"", index, size, vectorTree.LeafHash(index), root(size), proof}
}

// spoiledInclusions returns v with one thing wrong each.
func spoiledInclusions(v inclusionVector) []inclusionVector {
	spoil := func(name string, change func(*inclusionVector)) inclusionVector {
		bad := v
		bad.Case, bad.Proof = name, slices.Clone(v.Proof)
		change(&bad)
		return bad
	}
	last := len(v.Proof) - 1
	list := []inclusionVector{
		spoil("index one more", func(b *inclusionVector) { b.Index++ }),
		spoil("index beyond the tree", func(b *inclusionVector) { b.Index = b.Size }),
		spoil("another leaf hash", func(b *inclusionVector) { b.LeafHash[0] ^= 1 }),
		spoil("another root hash", func(b *inclusionVector) { b.RootHash[31] ^= 0x80 }),
		spoil("first hash changed", func(b *inclusionVector) { b.Proof[0][7] ^= 1 }),
		spoil("last hash changed", func(b *inclusionVector) { b.Proof[last][7] ^= 1 }),
		spoil("last hash missing", func(b *inclusionVector) { b.Proof = b.Proof[:last] }),
		spoil("first hash missing", func(b *inclusionVector) { b.Proof = b.Proof[1:] }),
		spoil("one hash too many", func(b *inclusionVector) { b.Proof = append(b.Proof, b.Proof[last]) }),
		spoil("no hashes", func(b *inclusionVector) { b.Proof = []tlog.Hash{} }),
		spoil("twice the size", func(b *inclusionVector) { b.Size *= 2 }),
	}
	if last > 0 {
		list = append(list, spoil("hashes in reverse", func(b *inclusionVector) { slices.Reverse(b.Proof) }))
	}
	return list
}

type consistencyVector struct {
	Case    string      `json:"case,omitempty"`
	OldSize int64       `json:"old_size"`
	NewSize int64       `json:"new_size"`
	OldRoot tlog.Hash   `json:"old_root"`
	NewRoot tlog.Hash   `json:"new_root"`
	Proof   []tlog.Hash `json:"proof"`
}

type consistencyVectors struct {
	About string              `json:"about"`
	Good  []consistencyVector `json:"good"`
	Bad   []consistencyVector `json:"bad"`
}

func consistencyFile() consistencyVectors {
	file := consistencyVectors{About: "Consistency proofs (RFC 6962, section 2.1.2) by tlog.ProveTree, all hashes in base64, in the sequence where " +
		seq.About + ". tlog.CheckTree accepts good and rejects bad. old_size is never 0: there is no such proof."}
	for _, size := range proofSizes {
		for _, index := range indicesOf(size) {
			file.Good = append(file.Good, consistency(index+1, size))
		}
	}
	for _, v := range []consistencyVector{consistency(1, 2), consistency(6, 7), consistency(256, 257), consistency(299, 600)} {
		file.Bad = append(file.Bad, spoiledConsistencies(v)...)
	}
	same := consistency(7, 7)
	same.Case, same.OldRoot = "one size, two roots", root(6)
	file.Bad = append(file.Bad, same)
	for _, v := range file.Good {
		must(checkConsistency(v))
	}
	for _, v := range file.Bad {
		mustFail(checkConsistency(v), v.Case)
	}
	return file
}

func checkConsistency(v consistencyVector) error {
	return tlog.CheckTree(v.Proof, v.NewSize, v.NewRoot, v.OldSize, v.OldRoot)
}

func consistency(old, size int64) consistencyVector {
	proof, err := tlog.ProveTree(size, old, vectorTree)
	must(err)
	if proof == nil {
		proof = tlog.TreeProof{}
	}
	return consistencyVector{"", old, size, root(old), root(size), proof}
}

func spoiledConsistencies(v consistencyVector) []consistencyVector {
	spoil := func(name string, change func(*consistencyVector)) consistencyVector {
		bad := v
		bad.Case, bad.Proof = name, slices.Clone(v.Proof)
		change(&bad)
		return bad
	}
	last := len(v.Proof) - 1
	return []consistencyVector{
		spoil("old size one more", func(b *consistencyVector) { b.OldSize++ }),
		spoil("old size one more, with that size's root", func(b *consistencyVector) { b.OldSize++; b.OldRoot = root(b.OldSize) }),
		spoil("sizes the wrong way round", func(b *consistencyVector) { b.OldSize, b.NewSize = b.NewSize, b.OldSize }),
		spoil("roots the wrong way round", func(b *consistencyVector) { b.OldRoot, b.NewRoot = b.NewRoot, b.OldRoot }),
		spoil("another old root", func(b *consistencyVector) { b.OldRoot[0] ^= 1 }),
		spoil("another new root", func(b *consistencyVector) { b.NewRoot[0] ^= 1 }),
		spoil("first hash changed", func(b *consistencyVector) { b.Proof[0][31] ^= 1 }),
		spoil("last hash changed", func(b *consistencyVector) { b.Proof[last][31] ^= 1 }),
		spoil("last hash missing", func(b *consistencyVector) { b.Proof = b.Proof[:last] }),
		spoil("one hash too many", func(b *consistencyVector) { b.Proof = append(b.Proof, b.Proof[last]) }),
		spoil("no hashes", func(b *consistencyVector) { b.Proof = []tlog.Hash{} }),
	}
}
