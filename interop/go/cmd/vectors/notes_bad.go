package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/seq"
)

type badNote struct {
	Rule  string   `json:"rule"`
	Kind  string   `json:"kind"`
	VKeys []string `json:"vkeys"`
	Note  text     `json:"note"`
}

type badNotes struct {
	About string    `json:"about"`
	Notes []badNote `json:"notes"`
}

func badNotesFile() badNotes {
	var list []badNote
	for _, n := range append(append(malformedTexts(), malformedSignatures()...), unverifiable()...) {
		list = append(list, judge(n))
	}
	return badNotes{
		About: "Notes that Go's note.Open rejects when the keys in vkeys are known (c2sp.org/signed-note). kind is Go's error: " +
			"`malformed`, `unverified` (no signature by a known key) or `invalid-signature` (one by a known key that does not verify). " +
			"note is either text or, where it is not UTF-8, base64.",
		Notes: list,
	}
}

type candidate struct {
	rule  string
	note  string
	known []seq.Key
}

func judge(c candidate) badNote {
	if c.known == nil {
		c.known = []seq.Key{logKey}
	}
	known := vkeys(c.known)
	_, err := note.Open([]byte(c.note), verifiers(known))
	mustFail(err, c.rule)
	return badNote{c.rule, kind(err), known, newText(c.note)}
}

func kind(err error) string {
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return "unverified"
	case errors.As(err, &invalid):
		return "invalid-signature"
	case err.Error() == "malformed note":
		return "malformed"
	}
	panic(fmt.Sprintf("note.Open has an error that we do not know: %v", err))
}

// signRaw signs any bytes at all, well-formed or not, so that nothing but the rule is at fault.
func signRaw(text string) string {
	sig, err := logKey.Signer.Sign([]byte(text))
	must(err)
	return text + "\n— " + logKey.Name + " " + b64(append(idOf(logKey), sig...)) + "\n"
}

func malformedTexts() []candidate {
	good := signRaw(plainText)
	line := strings.SplitAfter(good, "\n\n")[1]
	return []candidate{
		{"nothing at all", "", nil},
		{"text alone", plainText, nil},
		{"text and blank line, no signature", plainText + "\n", nil},
		{"signature alone", line, nil},
		{"no blank line before the signature", plainText + line, nil},
		{"no text: blank line, signature", "\n" + line, nil},
		{"no newline at the end", strings.TrimSuffix(good, "\n"), nil},
		{"blank line at the end", good + "\n", nil},
		{"text after the signature", good + "garbage\n", nil},
		{"space after the signature", good + " ", nil},
		{"two notes in a row without a blank line between", good + good, []seq.Key{witnessKey}},
		{"NUL in the text", signRaw("a\x00b\n"), nil},
		{"tab in the text", signRaw("a\tb\n"), nil},
		{"U+001F in the text", signRaw("a\x1fb\n"), nil},
		{"escape character in the text", signRaw("a\x1b[31mb\n"), nil},
		{"carriage return in the text", signRaw("a\r\nb\r\n"), nil},
		{"carriage return after the signature", strings.TrimSuffix(good, "\n") + "\r\n", nil},
		{"tab in place of the space in the signature line", strings.Replace(good, " "+b64(idOf(logKey))[:2], "\t"+b64(idOf(logKey))[:2], 1), nil},
		{"byte 0xff in the text", signRaw("a\xffb\n"), nil},
		{"lone continuation byte in the text", signRaw("a\x80b\n"), nil},
		{"overlong encoding of `/` in the text", signRaw("a\xc0\xafb\n"), nil},
		{"surrogate U+D800 in the text", signRaw("a\xed\xa0\x80b\n"), nil},
		{"code point beyond U+10FFFF in the text", signRaw("a\xf4\x90\x80\x80b\n"), nil},
		{"character cut off at the end of the text", signRaw("a\xe7\xaa\n"), nil},
		{"byte 0xff in a key name", good + "— witness\xff.example AAAAAAE=\n", nil},
	}
}

