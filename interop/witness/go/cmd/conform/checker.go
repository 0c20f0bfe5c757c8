package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/report"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// checker asks, and says whether the answers are right.
type checker struct {
	*wire.Client
	*world
	report.Report
	verifiers         []cosign.Verifier
	writers, requests int
}

// refused sends a body to add-checkpoint that must be answered with one of the statuses, and without a cosignature.
func (c *checker) refused(what, body string, statuses ...int) {
	c.refusedAt("/add-checkpoint", what, body, statuses...)
}

func (c *checker) refusedAt(path, what, body string, statuses ...int) {
	answer, err := c.Post(path, body)
	c.Check(fmt.Sprintf("%s: %s", what, oneOf(statuses)), refusal(answer, err, statuses...))
}

func refusal(answer wire.Answer, err error, statuses ...int) error {
	switch {
	case err != nil:
		return err
	case !slices.Contains(statuses, answer.Status):
		return fmt.Errorf("answered %s", answer)
	case strings.HasPrefix(answer.Body, "— ") || strings.Contains(answer.Body, "\n— "):
		return fmt.Errorf("a signature line in %s", answer)
	}
	return nil
}

func oneOf(statuses []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(statuses), "[]"), " ", " or ")
}

// conflicts is refused with 409, which must tell the size.
func (c *checker) conflicts(what, body string, size int64) {
	answer, err := c.Post("/add-checkpoint", body)
	if err = refusal(answer, err, 409); err == nil {
		var told int64
		if told, err = answer.Size(); err == nil && told != size {
			err = fmt.Errorf("it says %d", told)
		}
	}
	c.Check(fmt.Sprintf("%s: 409, %d", what, size), err)
}

// cosigned sends a request that must be answered with good cosignatures of the text, and returns those.
func (c *checker) cosigned(what, body string) string {
	before := time.Now()
	answer, err := c.Post("/add-checkpoint", body)
	if err == nil {
		err = c.cosignatures(answer, textOf(body), before)
	}
	c.Check(what+": 200", err)
	return answer.Body
}

// grows is cosigned, from a size of a log to another.
func (c *checker) grows(what string, log *testlog.Log, old, size int64) string {
	return c.cosigned(what, log.Grow(old, size))
}

// textOf is the text of the note in a request.
func textOf(body string) string {
	_, note, _ := strings.Cut(body, "\n\n")
	end := strings.LastIndex(note, "\n\n")
	return note[:end+1]
}

// cosignatures verifies an answer: a line by each key of the witness and no other, all of them good, of now.
func (c *checker) cosignatures(answer wire.Answer, text string, before time.Time) error {
	if answer.Status != 200 {
		return fmt.Errorf("answered %s", answer)
	}
	lines, err := cosign.ParseLines(answer.Body)
	if err != nil {
		return err
	}
	if len(lines) != len(c.verifiers) {
		return fmt.Errorf("%d lines, for %d keys", len(lines), len(c.verifiers))
	}
	for _, v := range c.verifiers {
		if err := cosignature(lines, v, text, before); err != nil {
			return fmt.Errorf("%s key: %w", v.Kind, err)
		}
	}
	return nil
}

func cosignature(lines []cosign.Line, v cosign.Verifier, text string, before time.Time) error {
	i := slices.IndexFunc(lines, v.Made)
	if i < 0 {
		return errors.New("no line by it")
	}
	at, err := v.Check(text, lines[i].Signature)
	if err != nil {
		return err
	}
	if at == 0 {
		return errors.New("no time in it")
	}
	if signed := time.Unix(int64(at), 0); signed.Before(before.Add(-2*time.Second)) || signed.After(time.Now().Add(2*time.Second)) {
		return fmt.Errorf("signed at %s, it is %s", signed, before)
	}
	return nil
}

// monitored is passed if the monitoring prefix shows that text, with the lines of the witness that were returned, and
// a good signature by each key of the log that signed. A witness may take its time.
func (c *checker) monitored(what string, log *testlog.Log, text, returned string) {
	var err error
	for range 20 {
		var answer wire.Answer
		answer, err = c.Monitored(log.Origin)
		if err == nil {
			if err = shows(answer, log, text, returned); err == nil {
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.Check(what, err)
}

func shows(answer wire.Answer, log *testlog.Log, text, returned string) error {
	if answer.Status != 200 {
		return fmt.Errorf("answered %s", answer)
	}
	shown, lines, err := cosign.ParseNote(answer.Body)
	if err != nil {
		return err
	}
	if shown != text {
		return fmt.Errorf("it shows %q", shown)
	}
	signed, err := cosign.Trusted(shown, lines, log.Verifiers())
	if err != nil {
		return err
	}
	if len(signed) != len(log.Keys) {
		return fmt.Errorf("%d signatures of the log, not %d", len(signed), len(log.Keys))
	}
	for line := range strings.Lines(returned) {
		if !slices.ContainsFunc(lines, func(l cosign.Line) bool { return l.Text == line }) {
			return fmt.Errorf("it lacks %.60q, which was returned", line)
		}
	}
	return nil
}

// lives is that a log goes on as if what was refused had not been.
func (c *checker) lives(log *testlog.Log, old, size int64) {
	c.grows(fmt.Sprintf("... and nothing of it counts: it grows from %d to %d", old, size), log, old, size)
}
