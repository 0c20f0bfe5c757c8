package standin

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// A CA answers as version 2 of Fulcio's API does: a certificate of ten minutes for whoever shows an identity
// token and holds the key, with the timestamp of a certificate transparency log in it.
//
// See https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md
type CA struct {
	issuer       *Issuer
	root         *x509.Certificate
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey // of the intermediate
	logKey       *ecdsa.PrivateKey // of the certificate transparency log
}

// NewCA makes a root, an intermediate and the key of a certificate transparency log.
func NewCA(issuer *Issuer, now time.Time) (*CA, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	logKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root, err := certify(authority("a test's root", now), nil, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	template := authority("a test's intermediate", now)
	template.MaxPathLenZero = true
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	intermediate, err := certify(template, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	return &CA{issuer: issuer, root: root, intermediate: intermediate, key: key, logKey: logKey}, nil
}

// Chain is what verifiers trust: the intermediate, then the root.
func (c *CA) Chain() []*x509.Certificate { return []*x509.Certificate{c.intermediate, c.root} }

// LogKey is that of the certificate transparency log.
func (c *CA) LogKey() crypto.PublicKey { return c.logKey.Public() }

// Handle answers requests for certificates.
func (c *CA) Handle(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v2/signingCert", func(w http.ResponseWriter, r *http.Request) {
		leaf, err := c.answer(r)
		if err != nil {
			refuse(w, err)
			return
		}
		chain := []string{inPEM(leaf), inPEM(c.intermediate.Raw), inPEM(c.root.Raw)}
		answer(w, http.StatusOK, map[string]any{
			"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}},
		})
	})
}

// request is what clients send: Go and JavaScript a key and a signature over the subject, Python a signed
// request of PKCS #10; Python and Go the token in a header, JavaScript in the body.
type request struct {
	Credentials struct {
		Token string `json:"oidcIdentityToken"`
	} `json:"credentials"`
	PublicKeyRequest struct {
		PublicKey struct {
			Content string `json:"content"`
		} `json:"publicKey"`
		Proof []byte `json:"proofOfPossession"`
	} `json:"publicKeyRequest"`
	SigningRequest []byte `json:"certificateSigningRequest"`
}

func (c *CA) answer(r *http.Request) ([]byte, error) {
	var asked request
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	token := asked.Credentials.Token
	if header, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		token = header
	}
	now := time.Now()
	said, err := c.issuer.open(token, now)
	if err != nil {
		return nil, err
	}
	key, err := asked.key(said.Subject)
	if err != nil {
		return nil, err
	}
	return c.issue(key, said, now)
}

// key is the one to certify, which the requester has shown to hold.
func (r *request) key(subject string) (crypto.PublicKey, error) {
	if len(r.SigningRequest) > 0 {
		block, _ := pem.Decode(r.SigningRequest)
		if block == nil {
			return nil, errors.New("the signing request is no PEM")
		}
		signed, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		return signed.PublicKey, signed.CheckSignature()
	}
	block, _ := pem.Decode([]byte(r.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("the public key is no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !signed(key, []byte(subject), r.PublicKeyRequest.Proof) {
		return nil, errors.New("the proof of possession is not the key's signature over the subject")
	}
	return key, nil
}

// signed tells whether it is the key's signature, with the hash that goes with such a key.
func signed(key crypto.PublicKey, message, signature []byte) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digestFor(key.Curve, message), signature)
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	}
	return false
}

func digestFor(curve elliptic.Curve, message []byte) []byte {
	switch curve {
	case elliptic.P384():
		digest := sha512.Sum384(message)
		return digest[:]
	case elliptic.P521():
		digest := sha512.Sum512(message)
		return digest[:]
	}
	digest := sha256.Sum256(message)
	return digest[:]
}

// issue certifies twice: the first certificate is what the transparency log signs, and the second is the
// same with that signature as one extension more, https://www.rfc-editor.org/rfc/rfc6962#section-3.2.
func (c *CA) issue(key crypto.PublicKey, said *claims, now time.Time) ([]byte, error) {
	issuer, err := asn1.MarshalWithParams(said.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:   serial(),
		NotBefore:      now.Add(-time.Minute),
		NotAfter:       now.Add(10 * time.Minute),
		KeyUsage:       x509.KeyUsageDigitalSignature,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		EmailAddresses: []string{said.Email},
		ExtraExtensions: []pkix.Extension{
			{Id: fulcioOID(1), Value: []byte(said.Issuer)},
			{Id: fulcioOID(8), Value: issuer},
		},
	}
	unlogged, err := certify(template, c.intermediate, key, c.key)
	if err != nil {
		return nil, err
	}
	timestamps, err := c.log(unlogged, now)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: timestampsOID, Value: timestamps})
	leaf, err := certify(template, c.intermediate, key, c.key)
	if err != nil {
		return nil, err
	}
	return leaf.Raw, nil
}

func fulcioOID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}
}

var timestampsOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// log is the value of the extension: a list of one signed certificate timestamp.
func (c *CA) log(unlogged *x509.Certificate, now time.Time) ([]byte, error) {
	parent := sha256.Sum256(c.intermediate.RawSubjectPublicKeyInfo)
	spki, err := x509.MarshalPKIXPublicKey(c.logKey.Public())
	if err != nil {
		return nil, err
	}
	logID := sha256.Sum256(spki)
	millis := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))

	var text bytes.Buffer // the signed part, of type precert_entry
	text.Write([]byte{0, 0})
	text.Write(millis)
	text.Write([]byte{0, 1})
	text.Write(parent[:])
	text.Write(withLength(3, unlogged.RawTBSCertificate))
	text.Write(withLength(2, nil))
	digest := sha256.Sum256(text.Bytes())
	signature, err := ecdsa.SignASN1(rand.Reader, c.logKey, digest[:])
	if err != nil {
		return nil, err
	}

	var timestamp bytes.Buffer
	timestamp.WriteByte(0) // v1
	timestamp.Write(logID[:])
	timestamp.Write(millis)
	timestamp.Write(withLength(2, nil))
	timestamp.Write([]byte{4, 3}) // SHA-256, ECDSA
	timestamp.Write(withLength(2, signature))
	return asn1.Marshal(withLength(2, withLength(2, timestamp.Bytes())))
}

// withLength puts the length before, in that many bytes.
func withLength(bytes int, value []byte) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(value)))
	return append(length[4-bytes:], value...)
}

func authority(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"example.com"}, CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// certify signs as parent does, or as itself without one.
func certify(template, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func serial() *big.Int {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes)
	bytes[0] = bytes[0]&0x7f | 0x40 // positive, and of one length
	return new(big.Int).SetBytes(bytes)
}
