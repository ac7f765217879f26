package worker_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// columnDamages are what may be wrong with one column: it is missing, or of a type that no column has.
var columnDamages = map[string]func(columns map[string]any, name string){
	"missing": func(columns map[string]any, name string) { delete(columns, name) },
	"bytes":   func(columns map[string]any, name string) { columns[name] = []byte("garbage") },
}

// garbageRow is a row of the instance "bad".
type garbageRow struct{ name, table, key string }

func garbageRows(names wire.Names) []garbageRow {
	rows := []garbageRow{{"status row", names.InstancesTable(), ""}, {"sentinel", names.HistoryTable(), wire.SentinelKey}}
	for i := range 6 {
		rows = append(rows, garbageRow{fmt.Sprint("history row ", i), names.HistoryTable(), wire.RowKey(i)})
	}
	return rows
}

func rowColumnsOf(t *testing.T, w *fleettest.World, row garbageRow) map[string]any {
	t.Helper()
	stored, err := w.Account.Tables.Read(w.Context(), row.table, "bad", row.key)
	check(t, err)
	columns := maps.Clone(stored.Values)
	for _, name := range []string{"PartitionKey", "RowKey", "Timestamp"} {
		delete(columns, name)
	}
	return columns
}

// Each column of each kind of row may be missing or of a wrong type: the instance ends nevertheless,
// or says what is wrong, and the one beside it does not notice.
func TestGarbage_Columns(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for n, more := 0, true; more; n++ {
				for how, damage := range columnDamages {
					t.Run(fmt.Sprintf("%d/%s", n, how), func(t *testing.T) {
						fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
							more = garbageColumn(t, w, i, n, damage) && more
						})
					})
				}
			}
		})
	}
}

// garbageColumn damages the n-th column of a row, and reports whether there are more columns.
func garbageColumn(t *testing.T, w *fleettest.World, row, n int, damage func(map[string]any, string)) bool {
	t.Helper()
	first := w.Start(quietOptions(), garbageBindings()...)
	good := besideBad(w)
	for _, id := range []string{"bad", good} {
		launch(t, w, garbageMix, "x", taskhub.InstanceID(id))
		garbageNote(w, id, incompressible(50_000))
	}
	pass(t, w, time.Minute)
	check(t, first.Stop())
	about := garbageRows(w.Hub.Store().Names)[row]
	columns := rowColumnsOf(t, w, about)
	names := slices.Sorted(maps.Keys(columns))
	if n >= len(names) {
		return false // which event a row of the history holds may differ from run to run
	}
	damage(columns, names[n])
	_, err := w.Account.Tables.Replace(w.Context(), about.table, storage.Row{PartitionKey: "bad", RowKey: about.key, Values: columns}, storage.AnyETag)
	check(t, err)
	options := lazyOptions()
	options.MaxDeliveries = 3
	w.Start(options, garbageBindings()...)
	for _, id := range []string{"bad", good} {
		garbageNote(w, id, "end")
		garbageNote(w, id+"-child", "fin")
	}
	fail := func(format string, arguments ...any) {
		t.Helper()
		t.Errorf("%s, column %s: %s", about.name, names[n], fmt.Sprintf(format, arguments...))
	}
	if s := endOf(t, w, good); s.Status != history.Completed {
		fail("the other instance is %s", s.Status)
	}
	for hours := 0; hours < 16 && w.MessagesLeft() > 0; hours++ {
		pass(t, w, time.Hour/2)
	}
	garbageTold(t, w, fail)
	return n+1 < len(names)
}

// besideBad returns an id of the partition of "bad".
func besideBad(w *fleettest.World) string {
	for i := 0; ; i++ {
		if id := fmt.Sprint("good-", i); w.Hub.PartitionOf(id) == w.Hub.PartitionOf("bad") {
			return id
		}
	}
}

