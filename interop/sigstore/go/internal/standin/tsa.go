package standin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

// A TSA is a timestamp authority, https://www.rfc-editor.org/rfc/rfc3161.
type TSA struct {
	root, leaf *x509.Certificate
	key        *ecdsa.PrivateKey
}

// NewTSA makes a root and a certificate for timestamps.
func NewTSA(now time.Time) (*TSA, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root, err := certify(authority("a test's timestamp root", now), nil, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // timestamps, and nothing else
	if err != nil {
		return nil, err
	}
	leaf, err := certify(&x509.Certificate{
		SerialNumber:    serial(),
		Subject:         pkix.Name{Organization: []string{"example.com"}, CommonName: "a test's timestamps"},
		NotBefore:       now.Add(-time.Hour),
		NotAfter:        now.Add(24 * time.Hour),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, root, key.Public(), rootKey)
	return &TSA{root: root, leaf: leaf, key: key}, err
}

// Chain is what verifiers trust: the certificate that signs, then the root.
func (t *TSA) Chain() []*x509.Certificate { return []*x509.Certificate{t.leaf, t.root} }

// Handle answers requests for timestamps, at the path that Sigstore's own authority has.
func (t *TSA) Handle(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/timestamp", func(w http.ResponseWriter, r *http.Request) {
		stamp, err := t.answer(r)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(stamp)
	})
}

func (t *TSA) answer(r *http.Request) ([]byte, error) {
	asked, err := question(r)
	if err != nil {
		return nil, err
	}
	return (&timestamp.Timestamp{
		HashAlgorithm:     asked.HashAlgorithm,
		HashedMessage:     asked.HashedMessage,
		Nonce:             asked.Nonce,
		Time:              time.Now().UTC(),
		Accuracy:          time.Second,
		Policy:            asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		AddTSACertificate: asked.Certificates,
	}).CreateResponseWithOpts(t.leaf, t.key, crypto.SHA256)
}

// question is what the client wants stamped. JavaScript says it in JSON, as Sigstore's authority lets it.
func question(r *http.Request) (*timestamp.Request, error) {
	if r.Header.Get("Content-Type") != "application/json" {
		query, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return timestamp.ParseRequest(query)
	}
	var asked struct {
		Hash         []byte `json:"artifactHash"`
		Algorithm    string `json:"hashAlgorithm"`
		Certificates bool   `json:"certificates"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	if asked.Algorithm != "sha256" || len(asked.Hash) != 32 {
		return nil, errors.New("only hashes of SHA-256 are stamped")
	}
	return &timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: asked.Hash, Certificates: asked.Certificates}, nil
}
