// Package change changes the log's part of a Sigstore bundle, one thing at a time, in each way that a verifier
// has to notice.
package change

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// A Change is one thing that is wrong with a bundle.
type Change struct {
	Name string // as the changed bundle's file
	make func(e *entry) error
}

// Changes is all of them. A verifier may leave a field unread that says again what another one says; each client
// here lists those of which it does not see the change.
var Changes = []Change{
	{"proof-hash", func(e *entry) error {
		return e.hashes(func(h []any) ([]any, error) { h[0] = flipped(h[0]); return h, nil })
	}},
	{"proof-short", func(e *entry) error { return e.hashes(func(h []any) ([]any, error) { return h[:len(h)-1], nil }) }},
	{"proof-long", func(e *entry) error { return e.hashes(func(h []any) ([]any, error) { return append(h, h[0]), nil }) }},
	{"proof-missing", func(e *entry) error { delete(e.all, "inclusionProof"); return nil }},
	{"root-hash", func(e *entry) error { e.proof["rootHash"] = flipped(e.proof["rootHash"]); return nil }},
	{"tree-size", double}, // and so the proof is too short for certain
	{"proof-index", func(e *entry) error { return add(e.proof, "logIndex", -1) }},
	{"log-index", func(e *entry) error { return add(e.all, "logIndex", -1) }},
	{"both-indexes", func(e *entry) error { return errors.Join(add(e.all, "logIndex", -1), add(e.proof, "logIndex", -1)) }},
	{"checkpoint-origin", func(e *entry) error { return e.checkpoint(func(l []string) { l[0] = "other.example" }) }},
	{"checkpoint-size", func(e *entry) error { return e.checkpoint(func(l []string) { l[1] += "0" }) }},
	{"checkpoint-root", func(e *entry) error { return e.checkpoint(func(l []string) { l[2] = flipped(l[2]) }) }},
	{"checkpoint-signature", func(e *entry) error { return e.checkpoint(badSignatures) }},
	{"checkpoint-key-id", func(e *entry) error { return e.checkpoint(otherKeyIDs) }},
	{"checkpoint-name", func(e *entry) error { return e.checkpoint(otherNames) }},
	{"checkpoint-unsigned", func(e *entry) error { return e.note(func(text string) string { return text + "\n" }) }},
	{"cosigned", func(e *entry) error { return e.checkpoint(cosigned) }}, // which is nothing wrong
	{"checkpoint-missing", func(e *entry) error { delete(e.proof, "checkpoint"); return nil }},
	{"forged-tree", forge},
	{"log-id", func(e *entry) error {
		id := e.all["logId"].(map[string]any)
		id["keyId"] = flipped(id["keyId"])
		return nil
	}},
	{"body-digest", func(e *entry) error { return e.body(otherDigest) }},
	{"body-bytes", func(e *entry) error { return e.body(func(b []byte) []byte { return append(b, ' ') }) }},
	{"body-empty", func(e *entry) error { return e.body(func([]byte) []byte { return []byte("{}") }) }},
	{"kind-version", func(e *entry) error { e.all["kindVersion"].(map[string]any)["version"] = "0.0.9"; return nil }},
	{"promise", func(e *entry) error {
		e.all["inclusionPromise"] = map[string]any{"signedEntryTimestamp": "bm8gc2lnbmF0dXJl"}
		return nil
	}},
	{"entry-missing", nil}, // the whole entry
	{"other-entry", nil},   // that of another bundle
}

