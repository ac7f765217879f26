package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/internal/wire"
)

// applications finds workers that work on nothing because another application processes the hub. That may be meant so,
// as long as somebody owns the partitions.
func (h *Hub) applications() []Finding {
	if h.Application == "" {
		return nil
	}
	var waiting, apps []string
	processes := "the application with the lease id " + h.Application
	for i := range h.Reports {
		r := &h.Reports[i]
		if !h.Fresh(r) {
			continue
		}
		if strings.EqualFold(wire.AppLeaseID(r.Application), h.Application) {
			processes = fmt.Sprintf("application %q (lease id %s)", r.Application, h.Application)
			continue
		}
		if r.Standby {
			waiting = append(waiting, r.WorkerID)
			if app := fmt.Sprintf("%q", r.Application); !slices.Contains(apps, app) {
				apps = append(apps, app)
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	f := Finding{
		Code: OtherApplication, Severity: Note, OfHub: true, Evidence: []string{"workers " + list(waiting)},
		Text: fmt.Sprintf("%s of application %s own no partitions: %s processes the hub, and only one does at a time; "+
			"a worker of the same application is needed, or that one's workers have to stop: the others try again every five minutes",
			plural(len(waiting), "worker"), list(apps), processes),
	}
	for i := range h.Leases {
		if lease := &h.Leases[i]; owner(lease) == "" || lease.Expired(h.Now) {
			f.Severity = Broken
		}
	}
	return []Finding{f}
}
