package history

// eventSize is about what an event takes in memory beside its texts, with what a State notes about it.
const eventSize = 400

// Size returns about how many bytes the state takes in memory.
func (s *State) Size() int { return s.size }

// sizeOf returns about how many bytes an event takes in memory. Names are left out: those of one
// orchestration's events are few.
func sizeOf(e Event) int {
	size := eventSize
	for _, text := range texts(e) {
		if text != nil {
			size += len(*text)
		}
	}
	return size
}

// texts returns the texts of an event that may be large.
func texts(e Event) []*string {
	switch e := e.(type) {
	case *ExecutionStarted:
		return []*string{e.Input}
	case *ExecutionCompleted:
		return append(failureTexts(e.Failure), e.Result)
	case *TaskScheduled:
		return []*string{e.Input}
	case *TaskCompleted:
		return []*string{e.Result}
	case *TaskFailed:
		return append(failureTexts(e.Failure), e.Reason, e.Details)
	case *SubOrchestrationCreated:
		return []*string{e.Input}
	case *SubOrchestrationCompleted:
		return []*string{e.Result}
	case *SubOrchestrationFailed:
		return append(failureTexts(e.Failure), e.Reason, e.Details)
	case *EventSent:
		return []*string{e.Input}
	case *EventRaised:
		return []*string{e.Input}
	case *ContinueAsNew:
		return []*string{e.Result}
	case *GenericEvent:
		return []*string{e.Data}
	default:
		return nil
	}
}

func failureTexts(f *FailureDetails) []*string {
	var all []*string
	for ; f != nil; f = f.Inner {
		all = append(all, &f.Message, &f.Stack)
	}
	return all
}
