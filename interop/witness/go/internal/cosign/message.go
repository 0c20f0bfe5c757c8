package cosign

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
)

// Subtree is what an ML-DSA-44 cosignature is a statement about: the leaves from Start, below End.
type Subtree struct {
	Origin     string
	Start, End uint64
	Hash       tlog.Hash
}

// Message is the cosigned_message of https://c2sp.org/tlog-cosignature#ml-dsa-44-signed-message.
func (s Subtree) Message(cosigner string, time uint64) []byte {
	message := []byte("subtree/v1\n\x00")
	message = appendShort(message, cosigner)
	message = binary.BigEndian.AppendUint64(message, time)
	message = appendShort(message, s.Origin)
	message = binary.BigEndian.AppendUint64(message, s.Start)
	message = binary.BigEndian.AppendUint64(message, s.End)
	return append(message, s.Hash[:]...)
}

// appendShort is `opaque<1..2^8-1>`.
func appendShort(message []byte, text string) []byte {
	if len(text) < 1 || len(text) > 255 {
		panic(fmt.Sprintf("a name of %d bytes", len(text)))
	}
	return append(append(message, byte(len(text))), text...)
}

// message is what a key of this kind signs for the text of a checkpoint.
func (v Verifier) message(text string, time uint64) ([]byte, error) {
	switch v.Kind {
	case Note:
		return []byte(text), nil
	case Ed25519:
		return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", time, text), nil
	case MLDSA44:
		cp, err := checkpoint.Parse(text)
		if err != nil {
			return nil, err
		}
		if len(cp.Origin) > 255 {
			return nil, fmt.Errorf("an origin of %d bytes", len(cp.Origin))
		}
		whole := Subtree{Origin: cp.Origin, End: uint64(cp.Tree.N), Hash: cp.Tree.Hash}
		return whole.Message(v.name, time), nil
	}
	return nil, fmt.Errorf("keys of kind %s sign nothing here", v.Kind)
}
