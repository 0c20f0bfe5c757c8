// Package exit ends the programs here alike: 0 when all is well, 1 when it is not, 2 when called wrongly.
package exit

import (
	"errors"
	"fmt"
	"os"
)

type usage string

func (u usage) Error() string { return "usage: " + string(u) }

// Usage is the error of a call that the program does not understand.
func Usage(text string) error { return usage(text) }

// With ends the program, and says why where there is an error.
func With(program string, err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
	var wrong usage
	if errors.As(err, &wrong) {
		os.Exit(2)
	}
	os.Exit(1)
}
