// Package request makes requests to a log of Rekor's version 2: good ones with each kind of key, and bad ones.
package request

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// An Algorithm is one that a log takes: its name in protobuf, its hash, and how to make a key.
type Algorithm struct {
	Name string
	Hash crypto.Hash
	make func() (crypto.Signer, error)
}

// Algorithms is all of them, in the order of their numbers.
var Algorithms = []Algorithm{
	{"PKIX_ECDSA_P256_SHA_256", crypto.SHA256, ecdsaKey(elliptic.P256())},
	{"PKIX_ED25519_PH", crypto.SHA512, ed25519Key},
	{"PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA256, rsaKey(2048)},
	{"PKIX_RSA_PKCS1V15_3072_SHA256", crypto.SHA256, rsaKey(3072)},
	{"PKIX_RSA_PKCS1V15_4096_SHA256", crypto.SHA256, rsaKey(4096)},
	{"PKIX_ECDSA_P384_SHA_384", crypto.SHA384, ecdsaKey(elliptic.P384())},
	{"PKIX_ECDSA_P521_SHA_512", crypto.SHA512, ecdsaKey(elliptic.P521())},
}

func ecdsaKey(curve elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
}

func rsaKey(bits int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
}

func ed25519Key() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// A Signer is a key of one algorithm, with a certificate that it gave itself.
type Signer struct {
	Algorithm
	key         crypto.Signer
	SPKI        []byte
	Certificate []byte
}

// NewSigner makes a key. Its certificate has expired, which no log minds, and holds as many bytes more.
func NewSigner(algorithm Algorithm, more int) (*Signer, error) {
	key, err := algorithm.make()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "a test"},
		NotBefore:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
	}
	if more > 0 {
		template.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, more)}}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return &Signer{Algorithm: algorithm, key: key, SPKI: spki, Certificate: certificate}, err
}

// Digest is the hash of a message that goes with the key.
func (s *Signer) Digest(message []byte) []byte {
	hasher := s.Hash.New()
	hasher.Write(message)
	return hasher.Sum(nil)
}

// Sign signs a message.
func (s *Signer) Sign(message []byte) []byte { return s.SignWith(message, s.Hash) }

// SignWith signs a message in another way than the algorithm's.
func (s *Signer) SignWith(message []byte, options crypto.SignerOpts) []byte {
	text := message
	if options.HashFunc() != 0 {
		hasher := options.HashFunc().New()
		hasher.Write(message)
		text = hasher.Sum(nil)
	}
	signature, err := s.key.Sign(rand.Reader, text, options)
	if err != nil {
		panic(err) // every key here can sign what it is given
	}
	return signature
}

// Fields is JSON to be changed.
type Fields = map[string]any

// Hashed is a request to log the message's digest and the signature over it.
func (s *Signer) Hashed(message []byte, certificate bool) Fields {
	return Fields{"hashedRekordRequestV002": Fields{
		"digest":    s.Digest(message),
		"signature": Fields{"content": s.Sign(message), "verifier": s.Verifier(certificate)},
	}}
}

// Verifier is what tells the log whose signature it is.
func (s *Signer) Verifier(certificate bool) Fields {
	if certificate {
		return Fields{"x509Certificate": Fields{"rawBytes": s.Certificate}, "keyDetails": s.Name}
	}
	return Fields{"publicKey": Fields{"rawBytes": s.SPKI}, "keyDetails": s.Name}
}

// DSSE is a request to log an envelope, which each of the signers signed.
func DSSE(payload []byte, signers ...*Signer) Fields {
	const kind = "application/vnd.in-toto+json"
	text := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
	var signatures, verifiers []any
	for _, signer := range signers {
		signatures = append(signatures, Fields{"sig": signer.Sign(text), "keyid": ""})
		verifiers = append(verifiers, signer.Verifier(false))
	}
	return Fields{"dsseRequestV002": Fields{
		"envelope":  Fields{"payload": payload, "payloadType": kind, "signatures": signatures},
		"verifiers": verifiers,
	}}
}

// At is the object below, by the names on the way.
func At(fields Fields, names ...string) Fields {
	for _, name := range names {
		fields = fields[name].(Fields)
	}
	return fields
}

// Text is the JSON of a request.
func Text(fields Fields) string {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // maps, slices and strings
	}
	return string(text)
}

// InPEM is the key as people keep it, and as no log takes it.
func InPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}) }

// URLSafe is base64 in the alphabet for URLs, without padding.
func URLSafe(bytes any) string { return base64.RawURLEncoding.EncodeToString(bytes.([]byte)) }
