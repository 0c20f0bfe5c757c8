// Package report prints a line for each check, as interop/checking.sh does.
package report

import (
	"fmt"
	"strings"
)

// A Report counts what failed.
type Report struct{ Failed int }

// Check is passed where there is no error.
func (r *Report) Check(what string, err error) bool {
	if err != nil {
		r.Failed++
		fmt.Printf("FAILED  %s: %s\n", what, line(err))
		return false
	}
	fmt.Printf("ok      %s\n", what)
	return true
}

// Refused is passed where there is one, which it shows.
func (r *Report) Refused(what string, err error) {
	if err == nil {
		r.Failed++
		fmt.Printf("FAILED  %s: accepted\n", what)
		return
	}
	fmt.Printf("ok      %s: refused: %s\n", what, line(err))
}

func line(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
