package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"google.golang.org/protobuf/encoding/protojson"

	"kiln.example/interop/sigstore/internal/standin"
)

// A sigstore is whom to ask and whom to believe.
type sigstore struct {
	root             *root.TrustedRoot
	log, fulcio, tsa string // URLs
}

func open(folder string) (*sigstore, error) {
	trusted, err := root.NewTrustedRootFromPath(filepath.Join(folder, "trusted_root.json"))
	if err != nil {
		return nil, err
	}
	config, err := root.NewSigningConfigFromPath(filepath.Join(folder, "signing_config.json"))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	// Rekor's version 1 must not be what is found.
	logs, err := root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), []uint32{2}, now)
	if err != nil {
		return nil, fmt.Errorf("logs in signing_config.json: %w", err)
	}
	stamps, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(), []uint32{1}, now)
	if err != nil {
		return nil, fmt.Errorf("timestamp authorities in signing_config.json: %w", err)
	}
	fulcio, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), []uint32{1}, now)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities in signing_config.json: %w", err)
	}
	return &sigstore{root: trusted, log: logs[0].URL, fulcio: fulcio.URL, tsa: stamps[0].URL}, nil
}

type signer struct {
	algorithm string
	details   common.PublicKeyDetails
	how, what string
}

func (s signer) String() string { return fmt.Sprintf("%s, %s, %s", s.algorithm, s.how, s.what) }

func (s signer) file() string {
	return strings.NewReplacer(", ", ".", " ", "-").Replace(s.String()) + ".sigstore.json"
}

// signed is a bundle and what a verifier has to know.
type signed struct {
	signer
	bundle, content []byte
	pair            sign.Keypair
	key             signature.Verifier
	hint, identity  string
	index           int64
}

const payloadType = "application/vnd.in-toto+json"

// sign makes a bundle with a fresh key, or with one of before.
func (l *sigstore) sign(s signer, token string, pair sign.Keypair) (*signed, error) {
	if pair == nil {
		fresh, err := sign.NewEphemeralKeypair(&sign.EphemeralKeypairOptions{Algorithm: s.details})
		if err != nil {
			return nil, err
		}
		pair = fresh
	}
	key, err := signature.LoadDefaultVerifier(pair.GetPublicKey(), options.WithED25519ph())
	if err != nil {
		return nil, err
	}
	made := &signed{
		signer: s, content: []byte("a blob, " + s.String()), pair: pair, key: key,
		hint: string(pair.GetHint()), identity: standin.Subject,
	}
	var content sign.Content = &sign.PlainData{Data: made.content}
	if s.what == "attestation" {
		made.content = []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"` + s.algorithm +
			`","digest":{"sha256":"` + strings.Repeat("0d", 32) + `"}}],"predicateType":"https://example.com/p","predicate":{}}`)
		content = &sign.DSSEData{Data: made.content, PayloadType: payloadType}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	options := sign.BundleOptions{
		Context:          ctx,
		TransparencyLogs: []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: l.log, Version: 2})},
	}
	if strings.HasSuffix(s.how, "timestamp") {
		options.TimestampAuthorities = []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: l.tsa})}
	}
	if strings.HasPrefix(s.how, "certificate") {
		options.CertificateProvider = sign.NewFulcio(&sign.FulcioOptions{BaseURL: l.fulcio})
		options.CertificateProviderOptions = &sign.CertificateProviderOptions{IDToken: token}
	}
	proto, err := sign.Bundle(content, pair, options)
	if err != nil {
		return nil, err
	}
	made.index = proto.GetVerificationMaterial().GetTlogEntries()[0].GetLogIndex()
	made.bundle, err = protojson.Marshal(proto)
	return made, err
}

// verify is what a careful user of sigstore-go does, from the bundle's JSON on.
func (l *sigstore) verify(text []byte, s *signed) error {
	var parsed bundle.Bundle
	if err := parsed.UnmarshalJSON(text); err != nil {
		return err
	}
	config := []verify.VerifierOption{verify.WithTransparencyLog(1)}
	if strings.HasSuffix(s.how, "timestamp") {
		config = append(config, verify.WithSignedTimestamps(1))
	} else {
		config = append(config, verify.WithNoObserverTimestamps())
	}
	policy := verify.WithKey()
	if strings.HasPrefix(s.how, "certificate") {
		config = append(config, verify.WithSignedCertificateTimestamps(1))
		identity, err := verify.NewShortCertificateIdentity("", ".*", s.identity, "")
		if err != nil {
			return err
		}
		policy = verify.WithCertificateIdentity(identity)
	}
	keys := root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		s.hint: root.NewExpiringKey(s.key, time.Time{}, time.Time{}),
	})
	verifier, err := verify.NewVerifier(root.TrustedMaterialCollection{keys, l.root}, config...)
	if err != nil {
		return err
	}
	artifact := verify.WithArtifact(bytes.NewReader(s.content))
	if s.what == "attestation" {
		// The subject is a digest of nothing that there is.
		artifact = verify.WithArtifactDigest("sha256", bytes.Repeat([]byte{0x0d}, 32))
	}
	_, err = verifier.Verify(&parsed, verify.NewPolicy(artifact, policy))
	return err
}
