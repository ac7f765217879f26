package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/taskhub"
)

// findingView is a finding as it is printed.
type findingView struct {
	Code       string   `json:"code"`
	Severity   string   `json:"severity"`
	Likely     bool     `json:"likely"`
	Text       string   `json:"text"`
	Evidence   []string `json:"evidence"`
	InstanceID string   `json:"instanceId,omitempty"`
	Partition  string   `json:"partition,omitempty"`
	Fixable    bool     `json:"fixable"`
	// Fixed says what was done about it, Asked what was asked for and is not done yet, NotFixed why nothing was.
	Fixed    string `json:"fixed,omitempty"`
	Asked    string `json:"asked,omitempty"`
	NotFixed string `json:"notFixed,omitempty"`

	problem bool
}

// problemsError reports that something is wrong with a hub or an instance. What, has been printed.
type problemsError struct{ count int }

// Error implements error.
func (e *problemsError) Error() string {
	if e.count == 1 {
		return "1 problem found"
	}
	return fmt.Sprintf("%d problems found", e.count)
}

// treat returns findings as they are printed, after having fixed what can be, if that is asked for.
func (p *program) treat(ctx context.Context, client *taskhub.Client, findings []taskhub.Finding, fix bool) []findingView {
	views := make([]findingView, len(findings))
	for i := range findings {
		f := &findings[i]
		views[i] = findingView{
			Code: string(f.Code), Severity: string(f.Severity), Likely: f.Likely, Text: f.Text,
			Evidence: append([]string{}, f.Evidence...), InstanceID: f.InstanceID, Partition: f.Partition,
			Fixable: f.Fixable, problem: f.Problem(),
		}
		if !fix {
			continue
		}
		if !f.Fixable {
			views[i].NotFixed = f.Advice
			continue
		}
		done, err := client.Fix(ctx, f)
		switch {
		case errors.Is(err, taskhub.ErrMoved):
			views[i].Fixed = "nothing was left to do: it has changed meanwhile"
		case err != nil:
			views[i].NotFixed = err.Error()
		case f.AsksOwner:
			views[i].Asked = done
		default:
			views[i].Fixed = done
		}
	}
	return views
}

// unsolved returns an error if problems are left.
func unsolved(views []findingView) error {
	left := 0
	for i := range views {
		if views[i].problem && views[i].Fixed == "" {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	return &problemsError{left}
}

func (p *program) printFindings(views []findingView) {
	for i := range views {
		f := &views[i]
		about := ""
		if f.InstanceID != "" {
			about = "instance " + excerpt(f.InstanceID) + ": "
		}
		likely := ""
		if f.Likely {
			likely = "likely, "
		}
		fmt.Fprintf(p.Out, "\n%s (%s%s): %s%s\n", f.Severity, likely, f.Code, about, f.Text)
		for _, evidence := range f.Evidence {
			fmt.Fprintf(p.Out, "  seen: %s\n", line(evidence))
		}
		switch {
		case f.Fixed != "":
			fmt.Fprintf(p.Out, "  fixed: %s\n", f.Fixed)
		case f.Asked != "":
			fmt.Fprintf(p.Out, "  not fixed yet: %s\n", f.Asked)
		case f.NotFixed != "":
			fmt.Fprintf(p.Out, "  not fixed: %s\n", f.NotFixed)
		case f.Fixable:
			fmt.Fprintln(p.Out, "  --fix can do something about it")
		}
	}
}

// line returns a text on one line, whatever is in it.
func line(text string) string {
	const longest = 400
	runes := []rune(text)
	if len(runes) > longest {
		runes = append(runes[:longest], '…')
	}
	for i, r := range runes {
		if r < ' ' {
			runes[i] = ' '
		}
	}
	return string(runes)
}
