// Trustconfig writes trusted_root.json and signing_config.json for a log of Rekor's version 2, by Sigstore's own
// libraries. It serves logs that cannot write them, and is what those of others are compared with:
//
//	trustconfig -log URL -log-key PEM -origin NAME [-standins URL -trust DIR] OUT
//	trustconfig -compare DIR OUT
//
// The folder of -trust holds fulcio.pem, ct-log.pem and tsa.pem of the stand-ins; without them, the log is alone.
// -compare tells whether both folders say the same of everybody, but for how long and by whose hand.
package main

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kiln.example/interop/sigstore/internal/exit"
)

func main() {
	exit.With("trustconfig", run())
}

func run() error {
	log := flag.String("log", "", "the log's URL")
	logKey := flag.String("log-key", "", "a file with its public key in PEM")
	origin := flag.String("origin", "", "the name in its checkpoints")
	standins := flag.String("standins", "", "the URL of the stand-ins")
	trust := flag.String("trust", "", "the folder to which they wrote whom to trust")
	compared := flag.String("compare", "", "a folder to compare with OUT")
	flag.Parse()
	if flag.NArg() != 1 {
		return exit.Usage("trustconfig -log URL -log-key PEM -origin NAME [-standins URL -trust DIR] OUT")
	}
	if *compared != "" {
		return compare(*compared, flag.Arg(0))
	}
	root, err := trustedRoot(*log, *logKey, *origin, *standins, *trust)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(flag.Arg(0), "trusted_root.json"), root); err != nil {
		return err
	}
	return write(filepath.Join(flag.Arg(0), "signing_config.json"), signingConfig(*log, *standins))
}

func trustedRoot(log, logKey, origin, standins, trust string) (*trustroot.TrustedRoot, error) {
	key, err := publicKey(logKey)
	if err != nil {
		return nil, err
	}
	_, id, err := note.KeyHash(origin, key)
	if err != nil {
		return nil, err
	}
	tlog, err := instance(log, key, id)
	if err != nil {
		return nil, err
	}
	trusted := &trustroot.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs:     []*trustroot.TransparencyLogInstance{tlog},
	}
	if standins == "" {
		return trusted, nil
	}
	ctKey, err := publicKey(filepath.Join(trust, "ct-log.pem"))
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(ctKey)
	if err != nil {
		return nil, err
	}
	ctID := sha256.Sum256(spki)
	ctLog, err := instance(standins, ctKey, ctID[:])
	if err != nil {
		return nil, err
	}
	fulcio, err := authority(standins, filepath.Join(trust, "fulcio.pem"))
	if err != nil {
		return nil, err
	}
	tsa, err := authority(standins+tsaPath, filepath.Join(trust, "tsa.pem"))
	if err != nil {
		return nil, err
	}
	trusted.CertificateAuthorities = []*trustroot.CertificateAuthority{fulcio}
	trusted.Ctlogs = []*trustroot.TransparencyLogInstance{ctLog}
	trusted.TimestampAuthorities = []*trustroot.CertificateAuthority{tsa}
	return trusted, nil
}

const tsaPath = "/api/v1/timestamp"

func signingConfig(log, standins string) *trustroot.SigningConfig {
	one := func(url string, version uint32) []*trustroot.Service {
		return []*trustroot.Service{{Url: url, MajorApiVersion: version, ValidFor: validFor(), Operator: "example.com"}}
	}
	anyOf := &trustroot.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	config := &trustroot.SigningConfig{
		MediaType:       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		RekorTlogUrls:   one(log, 2),
		RekorTlogConfig: anyOf,
	}
	if standins != "" {
		config.CaUrls = one(standins, 1)
		config.OidcUrls = one(standins, 1)
		config.TsaUrls = one(standins+tsaPath, 1)
		config.TsaConfig = anyOf
	}
	return config
}

func instance(url string, key crypto.PublicKey, id []byte) (*trustroot.TransparencyLogInstance, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	details, err := signature.GetDefaultAlgorithmDetails(key)
	if err != nil {
		return nil, err
	}
	return &trustroot.TransparencyLogInstance{
		BaseUrl:       url,
		HashAlgorithm: common.HashAlgorithm_SHA2_256,
		PublicKey:     &common.PublicKey{RawBytes: spki, KeyDetails: details.GetSignatureAlgorithm(), ValidFor: validFor()},
		LogId:         &common.LogId{KeyId: id},
	}, nil
}

func authority(url, file string) (*trustroot.CertificateAuthority, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	chain := &common.X509CertificateChain{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain.Certificates = append(chain.Certificates, &common.X509Certificate{RawBytes: block.Bytes})
	}
	if len(chain.Certificates) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	last, err := x509.ParseCertificate(chain.Certificates[len(chain.Certificates)-1].RawBytes)
	if err != nil {
		return nil, err
	}
	subject := &common.DistinguishedName{CommonName: last.Subject.CommonName}
	if len(last.Subject.Organization) > 0 {
		subject.Organization = last.Subject.Organization[0]
	}
	return &trustroot.CertificateAuthority{Subject: subject, Uri: url, CertChain: chain, ValidFor: validFor()}, nil
}

func publicKey(file string) (crypto.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(file + " is no PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

func validFor() *common.TimeRange {
	return &common.TimeRange{Start: timestamppb.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
}

func write(file string, message proto.Message) error {
	text, err := protojson.MarshalOptions{Multiline: true}.Marshal(message)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// compare leaves out what each may choose: the times of validity, the operators and the names of authorities.
func compare(a, b string) error {
	for name, empty := range map[string]func() proto.Message{
		"trusted_root.json":   func() proto.Message { return new(trustroot.TrustedRoot) },
		"signing_config.json": func() proto.Message { return new(trustroot.SigningConfig) },
	} {
		one, err := essence(filepath.Join(a, name), empty())
		if err != nil {
			return err
		}
		other, err := essence(filepath.Join(b, name), empty())
		if err != nil {
			return err
		}
		if !proto.Equal(one, other) {
			return fmt.Errorf("%s differs:\n%v\n%v", name, one, other)
		}
	}
	return nil
}

func essence(file string, message proto.Message) (proto.Message, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(text, message); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	switch message := message.(type) {
	case *trustroot.TrustedRoot:
		for _, log := range append(message.Tlogs, message.Ctlogs...) {
			log.Operator, log.PublicKey.ValidFor, log.CheckpointKeyId = "", nil, nil
		}
		for _, ca := range append(message.CertificateAuthorities, message.TimestampAuthorities...) {
			ca.Operator, ca.Subject, ca.ValidFor = "", nil, nil
		}
	case *trustroot.SigningConfig:
		for _, services := range [][]*trustroot.Service{message.CaUrls, message.OidcUrls, message.RekorTlogUrls, message.TsaUrls} {
			for _, service := range services {
				service.Operator, service.ValidFor = "", nil
			}
		}
	}
	return message, nil
}
