package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

func TestTraffic(t *testing.T) {
	t.Parallel()
	names, err := wire.NewNames("Bench")
	if err != nil {
		t.Fatal(err)
	}
	page := storage.Page{Rows: make([]storage.Row, 7)}
	for _, tt := range []struct {
		name                 string
		call                 storage.Call
		requests, idle, rows int64
	}{
		{"message", storage.Call{Kind: storage.QueueGet, Target: names.WorkItemQueue()}, 1, 0, 0},
		{"empty poll", storage.Call{Kind: storage.QueueGet, Target: names.WorkItemQueue(), Empty: true}, 0, 1, 0},
		{"history", storage.Call{Kind: storage.TableQuery, Target: names.HistoryTable(), Result: page}, 1, 0, 7},
		{"status rows", storage.Call{Kind: storage.TableQuery, Target: names.InstancesTable(), Result: page}, 1, 0, 0},
		{"partitions", storage.Call{Kind: storage.TableReplace, Target: names.PartitionsTable()}, 0, 1, 0},
		{"application lease", storage.Call{Kind: storage.BlobLease, Target: names.AppLease()}, 0, 1, 0},
		{"health report", storage.Call{Kind: storage.BlobPut, Target: names.Workers()}, 0, 1, 0},
		{"payload", storage.Call{Kind: storage.BlobPut, Target: names.LargeMessages()}, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			counts := newTraffic(names)
			// What has failed was sent, too.
			_ = counts.hook(t.Context(), &tt.call, func(context.Context) error { return errors.New("refused") })
			got := counts.figures(t.Context())
			if got.Requests.Total() != tt.requests || got.Idle.Total() != tt.idle || got.HistoryRows != tt.rows {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A write is counted when it begins, and figures wait until it has ended.
func TestTraffic_UnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counts := newTraffic(wire.Names{})
		begun := time.Now()
		go func() {
			_ = counts.hook(t.Context(), &storage.Call{Kind: storage.QueueDelete}, func(context.Context) error {
				<-time.After(time.Second)
				return nil
			})
		}()
		synctest.Wait()
		if got := counts.figures(t.Context()); got.Requests.Total() != 1 || time.Since(begun) < time.Second {
			t.Errorf("got %+v after %v", got, time.Since(begun))
		}
	})
}

type transporter func(*http.Request) (*http.Response, error)

func (t transporter) Do(request *http.Request) (*http.Response, error) { return t(request) }

func TestTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counts := newTraffic(wire.Names{})
		slow := &transport{latency: 8 * time.Millisecond, counts: counts, next: transporter(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: io.NopCloser(strings.NewReader("answer"))}, nil
		})}
		begun := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://account", strings.NewReader("request"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := slow.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		got := counts.figures(t.Context())
		if took := time.Since(begun); took != 8*time.Millisecond || got.Bytes != int64(len("request")+len("answer")) || got.Sent != 1 {
			t.Errorf("%+v in %v", got, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := slow.Do(request.WithContext(ctx)); !errors.Is(err, context.Canceled) { //nolint:bodyclose // there is none
			t.Errorf("got %v", err)
		}
	})
}
