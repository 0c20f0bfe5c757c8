package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/merkle"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// reference is a checkpoint that the witness cosigned.
type reference struct {
	log   *testlog.Log
	size  int64
	text  string
	lines string // of the witness
}

func (r reference) request(start, end int64) string {
	return r.with(start, end, r.log.Tree.Subtree(start, end), r.log.Tree.SubtreeProof(start, end, r.size))
}

func (r reference) with(start, end int64, hash tlog.Hash, proof []tlog.Hash) string {
	return wire.SignSubtree(start, end, hash, proof, r.note())
}

func (r reference) note() string { return r.text + "\n" + r.lines }

// by is the reference with the lines of those kinds alone.
func (r reference) by(kind cosign.Kind, verifiers []cosign.Verifier) reference {
	all, _ := cosign.ParseLines(r.lines)
	r.lines = ""
	for _, line := range all {
		for _, v := range verifiers {
			if v.Kind == kind && v.Made(line) {
				r.lines += line.Text
			}
		}
	}
	return r
}

// checkSubtrees is https://c2sp.org/tlog-witness#sign-subtree.
func checkSubtrees(c *checker) {
	log := c.log("subtrees")
	first := reference{log, 14, log.Text(14), c.grows("a log", log, 0, 14)}
	for start := int64(0); start < 14; start++ {
		for end := start + 1; end <= 14; end++ {
			if merkle.ValidSubtree(uint64(start), uint64(end)) {
				c.subtree(fmt.Sprintf("[%d, %d) of 14", start, end), first, start, end)
			}
		}
	}
	second := reference{log, 300, log.Text(300), c.grows("it grows", log, 14, 300)}
	for _, s := range [][2]int64{{0, 300}, {0, 256}, {256, 300}, {256, 257}, {296, 300}, {299, 300}, {128, 200}} {
		c.subtree(fmt.Sprintf("[%d, %d) of 300", s[0], s[1]), second, s[0], s[1])
	}
	c.subtree("[8, 13), by the checkpoint from before", first, 8, 13)
	for _, v := range c.verifiers {
		c.subtree(fmt.Sprintf("the witness' %s line alone", v.Kind), first.by(v.Kind, c.verifiers), 8, 13)
	}
	extended := c.log("extended")
	text := extended.Text(14) + "an extension\n"
	lines := c.cosigned("a log with an extension line", wire.AddCheckpoint(0, nil, extended.Note(text)))
	c.monitored("... which is shown", extended, text, lines)
	c.subtree("[8, 13), by a checkpoint with an extension line", reference{extended, 14, text, lines}, 8, 13)
	c.badRanges(first)
	c.badSubtrees(first)
	c.badReferences(first)
}

// subtree must be answered with a good signature by the ML-DSA-44 keys, and nothing else, without a time.
func (c *checker) subtree(what string, r reference, start, end int64) {
	answer, err := c.Post("/sign-subtree", r.request(start, end))
	if err == nil {
		err = c.signedSubtree(answer, cosign.Subtree{
			Origin: r.log.Origin, Start: uint64(start), End: uint64(end), Hash: r.log.Tree.Subtree(start, end),
		})
	}
	c.Check(what+": 200", err)
}

func (c *checker) signedSubtree(answer wire.Answer, s cosign.Subtree) error {
	if answer.Status != 200 {
		return fmt.Errorf("answered %s", answer)
	}
	lines, err := cosign.ParseLines(answer.Body)
	if err != nil {
		return err
	}
	for _, line := range lines {
		i := slices.IndexFunc(c.verifiers, func(v cosign.Verifier) bool { return v.Made(line) })
		if i < 0 {
			return fmt.Errorf("a line by somebody else: %.60q", line.Text)
		}
		at, err := c.verifiers[i].CheckSubtree(s, line.Signature)
		if err != nil {
			return err
		}
		if at != 0 {
			return fmt.Errorf("it has a time: %d", at)
		}
	}
	return nil
}

func (c *checker) refusedSubtree(what, body string, statuses ...int) {
	c.refusedAt("/sign-subtree", what, body, statuses...)
}

func (c *checker) badRanges(r reference) {
	for _, s := range [][2]int64{{5, 5}, {8, 4}, {1, 3}, {2, 5}, {4, 9}, {6, 14}, {8, 15}, {0, 15}, {14, 15}, {0, 0}, {16, 20}} {
		c.refusedSubtree(fmt.Sprintf("[%d, %d) of 14", s[0], s[1]), r.with(s[0], s[1], r.log.Tree.Root(3), r.log.Tree.Consistency(3, 14)), 400)
	}
	good := r.request(8, 13)
	for _, line := range []string{
		"subtree 08 13", "subtree 8 013", "subtree +8 13", "subtree 8 +13", "subtree -8 13", "subtree 8  13", "subtree  8 13",
		" subtree 8 13", "subtree 8 13 ", "subtree\t8 13", "subtree 8\t13", "subtree 8 13\r", "subtree 8", "subtree", "subtree 8 13 14",
		"Subtree 8 13", "subtree 8-13", "subtree [8,13)", "old 8", "8 13", "subtree 8 13\x00", "subtree 8 13\xff", "subtree 8 0x0d",
		"subtree 18446744073709551616 18446744073709551617", "subtree 0 18446744073709551616", "subtree 8 18446744073709551629",
		"subtree 9223372036854775808 9223372036854775809", "subtree 0 9223372036854775807", "subtree 18446744073709551615 18446744073709551615",
		"subtree 18446744073709551614 18446744073709551615", "subtree 00 13",
	} {
		c.refusedSubtree(fmt.Sprintf("%.60q", line), strings.Replace(good, "subtree 8 13", line, 1), 400)
	}
}

