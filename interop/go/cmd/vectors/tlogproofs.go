package main

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"
	"kiln.example/interop/internal/tlogproof"
)

type goodProof struct {
	Case        string `json:"case"`
	EntryBase64 string `json:"entry_base64"`
	Index       int64  `json:"index"`
	Size        int64  `json:"size"`
	ExtraBase64 string `json:"extra_base64,omitempty"`
	Proof       string `json:"proof"`
}

type badProof struct {
	Rule        string `json:"rule"`
	Kind        string `json:"kind"`
	EntryBase64 string `json:"entry_base64"`
	Proof       text   `json:"proof"`
}

type proofVectors struct {
	About string      `json:"about"`
	VKey  string      `json:"vkey"`
	Good  []goodProof `json:"good"`
	Bad   []badProof  `json:"bad"`
}

func tlogProofsFile() proofVectors {
	file := proofVectors{
		About: "Proofs in the form of c2sp.org/tlog-proof@v1, of entry_base64 in the log of vkey. In bad, kind is `parse` (not in the one spelling of the format) " +
			"or `verify` (parses; note.Open, tlog.CheckRecord or the origin says no; who reads the checkpoint while parsing may see that earlier). proof is either text or, where it is not UTF-8, base64.",
		VKey: logKey.VKey,
		Good: goodProofs(),
	}
	for _, c := range append(unparsable(), unprovable()...) {
		file.Bad = append(file.Bad, judgeProof(c))
	}
	return file
}

func verifier() note.Verifier {
	v, err := note.NewVerifier(logKey.VKey)
	must(err)
	return v
}

func checkpointText(size int64) string {
	return fmt.Sprintf("%s\n%d\n%s\n", logKey.Name, size, root(size))
}

func makeProof(index, size int64, extra []byte, cosigners ...seq.Key) tlogproof.Proof {
	hashes, err := tlog.ProveRecord(size, index, vectorTree)
	must(err)
	signed := signText(checkpointText(size), append([]seq.Key{logKey}, cosigners...)...)
	return tlogproof.Proof{Extra: extra, Index: index, Hashes: hashes, Checkpoint: signed}
}

func goodProofs() []goodProof {
	extension := makeProof(3, 7, nil)
	extension.Checkpoint = signText(checkpointText(7)+"extension\n", logKey)
	list := []goodProof{
		goodTlogProof("the only entry: no hashes", makeProof(0, 1, nil)),
		goodTlogProof("empty extra data: `extra ` and nothing", makeProof(3, 7, []byte{})),
		goodTlogProof("extra data", makeProof(3, 7, []byte("any bytes\x00\xff"))),
		goodTlogProof("cosigned by an unknown witness", makeProof(3, 7, nil, witnessKey)),
		goodTlogProof("checkpoint with an extension line", extension),
	}
	for _, at := range [][2]int64{{0, 2}, {1, 2}, {6, 7}, {0, 256}, {255, 256}, {256, 257}, {511, 512}, {0, 600}, {300, 600}, {599, 600}} {
		list = append(list, goodTlogProof(fmt.Sprintf("entry %d of %d", at[0], at[1]), makeProof(at[0], at[1], nil)))
	}
	return list
}

func goodTlogProof(name string, p tlogproof.Proof) goodProof {
	entry := seq.Entry(int(p.Index))
	parsed, err := tlogproof.Parse(p.String())
	must(err)
	cp, err := parsed.Verify(entry, verifier())
	must(err)
	return goodProof{name, b64(entry), p.Index, cp.Tree.N, b64(p.Extra), p.String()}
}

type proofCandidate struct {
	rule  string
	proof string
	entry []byte // nil: that of index 3
}

func judgeProof(c proofCandidate) badProof {
	if c.entry == nil {
		c.entry = seq.Entry(3)
	}
	bad := badProof{c.rule, "parse", b64(c.entry), newText(c.proof)}
	parsed, err := tlogproof.Parse(c.proof)
	if err == nil {
		bad.Kind = "verify"
		_, err = parsed.Verify(c.entry, verifier())
	}
	mustFail(err, c.rule)
	return bad
}

