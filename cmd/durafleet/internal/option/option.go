// Package option reports options that break a rule.
package option

import "fmt"

// Error reports an option that breaks a rule.
type Error struct {
	// Option is the name of the option as a flag, Value what it was, Rule what it has to be.
	Option, Value, Rule string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("--%s %s: %s", e.Option, e.Value, e.Rule) }

// Broken returns the Error about an option.
func Broken(option string, value any, rule string) error {
	return &Error{Option: option, Value: fmt.Sprint(value), Rule: rule}
}
