// Package report says what came of checks, a line each, as interop/checking.sh does.
package report

import (
	"fmt"
	"strings"
)

// Report counts checks.
type Report struct {
	Group          string
	Passed, Failed int
}

// Check is passed where there is no error. It tells whether.
func (r *Report) Check(what string, err error) bool {
	if r.Group != "" {
		what = r.Group + ": " + what
	}
	if err == nil {
		r.Passed++
		fmt.Printf("ok      %s\n", what)
		return true
	}
	r.Failed++
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 600 {
		text = text[:600] + "..."
	}
	fmt.Printf("FAILED  %s: %s\n", what, text)
	return false
}

// Err is an error if a check failed, or none was made.
func (r *Report) Err() error {
	if r.Failed > 0 || r.Passed == 0 {
		return fmt.Errorf("%d of %d checks failed", r.Failed, r.Passed+r.Failed)
	}
	return nil
}
