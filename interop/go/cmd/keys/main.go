// Keys makes and checks keys and notes with Go's note package:
//
//	keys new -name NAME              prints a new secret key
//	keys pem                         prints a new secret key as PKCS#8, without a name
//	keys vkey -skey FILE             prints the verifier key of a secret key
//	keys vkey -skey FILE -name NAME  the same for PKCS#8
//	keys sign -skey FILE TEXT        prints the note: the file TEXT, signed
//	keys verify -vkey V NOTE         prints the text of the file NOTE, once it is verified
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"kiln.example/interop/internal/cli"
)

// pemType is what OpenSSL calls PKCS#8.
const pemType = "PRIVATE KEY"

func main() {
	if len(os.Args) < 2 {
		cli.Exit("keys", cli.Usage("keys new|pem|vkey|sign|verify"))
	}
	flags := flag.NewFlagSet("keys "+os.Args[1], flag.ExitOnError)
	name := flags.String("name", "", "name of the key")
	skey := flags.String("skey", "", "file that holds a secret key in note form")
	vkey := flags.String("vkey", "", "verifier key")
	if err := flags.Parse(os.Args[2:]); err != nil {
		cli.Exit("keys", cli.Usage("%v", err))
	}
	commands := map[string]func() (string, error){
		"new":    func() (string, error) { return newKey(*name) },
		"pem":    newPEM,
		"vkey":   func() (string, error) { return publicHalf(*skey, *name) },
		"sign":   func() (string, error) { return sign(*skey, flags.Arg(0)) },
		"verify": func() (string, error) { return verify(*vkey, flags.Arg(0)) },
	}
	command, ok := commands[os.Args[1]]
	if !ok {
		cli.Exit("keys", cli.Usage("keys new|pem|vkey|sign|verify"))
	}
	output, err := command()
	fmt.Print(output)
	cli.Exit("keys", err)
}

func newKey(name string) (string, error) {
	skey, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", err
	}
	if _, err := note.NewSigner(skey); err != nil {
		return "", cli.Usage("-name %q: %v", name, err)
	}
	return skey + "\n", nil
}

func newPEM() (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})), err
}

func readSecret(file string) (string, error) {
	raw, err := os.ReadFile(file)
	return strings.TrimSuffix(string(raw), "\n"), err
}

// publicHalf derives the verifier key; note itself only does so while it generates a pair.
func publicHalf(file, name string) (string, error) {
	skey, err := readSecret(file)
	if err != nil {
		return "", err
	}
	if block, _ := pem.Decode([]byte(skey + "\n")); block != nil {
		return publicHalfOfPEM(block, name)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return "", err
	}
	parts := strings.SplitN(skey, "+", 5) // NewSigner has checked that there are five
	key, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil {
		return "", err
	}
	return vkeyOf(signer.Name(), ed25519.NewKeyFromSeed(key[1:]))
}

func publicHalfOfPEM(block *pem.Block, name string) (string, error) {
	if block.Type != pemType || name == "" {
		return "", cli.Usage("a PKCS#8 key and -name NAME, not %q", block.Type)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return "", fmt.Errorf("a %T is no Ed25519 key", parsed)
	}
	return vkeyOf(name, key)
}

func vkeyOf(name string, key ed25519.PrivateKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	return vkey + "\n", err
}

func sign(skeyFile, textFile string) (string, error) {
	skey, err := readSecret(skeyFile)
	if err != nil {
		return "", err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(textFile)
	if err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	return string(signed), err
}

func verify(vkey, noteFile string) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", cli.Usage("-vkey: %v", err)
	}
	raw, err := os.ReadFile(noteFile)
	if err != nil {
		return "", err
	}
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	return opened.Text, nil
}
