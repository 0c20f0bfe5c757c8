package cosign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Line is a signature line of a note.
type Line struct {
	Name      string
	ID        uint32
	Signature []byte // without the ID
	Text      string // all of it, with its newline
}

// Format is the line anew, after a change to its fields.
func (l Line) Format() string {
	return FormatLine(l.Name, append(binary.BigEndian.AppendUint32(nil, l.ID), l.Signature...))
}

// ParseLines reads one or more signature lines, rule by rule.
func ParseLines(text string) ([]Line, error) {
	if text == "" || !strings.HasSuffix(text, "\n") {
		return nil, errors.New("no signature lines that end in a newline")
	}
	var lines []Line
	for text := range strings.Lines(text) {
		line, err := parseLine(text)
		if err != nil {
			return nil, fmt.Errorf("signature line %.60q: %w", text, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func parseLine(text string) (Line, error) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), "— ")
	name, encoded, found := strings.Cut(rest, " ")
	if !ok || !found || !validName(name) {
		return Line{}, errors.New("not an em dash, a name and a signature")
	}
	raw, err := decode(encoded)
	if err != nil {
		return Line{}, err
	}
	if len(raw) < 5 {
		return Line{}, errors.New("no signature behind the ID")
	}
	return Line{name, binary.BigEndian.Uint32(raw), raw[4:], text}, nil
}

// ParseNote parts a signed note into its text and its lines.
func ParseNote(raw string) (text string, lines []Line, err error) {
	if !utf8.ValidString(raw) {
		return "", nil, errors.New("the note is not UTF-8")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 && r != '\n' }) {
		return "", nil, errors.New("the note has control characters")
	}
	end := strings.LastIndex(raw, "\n\n")
	if end < 0 {
		return "", nil, errors.New("the note has no empty line")
	}
	lines, err = ParseLines(raw[end+2:])
	return raw[:end+1], lines, err
}

// Trusted returns the lines by the verifiers, all of which must verify; there is one at least.
func Trusted(text string, lines []Line, verifiers []Verifier) ([]Line, error) {
	var trusted []Line
	for _, line := range lines {
		for _, v := range verifiers {
			if !v.Made(line) {
				continue
			}
			if _, err := v.Check(text, line.Signature); err != nil {
				return nil, fmt.Errorf("line of %s (%s): %w", v.name, v.Kind, err)
			}
			trusted = append(trusted, line)
		}
	}
	if len(trusted) == 0 {
		return nil, errors.New("no line by a key that is trusted here")
	}
	return trusted, nil
}