func malformedSignatures() []candidate {
	good := signText(plainText, logKey)
	dash := func(replacement string) string { return strings.Replace(good, "— ", replacement, 1) }
	extra := func(line string) string { return good + line + "\n" }
	return []candidate{
		{"hyphen in place of the em dash", dash("- "), nil},
		{"two hyphens in place of the em dash", dash("-- "), nil},
		{"en dash U+2013 in place of the em dash", dash("– "), nil},
		{"horizontal bar U+2015 in place of the em dash", dash("― "), nil},
		{"no dash", dash(""), nil},
		{"no space after the dash", dash("—"), nil},
		{"two spaces after the dash", dash("—  "), nil},
		{"space before the dash", dash(" — "), nil},
		{"no-break space U+00A0 after the dash", dash("—\u00a0"), nil},
		{"no key name", extra("—  AAAAAAE="), nil},
		{"plus in a key name", extra("— wit+ness.example AAAAAAE="), nil},
		{"no-break space U+00A0 in a key name", extra("— wit\u00a0ness.example AAAAAAE="), nil},
		{"em space U+2003 in a key name", extra("— wit\u2003ness.example AAAAAAE="), nil},
		{"ideographic space U+3000 in a key name", extra("— wit\u3000ness.example AAAAAAE="), nil},
		{"NEL U+0085, a Unicode space, in a key name", extra("— wit\u0085ness.example AAAAAAE="), nil},
		{"no signature after the name", extra("— witness.example"), nil},
		{"empty signature after the name", extra("— witness.example "), nil},
		{"two spaces after the name", extra("— witness.example  AAAAAAE="), nil},
		{"space at the end of the signature line", extra("— witness.example AAAAAAE= "), nil},
		{"base64 with a character out of its alphabet", extra("— witness.example AAAA!AE="), nil},
		{"base64 of the URL alphabet", extra("— witness.example AAAA-_E="), nil},
		{"base64 without padding", extra("— witness.example AAAAAAE"), nil},
		{"base64 with too much padding", extra("— witness.example AAAAAAE=="), nil},
		{"signature of three bytes: no whole key ID", extra("— witness.example AAAA"), nil},
		{"signature of four bytes: a key ID and nothing", extra("— witness.example AAAAAA=="), nil},
		{"empty line between two signatures, the upper of which becomes text", good + "\n" + "\n", nil},
		{"101 signatures", good + signatureLines(100), nil},
	}
}

func unverifiable() []candidate {
	good := signText(plainText, logKey)
	return []candidate{
		{"signed by an unknown key", signText(plainText, witnessKey), nil},
		{"signed by another key of the known name", signText(plainText, otherKey), nil},
		{"the known key's ID and signature under another name", strings.Replace(good, logKey.Name, "elsewhere.example", 1), nil},
		{"one letter of the text changed", strings.Replace(good, "text", "test", 1), nil},
		{"newline added to the text", "\n" + good, nil},
		{"one bit of the signature changed", mangle(good, func(sig []byte) []byte { sig[20] ^= 1; return sig }), nil},
		{"signature one byte short", mangle(good, func(sig []byte) []byte { return sig[:len(sig)-1] }), nil},
		{"signature one byte long", mangle(good, func(sig []byte) []byte { return append(sig, 0) }), nil},
		{"signature of zeroes", mangle(good, func(sig []byte) []byte { clear(sig[4:]); return sig }), nil},
		{"good signature by one known key, bad one by another", brokenSecond(), []seq.Key{logKey, witnessKey}},
		{"signature of another text", strings.Replace(signText("Another text.\n", logKey), "Another text.\n", plainText, 1), nil},
		{"a whole good note as text, signed by an unknown key", good + "\n" + signatureLines(1), nil},
	}
}

// mangle changes the decoded signature of a note with a single one.
func mangle(signed string, change func([]byte) []byte) string {
	space := strings.LastIndexByte(signed, ' ')
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(signed[space+1:], "\n"))
	must(err)
	return signed[:space+1] + b64(change(sig)) + "\n"
}

func brokenSecond() string {
	second := signText("Another text.\n", witnessKey)
	return signText(plainText, logKey) + strings.SplitAfter(second, "\n\n")[1]
}
