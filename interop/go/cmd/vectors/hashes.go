package main

import (
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
)

type leafVector struct {
	EntryBase64 string    `json:"entry_base64"`
	LeafHash    tlog.Hash `json:"leaf_hash"`
}

type nodeVector struct {
	Left  tlog.Hash `json:"left"`
	Right tlog.Hash `json:"right"`
	Node  tlog.Hash `json:"node"`
}

type hashVectors struct {
	About     string       `json:"about"`
	EmptyTree tlog.Hash    `json:"empty_tree"`
	Leaves    []leafVector `json:"leaves"`
	Nodes     []nodeVector `json:"nodes"`
}

func hashesFile() hashVectors {
	empty, err := tlog.TreeHash(0, vectorTree)
	must(err)
	file := hashVectors{
		About:     "Hashes of RFC 6962, section 2.1, by tlog, in base64: the empty tree, leaf hashes of entries, nodes of two hashes.",
		EmptyTree: empty,
	}
	for _, entry := range oddEntries() {
		file.Leaves = append(file.Leaves, leafVector{b64(entry), tlog.RecordHash(entry)})
	}
	for i := range 8 {
		left, right := vectorTree.LeafHash(int64(2*i)), vectorTree.LeafHash(int64(2*i+1))
		file.Nodes = append(file.Nodes, nodeVector{left, right, tlog.NodeHash(left, right)}, nodeVector{right, left, tlog.NodeHash(right, left)})
	}
	return file
}

// oddEntries stand around the lengths where SHA-256 needs another block, and hold any bytes.
func oddEntries() [][]byte {
	entries := [][]byte{{}, {0}, {1}, {0xff}, []byte("\n"), []byte("a\r\n"), []byte("窯"), {0, 0, 0xc3, 0x28}, seq.Entry(96)}
	for _, n := range []int{54, 55, 56, 62, 63, 64, 65, 118, 119, 120, 300, 4096} {
		entries = append(entries, []byte(strings.Repeat("k", n)))
	}
	return entries
}

type rootVectors struct {
	About string      `json:"about"`
	Roots []tlog.Hash `json:"roots"`
}

func rootsFile() rootVectors {
	file := rootVectors{About: "roots[n] is the root hash, by tlog, in base64, of the first n entries of the sequence where " + seq.About + "."}
	for size := range vectorTree.Size() + 1 {
		file.Roots = append(file.Roots, root(size))
	}
	return file
}
