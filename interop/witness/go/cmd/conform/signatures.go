package main

import (
	"fmt"
	"slices"
	"strings"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// checkSignatures is who signed the checkpoint, and what else stands below it.
func checkSignatures(c *checker) {
	log := c.log("signatures")
	text := log.Text(5)
	good := log.Lines(text)
	send := func(lines string) string { return wire.AddCheckpoint(0, nil, text+"\n"+lines) }
	stranger := cosign.TestKey(cosign.Note, log.Origin, "a stranger")
	bad := changed(good)
	c.refused("signed by nobody that is trusted", send(stranger.Cosign(text, 0)), 403)
	c.refused("... by the key of another log", send(c.log("plain").Lines(text)), 403)
	c.refused("... by the key, under another name", send(rename(good, "somebody.example/else")), 403)
	c.refused("... by the key, with another ID", send(otherID(good)), 403)
	c.refused("the key's name and ID, and a bad signature", send(bad), 403)
	c.refused("... that is too short", send(cosign.FormatLine(log.Origin, append(log.Keys[0].IDBytes(), 1, 2, 3))), 403)
	c.refused("... that is too long", send(longer(good)), 403)
	c.refused("... of another checkpoint", send(log.Lines(log.Text(6))), 403)
	c.refused("a good signature, and then a bad one by the same key", send(good+bad), 403)
	c.refused("a bad signature, and then a good one by the same key", send(bad+good), 403)
	c.refused("no signature", send(""), 400, 403)
	c.refused("an unknown origin, signed by a key that is trusted for another", wire.AddCheckpoint(0, nil,
		c.stranger().SignedBy(log.Keys...).Checkpoint(5)), 404)
	c.refused("a known origin with a space behind it", wire.AddCheckpoint(0, nil,
		log.Note(strings.Replace(text, "\n", " \n", 1))), 404, 400)

	var strangers string
	for i := range 15 {
		name := fmt.Sprintf("cosigner.example/%d", i)
		strangers += cosign.TestKey(cosign.Ed25519, name, name).Cosign(text, 1700000000)
	}
	c.cosigned("15 lines by strangers, and the log's", send(strangers+good))
	again := func(lines string) string { return wire.AddCheckpoint(5, nil, text+"\n"+lines) }
	c.cosigned("the log's line, and strangers' under its name", again(good+stranger.Cosign(text, 0)+otherID(good)))
	c.cosigned("the log's line, and strangers' with its ID", again(good+rename(good, "somebody.example/else")))
	c.cosigned("a line of a kind that nobody knows", again(cosign.FormatLine("new.example/kind", slices.Repeat([]byte{7}, 100))+good))
	checkOwnLines(c, log, again)
	checkLarge(c)
	checkKeys(c)
}

// checkOwnLines is what becomes of cosignatures of the witness itself, which it is not asked for.
func checkOwnLines(c *checker, log *testlog.Log, again func(string) string) {
	text := log.Text(5)
	good := log.Lines(text)
	own := c.cosigned("the log's line", again(good))
	c.cosigned("... and the witness' own", again(good+own))
	c.refused("... the witness' own alone", again(own), 403)
}

// checkLarge is a note with as many signatures as one may have, of the largest kind.
func checkLarge(c *checker) {
	log := c.log("large")
	text := log.Text(5)
	var lines string
	for i := range 15 {
		name := fmt.Sprintf("mirror.example/%d", i)
		lines += cosign.TestKey(cosign.MLDSA44, name, name).Cosign(text, 1700000000)
	}
	body := wire.AddCheckpoint(0, nil, text+"\n"+lines+log.Lines(text))
	c.cosigned(fmt.Sprintf("15 lines by strangers with ML-DSA-44, %d bytes in all", len(body)), body)
}

// checkKeys is logs that have other keys than one Ed25519 key of their name.
func checkKeys(c *checker) {
	two := c.log("two-keys")
	first, second := two.SignedBy(two.Keys[0]), two.SignedBy(two.Keys[1])
	c.grows("an origin with two keys, by the first", first, 0, 3)
	c.grows("... by the second", second, 3, 5)
	lines := c.grows("... by both", two, 5, 8)
	c.monitored("... both of which are shown", two, two.Text(8), lines)
	text := two.Text(8)
	c.refused("... a good one and a bad one", wire.AddCheckpoint(8, nil, text+"\n"+first.Lines(text)+changed(second.Lines(text))), 403)
	c.refused("... a bad one and a good one", wire.AddCheckpoint(8, nil, text+"\n"+changed(first.Lines(text))+second.Lines(text)), 403)
	c.lives(two, 8, 9)

	other := c.log("other-name")
	c.grows("an origin that is not the key's name", other, 0, 3)
	c.refused("... the key's name as the origin", wire.AddCheckpoint(0, nil,
		testlog.New(other.Keys[0].Name()).SignedBy(other.Keys...).Checkpoint(3)), 404)

	pq := c.log("ml-dsa")
	c.grows("a log that signs with ML-DSA-44 alone", pq, 0, 3)
	pqText := pq.Text(5)
	c.refused("... a bad one", wire.AddCheckpoint(3, pq.Tree.Consistency(3, 5), pqText+"\n"+changed(pq.Lines(pqText))), 403)
	c.lives(pq, 3, 5)
	both := c.log("both-kinds")
	lines = c.grows("a log that signs with both kinds", both, 0, 3)
	c.monitored("... both of which are shown", both, both.Text(3), lines)
	c.grows("... with Ed25519 alone", both.SignedBy(both.Keys[0]), 3, 4)
	c.grows("... with ML-DSA-44 alone", both.SignedBy(both.Keys[1]), 4, 5)
}

// changed is a line with a bit of its signature changed.
func changed(text string) string {
	line := only(text)
	line.Signature[len(line.Signature)-5] ^= 4
	return line.Format()
}

func rename(text, name string) string {
	line := only(text)
	line.Name = name
	return line.Format()
}

func otherID(text string) string {
	line := only(text)
	line.ID ^= 1
	return line.Format()
}

func longer(text string) string {
	line := only(text)
	line.Signature = append(line.Signature, 0)
	return line.Format()
}

// only is the one line that there is.
func only(text string) cosign.Line {
	lines, err := cosign.ParseLines(text)
	if err != nil || len(lines) != 1 {
		panic(text)
	}
	return lines[0]
}
