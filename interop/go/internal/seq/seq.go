// Package seq is the one sequence of entries that our test logs hold.
//
// It is arithmetic, so that a test in any language can write the same entries without reading
// them from a file.
package seq

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// About says in words what Entry does, for the files that refer to it.
const About = "entry i is the text `entry <i>`, i in decimal, followed by i mod 97 full stops"

// Entry returns entry i of the sequence.
func Entry(i int) []byte {
	return []byte("entry " + strconv.Itoa(i) + strings.Repeat(".", i%97))
}

// Key is an Ed25519 key in all the forms that notes know.
type Key struct {
	Name   string
	Seed   [ed25519.SeedSize]byte
	SKey   string
	VKey   string
	Signer note.Signer
}

// NewKey derives the key called name from label. Anyone can derive it too: it is for tests.
func NewKey(name, label string) Key {
	key := Key{Name: name, Seed: sha256.Sum256([]byte("kiln test key: " + label))}
	var err error
	if key.SKey, key.VKey, err = note.GenerateKey(strings.NewReader(string(key.Seed[:])), name); err != nil {
		panic(err) // a fixed name and 32 bytes of seed cannot fail
	}
	if key.Signer, err = note.NewSigner(key.SKey); err != nil {
		panic(err)
	}
	return key
}
