package worker

import (
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/orchestration"
)

// Binding ties a name to code. Activity.With and Orchestrator.With make bindings.
type Binding interface{ BindingName() string }

// registry knows what this worker can run. Names are compared without regard to case, as the
// extension for Azure Functions does.
type registry struct {
	orchestrations map[string]orchestration.Binding
	activities     map[string]activity.Binding
}

func newRegistry(bindings []Binding) (*registry, error) {
	r := &registry{map[string]orchestration.Binding{}, map[string]activity.Binding{}}
	for _, binding := range bindings {
		name := binding.BindingName()
		if name == "" {
			return nil, fmt.Errorf("worker: a binding of type %T has no name", binding)
		}
		key := strings.ToLower(name)
		var taken bool
		switch b := binding.(type) {
		case orchestration.Binding:
			_, taken = r.orchestrations[key]
			r.orchestrations[key] = b
		case activity.Binding:
			_, taken = r.activities[key]
			r.activities[key] = b
		default:
			return nil, fmt.Errorf("worker: binding %q has the type %T; it must come from Activity.With or Orchestrator.With", name, binding)
		}
		if taken {
			return nil, fmt.Errorf("worker: %q is bound twice", name)
		}
	}
	return r, nil
}

func (r *registry) orchestration(name string) (orchestration.Binding, bool) {
	b, ok := r.orchestrations[strings.ToLower(name)]
	return b, ok
}

func (r *registry) activity(name string) (activity.Binding, bool) {
	b, ok := r.activities[strings.ToLower(name)]
	return b, ok
}
