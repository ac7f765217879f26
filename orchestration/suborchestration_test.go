package orchestration_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// S01, S02: a child's result and failure.
func TestCallSubOrchestration_S01_S02(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		return orchestration.CallSubOrchestration(ctx, job, "x").Await()
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{`0 child Job as exec:0 "x"`}, started("Job", `""`))
	d.expect([]string{`1 Completed "y"`}, childDone(0, `"y"`))

	d = drive(t, binding, orchestration.Options{})
	d.expect([]string{`0 child Job as exec:0 "x"`}, started("Job", `""`))
	end := d.turn(childFailed(0, "no")).Complete()
	if end.Failure.Type != "DurableTask.Core.Exceptions.SubOrchestrationFailedException" || end.Failure.Inner.String() != "some.Error: no" {
		t.Errorf("failure: %+v", end.Failure)
	}
}

// A child that was terminated reports its reason as a failure without details.
func TestCallSubOrchestration_Terminated(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, err := orchestration.CallSubOrchestration(ctx, job, "x").Await()
		var failed *orchestration.TaskError
		return fmt.Sprint(errors.As(err, &failed), err), nil
	}), orchestration.Options{})
	d.turn(started("Job", `""`))
	d.expect([]string{`1 Completed "true sub-orchestration \"Job\" (#0) failed: enough"`},
		&history.SubOrchestrationFailed{Header: noID, TaskID: 0, Reason: history.Text("enough")})
}

// S07, S08: generated ids are made of the execution's id and the number of the call, so they differ
// between calls and between generations and do not grow with depth.
func TestCallSubOrchestration_IDs_S07_S08(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		tasks := []orchestration.Task[string]{
			orchestration.CallSubOrchestration(ctx, job, "x"),
			orchestration.CallSubOrchestration(ctx, job, "y", orchestration.InstanceID("mine")),
			orchestration.CallSubOrchestration(ctx, job, "z"),
		}
		_, err := orchestration.All(tasks...).Await()
		return "", err
	})
	for _, execution := range []string{"5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2", "00000000000000000000000000000001"} {
		d := drive(t, binding, orchestration.Options{})
		start := started("Job", `""`)
		start.Instance.InstanceID, start.Instance.ExecutionID = "5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2:0:1", execution
		d.expect([]string{
			"0 child Job as " + execution + `:0 "x"`, `1 child Job as mine "y"`, "2 child Job as " + execution + `:2 "z"`,
		}, start)
	}
}

// L21: a detached child is one action; the caller goes on at once and nothing comes back.
func TestStartDetached_L21(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		first, err := orchestration.StartDetached(ctx, job, "x", orchestration.Tags{"call": "own"})
		if err != nil {
			return "", err
		}
		second, err := orchestration.StartDetachedByName(ctx, "Job", nil, orchestration.InstanceID("mine"))
		return first + " " + second, err
	}), orchestration.Options{})
	d.expect([]string{
		`0 detached Job as exec:0 "x" #FireAndForget= #call=own`, "1 detached Job as mine null #FireAndForget=",
		`2 Completed "exec:0 mine"`,
	}, started("Job", `""`))
	d.expect(nil, childFailed(0, "no"))
}

// A child has the tags of its parent that it does not override, but not the mark of a detached one.
func TestCallSubOrchestration_Tags(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		ctx.Tags()["team"] = "nobody's" // a copy
		return orchestration.CallSubOrchestration(ctx, job, "x", orchestration.Tags{"team": "green", "call": "child"}).Await()
	}), orchestration.Options{})
	start := started("Job", `""`)
	start.Tags = map[string]string{"team": "blue", "env": "test", "FireAndForget": ""}
	d.expect([]string{`0 child Job as exec:0 "x" #call=child #env=test #team=green`}, start)
	if start.Tags["team"] != "blue" {
		t.Errorf("tags of the parent: %v", start.Tags)
	}
}

// L20: a child can read who started it; one that a client started reads nothing.
func TestContext_Identity_L20(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		parent := "none"
		if p := ctx.Parent(); p != nil {
			parent = fmt.Sprint(p.Name, p.Instance.InstanceID, p.TaskID)
		}
		return fmt.Sprint(ctx.Name(), ctx.Version(), ctx.InstanceID(), ctx.ExecutionID(), parent, ctx.Tags()), nil
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{`0 Completed "Jobinstexecnonemap[]"`}, started("Job", `""`))

	d = drive(t, binding, orchestration.Options{})
	start := started("Job", `""`)
	start.Version = "2.1"
	start.Parent = &history.Parent{Name: "Boss", Instance: history.Instance{InstanceID: "top"}, TaskID: 4}
	d.expect([]string{`0 Completed "Job2.1instexecBosstop4map[]"`}, start)
}

// A child can be asked for in a version; a second start of an execution has no effect.
func TestCallSubOrchestration_Version(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return orchestration.CallSubOrchestration(ctx, job, "x", orchestration.Version("2.1")).Await()
	}), orchestration.Options{})
	decision := d.turn(started("Job", `""`), started("Other", `""`))
	if child := decision.Actions[0].(*orchestration.SubOrchestrationAction); len(decision.Actions) != 1 || child.Version != "2.1" {
		t.Errorf("actions: %q, version %q", render(decision.Actions, d.now), child.Version)
	}
}
