package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
)

type checkpointVector struct {
	Case           string    `json:"case"`
	Text           string    `json:"text"`
	Origin         string    `json:"origin"`
	Size           int64     `json:"size"`
	RootHash       tlog.Hash `json:"root_hash"`
	ExtensionLines []string  `json:"extension_lines"`
	Note           string    `json:"note"`
}

type badCheckpoint struct {
	Rule       string   `json:"rule"`
	Text       string   `json:"text"`
	RejectedBy []string `json:"rejected_by"`
}

type checkpointVectors struct {
	About string             `json:"about"`
	VKey  string             `json:"vkey"`
	Good  []checkpointVector `json:"good"`
	Bad   []badCheckpoint    `json:"bad"`
}

func checkpointsFile() checkpointVectors {
	file := checkpointVectors{
		About: "Texts of checkpoints (c2sp.org/tlog-checkpoint), and each good one as a note signed by vkey. In bad, rejected_by names who agrees with " +
			"our own strict reading of the text: tlog (tlog.ParseTree, with its fixed origin put in) and formats (formats/log Unmarshal, which is lenient).",
		VKey: logKey.VKey,
		Good: goodCheckpoints(),
	}
	bad := badCheckpointTexts()
	for _, rule := range sortedKeys(bad) {
		_, err := checkpoint.Parse(bad[rule])
		mustFail(err, rule)
		file.Bad = append(file.Bad, badCheckpoint{rule, bad[rule], rejectedBy(bad[rule])})
	}
	return file
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func goodCheckpoints() []checkpointVector {
	text := func(origin string, size int64, hash tlog.Hash, extensions ...string) string {
		return fmt.Sprintf("%s\n%d\n%s\n%s", origin, size, hash, strings.Join(extensions, ""))
	}
	return []checkpointVector{
		goodCheckpoint("the empty tree", text(logKey.Name, 0, root(0))),
		goodCheckpoint("one entry", text(logKey.Name, 1, root(1))),
		goodCheckpoint("600 entries", text(logKey.Name, 600, root(600))),
		goodCheckpoint("the largest size that Go can hold", text(logKey.Name, 1<<63-1, root(7))),
		goodCheckpoint("one extension line", text(logKey.Name, 7, root(7), "extension\n")),
		goodCheckpoint("three extension lines, with spaces, unicode and a dash", text(logKey.Name, 7, root(7), "a b c\n", "窯\n", "— not a signature\n")),
		goodCheckpoint("an origin with spaces and a plus, against the advice", text("a log + more", 7, root(7))),
		goodCheckpoint("an origin that is no URL", text("log.example/gießerei", 7, root(7))),
	}
}

func goodCheckpoint(name, text string) checkpointVector {
	cp, err := checkpoint.Parse(text)
	must(err)
	if rejected := rejectedBy(text); len(rejected) > 0 {
		panic(fmt.Sprintf("checkpoint %q: rejected by %v", name, rejected))
	}
	extensions := append([]string{}, cp.Extensions...)
	return checkpointVector{name, text, cp.Origin, cp.Tree.N, cp.Tree.Hash, extensions, signText(text, logKey)}
}

func rejectedBy(text string) []string {
	who := []string{}
	_, rest, found := strings.Cut(text, "\n")
	if _, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest)); !found || err != nil {
		who = append(who, "tlog")
	}
	if _, err := new(log.Checkpoint).Unmarshal([]byte(text)); err != nil {
		who = append(who, "formats")
	}
	return who
}

func badCheckpointTexts() map[string]string {
	hash := root(7).String()
	size := func(size string) string { return "log.example\n" + size + "\n" + hash + "\n" }
	withHash := func(hash string) string { return "log.example\n7\n" + hash + "\n" }
	h := root(7)
	stray := stray(hash)
	return map[string]string{
		"nothing at all":                         "",
		"origin alone":                           "log.example\n",
		"no root hash":                           "log.example\n7\n",
		"no newline at the end":                  "log.example\n7\n" + hash,
		"empty origin":                           "\n7\n" + hash + "\n",
		"empty size":                             size(""),
		"size with a leading zero":               size("07"),
		"size 00":                                size("00"),
		"size with a plus":                       size("+7"),
		"negative size":                          size("-7"),
		"minus zero":                             size("-0"),
		"space before the size":                  size(" 7"),
		"space after the size":                   size("7 "),
		"size in hex":                            size("0x7"),
		"size with an underscore":                size("1_000"),
		"size with a point":                      size("7.0"),
		"size with an exponent":                  size("7e0"),
		"size 2^64":                              size("18446744073709551616"),
		"size in Arabic digits":                  size("٧"),
		"empty root hash":                        withHash(""),
		"root hash of 31 bytes":                  withHash(b64(h[:31])),
		"root hash of 33 bytes":                  withHash(b64(append(h[:], 0))),
		"root hash in hex":                       withHash(fmt.Sprintf("%x", h[:])),
		"root hash without padding":              withHash(strings.TrimRight(hash, "=")),
		"root hash with stray bits at its end":   withHash(stray),
		"root hash with a bad character":         withHash("!" + hash[1:]),
		"space after the root hash":              withHash(hash + " "),
		"size and root hash the other way round": "log.example\n" + hash + "\n7\n",
		"empty extension line":                   withHash(hash) + "\n",
		"empty line between extension lines":     withHash(hash) + "a\n\nb\n",
		"extension line without its newline":     withHash(hash) + "a",
		"carriage returns":                       "log.example\r\n7\r\n" + hash + "\r\n",
	}
}

// stray sets a bit in the last character of a base64 text that its padding says is not there.
func stray(encoded string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(encoded) - 2 // a hash of 32 bytes ends in one `=`
	index := strings.IndexByte(alphabet, encoded[last])
	return encoded[:last] + string(alphabet[index|1]) + encoded[last+1:]
}
