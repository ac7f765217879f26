package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// begun says that an instance is under way, or has ended.
func begun(i *wire.Instance) bool { return i.Status != history.Pending }

// greeting drives instances that greet so many cities each.
func greeting(o orchestration.Orchestrator[int, []string], cities int) func(*driver, context.Context, int) (int, error) {
	check := equals(allGreetings(cities))
	return func(d *driver, ctx context.Context, count int) (int, error) {
		return count, d.times(ctx, count, func(ctx context.Context, _ int) error {
			_, err := complete(ctx, d, o, cities, check)
			return err
		})
	}
}

func (d *driver) longHistory(ctx context.Context, count int) (int, error) {
	_, err := complete(ctx, d, greetings, count, equals(allGreetings(count)))
	return 1, err
}

func (d *driver) fanOut(ctx context.Context, count int) (int, error) {
	_, err := complete(ctx, d, fanOut, count, equals(count))
	return 1, err
}

func (d *driver) slowFanOut(ctx context.Context, count int) (int, error) {
	_, err := complete(ctx, d, slowFanOut, count, equals(count))
	return 1, err
}

func (d *driver) children(ctx context.Context, count int) (int, error) {
	check := equals(familyResult("child", allGreetings(familyCities)))
	return count, d.times(ctx, count, func(ctx context.Context, _ int) error {
		_, err := complete(ctx, d, family, "child", check)
		return err
	})
}

func (d *driver) payloads(ctx context.Context, count int) (int, error) {
	text := textOf(payloadBytes)
	check := func(got string) string {
		if got != text {
			return fmt.Sprintf("has another text of %d characters as its result", len(got))
		}
		return ""
	}
	return count, d.times(ctx, count, func(ctx context.Context, _ int) error {
		_, err := complete(ctx, d, heavy, payloadBytes, check)
		return err
	})
}

// timers measures how late timers fire. One that fires early is wrong.
func (d *driver) timers(ctx context.Context, count int) (int, error) {
	late := &samples{}
	err := d.times(ctx, count, func(ctx context.Context, _ int) error {
		_, err := complete(ctx, d, nap, d.opts.Timer, func(nanoseconds int64) string {
			late.add(time.Duration(nanoseconds))
			if nanoseconds < 0 {
				return fmt.Sprintf("has a timer that fired %v early", -time.Duration(nanoseconds))
			}
			return ""
		})
		return err
	})
	d.latencies = late
	_, earliest := late.latency()
	d.tell("earliest_ms", earliest)
	return count, err
}

