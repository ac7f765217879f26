package failure

import (
	"encoding/json"

	"github.com/durafleet/durafleet/history"
)

// exception is a .NET exception as Newtonsoft.Json serialises it.
type exception struct {
	ClassName        string
	Message          string
	StackTraceString string
	InnerException   *exception
}

// FromException describes a serialised .NET exception, the form in which workers report failures
// that do not use failure details. It returns nil if the text is not one.
func FromException(text *string) *history.FailureDetails {
	if text == nil {
		return nil
	}
	var e exception
	if json.Unmarshal([]byte(*text), &e) != nil || e.ClassName == "" {
		return nil
	}
	return e.describe(0)
}

func (e *exception) describe(depth int) *history.FailureDetails {
	if e == nil || depth == maxDepth {
		return nil
	}
	return &history.FailureDetails{
		Type: e.ClassName, Message: e.Message, Stack: e.StackTraceString, Inner: e.InnerException.describe(depth + 1),
	}
}
