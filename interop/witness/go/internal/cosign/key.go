// Package cosign makes and verifies the signature lines that stand below checkpoints, as
// https://c2sp.org/signed-note and https://c2sp.org/tlog-cosignature have them.
//
// It is written from the specifications. What it verifies, transparency-dev/formats verifies too, and both
// must agree.
package cosign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"filippo.io/mldsa"
)

// Kind is the byte that tells what a key signs, and how.
type Kind byte

// The kinds that logs and witnesses have.
const (
	Note    Kind = 0x01 // Ed25519 over the text of a note
	Ed25519 Kind = 0x04 // a cosignature with a time
	MLDSA44 Kind = 0x06 // the same, of a subtree, by ML-DSA-44
)

func (k Kind) String() string {
	switch k {
	case Note:
		return "ed25519-note"
	case Ed25519:
		return "ed25519"
	case MLDSA44:
		return "ml-dsa-44"
	}
	return fmt.Sprintf("0x%02x", byte(k))
}

// Key is a secret key with a name.
type Key struct {
	Verifier
	Seed [32]byte
	sign func(message []byte) []byte
}

// NewKey makes the key of a seed. The same seed always makes the same key, and that the same signatures.
func NewKey(kind Kind, name string, seed [32]byte) Key {
	key := Key{Seed: seed}
	switch kind {
	case Note, Ed25519:
		secret := ed25519.NewKeyFromSeed(seed[:])
		key.sign = func(message []byte) []byte { return ed25519.Sign(secret, message) }
		key.Verifier = newVerifier(kind, name, secret.Public().(ed25519.PublicKey))
	case MLDSA44:
		secret, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
		must(err)
		key.sign = func(message []byte) []byte {
			signature, err := secret.SignDeterministic(message, nil)
			must(err)
			return signature
		}
		key.Verifier = newVerifier(kind, name, secret.PublicKey().Bytes())
	default:
		panic(kind)
	}
	return key
}

// TestKey derives a key from a label. Anyone can derive it too: it is for tests.
func TestKey(kind Kind, name, label string) Key {
	return NewKey(kind, name, sha256.Sum256([]byte("kiln test key: "+label)))
}

// SKey is the key in the form in which Go's note and formats/note keep secret keys.
func (k Key) SKey() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", k.name, k.id, encode(append([]byte{byte(k.Kind)}, k.Seed[:]...)))
}

// Cosign is the line for the text of a checkpoint at a time, in seconds since 1970. The time of a Note is nothing.
func (k Key) Cosign(text string, time uint64) string {
	return k.line(time, k.sign(k.Message(text, time)))
}

// Message is what Cosign signs.
func (k Key) Message(text string, time uint64) []byte {
	message, err := k.message(text, time)
	must(err)
	return message
}

// CosignSubtree is the line for a subtree.
func (k Key) CosignSubtree(s Subtree, time uint64) string {
	return k.line(time, k.sign(s.Message(k.name, time)))
}

func (k Key) line(time uint64, signature []byte) string {
	raw := binary.BigEndian.AppendUint32(nil, k.id)
	if k.Kind != Note {
		raw = binary.BigEndian.AppendUint64(raw, time)
	}
	return FormatLine(k.name, append(raw, signature...))
}

// FormatLine is a signature line, whatever it signs.
func FormatLine(name string, raw []byte) string { return "— " + name + " " + encode(raw) + "\n" }

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func must(err error) {
	if err != nil {
		panic(err) // what we sign is ours
	}
}
