// Package judge says whose word a published checkpoint has.
package judge

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kiln.example/interop/internal/checkpoint"

	"kiln.example/interop/witness/internal/cosign"
)

// Policy is whose word is needed: that of every key of the log, and of Quorum of the witnesses.
type Policy struct {
	Log       []cosign.Verifier
	Witnesses []Witness
	Quorum    int
}

// Witness has a name, and one key or several: a line by any of them is its word.
type Witness struct {
	Name string
	Keys []cosign.Verifier
}

// Verdict is what a checkpoint says, and who says it.
type Verdict struct {
	checkpoint.Checkpoint
	Text  string
	Lines int
	// The time of each witness that cosigned.
	Cosigned map[string]time.Time
}

// ParseWitness reads `NAME=VKEY[,VKEY...]`.
func ParseWitness(text string) (Witness, error) {
	name, vkeys, found := strings.Cut(text, "=")
	if !found || strings.Contains(name, "+") {
		return Witness{}, errors.New("a witness is NAME=VKEY[,VKEY...]")
	}
	keys, err := ParseVKeys(vkeys)
	return Witness{name, keys}, err
}

// ParseVKeys reads some, with commas.
func ParseVKeys(text string) (keys []cosign.Verifier, err error) {
	for _, vkey := range strings.Split(text, ",") {
		key, err := cosign.ParseVKey(vkey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Judge reads a checkpoint. It is an error if a line by a known key does not verify, wherever it stands, if a
// cosignature has no time, if the log did not sign with each of its keys, or if there are too few witnesses. What was
// found comes back with the error.
func (p Policy) Judge(raw string) (Verdict, error) {
	verdict := Verdict{Cosigned: map[string]time.Time{}}
	text, lines, err := cosign.ParseNote(raw)
	if err != nil {
		return verdict, err
	}
	verdict.Text, verdict.Lines = text, len(lines)
	if verdict.Checkpoint, err = checkpoint.Parse(text); err != nil {
		return verdict, err
	}
	for _, key := range p.Log {
		if _, err := cosign.Trusted(text, lines, []cosign.Verifier{key}); err != nil {
			return verdict, fmt.Errorf("the log's %s key: %w", key.Kind, err)
		}
		if key.Name() != verdict.Origin {
			return verdict, fmt.Errorf("the origin is %q, the key %q", verdict.Origin, key.Name())
		}
	}
	for _, witness := range p.Witnesses {
		if err := verdict.hear(witness, lines); err != nil {
			return verdict, fmt.Errorf("witness %s: %w", witness.Name, err)
		}
	}
	if len(verdict.Cosigned) < p.Quorum {
		return verdict, fmt.Errorf("cosigned by %d of %d witnesses; %d are needed", len(verdict.Cosigned), len(p.Witnesses), p.Quorum)
	}
	return verdict, nil
}

func (v *Verdict) hear(witness Witness, lines []cosign.Line) error {
	for _, line := range lines {
		for _, key := range witness.Keys {
			if !key.Made(line) {
				continue
			}
			seconds, err := key.Check(v.Text, line.Signature)
			if err != nil {
				return err
			}
			at := time.Unix(int64(seconds), 0)
			if seconds == 0 {
				return errors.New("a cosignature without a time")
			}
			if at.After(v.Cosigned[witness.Name]) {
				v.Cosigned[witness.Name] = at
			}
		}
	}
	return nil
}
