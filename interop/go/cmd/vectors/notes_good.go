package main

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/seq"
)

type signature struct {
	Name  string `json:"name"`
	KeyID string `json:"key_id"`
}

type goodNote struct {
	Case       string      `json:"case"`
	VKeys      []string    `json:"vkeys"`
	Note       string      `json:"note"`
	Text       string      `json:"text"`
	Verified   []signature `json:"verified"`
	Unverified []signature `json:"unverified"`
}

type goodNotes struct {
	About   string     `json:"about"`
	Notes   []goodNote `json:"notes"`
	Lenient []goodNote `json:"lenient"`
}

func goodNotesFile() goodNotes {
	return goodNotes{
		About: "Notes that Go's note.Open accepts when the keys in vkeys are known (c2sp.org/signed-note): their text and the " +
			"signatures that verified and that were ignored. Go accepts those in lenient as well; a strict verifier may reject them.",
		Notes:   goodNotesList(),
		Lenient: lenientNotes(),
	}
}

const plainText = "This is a text.\n"

func goodNotesList() []goodNote {
	filler := signatureLines(98)
	signed := signText(plainText, logKey)
	return []goodNote{
		open("one signature", signed, logKey),
		open("two known signers", signText(plainText, logKey, witnessKey), logKey, witnessKey),
		open("two known signers, in the other order", signText(plainText, witnessKey, logKey), logKey, witnessKey),
		open("one known, one unknown signer", signText(plainText, logKey, witnessKey), logKey),
		open("an unknown signer before the known one", signText(plainText, witnessKey, logKey), logKey),
		open("unknown key of a known name", signText(plainText, logKey, otherKey), logKey),
		open("the known key's ID under another name, which is an unknown key",
			signed+"— elsewhere.example "+b64(append(idOf(logKey), 1))+"\n", logKey),
		open("unknown signature of one byte", signed+"— short.example AAAAAAE=\n", logKey),
		open("unicode text and name", signText("Ton, Glut und Geduld —\nžhavá pec, 窯の火, دخان.\n", unicodeKey), unicodeKey),
		open("text with empty lines", signText("\nfirst\n\n\nlast\n\n", logKey), logKey),
		open("text of one newline", signText("\n", logKey), logKey),
		open("text that looks like a signature", signText("— log.example/kiln-vectors AAAAAAE=\n", logKey), logKey),
		open("a whole note as text", signText(signed, witnessKey), witnessKey),
		open("U+007F, U+0080 and U+0085 in the text: none is below U+0020", signText("a\u007fb\u0080c\u0085d\n", logKey), logKey),
		open("line and paragraph separators U+2028, U+2029 in the text", signText("a\u2028b\u2029c\n", logKey), logKey),
		open("replacement character U+FFFD in the text", signText("a\ufffdb\n", logKey), logKey),
		open("byte order mark U+FEFF in front", signText("\ufeff"+plainText, logKey), logKey),
		open("text of 20,000 bytes", signText(strings.Repeat("0123456789abcdef\n", 1177), logKey), logKey),
		open("16 signatures, which all must accept", signText(plainText, logKey)+signatureLines(15), logKey),
		open("100 signatures, the most that Go accepts", signText(plainText, witnessKey, logKey)+filler, logKey),
		open("the same unknown signature twice (reported once)", signed+strings.Repeat(signatureLines(1), 2), logKey),
		openWith("the example of c2sp.org/signed-note", c2spNote, c2spVKey),
	}
}

// From https://c2sp.org/signed-note#example.
const (
	c2spVKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	c2spNote = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

func lenientNotes() []goodNote {
	signed := signText(plainText, logKey)
	broken := strings.TrimSuffix(strings.SplitAfter(signText("Another text.\n", logKey), "\n\n")[1], "\n")
	return []goodNote{
		open("stray bits in the last base64 character of an unknown signature", signed+"— stray.example AAAAAAF=\n", logKey),
		open("a second, broken signature by a known key after a good one (C2SP: SHOULD reject)", signed+broken+"\n", logKey),
		open("the same known signature twice (reported once)", signed+strings.SplitAfter(signed, "\n\n")[1], logKey),
	}
}

func signText(text string, keys ...seq.Key) string {
	signers := make([]note.Signer, len(keys))
	for i, key := range keys {
		signers[i] = key.Signer
	}
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	must(err)
	return string(signed)
}

// signatureLines writes n signatures, of five bytes each, by signers that nobody knows.
func signatureLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "— witness%d.example %s\n", i, b64([]byte{0, 0, 0, byte(i), 1}))
	}
	return b.String()
}

func idOf(key seq.Key) []byte {
	id := key.Signer.KeyHash()
	return []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
}

func open(name, msg string, keys ...seq.Key) goodNote {
	return openWith(name, msg, vkeys(keys)...)
}

func vkeys(keys []seq.Key) []string {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = key.VKey
	}
	return list
}

func openWith(name, msg string, vkeys ...string) goodNote {
	opened, err := note.Open([]byte(msg), verifiers(vkeys))
	if err != nil {
		panic(fmt.Sprintf("note %q: %v", name, err))
	}
	return goodNote{name, vkeys, msg, opened.Text, signatures(opened.Sigs), signatures(opened.UnverifiedSigs)}
}

func verifiers(vkeys []string) note.Verifiers {
	list := make([]note.Verifier, len(vkeys))
	for i, vkey := range vkeys {
		var err error
		list[i], err = note.NewVerifier(vkey)
		must(err)
	}
	return note.VerifierList(list...)
}

func signatures(sigs []note.Signature) []signature {
	list := []signature{}
	for _, sig := range sigs {
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		must(err)
		list = append(list, signature{sig.Name, fmt.Sprintf("%x", raw[:4])})
	}
	return list
}