// starts measures how long it takes from a start to the first activity, in a fleet that has had nothing to do.
func (d *driver) starts(ctx context.Context, count int) (int, error) {
	delays := &samples{}
	for left := count; left > 0; {
		if left < count && !d.warming && !run.Sleep(ctx, d.opts.Idle) {
			return 0, context.Cause(ctx)
		}
		together := min(left, d.opts.Parallel)
		left -= together
		err := d.times(ctx, together, func(ctx context.Context, _ int) error {
			started := time.Now()
			_, err := complete(ctx, d, first, struct{}{}, func(nanoseconds int64) string {
				delays.add(time.Unix(0, nanoseconds).Sub(started))
				return ""
			})
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	d.latencies = delays
	return count, nil
}

// events raises a stream of events.
func (d *driver) events(ctx context.Context, count int) (int, error) {
	instance, err := taskhub.Start(ctx, d.client, collect, count)
	if err != nil {
		return 0, err
	}
	if _, err := d.watch.until(ctx, instance.ID(), begun); err != nil {
		return 0, err
	}
	d.restart()
	err = d.times(ctx, count, func(ctx context.Context, i int) error {
		return taskhub.RaiseEvent(ctx, d.client, instance.ID(), item, event{i, time.Now().UnixNano()}, taskhub.Unchecked{})
	})
	if err != nil {
		return 0, err
	}
	out, _, err := finish(ctx, d, instance)
	if err != nil {
		return 0, err
	}
	if problem := equals(count * (count - 1) / 2)(out.Sum); problem != "" {
		return 0, &WrongError{instance.ID(), problem}
	}
	d.latencies.addMilliseconds(out.Latency...)
	return 1, nil
}

func (d *driver) event(ctx context.Context, count int) (int, error) {
	return count, d.times(ctx, count, func(ctx context.Context, _ int) error {
		return d.throughGate(ctx, func(ctx context.Context, id string) error {
			_, err := d.watch.until(ctx, id, begun)
			return err
		})
	})
}

// throughGate starts a gate, does what is to be done before it opens, opens it and waits for its end.
func (d *driver) throughGate(ctx context.Context, before func(ctx context.Context, id string) error) error {
	started := time.Now()
	instance, err := taskhub.Start(ctx, d.client, gate, struct{}{})
	if err != nil {
		return err
	}
	if err := before(ctx, instance.ID()); err != nil {
		return err
	}
	if err := taskhub.RaiseEvent(ctx, d.client, instance.ID(), word, "open", taskhub.Unchecked{}); err != nil {
		return err
	}
	out, at, err := finish(ctx, d, instance)
	if err != nil {
		return err
	}
	d.latencies.add(at.Sub(started))
	if problem := equals("open")(out); problem != "" {
		return &WrongError{instance.ID(), problem}
	}
	return nil
}

// generations raises an event to each generation of an instance, when it has begun.
func (d *driver) generations(ctx context.Context, count int) (int, error) {
	var want []string
	for i := range continued {
		want = append(want, greetingOf(city(i)))
	}
	check := equals(append(want, city(continued)))
	return count, d.times(ctx, count, func(ctx context.Context, _ int) error {
		started := time.Now()
		instance, err := taskhub.Start(ctx, d.client, rounds, round{Rounds: continued})
		if err != nil {
			return err
		}
		for i := range continued + 1 {
			if _, err := d.watch.until(ctx, instance.ID(), inRound(i)); err != nil {
				return err
			}
			if err := taskhub.RaiseEvent(ctx, d.client, instance.ID(), word, city(i), taskhub.Unchecked{}); err != nil {
				return err
			}
		}
		out, at, err := finish(ctx, d, instance)
		if err != nil {
			return err
		}
		d.latencies.add(at.Sub(started))
		if problem := check(out); problem != "" {
			return &WrongError{instance.ID(), problem}
		}
		return nil
	})
}

// inRound says that the row of an instance shows that a generation has begun, or that the instance has ended.
func inRound(n int) func(*wire.Instance) bool {
	return func(i *wire.Instance) bool {
		var in round
		return i.Status.Terminal() ||
			begun(i) && json.Unmarshal([]byte(history.TextOr(i.Input, "")), &in) == nil && in.Round == n
	}
}

// waiting lets all instances wait at the same time and looks at the memory of the workers.
func (d *driver) waiting(ctx context.Context, count int) (int, error) {
	before, err := d.fleet.figures(ctx, true)
	if err != nil {
		return 0, err
	}
	ids := make([]*taskhub.Instance[string], count)
	err = d.times(ctx, count, func(ctx context.Context, i int) (err error) {
		if ids[i], err = taskhub.Start(ctx, d.client, gate, struct{}{}); err == nil {
			_, err = d.watch.until(ctx, ids[i].ID(), begun)
		}
		return err
	})
	if err == nil {
		err = d.watch.awaitDrained(ctx)
	}
	if err != nil {
		return 0, err
	}
	if err := d.weigh(ctx, before, count); err != nil {
		return 0, err
	}
	return count, d.times(ctx, count, func(ctx context.Context, i int) error {
		raised := time.Now()
		if err := taskhub.RaiseEvent(ctx, d.client, ids[i].ID(), word, "open", taskhub.Unchecked{}); err != nil {
			return err
		}
		out, at, err := finish(ctx, d, ids[i])
		if err != nil {
			return err
		}
		d.latencies.add(at.Sub(raised))
		if problem := equals("open")(out); problem != "" {
			return &WrongError{ids[i].ID(), problem}
		}
		return nil
	})
}

// weigh notes the memory of the workers while so many instances wait.
func (d *driver) weigh(ctx context.Context, before figures, count int) error {
	now, err := d.fleet.figures(ctx, false)
	if err != nil {
		return err
	}
	d.resident = now.Resident
	tidy, err := d.fleet.figures(ctx, true)
	if err != nil {
		return err
	}
	d.tell("bytes_per_waiting_instance", ratio(float64(tidy.AllResident-before.AllResident), float64(count), 0))
	return nil
}

// idle lets time pass.
func (d *driver) idle(ctx context.Context, count int) (int, error) {
	if d.warming {
		return 0, nil
	}
	if !run.Sleep(ctx, time.Duration(count)*d.opts.minute) {
		return 0, context.Cause(ctx)
	}
	return 0, nil
}
