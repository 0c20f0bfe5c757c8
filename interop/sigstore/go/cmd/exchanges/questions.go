package main

import (
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"

	"kiln.example/interop/sigstore/internal/request"
)

type fields = request.Fields

const entries = "/api/v2/log/entries"

// asking collects requests.
type asking struct {
	asked []exchange
	p256  *request.Signer
	n     int
}

// questions is all requests, of envelopes or of all else.
func questions(envelopes bool) ([]exchange, error) {
	signers := map[string]*request.Signer{}
	for _, algorithm := range request.Algorithms {
		signer, err := request.NewSigner(algorithm, 0)
		if err != nil {
			return nil, err
		}
		signers[algorithm.Name] = signer
	}
	a := &asking{p256: signers["PKIX_ECDSA_P256_SHA_256"]}
	if envelopes {
		return a.envelopes(signers)
	}
	for _, algorithm := range request.Algorithms {
		signer := signers[algorithm.Name]
		a.post(algorithm.Name+", key", signer.Hashed(a.message(), false))
		a.post(algorithm.Name+", certificate", signer.Hashed(a.message(), true))
	}
	a.spellings()
	a.missing()
	a.wrong(signers)
	a.mislabelled(signers)
	a.refusedKinds(signers)
	a.noRequests()
	return a.asked, a.large()
}

func (a *asking) message() []byte {
	a.n++
	return fmt.Appendf(nil, "message %d", a.n)
}

func (a *asking) post(name string, asked fields) { a.postText(name, request.Text(asked)) }

func (a *asking) postText(name, text string) {
	a.asked = append(a.asked, exchange{Name: name, Method: "POST", Path: entries, Request: text})
}

// butKiln says what Kiln answers to the last request.
func (a *asking) butKiln(status, code int, why string) {
	a.asked[len(a.asked)-1].Kiln = &decided{Status: status, Code: code, Why: why}
}

// changed is a good request with one thing changed, of which change gets the parts.
func (a *asking) changed(name string, change func(record, signature, verifier fields)) {
	asked := a.p256.Hashed(a.message(), false)
	record := request.At(asked, "hashedRekordRequestV002")
	change(record, request.At(record, "signature"), request.At(record, "signature", "verifier"))
	a.post(name, asked)
}

// spellings are those that protobuf's JSON has for one thing. All are logged alike.
func (a *asking) spellings() {
	good := func() string { return request.Text(a.p256.Hashed(a.message(), false)) }
	snake := strings.NewReplacer("hashedRekordRequestV002", "hashed_rekord_request_v002", "publicKey", "public_key",
		"rawBytes", "raw_bytes", "keyDetails", "key_details")
	a.postText("names in snake case", snake.Replace(good()))
	a.postText("blanks between all", strings.NewReplacer(":", " :\n ", ",", "\t,\r\n").Replace(good()))
	a.postText("names with escapes", strings.Replace(good(), `"digest"`, `"\u0064igest"`, 1))
	a.changed("key details as a number", func(_, _, v fields) { v["keyDetails"] = 5 })
	a.changed("base64 for URLs, unpadded", func(r, s, v fields) {
		r["digest"], s["content"] = request.URLSafe(r["digest"]), request.URLSafe(s["content"])
		v["publicKey"] = fields{"rawBytes": request.URLSafe(a.p256.SPKI)}
	})
	a.changed("null for the other kind of verifier", func(_, _, v fields) { v["x509Certificate"] = nil })
	a.postText("null for the other kind of request", strings.Replace(good(), "{", `{"dsseRequestV002":null,`, 1))
	a.changed("a signature with the other s", func(_, s, _ fields) { s["content"] = otherS(s["content"].([]byte)) })
}

// otherS is as good a signature of P-256, of which the half with small s is called normal elsewhere.
func otherS(signature []byte) []byte {
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &pair); err != nil {
		panic(err) // Go made it
	}
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	pair.S.Sub(order, pair.S)
	other, err := asn1.Marshal(pair)
	if err != nil {
		panic(err)
	}
	return other
}

func (a *asking) missing() {
	a.changed("no digest", func(r, _, _ fields) { delete(r, "digest") })
	a.changed("an empty digest", func(r, _, _ fields) { r["digest"] = "" })
	a.changed("no signature", func(r, _, _ fields) { delete(r, "signature") })
	a.changed("no content", func(_, s, _ fields) { delete(s, "content") })
	a.changed("empty content", func(_, s, _ fields) { s["content"] = "" })
	a.changed("no verifier", func(_, s, _ fields) { delete(s, "verifier") })
	a.changed("neither key nor certificate", func(_, _, v fields) { delete(v, "publicKey") })
	a.changed("an empty key", func(_, _, v fields) { v["publicKey"] = fields{"rawBytes": ""} })
	a.changed("a key without bytes", func(_, _, v fields) { v["publicKey"] = fields{} })
	a.changed("no key details", func(_, _, v fields) { delete(v, "keyDetails") })
	a.changed("key details of 0", func(_, _, v fields) { v["keyDetails"] = "PUBLIC_KEY_DETAILS_UNSPECIFIED" })
}