func unparsable() []proofCandidate {
	good := makeProof(3, 7, nil).String()
	extra := makeProof(3, 7, []byte("extra")).String()
	lines := strings.Split(good, "\n")
	firstHash := lines[2]
	swap := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	return []proofCandidate{
		{"nothing at all", "", nil},
		{"header alone", "c2sp.org/tlog-proof@v1\n", nil},
		{"no header", strings.Join(lines[1:], "\n"), nil},
		{"another version", swap("@v1", "@v2"), nil},
		{"space after the header", swap("@v1", "@v1 "), nil},
		{"byte order mark", "\ufeff" + good, nil},
		{"empty line in front", "\n" + good, nil},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), nil},
		{"no index line", swap("index 3\n", ""), nil},
		{"index with a leading zero", swap("index 3", "index 03"), nil},
		{"index with a plus", swap("index 3", "index +3"), nil},
		{"negative index", swap("index 3", "index -3"), nil},
		{"two spaces before the index", swap("index 3", "index  3"), nil},
		{"space after the index", swap("index 3", "index 3 "), nil},
		{"empty index", swap("index 3", "index "), nil},
		{"index 2^64", swap("index 3", "index 18446744073709551616"), nil},
		{"index in hex", swap("index 3", "index 0x3"), nil},
		{"Index with a capital", swap("index", "Index"), nil},
		{"two index lines", swap("index 3\n", "index 3\nindex 3\n"), nil},
		{"extra line after the index", swap("index 3\n", "index 3\nextra ZXh0cmE=\n"), nil},
		{"two extra lines", strings.Replace(extra, "extra ", "extra ZXh0cmE=\nextra ", 1), nil},
		{"extra without a space", strings.Replace(extra, "extra ZXh0cmE=", "extra", 1), nil},
		{"extra that is no base64", strings.Replace(extra, "ZXh0cmE=", "ZXh0cmE!", 1), nil},
		{"extra without padding", strings.Replace(extra, "ZXh0cmE=", "ZXh0cmE", 1), nil},
		{"extra with stray bits", strings.Replace(extra, "ZXh0cmE=", "ZXh0cmF=", 1), nil},
		{"unknown line before the index", swap("index 3\n", "other ZXh0cmE=\nindex 3\n"), nil},
		{"hash of 31 bytes", swap(firstHash, b64(make([]byte, 31))), nil},
		{"hash of 33 bytes", swap(firstHash, b64(make([]byte, 33))), nil},
		{"hash without padding", swap(firstHash, strings.TrimRight(firstHash, "=")), nil},
		{"hash with stray bits at its end", swap(firstHash, stray(firstHash)), nil},
		{"space after a hash", swap(firstHash, firstHash+" "), nil},
		{"two hashes on one line", swap(firstHash+"\n", firstHash), nil},
		{"no empty line before the checkpoint", swap("\n\n", "\n"), nil},
		{"65 hashes: more than a tree of 2^64 entries is high", swap(firstHash+"\n", strings.Repeat(firstHash+"\n", 63)), nil},
		{"byte 0xff in a hash", swap(firstHash, "\xff"+firstHash[1:]), nil},
	}
}

func unprovable() []proofCandidate {
	p := makeProof(3, 7, nil)
	change := func(edit func(*tlogproof.Proof)) string {
		bad := p
		bad.Hashes = append(tlog.RecordProof{}, p.Hashes...)
		edit(&bad)
		return bad.String()
	}
	sign := func(text string, key seq.Key) string {
		return change(func(b *tlogproof.Proof) { b.Checkpoint = signText(text, key) })
	}
	return []proofCandidate{
		{"another entry", p.String(), seq.Entry(4)},
		{"one byte added to the entry", p.String(), append(seq.Entry(3), '\n')},
		{"index one more", change(func(b *tlogproof.Proof) { b.Index++ }), nil},
		{"index equal to the size", change(func(b *tlogproof.Proof) { b.Index = 7 }), nil},
		{"first hash changed", change(func(b *tlogproof.Proof) { b.Hashes[0][0] ^= 1 }), nil},
		{"last hash changed", change(func(b *tlogproof.Proof) { b.Hashes[2][31] ^= 1 }), nil},
		{"last hash missing", change(func(b *tlogproof.Proof) { b.Hashes = b.Hashes[:2] }), nil},
		{"one hash too many", change(func(b *tlogproof.Proof) { b.Hashes = append(b.Hashes, b.Hashes[2]) }), nil},
		{"no hashes", change(func(b *tlogproof.Proof) { b.Hashes = nil }), nil},
		{"first two hashes exchanged", change(func(b *tlogproof.Proof) { b.Hashes[0], b.Hashes[1] = b.Hashes[1], b.Hashes[0] }), nil},
		{"checkpoint of another size", change(func(b *tlogproof.Proof) { b.Checkpoint = makeProof(3, 8, nil).Checkpoint }), nil},
		{"checkpoint whose size was changed after signing", strings.Replace(p.String(), "\n7\n", "\n8\n", 1), nil},
		{"checkpoint of the empty tree", sign(checkpointText(0), logKey), nil},
		{"checkpoint signed by another key of that name", sign(checkpointText(7), otherKey), nil},
		{"checkpoint signed by a witness alone", sign(checkpointText(7), witnessKey), nil},
		{"checkpoint of another origin, signed by the log's key", sign(strings.Replace(checkpointText(7), "log.", "elsewhere.", 1), logKey), nil},
		{"checkpoint with a leading zero in its size, signed", sign(strings.Replace(checkpointText(7), "\n7\n", "\n07\n", 1), logKey), nil},
		{"no checkpoint", change(func(b *tlogproof.Proof) { b.Checkpoint = "" }), nil},
		{"checkpoint without a signature", change(func(b *tlogproof.Proof) { b.Checkpoint = checkpointText(7) }), nil},
		{"newline after the checkpoint", p.String() + "\n", nil},
		{"text after the checkpoint", p.String() + "garbage\n", nil},
		{"no newline at the end", strings.TrimSuffix(p.String(), "\n"), nil},
		{"one character of the log's signature changed", change(func(b *tlogproof.Proof) {
			b.Checkpoint = mangle(b.Checkpoint, func(sig []byte) []byte { sig[40] ^= 4; return sig })
		}), nil},
	}
}
