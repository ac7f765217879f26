package interop_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// play gives the commands of a recording to this engine. After each one it waits until the hub is
// at rest, as the recording did. The worker starts where the recording started it: before
// everything else unless a step says so, or after everything else if late is set.
func (w *world) play(hub *fixture.Hub, late bool) {
	w.Helper()
	startsWorker := late
	for _, step := range hub.Steps {
		startsWorker = startsWorker || step["cmd"] == "worker"
	}
	if !startsWorker {
		w.start(worker.Options{})
	}
	for _, step := range hub.Steps {
		if err := w.command(step); err != nil {
			w.Fatalf("step %v: %v", step, err)
		}
		if w.worker != nil {
			w.settle()
		}
	}
	if late {
		w.start(worker.Options{})
		w.settle()
	}
}

// command gives one recorded command.
func (w *world) command(step map[string]any) error {
	text := func(name string) string { value, _ := step[name].(string); return value }
	switch text("cmd") {
	case "start":
		return w.startInstance(step, text)
	case "raise":
		return w.client.RaiseEventByName(w.ctx, text("id"), text("event"), inputOf(step, "input"), taskhub.Unchecked{})
	case "suspend":
		return w.client.Suspend(w.ctx, text("id"), text("reason"), taskhub.Unchecked{})
	case "resume":
		return w.client.Resume(w.ctx, text("id"), text("reason"), taskhub.Unchecked{})
	case "terminate":
		return w.client.Terminate(w.ctx, text("id"), text("reason"), taskhub.Unchecked{})
	case "worker":
		w.start(worker.Options{})
	}
	return nil // a note, or a look at something
}

func (w *world) startInstance(step map[string]any, text func(string) string) error {
	options := []taskhub.StartOption{taskhub.InstanceID(text("id")), taskhub.Version(text("version")), taskhub.ReplaceLive}
	if given, ok := step["tags"].(map[string]any); ok {
		tags := taskhub.Tags{}
		for name, value := range given {
			tags[name], _ = value.(string)
		}
		options = append(options, tags)
	}
	switch delay := step["startIn"].(type) {
	case int64:
		options = append(options, taskhub.StartAt(time.Now().Add(time.Duration(delay)*time.Second)))
	case float64:
		options = append(options, taskhub.StartAt(time.Now().Add(time.Duration(delay*float64(time.Second)))))
	}
	if _, err := w.client.StartByName(w.ctx, text("name"), inputOf(step, "input"), options...); err != nil {
		return err
	}
	if text("event") == "" {
		return nil
	}
	return w.client.RaiseEventByName(w.ctx, text("id"), text("event"), inputOf(step, "eventInput"))
}

// inputOf returns the input that a command carries: a value, a text of a given length, or nothing.
func inputOf(step map[string]any, name string) any {
	if length, ok := step[name+"Length"].(int64); ok {
		return strings.Repeat("x", int(length))
	}
	if value, ok := step[name]; ok {
		return value
	}
	return json.RawMessage(nil)
}