func (a *asking) wrong(signers map[string]*request.Signer) {
	a.changed("a key in PEM", func(_, _, v fields) { v["publicKey"] = fields{"rawBytes": request.InPEM(a.p256.SPKI)} })
	a.changed("a key that is none", func(_, _, v fields) { v["publicKey"] = fields{"rawBytes": []byte("none")} })
	a.changed("a key and a byte more", func(_, _, v fields) {
		v["publicKey"] = fields{"rawBytes": append(a.p256.SPKI[:len(a.p256.SPKI):len(a.p256.SPKI)], 0)}
	})
	a.changed("a key off its curve", func(_, _, v fields) {
		spki := append([]byte(nil), a.p256.SPKI...)
		spki[len(spki)-1] ^= 1
		v["publicKey"] = fields{"rawBytes": spki}
	})
	a.changed("a certificate as a key", func(_, _, v fields) { v["publicKey"] = fields{"rawBytes": a.p256.Certificate} })
	a.changed("a key as a certificate", func(_, _, v fields) {
		delete(v, "publicKey")
		v["x509Certificate"] = fields{"rawBytes": a.p256.SPKI}
	})
	a.changed("a certificate and bytes more", func(_, _, v fields) {
		delete(v, "publicKey")
		v["x509Certificate"] = fields{"rawBytes": append(a.p256.Certificate[:len(a.p256.Certificate):len(a.p256.Certificate)], 1, 2)}
	})
	a.changed("both key and certificate", func(_, _, v fields) { v["x509Certificate"] = fields{"rawBytes": a.p256.Certificate} })
	a.changed("another digest", func(r, _, _ fields) { r["digest"] = a.p256.Digest([]byte("another")) })
	a.changed("a short digest", func(r, _, _ fields) { r["digest"] = r["digest"].([]byte)[:31] })
	a.changed("a digest of SHA-512", func(r, _, _ fields) { r["digest"] = signers["PKIX_ED25519_PH"].Digest([]byte("another")) })
	a.changed("another's signature", func(_, s, _ fields) { s["content"] = a.p256.Sign([]byte("another")) })
	a.changed("a signature that is none", func(_, s, _ fields) { s["content"] = []byte("none") })
	a.changed("a signature and a byte more", func(_, s, _ fields) { s["content"] = append(s["content"].([]byte), 0) })
	a.changed("base64 that is none", func(r, _, _ fields) { r["digest"] = "!!!!" })
	a.changed("a number for bytes", func(r, _, _ fields) { r["digest"] = 7 })
	a.changed("a field that is none", func(r, _, _ fields) { r["foo"] = "bar" })
	a.changed("key details that are none", func(_, _, v fields) { v["keyDetails"] = "PKIX_FOO" })
	a.changed("key details without a name", func(_, _, v fields) { v["keyDetails"] = 999 })
}

// mislabelled keys are taken by rekor-tiles before v2.4 where type and hash would do.
func (a *asking) mislabelled(signers map[string]*request.Signer) {
	const why = "key details have to be those of the key, as since v2.4"
	label := func(name, label string) {
		asked := signers[name].Hashed(a.message(), false)
		request.At(asked, "hashedRekordRequestV002", "signature", "verifier")["keyDetails"] = label
		a.post(name+" as "+label, asked)
		a.butKiln(400, 3, why)
	}
	label("PKIX_ECDSA_P256_SHA_256", "PKIX_RSA_PKCS1V15_2048_SHA256")
	label("PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P384_SHA_384")
	label("PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V15_4096_SHA256")
	label("PKIX_RSA_PKCS1V15_3072_SHA256", "PKIX_RSA_PKCS1V15_2048_SHA256")
	label("PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PSS_2048_SHA256")
	label("PKIX_ED25519_PH", "PKIX_ECDSA_P521_SHA_512")
	label("PKIX_ECDSA_P521_SHA_512", "PKIX_ED25519_PH")
}