// Apply is the bundle with that change. Other is another bundle of the same log.
func (c Change) Apply(bundle, other []byte) ([]byte, error) {
	parsed, e, err := open(bundle)
	if err != nil {
		return nil, err
	}
	material := parsed["verificationMaterial"].(map[string]any)
	switch c.Name {
	case "entry-missing":
		material["tlogEntries"] = []any{}
	case "other-entry":
		_, another, err := open(other)
		if err != nil {
			return nil, err
		}
		material["tlogEntries"] = []any{another.all}
	default:
		if err := c.make(e); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	changed, err := json.Marshal(parsed)
	if err == nil && bytes.Equal(changed, compact(bundle)) {
		return nil, fmt.Errorf("%s changes nothing", c.Name)
	}
	return changed, err
}

// entry is the log's part, as JSON.
type entry struct {
	all, proof map[string]any
}

func open(bundle []byte) (map[string]any, *entry, error) {
	var parsed map[string]any
	if err := json.Unmarshal(bundle, &parsed); err != nil {
		return nil, nil, err
	}
	material, _ := parsed["verificationMaterial"].(map[string]any)
	entries, _ := material["tlogEntries"].([]any)
	if len(entries) != 1 {
		return nil, nil, fmt.Errorf("the bundle has %d entries of logs, not 1", len(entries))
	}
	all, _ := entries[0].(map[string]any)
	proof, _ := all["inclusionProof"].(map[string]any)
	if proof == nil {
		return nil, nil, errors.New("the entry has no inclusion proof")
	}
	return parsed, &entry{all: all, proof: proof}, nil
}

// compact is the bundle as it would be written without a change.
func compact(bundle []byte) []byte {
	var parsed any
	if json.Unmarshal(bundle, &parsed) != nil {
		return nil
	}
	same, _ := json.Marshal(parsed)
	return same
}

func (e *entry) hashes(change func([]any) ([]any, error)) error {
	hashes, _ := e.proof["hashes"].([]any)
	if len(hashes) == 0 {
		return errors.New("the proof has no hashes: this needs an entry that is not alone in its log")
	}
	changed, err := change(hashes)
	e.proof["hashes"] = changed
	return err
}

// note changes the checkpoint, of which change gets the signed text and leaves the whole.
func (e *entry) note(change func(text string) string) error {
	checkpoint, _ := e.proof["checkpoint"].(map[string]any)
	envelope, _ := checkpoint["envelope"].(string)
	text, _, found := strings.Cut(envelope, "\n\n")
	if !found {
		return errors.New("the checkpoint is not signed")
	}
	checkpoint["envelope"] = change(text + "\n")
	return nil
}

// checkpoint changes lines: origin, size, root, an empty one, signatures.
func (e *entry) checkpoint(change func(lines []string)) error {
	checkpoint, _ := e.proof["checkpoint"].(map[string]any)
	envelope, _ := checkpoint["envelope"].(string)
	lines := strings.Split(envelope, "\n")
	if len(lines) < 6 {
		return errors.New("the checkpoint has too few lines")
	}
	change(lines)
	checkpoint["envelope"] = strings.Join(lines, "\n")
	return nil
}

const dash = "— "

func badSignatures(lines []string) {
	each(lines, func(name, signature string) string { return name + " " + flipped(signature) })
}

func otherKeyIDs(lines []string) {
	each(lines, func(name, signature string) string {
		bytes, _ := base64.StdEncoding.DecodeString(signature)
		bytes[0] ^= 1
		return name + " " + base64.StdEncoding.EncodeToString(bytes)
	})
}

func otherNames(lines []string) {
	each(lines, func(_, signature string) string { return "other.example " + signature })
}

// cosigned adds a line as a witness does, whom no client here knows.
func cosigned(lines []string) {
	cosignature := make([]byte, 4+8+ed25519.SignatureSize)
	_, err := rand.Read(cosignature)
	must(err)
	lines[len(lines)-1] = dash + "witness.example " + base64.StdEncoding.EncodeToString(cosignature) + "\n"
}

// each changes every signature line, those of witnesses too.
func each(lines []string, change func(name, signature string) string) {
	for i, line := range lines {
		if rest, found := strings.CutPrefix(line, dash); found {
			name, signature, _ := strings.Cut(rest, " ")
			lines[i] = dash + change(name, signature)
		}
	}
}

// body changes what the log says the entry is.
func (e *entry) body(change func([]byte) []byte) error {
	body, err := base64.StdEncoding.DecodeString(e.all["canonicalizedBody"].(string))
	e.all["canonicalizedBody"] = base64.StdEncoding.EncodeToString(change(body))
	return err
}

// otherDigest changes the last bits of the first digest, and leaves all else as it was.
func otherDigest(body []byte) []byte {
	const before = `"digest":"`
	at := bytes.Index(body, []byte(before)) + len(before)
	end := at + bytes.IndexByte(body[at:], '"')
	return append(append(bytes.Clone(body[:at]), flipped(string(body[at:end]))...), body[end:]...)
}

// forge says that the entry is alone in a log, by a checkpoint with the name and the key ID of the real one
// and a signature of somebody else.
func forge(e *entry) error {
	body, err := base64.StdEncoding.DecodeString(e.all["canonicalizedBody"].(string))
	if err != nil {
		return err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	root := base64.StdEncoding.EncodeToString(leaf[:])
	e.all["logIndex"] = "0"
	maps.Copy(e.proof, map[string]any{"logIndex": "0", "treeSize": "1", "rootHash": root, "hashes": []any{}})
	return e.checkpoint(func(lines []string) {
		lines[1], lines[2] = "1", root
		text := strings.Join(lines[:3], "\n") + "\n"
		each(lines, func(name, old string) string {
			id, _ := base64.StdEncoding.DecodeString(old)
			return name + " " + base64.StdEncoding.EncodeToString(append(id[:4:4], strange(id[4:], text)...))
		})
	})
}

// strange is a signature of the same kind by a key that nobody knows.
func strange(signature []byte, text string) []byte {
	if len(signature) == ed25519.SignatureSize {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		return ed25519.Sign(key, []byte(text))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	digest := sha256.Sum256([]byte(text))
	made, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	must(err)
	return made
}

// must is for what fails only without random numbers.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func double(e *entry) error {
	size, err := strconv.ParseInt(fmt.Sprint(e.proof["treeSize"]), 10, 64)
	return errors.Join(err, add(e.proof, "treeSize", size))
}

// add to a number, which protobuf writes in JSON as a string and leaves out where it is 0.
func add(fields map[string]any, name string, n int64) error {
	text, _ := fields[name].(string)
	if text == "" {
		text = "0"
	}
	old, err := strconv.ParseInt(text, 10, 64)
	fields[name] = strconv.FormatInt(old+n, 10)
	return err
}

// flipped is the base64 with a bit of its last byte changed.
func flipped(base64text any) string {
	bytes, err := base64.StdEncoding.DecodeString(base64text.(string))
	if err != nil || len(bytes) == 0 {
		panic(fmt.Sprintf("%v is no base64 of something", base64text)) // the bundle is one that a client took
	}
	bytes[len(bytes)-1] ^= 1
	return base64.StdEncoding.EncodeToString(bytes)
}
