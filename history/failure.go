package history

// FailureDetails describes an error in the shape the Durable Task family stores it.
type FailureDetails struct {
	// Type names the error type, e.g. "errors.errorString" or "System.ArgumentException".
	Type string
	// Message is the text of the error.
	Message string
	// Stack is the stack trace, empty if none was captured.
	Stack string
	// Inner is the cause, nil if there is none.
	Inner *FailureDetails
	// NonRetriable marks a failure that a retry policy must not retry.
	NonRetriable bool
	// Properties holds additional values, decoded as encoding/json decodes into any.
	Properties map[string]any
}

// String returns "Type: Message", the form in which a failed instance shows its failure.
func (d *FailureDetails) String() string {
	if d == nil {
		return ""
	}
	return d.Type + ": " + d.Message
}

// HasType reports whether the failure or one of its causes has the given type name.
func (d *FailureDetails) HasType(name string) bool {
	for ; d != nil; d = d.Inner {
		if d.Type == name {
			return true
		}
	}
	return false
}