func (c *checker) badSubtrees(r reference) {
	hash, proof := r.log.Tree.Subtree(8, 13), r.log.Tree.SubtreeProof(8, 13, 14)
	c.refusedSubtree("the hash of another subtree", r.with(8, 13, r.log.Tree.Subtree(0, 5), proof), 422)
	c.refusedSubtree("a subtree of a fork", r.with(8, 13, testlog.Forked(9).Subtree(8, 13), proof), 422)
	c.refusedSubtree("... and the proof of that", r.with(8, 13, testlog.Forked(9).Subtree(8, 13), testlog.Forked(9).SubtreeProof(8, 13, 14)), 422)
	c.refusedSubtree("the root, as that of another range", r.with(0, 13, r.log.Tree.Root(14), nil), 422)
	c.refusedSubtree("the whole tree, and a proof", r.with(0, 14, r.log.Tree.Root(14), proof[:1]), 422)
	for _, bad := range badProofs(proof) {
		c.refusedSubtree("a proof, "+bad.what, r.with(8, 13, hash, bad.proof), 422)
	}
	c.refusedSubtree("64 proof lines", r.with(8, 13, hash, slices.Repeat(proof[:1], 64)), 400)
	good := r.request(8, 13)
	text := hash.String()
	for _, bad := range []struct{ what, line string }{
		{"of 31 bytes", base64.StdEncoding.EncodeToString(hash[:31])}, {"without padding", text[:43]}, {"with stray bits", text[:42] + stray(text[42]) + "="},
		{"with a carriage return", text + "\r"}, {"with a space behind", text + " "}, {"with a word behind", text + " sha256"}, {"left empty", ""},
	} {
		c.refusedSubtree("a hash "+bad.what, strings.Replace(good, text, bad.line, 1), 400)
	}
	// Without its hash line the proof's first is the subtree's hash.
	c.refusedSubtree("no hash", strings.Replace(good, text+"\n", "", 1), 422, 400)
	c.refusedSubtree("an empty body", "", 400)
	c.refusedSubtree("a body for add-checkpoint", r.log.Grow(14, 15), 400)
	c.refusedSubtree("no newline at the end", strings.TrimSuffix(good, "\n"), 400, 403)
	c.refusedSubtree("a body of 100,000 bytes", good+strings.Repeat("x", 100000), 413, 400)
}

func (c *checker) badReferences(r reference) {
	with := func(text, lines string) string { return reference{r.log, 14, text, lines}.request(8, 13) }
	c.refusedSubtree("the log's signature alone", with(r.text, r.log.Lines(r.text)), 403)
	c.refusedSubtree("no signature", with(r.text, ""), 403, 400)
	other := cosign.TestKey(cosign.MLDSA44, "other.example/witness", "other")
	c.refusedSubtree("the cosignature of another witness", with(r.text, other.Cosign(r.text, 1700000000)), 403)
	own := c.verifiers[0].Name()
	c.refusedSubtree("... under the witness' name", with(r.text, cosign.TestKey(cosign.MLDSA44, own, "other").Cosign(r.text, 1700000000)), 403)
	for _, v := range c.verifiers {
		one := r.by(v.Kind, c.verifiers)
		c.refusedSubtree(fmt.Sprintf("the witness' %s line with a bit changed", v.Kind), with(r.text, changed(one.lines)), 403)
		c.refusedSubtree(fmt.Sprintf("the witness' %s line, of another checkpoint", v.Kind), with(r.log.On(testlog.Forked(2)).Text(14), one.lines), 403, 422)
	}
	fork := r.log.On(testlog.Forked(2))
	c.refusedSubtree("a fork, signed by the log alone", reference{fork, 14, fork.Text(14), fork.Lines(fork.Text(14))}.request(8, 13), 403)
	stranger := c.stranger()
	c.refusedSubtree("an unknown origin", reference{stranger, 14, stranger.Text(14), r.lines}.request(8, 13), 404)
	c.refusedSubtree("a text with an empty extension line", with(r.text+"\n", r.lines), 400)
	c.refusedSubtree("a size with a leading zero", with(strings.Replace(r.text, "\n14\n", "\n014\n", 1), r.lines), 400)
	c.refusedSubtree("a text with a tab", with(r.text+"an\textension\n", r.lines), 400)
}
