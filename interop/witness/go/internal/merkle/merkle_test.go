package merkle

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
)

// What we prove verifies, by tlog where there is a procedure of its own, and does not with anything changed.
func TestProofs(t *testing.T) {
	tree := New(seq.Entry)
	for size := int64(1); size <= 40; size++ {
		for old := int64(1); old <= size; old++ {
			proof := tree.Consistency(old, size)
			if err := tlog.CheckTree(proof, size, tree.Root(size), old, tree.Root(old)); err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			if old < size && len(proof) != len(tree.SubtreeProof(0, old, size)) {
				t.Fatalf("%d to %d: tlog and the draft differ", old, size)
			}
		}
		for start := int64(0); start < size; start++ {
			for end := start + 1; end <= size; end++ {
				if ValidSubtree(uint64(start), uint64(end)) {
					checkSubtree(t, tree, start, end, size)
				}
			}
		}
	}
}

func checkSubtree(t *testing.T, tree *Tree, start, end, size int64) {
	t.Helper()
	check := func(node tlog.Hash, proof []tlog.Hash) error {
		return CheckSubtree(uint64(start), uint64(end), node, uint64(size), tree.Root(size), proof)
	}
	node, proof := tree.Subtree(start, end), tree.SubtreeProof(start, end, size)
	if err := check(node, proof); err != nil {
		t.Fatalf("[%d, %d) of %d: %v", start, end, size, err)
	}
	if check(tlog.Hash{}, proof) == nil || check(node, append(proof, tlog.Hash{})) == nil {
		t.Fatalf("[%d, %d) of %d: verifies with something changed", start, end, size)
	}
	for i := range proof {
		changed := append([]tlog.Hash{}, proof...)
		changed[i][7] ^= 1
		if check(node, changed) == nil || check(node, append(append([]tlog.Hash{}, proof[:i]...), proof[i+1:]...)) == nil {
			t.Fatalf("[%d, %d) of %d: verifies with hash %d changed", start, end, size, i)
		}
	}
}

// The example of the draft's figure, by its parts.
func TestExample(t *testing.T) {
	tree := New(seq.Entry)
	want := []tlog.Hash{tree.Subtree(12, 13), tree.Subtree(13, 14), tree.Subtree(8, 12), tree.Subtree(0, 8)}
	got := tree.SubtreeProof(8, 13, 14)
	if len(got) != len(want) {
		t.Fatalf("%d hashes", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("hash %d", i)
		}
	}
}

func TestValidSubtree(t *testing.T) {
	for _, c := range []struct {
		start, end uint64
		valid      bool
	}{
		{0, 1, true}, {0, 13, true}, {8, 13, true}, {4, 8, true}, {12, 14, true}, {5, 6, true},
		{5, 5, false}, {6, 5, false}, {1, 3, false}, {2, 5, false}, {4, 9, false}, {0, 1 << 63, true},
		{0, 1<<64 - 1, true}, {1, 1<<64 - 1, false}, {1 << 63, 1<<64 - 1, true},
	} {
		if ValidSubtree(c.start, c.end) != c.valid {
			t.Errorf("[%d, %d)", c.start, c.end)
		}
	}
}
