package orchestration

import (
	"maps"
	"slices"

	"github.com/durafleet/durafleet/history"
)

// Owed replays a recorded history and returns the actions in it that have not been answered yet, in
// the order of their ids: with them, what was sent for these actions can be sent again, inputs
// included, which the history does not hold. Detached children, which nobody answers, are left out.
// A *NonDeterminismError if the code does not do what was recorded.
func Owed(binding Binding, options Options, recorded []history.Event) ([]Action, error) {
	x := NewExecution(binding, options)
	defer x.Close()
	x.keep = true
	if err := x.Replay(recorded); err != nil {
		return nil, err
	}
	var owed []Action
	for _, id := range slices.Sorted(maps.Keys(x.open)) {
		if _, unrecorded := x.actions[id]; !unrecorded {
			owed = append(owed, x.open[id].action)
		}
	}
	return owed, nil
}
