package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/seq"
)

// The keys of all vectors. Their seeds are no secret.
var (
	logKey     = seq.NewKey("log.example/kiln-vectors", "log")
	otherKey   = seq.NewKey("log.example/kiln-vectors", "same name, another key")
	witnessKey = seq.NewKey("witness.example", "witness")
	unicodeKey = seq.NewKey("gießerei.example/brûlé/窯", "unicode")
)

var allKeys = []seq.Key{logKey, otherKey, witnessKey, unicodeKey}

type keyVector struct {
	Name    string `json:"name"`
	KeyID   string `json:"key_id"`
	SeedHex string `json:"seed_hex"`
	SKey    string `json:"skey"`
	VKey    string `json:"vkey"`
}

type encodedKey struct {
	Rule string `json:"rule"`
	Key  string `json:"key"`
}

type keysVectors struct {
	About        string       `json:"about"`
	Keys         []keyVector  `json:"keys"`
	BadVKeys     []encodedKey `json:"bad_vkeys"`
	LenientVKeys []encodedKey `json:"lenient_vkeys"`
	BadSKeys     []encodedKey `json:"bad_skeys"`
	LenientSKeys []encodedKey `json:"lenient_skeys"`
}

func keysFile() keysVectors {
	file := keysVectors{
		About: "Ed25519 keys in the note form of golang.org/x/mod/sumdb/note (c2sp.org/signed-note#verifier-keys). " +
			"key_id is hex. Go rejects each of bad_*; it accepts lenient_*, though they are not what it would write itself: " +
			"a strict parser may reject them.",
		BadVKeys: badVKeys(), LenientVKeys: lenientVKeys(), BadSKeys: badSKeys(), LenientSKeys: lenientSKeys(),
	}
	for _, key := range allKeys {
		id := fmt.Sprintf("%08x", key.Signer.KeyHash())
		file.Keys = append(file.Keys, keyVector{key.Name, id, hex.EncodeToString(key.Seed[:]), key.SKey, key.VKey})
	}
	for _, v := range file.BadVKeys {
		_, err := note.NewVerifier(v.Key)
		mustFail(err, v.Rule)
	}
	for _, v := range file.LenientVKeys {
		_, err := note.NewVerifier(v.Key)
		must(err)
	}
	for _, v := range file.BadSKeys {
		_, err := note.NewSigner(v.Key)
		mustFail(err, v.Rule)
	}
	for _, v := range file.LenientSKeys {
		_, err := note.NewSigner(v.Key)
		must(err)
	}
	return file
}

// encodeVKey writes a verifier key whose key ID is right, whatever the name and key are.
func encodeVKey(name string, key []byte) string {
	return fmt.Sprintf("%s+%s+%s", name, keyID(name, key), b64(key))
}

func keyID(name string, key []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return hex.EncodeToString(sum[:4])
}

// parts splits a key at its pluses: a base64 part may hold more of them.
func parts(key string, n int) []string { return strings.SplitN(key, "+", n) }

func badVKeys() []encodedKey {
	p := parts(logKey.VKey, 3)
	name, id, key := p[0], p[1], p[2]
	public := func(n int) []byte { return append([]byte{1}, make([]byte, n)...) }
	return []encodedKey{
		{"empty", ""},
		{"name alone", name},
		{"no key part", name + "+" + id},
		{"empty key part", name + "+" + id + "+"},
		{"empty name", encodeVKey("", public(32))},
		{"space in the name", encodeVKey("log example", public(32))},
		{"no-break space U+00A0 in the name", encodeVKey("log\u00a0example", public(32))},
		{"newline in the name", encodeVKey("log\nexample", public(32))},
		{"plus in the name", encodeVKey("log+example", public(32))},
		{"key ID of 7 digits", name + "+" + id[1:] + "+" + key},
		{"key ID of 9 digits", name + "+0" + id + "+" + key},
		{"key ID that is no hex", name + "+zzzzzzzz+" + key},
		{"key ID with 0x", name + "+0x" + id[2:] + "+" + key},
		{"key ID of another key", name + "+" + parts(otherKey.VKey, 3)[1] + "+" + key},
		{"key ID of the same key under another name", "x" + logKey.VKey},
		{"base64 with a character out of its alphabet", name + "+" + id + "+!" + key[1:]},
		{"base64 without padding", encodeUnpadded(name, public(31))},
		{"space at the end", logKey.VKey + " "},
		{"unknown signature type 0x00", encodeVKey(name, make([]byte, 33))},
		{"unknown signature type 0xfa", encodeVKey(name, append([]byte{0xfa}, make([]byte, 32)...))},
		{"Ed25519 key of 31 bytes", encodeVKey(name, public(31))},
		{"Ed25519 key of 33 bytes", encodeVKey(name, public(33))},
		{"signature type and no key", encodeVKey(name, []byte{1})},
		{"secret key in place of a verifier key", logKey.SKey},
	}
}

func encodeUnpadded(name string, key []byte) string {
	return strings.TrimRight(encodeVKey(name, key), "=")
}

func lenientVKeys() []encodedKey {
	p := parts(logKey.VKey, 3)
	upper := p[0] + "+" + strings.ToUpper(p[1]) + "+" + p[2]
	return []encodedKey{
		{"key ID in upper case (C2SP says lower case)", upper},
		{"newline at the end (Go's base64 skips newlines)", logKey.VKey + "\n"},
		{"newline within the base64", p[0] + "+" + p[1] + "+" + p[2][:8] + "\r\n" + p[2][8:]},
	}
}

func badSKeys() []encodedKey {
	p := parts(logKey.SKey, 5)
	build := func(private, key, name, id, secret string) string {
		return strings.Join([]string{private, key, name, id, secret}, "+")
	}
	return []encodedKey{
		{"empty", ""},
		{"verifier key in place of a secret key", logKey.VKey},
		{"PUBLIC in place of PRIVATE", build("PUBLIC", p[1], p[2], p[3], p[4])},
		{"lower-case prefix", build("private", "key", p[2], p[3], p[4])},
		{"empty name", build(p[0], p[1], "", p[3], p[4])},
		{"space in the name", build(p[0], p[1], "log example", p[3], p[4])},
		{"key ID of another key", build(p[0], p[1], p[2], parts(otherKey.SKey, 5)[3], p[4])},
		{"key ID of 7 digits", build(p[0], p[1], p[2], p[3][1:], p[4])},
		{"base64 with a character out of its alphabet", build(p[0], p[1], p[2], p[3], "!"+p[4][1:])},
		{"no key part", build(p[0], p[1], p[2], p[3], "")},
		{"unknown signature type 0x02", build(p[0], p[1], p[2], p[3], b64(append([]byte{2}, logKey.Seed[:]...)))},
		{"seed of 31 bytes", build(p[0], p[1], p[2], p[3], b64(append([]byte{1}, logKey.Seed[:31]...)))},
		{"seed of 33 bytes", build(p[0], p[1], p[2], p[3], b64(append([]byte{1, 0}, logKey.Seed[:]...)))},
		{"space at the end", logKey.SKey + " "},
	}
}

func lenientSKeys() []encodedKey {
	return []encodedKey{{"newline at the end (Go's base64 skips newlines)", logKey.SKey + "\n"}}
}
