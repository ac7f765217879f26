package taskhub

import "github.com/durafleet/durafleet/internal/diagnosis"

// Finding is something that is wrong with a hub or an instance.
type Finding struct {
	Code     Code
	Severity Severity
	// Likely says that it cannot be concluded for sure: what is hidden in queues cannot be seen.
	Likely bool
	// Text says it in a sentence, Evidence is what it was concluded from.
	Text     string
	Evidence []string
	// InstanceID and Partition say what it is about, as far as it is about one.
	InstanceID string
	Partition  string
	// Fixable says that Client.Fix can do something about it; otherwise Advice says why not, and what to do.
	Fixable bool
	Advice  string
	// AsksOwner says that all that Fix does is to ask the worker that owns the instance, which has to be there to obey.
	AsksOwner bool

	repair diagnosis.Repair
	// ofHub says that it is wrong with the hub, although it is told of an instance.
	ofHub bool
}

// Code names a kind of finding. The codes do not change; there may come others.
type Code string

// The kinds of findings about a hub.
const (
	// CodeNoOwner: nobody owns a partition.
	CodeNoOwner = Code(diagnosis.NoOwner)
	// CodeLeaseExpired: the owner of a partition is gone, and nobody has taken over yet.
	CodeLeaseExpired = Code(diagnosis.LeaseExpired)
	// CodeNotPolling: the owner of a partition does not read its queue.
	CodeNotPolling = Code(diagnosis.NotPolling)
	// CodeNameUnknown: messages wait for a name that the workers that were asked do not know.
	CodeNameUnknown = Code(diagnosis.NameUnknown)
	// CodePartitionCount: there are more control queues than rows of partitions. Nothing is said to be lost, and
	// nothing is sent again, until that is put right: it is not known which queues messages belong to.
	CodePartitionCount = Code(diagnosis.PartitionCount)
	// CodeQueueMissing: a queue does not exist. Create makes it again.
	CodeQueueMissing = Code(diagnosis.QueueMissing)
	// CodeWrongQueue: messages are in a queue that their instances do not belong to.
	CodeWrongQueue = Code(diagnosis.WrongQueue)
	// CodeClockOff: the clock of a worker or of this machine is wrong.
	CodeClockOff = Code(diagnosis.ClockOff)
	// CodePoison: messages were moved aside; see Client.ListPoison.
	CodePoison = Code(diagnosis.Poison)
	// CodeDeadReport: reports of workers that died long ago are left. They are removed by a fix.
	CodeDeadReport = Code(diagnosis.DeadReport)
	// CodeWorkersDie: workers stopped without a word of late, and of what, as far as that is known. One or two are a note.
	CodeWorkersDie = Code(diagnosis.WorkersDie)
	// CodeOtherApplication: workers work on nothing because another application processes the hub. That is a note as long
	// as all partitions have an owner.
	CodeOtherApplication = Code(diagnosis.OtherApplication)
	// CodeUnreadable: a row cannot be read.
	CodeUnreadable = Code(diagnosis.Unreadable)
)

// The kinds of findings about an instance.
const (
	// CodeRowBehind: the status row does not say what the history does. A fix writes it.
	CodeRowBehind = Code(diagnosis.RowBehind)
	// CodeRowMissing: there is a history and no status row. A fix writes that of a child; a row that a client has
	// written before there was a history is not written again, since the instance may have been purged.
	CodeRowMissing = Code(diagnosis.RowMissing)
	// CodeRowForeign: the status row names an execution of which there is no history.
	CodeRowForeign = Code(diagnosis.RowForeign)
	// CodeRowAhead: the status row shows an end that the history does not have. Clients have seen it, so it stays; a fix
	// terminates a history that goes on.
	CodeRowAhead = Code(diagnosis.RowAhead)
	// CodeOrphanedHistory: a history is left of an instance that was purged. A fix deletes it.
	CodeOrphanedHistory = Code(diagnosis.OrphanedHistory)
	// CodeStartLost: the instance is Pending and its start message is gone. A fix sends it again.
	CodeStartLost = Code(diagnosis.StartLost)
	// CodeMessageLost: the history waits for the answer to a message that is gone. A fix sends timers
	// again, and asks the owner of the instance to send the others again.
	CodeMessageLost = Code(diagnosis.MessageLost)
	// CodeAnswerLost: a child has ended, and what it told its parent is gone. A fix sends it again.
	CodeAnswerLost = Code(diagnosis.AnswerLost)
	// CodeSettled: a message is left whose effect is in the history. A worker deletes it once it reads
	// the queue. A fix does so if nothing of the turn that took it in is missing.
	CodeSettled = Code(diagnosis.Settled)
	// CodeOrphanedPayload: payload blobs are left that nothing refers to. A fix deletes those that are
	// older than an hour.
	CodeOrphanedPayload = Code(diagnosis.OrphanedPayload)
	// CodeCorruptHistory: the history cannot be read.
	CodeCorruptHistory = Code(diagnosis.CorruptHistory)
	// CodeHeld: the code does not match the history.
	CodeHeld = Code(diagnosis.Held)
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// SeverityNote is worth knowing, and harms nobody.
	SeverityNote = Severity(diagnosis.Note)
	// SeverityWarning may keep work from going on.
	SeverityWarning = Severity(diagnosis.Warning)
	// SeverityError keeps work from going on until somebody acts.
	SeverityError = Severity(diagnosis.Broken)
)

// Problem reports whether the finding is more than a note.
func (f *Finding) Problem() bool { return f.Severity != SeverityNote }

func findingsOf(found []diagnosis.Finding) []Finding {
	findings := make([]Finding, len(found))
	for i, f := range found {
		findings[i] = Finding{
			Code: Code(f.Code), Severity: Severity(f.Severity), Likely: f.Likely, Text: f.Text, Evidence: f.Evidence,
			InstanceID: f.InstanceID, Partition: f.Partition, Fixable: f.Repair.Possible(), Advice: f.Advice(),
			AsksOwner: f.Repair.Kind == diagnosis.AskOwner || f.Repair.Kind == diagnosis.EndHistory, repair: f.Repair, ofHub: f.OfHub,
		}
	}
	return findings
}
