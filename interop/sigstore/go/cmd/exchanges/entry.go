package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// An entry is what a log answers with 201: the JSON of a TransparencyLogEntry, in which all fields are there.
type entry struct {
	LogIndex string `json:"logIndex"`
	LogID    struct {
		KeyID []byte `json:"keyId"`
	} `json:"logId"`
	KindVersion struct {
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"kindVersion"`
	IntegratedTime   string          `json:"integratedTime"`
	InclusionPromise json.RawMessage `json:"inclusionPromise"`
	InclusionProof   struct {
		LogIndex   string    `json:"logIndex"`
		RootHash   []byte    `json:"rootHash"`
		TreeSize   string    `json:"treeSize"`
		Hashes     *[][]byte `json:"hashes"`
		Checkpoint struct {
			Envelope string `json:"envelope"`
		} `json:"checkpoint"`
	} `json:"inclusionProof"`
	CanonicalizedBody []byte `json:"canonicalizedBody"`
}

// good tells what is wrong with an entry of that body.
func (e *entry) good(body string) error {
	if string(e.CanonicalizedBody) != body {
		return fmt.Errorf("the body is\n%s\nand not\n%s", e.CanonicalizedBody, body)
	}
	kind := struct{ Kind, APIVersion string }{}
	if err := json.Unmarshal([]byte(body), &kind); err != nil {
		return err
	}
	if e.KindVersion.Kind != kind.Kind || e.KindVersion.Version != kind.APIVersion {
		return fmt.Errorf("kind and version are %v, the body says %v", e.KindVersion, kind)
	}
	if e.IntegratedTime != "0" || string(e.InclusionPromise) != "null" {
		return fmt.Errorf("the time is %q and the promise %s, and not 0 and null", e.IntegratedTime, e.InclusionPromise)
	}
	if len(e.LogID.KeyID) != 32 {
		return fmt.Errorf("the log's ID has %d bytes", len(e.LogID.KeyID))
	}
	return e.proven()
}

// proven is the proof against the checkpoint. Whether the log signed it, others check.
func (e *entry) proven() error {
	p := e.InclusionProof
	if p.Hashes == nil {
		return errors.New("hashes are missing, or null")
	}
	lines := strings.Split(p.Checkpoint.Envelope, "\n")
	if len(lines) < 6 || strings.Count(p.Checkpoint.Envelope, "\n\n") != 1 {
		return fmt.Errorf("the checkpoint is no signed note: %q", p.Checkpoint.Envelope)
	}
	root, _ := json.Marshal(p.RootHash)
	if lines[1] != p.TreeSize || `"`+lines[2]+`"` != string(root) {
		return fmt.Errorf("size and root are %s and %s, and in the checkpoint %s and %s", p.TreeSize, root, lines[1], lines[2])
	}
	if e.LogIndex != p.LogIndex {
		return fmt.Errorf("the index is %s, and in the proof %s", e.LogIndex, p.LogIndex)
	}
	index, err := strconv.ParseUint(e.LogIndex, 10, 63)
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(p.TreeSize, 10, 63)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(e.CanonicalizedBody)
	return proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, bytes.Clone(leaf), *p.Hashes, p.RootHash)
}
