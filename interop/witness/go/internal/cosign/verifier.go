package cosign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Verifier is a public key with a name. It is a note.Verifier too.
type Verifier struct {
	Kind   Kind
	name   string
	id     uint32
	public []byte
	theirs note.Verifier
}

func newVerifier(kind Kind, name string, public []byte) Verifier {
	typed := append([]byte{byte(kind)}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	v := Verifier{Kind: kind, name: name, id: binary.BigEndian.Uint32(sum[:]), public: public}
	var err error
	switch kind {
	case Note:
		v.theirs, err = note.NewVerifier(v.VKey())
	default:
		v.theirs, err = formats.NewVerifierForCosignatureV1(v.VKey())
	}
	must(err)
	if v.theirs.KeyHash() != v.id {
		panic(fmt.Sprintf("formats/note has another ID for %s", v.VKey()))
	}
	return v
}

// ParseVKey reads a verifier key of any kind that we know, in its one spelling.
func ParseVKey(vkey string) (Verifier, error) {
	bad := func(why string) (Verifier, error) { return Verifier{}, fmt.Errorf("vkey %.60q: %s", vkey, why) }
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 || !validName(parts[0]) {
		return bad("not NAME+ID+KEY")
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil || fmt.Sprintf("%08x", id) != parts[1] {
		return bad("the ID is not 8 digits of lowercase hex")
	}
	raw, err := decode(parts[2])
	if err != nil || len(raw) == 0 {
		return bad("the key is not base64")
	}
	lengths := map[Kind]int{Note: ed25519.PublicKeySize, Ed25519: ed25519.PublicKeySize, MLDSA44: mldsa.MLDSA44PublicKeySize}
	if length, known := lengths[Kind(raw[0])]; !known || len(raw) != 1+length {
		return bad("no key that we know")
	}
	v := newVerifier(Kind(raw[0]), parts[0], raw[1:])
	if v.id != uint32(id) {
		return bad("the ID is not that of the key")
	}
	return v, nil
}

func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '+' })
}

// VKey is the key as others are told it.
func (v Verifier) VKey() string {
	return fmt.Sprintf("%s+%08x+%s", v.name, v.id, encode(append([]byte{byte(v.Kind)}, v.public...)))
}

// Name makes it a note.Verifier, and so does KeyHash.
func (v Verifier) Name() string { return v.name }

// KeyHash is the key's ID.
func (v Verifier) KeyHash() uint32 { return v.id }

// IDBytes is the key's ID as signature lines begin with it.
func (v Verifier) IDBytes() []byte { return binary.BigEndian.AppendUint32(nil, v.id) }

// Verify makes it a note.Verifier.
func (v Verifier) Verify(text, signature []byte) bool {
	_, err := v.Check(string(text), signature)
	return err == nil
}

// Made is whether a line claims to be by this key.
func (v Verifier) Made(line Line) bool { return line.Name == v.name && line.ID == v.id }

// Check verifies a signature of a checkpoint's text, and tells its time; 0 for those that have none.
func (v Verifier) Check(text string, signature []byte) (time uint64, err error) {
	time, bare, err := v.split(signature)
	if err != nil {
		return 0, err
	}
	message, err := v.message(text, time)
	if err != nil {
		return 0, err
	}
	ours, theirs := v.verifies(message, bare), v.theirs.Verify([]byte(text), signature)
	if ours != theirs {
		return 0, fmt.Errorf("we say %t, formats/note says %t", ours, theirs)
	}
	if !ours {
		return 0, errors.New("the signature does not verify")
	}
	return time, nil
}

// CheckSubtree verifies a signature of a subtree, and tells its time.
func (v Verifier) CheckSubtree(s Subtree, signature []byte) (time uint64, err error) {
	if v.Kind != MLDSA44 {
		return 0, fmt.Errorf("keys of kind %s sign no subtrees", v.Kind)
	}
	time, bare, err := v.split(signature)
	if err != nil {
		return 0, err
	}
	ours := v.verifies(s.Message(v.name, time), bare)
	subtrees, err := formats.NewMLDSAVerifier(v.VKey())
	if err != nil {
		return 0, err
	}
	if theirs := subtrees.VerifySubtree(time, s.Origin, s.Start, s.End, s.Hash[:], signature); ours != theirs {
		return 0, fmt.Errorf("we say %t, formats/note says %t", ours, theirs)
	}
	if !ours {
		return 0, errors.New("the signature does not verify")
	}
	return time, nil
}

// split parts a timestamped_signature.
func (v Verifier) split(signature []byte) (time uint64, bare []byte, err error) {
	if v.Kind != Note {
		if len(signature) < 8 {
			return 0, nil, errors.New("no room for a time")
		}
		time, signature = binary.BigEndian.Uint64(signature), signature[8:]
	}
	lengths := map[Kind]int{Note: ed25519.SignatureSize, Ed25519: ed25519.SignatureSize, MLDSA44: mldsa.MLDSA44SignatureSize}
	if len(signature) != lengths[v.Kind] {
		return 0, nil, fmt.Errorf("%d bytes of signature", len(signature))
	}
	if time > math.MaxInt64 {
		return 0, nil, errors.New("a time beyond 2^63 - 1")
	}
	return time, signature, nil
}

func (v Verifier) verifies(message, signature []byte) bool {
	if v.Kind != MLDSA44 {
		return ed25519.Verify(v.public, message, signature)
	}
	key, err := mldsa.NewPublicKey(mldsa.MLDSA44(), v.public)
	return err == nil && mldsa.Verify(key, message, signature, nil) == nil
}

// decode reads base64 of one spelling.
func decode(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err == nil && encode(raw) != text {
		err = errors.New("another spelling of base64")
	}
	return raw, err
}
