package orchestration_test

import (
	"fmt"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	exampleHello    = activity.Declare[string, string]("SayHello")
	exampleGreet    = orchestration.Declare[[]string, []string]("Greet")
	exampleApproved = orchestration.DeclareEvent[string]("Approved")
)

func exampleGreetAll(ctx *orchestration.Context, names []string) ([]string, error) {
	tasks := make([]orchestration.Task[string], len(names))
	for i, name := range names {
		tasks[i] = orchestration.CallActivity(ctx, exampleHello, name)
	}
	return orchestration.All(tasks...).Await()
}

// A declaration is bound to code for a worker. Here, the pure core runs the binding without one.
func ExampleOrchestrator_With() {
	binding := exampleGreet.With(exampleGreetAll)

	execution := orchestration.NewExecution(binding, orchestration.Options{})
	defer execution.Close()
	decision, err := execution.Advance([]history.Event{
		&history.OrchestratorStarted{Header: history.Header{Timestamp: time.Unix(0, 0)}},
		&history.ExecutionStarted{Name: binding.Name, Input: history.Text(`["Tokyo","Lima"]`)},
	})
	for _, action := range decision.Actions {
		call := action.(*orchestration.ActivityAction)
		fmt.Println(call.ID, call.Name, *call.Input)
	}
	fmt.Println(err)

	decision, err = execution.Advance([]history.Event{
		&history.OrchestratorStarted{Header: history.Header{Timestamp: time.Unix(1, 0)}},
		&history.TaskCompleted{TaskID: 1, Result: history.Text(`"Hello Lima!"`)},
		&history.TaskCompleted{TaskID: 0, Result: history.Text(`"Hello Tokyo!"`)},
	})
	fmt.Println(decision.Complete().Status, *decision.Complete().Result, err)
	// Output:
	// 0 SayHello ["Tokyo"]
	// 1 SayHello ["Lima"]
	// <nil>
	// Completed ["Hello Tokyo!","Hello Lima!"] <nil>
}

// A wait with a time limit costs one timer, which is withdrawn when the event comes first.
func ExampleWaitForEventFor() {
	binding := exampleGreet.With(func(ctx *orchestration.Context, _ []string) ([]string, error) {
		by, err := orchestration.WaitForEventFor(ctx, exampleApproved, time.Hour).Await()
		return []string{by}, err
	})
	execution := orchestration.NewExecution(binding, orchestration.Options{})
	defer execution.Close()
	decision, err := execution.Advance([]history.Event{
		&history.OrchestratorStarted{Header: history.Header{Timestamp: time.Unix(0, 0)}},
		&history.ExecutionStarted{Name: binding.Name},
		&history.EventRaised{Name: "approved", Input: history.Text(`"Ana"`)},
	})
	fmt.Println(*decision.Complete().Result, err)
	// Output: ["Ana"] <nil>
}
