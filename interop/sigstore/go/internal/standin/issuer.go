package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// Subject is who every identity token of this issuer names.
const Subject = "alice@example.com"

// An Issuer hands out identity tokens for [Subject] to whoever asks: an OpenID Connect provider without
// anything that would be hard about one.
type Issuer struct {
	URL string // as tokens and certificates name it
	key *ecdsa.PrivateKey
}

// NewIssuer makes an issuer with a fresh key.
func NewIssuer(url string) (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Issuer{URL: url, key: key}, err
}

type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// Token is a JSON Web Token, signed with ES256, that is good for ten minutes.
func (i *Issuer) Token(now time.Time) (string, error) {
	header := part(map[string]string{"alg": "ES256", "typ": "JWT", "kid": "1"})
	body := part(claims{
		Issuer: i.URL, Audience: "sigstore", Subject: Subject, Email: Subject, Verified: true,
		IssuedAt: now.Unix(), Expires: now.Add(10 * time.Minute).Unix(),
	})
	digest := sha256.Sum256([]byte(header + "." + body))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return header + "." + body + "." + base64url.EncodeToString(signature), nil
}

// open is what a token says, where this issuer signed it and it has not expired.
func (i *Issuer) open(token string, now time.Time) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token has not three parts")
	}
	signature, err := base64url.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("the token has no signature of ES256")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(&i.key.PublicKey, digest[:], r, s) {
		return nil, errors.New("the token is not signed by this issuer")
	}
	body, err := base64url.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var said claims
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	if said.Audience != "sigstore" || now.Unix() >= said.Expires {
		return nil, errors.New("the token is for another audience or has expired")
	}
	return &said, nil
}

// Handle answers what clients ask of an issuer, and `/token` with a token.
func (i *Issuer) Handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"issuer":                                i.URL,
			"jwks_uri":                              i.URL + "/keys",
			"authorization_endpoint":                i.URL + "/auth",
			"token_endpoint":                        i.URL + "/token",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"keys": []any{i.jwk()}})
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, _ *http.Request) {
		token, err := i.Token(time.Now())
		if err != nil {
			refuse(w, err)
			return
		}
		_, _ = w.Write([]byte(token))
	})
}

func (i *Issuer) jwk() map[string]string {
	point, err := i.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err) // a key that was just made is on its curve
	}
	return map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
		"x": base64url.EncodeToString(point[1:33]), "y": base64url.EncodeToString(point[33:]),
	}
}

var base64url = base64.RawURLEncoding

func part(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // maps and structs of strings always marshal
	}
	return base64url.EncodeToString(text)
}
