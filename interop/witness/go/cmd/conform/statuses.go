package main

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// checkStatuses is https://c2sp.org/tlog-witness#add-checkpoint, in its order.
func checkStatuses(c *checker) {
	log := c.log("statuses")
	c.refused("an unknown origin", c.stranger().Grow(0, 5), 404)
	c.conflicts("the first checkpoint, with an old size", log.Grow(3, 5), 0)
	c.grows("the first checkpoint", log, 0, 5)
	c.grows("the same again", log, 5, 5)
	sizes := []int64{5, 6, 7, 8, 9, 15, 16, 17, 32, 256, 257, 300, 512, 513, 1000}
	for i, size := range sizes[1:] {
		c.grows(fmt.Sprintf("from %d to %d", sizes[i], size), log, sizes[i], size)
	}
	c.grows("a log without a quota in the list", c.log("plain"), 0, 7)

	c.conflicts("old size 0, which asks for the size", log.Grow(0, 1001), 1000)
	c.conflicts("an old size that is too small", log.Grow(513, 1001), 1000)
	c.conflicts("... for the same size", log.Grow(513, 1000), 1000)
	c.conflicts("... for a smaller size", log.Grow(5, 6), 1000)
	c.conflicts("... for the same smaller size", log.Grow(6, 6), 1000)
	c.conflicts("an old size that is too large", log.Grow(1001, 1002), 1000)
	c.conflicts("an old size that is too small, and another tree", log.On(testlog.Forked(100)).Grow(200, 1001), 1000)
	c.refused("an old size above the checkpoint's", wire.AddCheckpoint(1000, nil, log.Checkpoint(999)), 400)
	c.refused("... above what was cosigned too", wire.AddCheckpoint(1002, nil, log.Checkpoint(1001)), 400)
	c.refused("... for the empty tree", wire.AddCheckpoint(1, nil, log.Checkpoint(0)), 400)
	c.refused("a proof with old size 0", wire.AddCheckpoint(0, log.Tree.Consistency(1000, 1001), log.Checkpoint(1001)), 409, 422)
	c.lives(log, 1000, 1001)
	checkForks(c)

	late := c.log("late")
	c.refused("a proof with old size 0, of the first checkpoint", wire.AddCheckpoint(0, late.Tree.Consistency(5, 7), late.Checkpoint(7)), 422)
	c.refused("... of one hash", wire.AddCheckpoint(0, []tlog.Hash{late.Tree.Root(5)}, late.Checkpoint(7)), 422)
	c.lives(late, 0, 7)
}

// checkForks is everything that is not consistent.
func checkForks(c *checker) {
	log, fork := c.log("forks"), c.log("forks").On(testlog.Forked(6))
	c.grows("a log", log, 0, 13)
	c.refused("another tree of the same size", fork.Grow(13, 13), 422)
	c.refused("... and the proof between two others", wire.AddCheckpoint(13, fork.Tree.Consistency(7, 13), fork.Checkpoint(13)), 422)
	c.refused("the same tree, and a proof", wire.AddCheckpoint(13, log.Tree.Consistency(7, 13), log.Checkpoint(13)), 422)
	c.refused("a larger tree that is another, and its proof", fork.Grow(13, 21), 422)
	c.refused("... and the good one's proof", wire.AddCheckpoint(13, log.Tree.Consistency(13, 21), fork.Checkpoint(21)), 422)
	c.refused("... by one entry", fork.Grow(13, 14), 422)
	for _, bad := range badProofs(log.Tree.Consistency(13, 21)) {
		c.refused("a proof, "+bad.what, wire.AddCheckpoint(13, bad.proof, log.Checkpoint(21)), 422)
	}
	c.refused("the proof from another size", wire.AddCheckpoint(13, log.Tree.Consistency(12, 21), log.Checkpoint(21)), 422)
	c.refused("the proof to another size", wire.AddCheckpoint(13, log.Tree.Consistency(13, 20), log.Checkpoint(21)), 422)
	c.lives(log, 13, 21)
}

type badProof struct {
	what  string
	proof []tlog.Hash
}

// badProofs are what a proof can become.
func badProofs(good []tlog.Hash) []badProof {
	bad := []badProof{
		{"left out", nil},
		{"in the other order", slices.Clone(good)},
		{"with a hash more", append(slices.Clone(good), good[0])},
		{"with a hash more in front", append([]tlog.Hash{good[0]}, good...)},
		{"filled up to 63 hashes", slices.Repeat(good[:1], 63)},
	}
	slices.Reverse(bad[1].proof)
	for i := range good {
		changed := slices.Clone(good)
		changed[i][31] ^= 0x80
		bad = append(bad, badProof{fmt.Sprintf("a bit of hash %d changed", i), changed},
			badProof{fmt.Sprintf("without hash %d", i), slices.Delete(slices.Clone(good), i, i+1)})
	}
	return bad
}

// checkEmpty is what goes for trees of size 0.
func checkEmpty(c *checker) {
	log := c.log("empty-root")
	wrong := strings.Replace(log.Text(0), log.Tree.Root(0).String(), log.Tree.Root(1).String(), 1)
	c.refused("the empty tree with another root", wire.AddCheckpoint(0, nil, log.Note(wrong)), 422)
	zeros := strings.Replace(log.Text(0), log.Tree.Root(0).String(), tlog.Hash{}.String(), 1)
	c.refused("... with one of zeros", wire.AddCheckpoint(0, nil, log.Note(zeros)), 422)
	c.refused("the empty tree, with a proof", wire.AddCheckpoint(0, []tlog.Hash{log.Tree.Root(1)}, log.Checkpoint(0)), 422)
	c.refused("the empty tree, with an old size", wire.AddCheckpoint(1, nil, log.Checkpoint(0)), 400)
	answer, err := c.Monitored(log.Origin)
	c.Check("... after which nothing is shown: 404", refusal(answer, err, 404))
	c.lives(log, 0, 4)
	c.refused("the empty tree with another root, later", wire.AddCheckpoint(0, nil, log.Note(wrong)), 409, 422)

	log = c.log("empty")
	lines := c.grows("the empty tree", log, 0, 0)
	c.monitored("... which the witness shows", log, log.Text(0), lines)
	c.grows("... again", log, 0, 0)
	c.refused("... with another root", wire.AddCheckpoint(0, nil, log.Note(strings.Replace(wrong, "empty-root", "empty", 1))), 422)
	c.grows("from 0 to 3", log, 0, 3)
	c.conflicts("the empty tree, later", log.Grow(0, 0), 3)
	c.refused("... with the size that was cosigned", wire.AddCheckpoint(3, nil, log.Checkpoint(0)), 400)
	c.lives(log, 3, 4)
}
