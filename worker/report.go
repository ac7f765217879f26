package worker

import (
	"context"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/taskhub"
)

const (
	reportInterval = time.Minute
	// firstReport is how long after its start a worker reports first: it has partitions then.
	firstReport   = 2 * time.Second
	reportTimeout = 10 * time.Second
	// newsPause is how long after news a report tells of it: more may follow. earlyPause is the least time
	// between reports because of news.
	newsPause  = 2 * time.Second
	earlyPause = 10 * time.Second
	// maxReported bounds each list of a report, so that it stays small.
	maxReported = 100
)

// report tells others how this worker is, when it has begun and then once a minute, and soon when a new kind
// of trouble has appeared. Nobody depends on it, so what goes wrong with it is not worth anybody's attention.
func (w *Worker) report(ctx context.Context) {
	var last time.Time
	for pause := firstReport; ; pause = reportInterval {
		if run.SleepOr(ctx, pause, w.trouble, nil) {
			run.Sleep(ctx, max(newsPause, earlyPause-time.Since(last)))
			run.Ready(w.trouble)
		}
		if ctx.Err() != nil {
			return
		}
		last = time.Now()
		w.putReport(ctx)
	}
}

// alarm makes the next report go out early.
func (w *Worker) alarm() {
	select {
	case w.trouble <- struct{}{}:
	default:
	}
}

func (w *Worker) putReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(storage.WithCause(ctx, storage.CauseReport), reportTimeout)
	defer cancel()
	if err := w.hub.PutReport(ctx, reportOf(w.Health())); err != nil {
		w.opts.Logger.Debug("health report not stored", "error", err)
	}
}

// withdrawReport removes the report of a worker that stops: one that is left speaks of a worker
// that has died.
func (w *Worker) withdrawReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(storage.WithCause(ctx, storage.CauseReport), reportTimeout)
	defer cancel()
	if err := w.hub.DeleteReport(ctx, w.opts.WorkerID); err != nil {
		w.opts.Logger.Debug("health report not removed", "error", err)
	}
}

// reportOf returns the compact form of a worker's health.
func reportOf(h taskhub.WorkerHealth) store.Report {
	report := store.Report{
		WorkerID: h.WorkerID, At: h.At, Started: h.Started, Stalls: h.Stalls,
		Activities: h.Activities, Buffered: h.Buffered, Doorbell: h.Doorbell, Rings: h.Rings,
		WorkItems: store.ReportHolding(h.WorkItems),
		Cost:      store.ReportCost{Counter: h.Cost.Counter, Since: h.Cost.Since},
	}
	for _, r := range h.Cost.Requests {
		report.Cost.Requests = append(report.Cost.Requests, store.ReportRequests(r))
	}
	report.Application, report.Standby = h.Application, h.Standby
	for _, a := range h.Attempts {
		report.Attempts = append(report.Attempts, store.ReportAttempt{
			Kind: string(a.Kind), Name: a.Name, InstanceID: a.InstanceID, Number: a.Number, Since: a.Since,
		})
	}
	for _, p := range h.Partitions {
		p.LeaseAge = p.LeaseAge.Truncate(time.Millisecond)
		report.Partitions = append(report.Partitions, store.ReportPartition(p))
	}
	for _, name := range first(h.Unknown) {
		report.Unknown = append(report.Unknown, store.ReportName{
			Kind: string(name.Kind), Name: name.Name, Count: name.Count, Since: name.Since, LastSeen: name.LastSeen,
			Messages: name.Messages, NextTry: name.NextTry,
		})
	}
	for _, held := range first(h.Held) {
		report.Held = append(report.Held, store.ReportInstance(held))
	}
	for _, back := range first(h.PutBack) {
		report.PutBack = append(report.PutBack, store.ReportPutBack(back))
	}
	for _, activity := range first(h.Running) {
		report.Running = append(report.Running, store.ReportActivity(activity))
	}
	return report
}

func first[T any](list []T) []T { return list[:min(len(list), maxReported)] }