// refusedKinds are signatures that hold, of kinds that no log takes.
func (a *asking) refusedKinds(signers map[string]*request.Signer) {
	sign := func(label, signer string, hash crypto.Hash, options crypto.SignerOpts) {
		message := a.message()
		asked := signers[signer].Hashed(message, false)
		record := request.At(asked, "hashedRekordRequestV002")
		hasher := hash.New()
		hasher.Write(message)
		record["digest"] = hasher.Sum(nil)
		request.At(record, "signature")["content"] = signers[signer].SignWith(message, options)
		request.At(record, "signature", "verifier")["keyDetails"] = label
		a.post(signer+", signed as "+label, asked)
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	sign("PKIX_RSA_PSS_2048_SHA256", "PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA256, pss)
	a.butKiln(400, 3, "key details have to be those of the signature, as since v2.4")
	sign("PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA256, pss)
	sign("PKIX_RSA_PKCS1V5", "PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA256, crypto.SHA256)
	sign("PKCS1_RSA_PKCS1V5", "PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA256, crypto.SHA256)
	sign("PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V15_2048_SHA256", crypto.SHA512, crypto.SHA512)
	sign("PKIX_ECDSA_P384_SHA_256", "PKIX_ECDSA_P384_SHA_384", crypto.SHA256, crypto.SHA256)
	sign("PKIX_ECDSA_P521_SHA_256", "PKIX_ECDSA_P521_SHA_512", crypto.SHA256, crypto.SHA256)
	sign("PKIX_ED25519", "PKIX_ED25519_PH", crypto.SHA512, crypto.Hash(0))
	a.butKiln(400, 3, "it is the request that is at fault")
	sign("PKIX_ED25519_PH", "PKIX_ED25519_PH", crypto.SHA512, crypto.Hash(0))
	a.changed("PKIX_ECDSA_P256_HMAC_SHA_256", func(_, _, v fields) { v["keyDetails"] = "PKIX_ECDSA_P256_HMAC_SHA_256" })
	a.changed("LMS_SHA256", func(_, _, v fields) { v["keyDetails"] = "LMS_SHA256" })
	a.changed("ML_DSA_65", func(_, _, v fields) { v["keyDetails"] = "ML_DSA_65" })
}

func (a *asking) noRequests() {
	for _, each := range [][2]string{
		{"nothing", ""}, {"an empty object", "{}"}, {"null", "null"}, {"an array", "[]"}, {"a string", `"x"`},
		{"half an object", `{"hashedRekordRequestV002":`},
		{"an envelope without anything", `{"dsseRequestV002":{}}`},
		{"a request without anything", `{"hashedRekordRequestV002":{}}`},
		{"a field that is none, at the top", `{"foo":1}`},
		{"a name twice", `{"hashedRekordRequestV002":{"digest":"AA==","digest":"AA=="}}`},
		{"both kinds", `{"hashedRekordRequestV002":{},"dsseRequestV002":{}}`},
	} {
		a.postText(each[0], each[1])
	}
	for _, each := range [][3]string{
		{"GET", entries, "no entries to read"}, {"PUT", entries, "PUT"}, {"DELETE", entries, "DELETE"},
		{"POST", entries + "/", "a slash at the end"}, {"POST", "/api/v2/log", "half the path"}, {"POST", "/api/v1/log/entries", "version 1"},
		{"GET", "/api/v2/nothing", "no such path"},
	} {
		a.asked = append(a.asked, exchange{Name: each[2], Method: each[0], Path: each[1]})
	}
}

func (a *asking) large() error {
	a.postText("4 MiB and a byte more", fmt.Sprintf("<%d spaces>", 4<<20+1))
	large, err := request.NewSigner(request.Algorithms[0], 60<<10)
	if err != nil {
		return err
	}
	a.post("a certificate of 60 KiB", large.Hashed(a.message(), true))
	a.butKiln(400, 3, "no bundle can hold the entry, and that is no fault of the log")
	return nil
}

// envelopes are those that sigstore-js sends. Every signature has to be by one of the verifiers.
func (a *asking) envelopes(signers map[string]*request.Signer) ([]exchange, error) {
	p256, p384 := a.p256, signers["PKIX_ECDSA_P384_SHA_384"]
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://example.com/p","predicate":{}}`)
	change := func(name string, asked fields, change func(envelope fields, all fields)) {
		all := request.At(asked, "dsseRequestV002")
		change(request.At(all, "envelope"), all)
		a.post("an envelope, "+name, asked)
	}
	a.post("an envelope, P-256", request.DSSE(payload, p256))
	a.post("an envelope, P-384", request.DSSE(payload, p384))
	a.post("an envelope, RSA", request.DSSE(payload, signers["PKIX_RSA_PKCS1V15_2048_SHA256"]))
	a.post("an envelope, two signatures", request.DSSE(payload, p256, p384))
	a.post("an envelope, two signatures the other way round", request.DSSE([]byte("other "+string(payload)), p384, p256))
	change("with a certificate", request.DSSE(payload, p256), func(_, all fields) { all["verifiers"] = []any{p256.Verifier(true)} })
	change("a signature too many", request.DSSE(payload, p256, p384), func(_, all fields) { all["verifiers"] = []any{p256.Verifier(false)} })
	change("another's key", request.DSSE(payload, p256), func(_, all fields) { all["verifiers"] = []any{p384.Verifier(false)} })
	change("another payload", request.DSSE(payload, p256), func(e, _ fields) { e["payload"] = []byte("another") })
	change("another type", request.DSSE(payload, p256), func(e, _ fields) { e["payloadType"] = "text/plain" })
	change("no signatures", request.DSSE(payload, p256), func(e, _ fields) { e["signatures"] = []any{} })
	change("no verifiers", request.DSSE(payload, p256), func(_, all fields) { all["verifiers"] = []any{} })
	change("no envelope", request.DSSE(payload, p256), func(_, all fields) { delete(all, "envelope") })
	eleven := make([]*request.Signer, 11)
	for i := range eleven {
		eleven[i] = p256
	}
	a.post("an envelope, eleven signatures", request.DSSE(payload, eleven...))
	a.postText("an envelope without anything", `{"dsseRequestV002":{}}`)
	return a.asked, nil
}
