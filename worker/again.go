package worker

import (
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

// sendAgain adds to a turn the messages that somebody asks for who has found them to be lost. Only
// this worker can make them: the history does not hold their inputs, a replay does. Should they not
// be lost after all, their receivers take them for the doubles they are, but for activities, which
// then run once more.
func (s *session) sendAgain(in *sorted, out *turn.Outcome) error {
	wanted := owedIn(in.apply)
	if len(wanted) == 0 || in.start != nil || out.Replaced || out.Completed != nil {
		return nil
	}
	name := out.State.Started().Name
	binding, ok := s.r.w.registry.orchestration(name)
	if !ok {
		return &unboundError{name}
	}
	owed, err := orchestration.Owed(binding, s.r.w.executionOptions(), out.State.Events())
	if err != nil {
		return fmt.Errorf("find what is to be sent again: %w", err)
	}
	messages := turn.Again(out.State, owed, wanted)
	s.r.log.Info("messages are sent again by request", "instance", s.id, "calls", wanted, "messages", len(messages))
	out.Messages = append(out.Messages, messages...)
	return nil
}

// owedIn returns the calls whose messages the batch asks for.
func owedIn(batch []*held) []int32 {
	var wanted []int32
	for _, h := range batch {
		if private := h.Content.Private; private != nil && h.Content.Event.Kind() == history.KindGenericEvent {
			wanted = append(wanted, private.Owed...)
		}
	}
	return wanted
}
