package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/internal/store"
)

// PutBack returns what workers that report now have put back, the first to come to light first. Some of it
// may have done so since they reported, and have been put back again.
func (h *Hub) PutBack() []store.ReportPutBack {
	var all []store.ReportPutBack
	for i := range h.Reports {
		report := &h.Reports[i]
		if h.Fresh(report) {
			all = append(all, report.PutBack...)
		}
	}
	slices.SortStableFunc(all, func(a, b store.ReportPutBack) int { return a.Until.Compare(b.Until) })
	return all
}

// Hidden says which messages for an instance were put back, and until when, as far as that is not over.
func (h *Hub) Hidden(instanceID string) []Wait {
	var waits []Wait
	for _, back := range h.PutBack() {
		if back.InstanceID != instanceID || !back.Until.After(h.Now) {
			continue
		}
		what := back.Kind
		if back.Name != "" {
			what += fmt.Sprintf(" (%q)", back.Name)
		}
		article := "a"
		if what != "" && strings.ContainsRune("AEIOU", rune(what[0])) {
			article = "an"
		}
		waits = append(waits, Wait{
			Kind: WaitMessage, Name: back.Name, InstanceID: instanceID, Since: back.Sent, Due: back.Until,
			Text: fmt.Sprintf("%s %s for it was put back until %s, in %s, because %s", article, what, when(back.Until), span(back.Until.Sub(h.Now)), back.Reason),
		})
	}
	return waits
}
