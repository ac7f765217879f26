package taskhub_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// Greet is the contract that this client shares with some worker.
var Greet = orchestration.Declare[string, string]("Greet")

func Example() {
	ctx := context.Background()
	// A program would say taskhub.ConnectionString(…) and taskhub.Open.
	hub, err := taskhub.Create(ctx, taskhub.Memory(), "Greetings", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := taskhub.NewClient(hub)
	instance, err := taskhub.Start(ctx, client, Greet, "Tokyo", taskhub.InstanceID("tokyo-1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	// With a worker, instance.Wait(ctx) would return the greeting now.
	status, err := client.Get(ctx, instance.ID())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(status.Name, "is", status.Status, "with", string(status.Input))

	_, err = taskhub.Start(ctx, client, Greet, "Kyoto", taskhub.InstanceID("tokyo-1"))
	fmt.Println(errors.Is(err, taskhub.ErrExists), err)
	// Output:
	// Greet is Pending with "Tokyo"
	// true start "Greet": instance "tokyo-1" already exists and is Pending
}