// A partition row of which a column is missing or of a wrong type may make its partition stand still,
// but no other one, and nothing that looks at the hub fails. Put right, it is served again.
func TestGarbage_PartitionColumns(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"CurrentOwner", "NextOwner", "OwnedSince", "LastRenewal", "ExpiresAt", "IsDraining"} {
		for how, damage := range columnDamages {
			t.Run(column+"/"+how, func(t *testing.T) {
				t.Parallel()
				fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
					w.Start(quietOptions(), ctlCollect.With(collectNumbers))
					pass(t, w, 5*time.Second)
					table, key := w.Hub.Store().Names.PartitionsTable(), w.Hub.Store().ControlQueueOf("bad")
					before, err := w.Account.Tables.Read(w.Context(), table, "", key)
					check(t, err)
					columns := maps.Clone(before.Values)
					damage(columns, column)
					_, err = w.Account.Tables.Replace(w.Context(), table, storage.Row{RowKey: key, Values: columns}, storage.AnyETag)
					check(t, err)
					pass(t, w, time.Minute)
					bad := launch(t, w, ctlCollect, 0, taskhub.InstanceID("bad"))
					for i := range 20 {
						if id := fmt.Sprint("good-", i); w.Hub.PartitionOf(id) != w.Hub.PartitionOf("bad") {
							resultOf(t, w, launch(t, w, ctlCollect, 0, taskhub.InstanceID(id)))
						}
					}
					garbageLook(t, w)
					if how == "missing" { // which is what it is in a new hub
						pass(t, w, 2*time.Minute)
						if s := statusOf(t, w, "bad"); s.Status != history.Completed {
							t.Errorf("the instance on the damaged partition is %s", s.Status)
						}
						return
					}
					_, err = w.Account.Tables.Replace(w.Context(), table, before, storage.AnyETag)
					check(t, err)
					if _, err := bad.Wait(w.Timeout(5 * time.Minute)); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// garbageLook looks at the hub in every way there is.
func garbageLook(t *testing.T, w *fleettest.World) {
	t.Helper()
	_, err := w.Hub.Health(w.Context())
	check(t, err)
	_, err = w.Client.Doctor(w.Context(), nil)
	check(t, err)
	_, err = w.Hub.FleetCost(w.Context())
	check(t, err)
}

// Garbage instead of the reports of workers concerns nobody.
func TestGarbage_Reports(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(quietOptions(), ctlCollect.With(collectNumbers))
		pass(t, w, 2*time.Minute) // its report is there
		container := w.Hub.Store().Names.Workers()
		for i, text := range []string{
			"", "garbage", "null", "[]", "{}", `{"worker":7}`, "\x00\xff\x1f\x8b", strings.Repeat("[", 20_000), `{"worker":""}`,
			`{"worker":"cut","partitions":[{"id":`, `{"worker":"typed","partitions":[{"id":"p","leaseAge":"soon"}]}`,
			`{"worker":"odd","at":"9999-12-31T23:59:59Z","started":"0001-01-01T00:00:00Z","partitions":[{"id":"nowhere","since":"0001-01-01T00:00:00Z",` +
				`"leaseAge":-9223372036854775808,"messages":-1,"deliveries":-1,"sessions":-1},{"id":""}],"stalls":{"":-1},"unknown":[{"kind":"x","name":"","count":-1}],` +
				`"held":[{"instance":"bad"}],"running":[{"name":"","task":-1}],"activities":-1,"buffered":-1,"doorbell":"garbage","rings":-1,` +
				`"cost":{"counter":"c","requests":[{"kind":"x","cause":"y","n":-9223372036854775808,"sent":9223372036854775807}]}}`,
			`{"worker":"` + strings.Repeat("x", 2<<20) + `"}`,
		} {
			check(t, w.Account.Blobs.PutBlob(w.Context(), container, fmt.Sprintf("%02d.json", i), []byte(text), false))
		}
		check(t, w.Account.Blobs.PutBlob(w.Context(), container, "a/b", []byte("{}"), false))
		garbageLook(t, w)
		resultOf(t, w, launch(t, w, ctlCollect, 0, taskhub.InstanceID("bad")))
		_, err := w.Client.Diagnose(w.Context(), "bad")
		check(t, err)
		var known []string
		for _, r := range reportsOf(t, w) {
			known = append(known, r.WorkerID)
		}
		if len(known) != 2 || !slices.ContainsFunc(reportsOf(t, w), func(r store.Report) bool { return r.WorkerID == "worker-1" }) {
			t.Errorf("the reports are those of %q", known)
		}
	})
}

// Garbage instead of who holds the app lease keeps nobody from working: the lease itself decides.
func TestGarbage_AppLease(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "garbage", "null", "[]", "\x00\xff", `{"OwnerId":7}`, `{"OwnerId":{}}`, `{"OwnerId":"garbage","DesiredSwapId":"more"}`, strings.Repeat("x", 2<<20),
	} {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				names := w.Hub.Store().Names
				check(t, w.Account.Blobs.CreateContainer(w.Context(), names.AppLease()))
				check(t, w.Account.Blobs.PutBlob(w.Context(), names.AppLease(), names.AppLeaseInfo(), []byte(text), false))
				w.Start(quietOptions(), ctlCollect.With(collectNumbers))
				resultOf(t, w, launch(t, w, ctlCollect, 0, taskhub.InstanceID("bad")))
				data, err := w.Account.Blobs.GetBlob(w.Context(), names.AppLease(), names.AppLeaseInfo(), 1<<10)
				check(t, err)
				if info, err := wire.DecodeAppLeaseInfo(string(data)); err != nil || info.OwnerID == "" || info.OwnerID == "garbage" {
					t.Errorf("then it says %q, %v", data, err)
				}
			})
		})
	}
}
