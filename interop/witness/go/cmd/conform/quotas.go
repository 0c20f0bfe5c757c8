package main

import (
	"errors"
	"fmt"
	"strconv"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/wire"
)

// checkQuotas is that the list's queries a day are what a log can have. How many may come at once is the witness'.
func checkQuotas(c *checker) {
	log := c.log("few")
	text := log.Text(1)
	for range 100 {
		bad := wire.AddCheckpoint(0, nil, text+"\n"+cosign.TestKey(cosign.Note, log.Origin, "a stranger").Cosign(text, 0))
		if answer, err := c.Post("/add-checkpoint", bad); err != nil || answer.Status != 403 {
			c.Check("what others sign does not count", fmt.Errorf("answered %s %v", answer, err))
			break
		}
	}
	c.grows("24 queries a day: the first, after a hundred that others signed", log, 0, 1)
	size, answered, err := int64(1), wire.Answer{}, error(nil)
	for answered.Status != 429 && size < 200 && err == nil {
		answered, err = c.Post("/add-checkpoint", log.Grow(size, size+1))
		switch {
		case err == nil && answered.Status == 200:
			size++
		case err == nil && answered.Status != 429:
			err = fmt.Errorf("answered %s", answered)
		}
	}
	if err == nil && answered.Status != 429 {
		err = errors.New("200 queries are taken")
	}
	c.Check(fmt.Sprintf("... and %d more, and then 429", size-1), err)
	c.Check("... which says when to come again", retryAfter(answered))
	c.Check("... and again 429", c.stillRefused(log.Grow(size, size+1)))
	c.monitored("... and changes nothing: what was cosigned last is shown", log, log.Text(size), "")
	bystander := c.log("bystander")
	answer, err := c.Post("/add-checkpoint", bystander.Grow(0, 16))
	if err == nil && answer.Status != 200 && answer.Status != 409 {
		err = fmt.Errorf("answered %s", answer)
	}
	c.Check("... another log goes on", err)
}

func (c *checker) stillRefused(body string) error {
	answer, err := c.Post("/add-checkpoint", body)
	return refusal(answer, err, 429)
}

// retryAfter is the seconds that it says, of which there are some, and fewer than two days'.
func retryAfter(answer wire.Answer) error {
	text := answer.Header.Get("Retry-After")
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || seconds > 2*86400 {
		return fmt.Errorf("Retry-After: %q", text)
	}
	return nil
}
