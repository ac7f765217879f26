// Command cmd prints the manifest of a directory, made by one worker on a store in memory. With a
// connection string in DURAFLEET_CONNECTION it uses a storage account; what it had begun when it
// was stopped goes on then when it is started again.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := describe(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifest:", err)
		os.Exit(1)
	}
}

func describe(ctx context.Context, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("got %d arguments; the only one is the directory to describe", len(arguments))
	}
	root, err := filepath.Abs(arguments[0])
	if err != nil {
		return err
	}
	account := taskhub.Memory()
	if text := os.Getenv("DURAFLEET_CONNECTION"); text != "" {
		account = taskhub.ConnectionString(text)
	}
	hub, err := taskhub.Create(ctx, account, "Manifests", nil)
	if err != nil {
		return err
	}

	service := &manifest.Service{}
	w, err := worker.New(hub, nil, service.Bindings()...)
	if err != nil {
		return err
	}
	// The worker runs beside the client here; usually it is a program of its own.
	working, rest := context.WithCancel(ctx)
	var workers sync.WaitGroup
	var workerErr error
	workers.Go(func() { workerErr = w.Run(working) })
	err = publish(ctx, taskhub.NewClient(hub), root)
	rest()
	workers.Wait()
	return errors.Join(err, workerErr)
}

func publish(ctx context.Context, client *taskhub.Client, root string) error {
	request := manifest.Request{Root: root, Settle: time.Second}
	instance, err := taskhub.Start(ctx, client, manifest.Manifest, request)
	if err != nil {
		return err
	}
	// An event may come early: it is kept until the orchestration waits for it.
	decision := manifest.Decision{Approved: true, By: "the command line"}
	if err := taskhub.RaiseEvent(ctx, client, instance.ID(), manifest.Approved, decision); err != nil {
		return err
	}
	report, err := instance.Wait(ctx)
	if err != nil {
		return err
	}
	for _, file := range report.Files {
		fmt.Printf("%s  %s\n", file.SHA256, file.Path)
	}
	return nil
}
