// Sigstorego signs with sigstore-go against a log of Rekor's version 2 and verifies what it gets: with each
// kind of key that such a log takes, as a key alone, with a timestamp, and with a certificate; blobs and
// attestations. Then it has to refuse bundles in which one thing was changed:
//
//	sigstorego -config DIR -other-config DIR -token URL -work DIR [-duplicates return]
//
// The folders hold trusted_root.json and signing_config.json, the other one with another key for the log. A log
// that returns the stored entry for a duplicate is asked for one. A line tells of each check; exits 1 where one failed.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"kiln.example/interop/sigstore/internal/change"
	"kiln.example/interop/sigstore/internal/exit"
	"kiln.example/interop/sigstore/internal/report"
)

var algorithms = []struct {
	name    string
	details common.PublicKeyDetails
}{
	{"P-256", common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256},
	{"P-384", common.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384},
	{"P-521", common.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512},
	{"RSA-2048", common.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256},
	{"RSA-3072", common.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256},
	{"RSA-4096", common.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256},
	{"Ed25519ph", common.PublicKeyDetails_PKIX_ED25519_PH},
}

// unread are the changes that sigstore-go does not see, and why they do no harm.
var unread = map[string]string{
	"root-hash":    "the root is read in the checkpoint",
	"tree-size":    "the size is read in the checkpoint",
	"proof-index":  "the index is read in the entry",
	"body-digest":  "the entry is made anew from what was signed",
	"body-bytes":   "the entry is made anew from what was signed",
	"cosigned":     "a witness may sign too",
	"kind-version": "the entry is made anew from what was signed",
}

func main() {
	exit.With("sigstorego", run())
}

func run() error {
	config := flag.String("config", "", "the folder with trusted_root.json and signing_config.json")
	tokens := flag.String("token", "", "the URL that gives identity tokens")
	otherConfig := flag.String("other-config", "", "such a folder, which has another key for the log")
	duplicates := flag.String("duplicates", "", "what the log does with them: return the stored entry, if given")
	work := flag.String("work", "", "a folder for the bundles")
	flag.Parse()
	if flag.NArg() != 0 || *config == "" || *otherConfig == "" || *tokens == "" || *work == "" {
		return exit.Usage("sigstorego -config DIR -other-config DIR -token URL -work DIR [-duplicates return]")
	}
	log, err := open(*config)
	if err != nil {
		return err
	}
	strange, err := open(*otherConfig)
	if err != nil {
		return err
	}
	token, err := get(*tokens)
	if err != nil {
		return err
	}
	var said report.Report
	for _, attempt := range signAll(log, token) {
		made, err := attempt.made, attempt.err
		if !said.Check(attempt.signer.String()+": signed", err) {
			continue
		}
		said.Check("... and verified", log.verify(made.bundle, made))
		if err := os.WriteFile(filepath.Join(*work, made.file()), made.bundle, 0o644); err != nil {
			return err
		}
	}
	for _, each := range []string{"P-256, key, blob", "P-256, certificate and timestamp, blob", "P-384, key and timestamp, attestation"} {
		refuses(&said, log, strange, find(each), token)
	}
	if *duplicates == "return" {
		signsTwice(&said, log, find("RSA-2048, key, blob"))
		signsTwice(&said, log, find("Ed25519ph, key, attestation"))
	}
	if said.Failed > 0 {
		return fmt.Errorf("%d checks failed", said.Failed)
	}
	return nil
}

type attempt struct {
	signer
	made *signed
	err  error
}

// signAll signs all at once, so that the log has rounds of more than one entry.
func signAll(log *sigstore, token string) []attempt {
	attempts := make([]attempt, len(cases()))
	var signers sync.WaitGroup
	for i, each := range cases() {
		signers.Go(func() {
			made, err := log.sign(each, token, nil)
			attempts[i] = attempt{each, made, err}
		})
	}
	signers.Wait()
	return attempts
}

func find(name string) signer {
	for _, each := range cases() {
		if each.String() == name {
			return each
		}
	}
	panic("there is no case " + name)
}

// cases are all of them but for certificates of Ed25519ph, which Fulcio does not give.
func cases() []signer {
	var all []signer
	for _, algorithm := range algorithms {
		for _, how := range []string{"key", "key and timestamp", "certificate and timestamp"} {
			for _, what := range []string{"blob", "attestation"} {
				if algorithm.name == "Ed25519ph" && strings.HasPrefix(how, "certificate") {
					continue
				}
				all = append(all, signer{algorithm.name, algorithm.details, how, what})
			}
		}
	}
	return all
}

// refuses signs twice with one key, and checks each change of a bundle, of what was signed and of who signed. The
// second signature is as good as the first, so that only the log can tell which of them it has.
func refuses(said *report.Report, log, strange *sigstore, each signer, token string) {
	other, err := log.sign(each, token, nil)
	if !said.Check(each.String()+": signed, to be changed", err) {
		return
	}
	made, err := log.sign(each, token, other.pair)
	if !said.Check("... and signed again", err) || !said.Check("... and verified", log.verify(made.bundle, made)) {
		return
	}
	for _, c := range change.Changes {
		changed, err := c.Apply(made.bundle, other.bundle)
		if err != nil {
			said.Check(c.Name, err)
			continue
		}
		err = log.verify(changed, made)
		if why, ok := unread[c.Name]; ok {
			said.Check(fmt.Sprintf("%s, changed in %s: accepted, for %s", each, c.Name, why), err)
			continue
		}
		said.Refused(fmt.Sprintf("%s, changed in %s", each, c.Name), err)
	}
	said.Refused(each.String()+", by a log with another key", strange.verify(made.bundle, made))
	another := *made
	another.content = append([]byte("more "), made.content...)
	if each.what == "blob" {
		said.Refused(each.String()+", another blob", log.verify(made.bundle, &another))
	}
	stranger, err := log.sign(each, token, nil)
	if !said.Check(each.String()+": signed by somebody else", err) {
		return
	}
	another = *stranger
	another.identity, another.hint = "bob@example.com", made.hint
	said.Refused(each.String()+", another signer", log.verify(made.bundle, &another))
}

// signsTwice makes the same signature again, as a build does that runs again.
func signsTwice(said *report.Report, log *sigstore, each signer) {
	first, err := log.sign(each, "", nil)
	if !said.Check(each.String()+": signed, to be signed again", err) {
		return
	}
	again, err := log.sign(each, "", first.pair)
	if !said.Check("... the same signature again", err) || !said.Check("... and verified", log.verify(again.bundle, again)) {
		return
	}
	said.Check("... is the same entry of the log", sameIndex(first, again))
}

func sameIndex(a, b *signed) error {
	if a.index != b.index {
		return fmt.Errorf("one has index %d, the other %d", a.index, b.index)
	}
	return nil
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	got, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer got.Body.Close()
	token, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, got.Status)
	}
	return string(token), err
}
