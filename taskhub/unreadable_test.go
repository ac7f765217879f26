package taskhub_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// incompressible returns a text that is stored as a blob wherever it goes.
func incompressible() string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range 60_000 {
		b.WriteByte(byte('a' + r.IntN(26)))
	}
	return b.String()
}

// ended writes into the row of an instance how it ended, with a result in a blob of which the name is
// returned.
func ended(t *testing.T, hub *taskhub.Hub, id string, status history.Status) (blob string) {
	t.Helper()
	st := hub.Store()
	result, err := json.Marshal(incompressible())
	if err != nil {
		t.Fatal(err)
	}
	if blob, err = st.PutInput(t.Context(), id, string(result)); err != nil {
		t.Fatal(err)
	}
	row := storage.Row{PartitionKey: wire.EscapeKey(id), Values: map[string]any{"RuntimeStatus": string(status), "Output": st.PayloadURL(blob)}}
	if _, err := st.Account.Tables.Merge(t.Context(), st.Names.InstancesTable(), row, storage.AnyETag); err != nil {
		t.Fatal(err)
	}
	return blob
}

// spoil removes a payload, or cuts it off.
func spoil(t *testing.T, hub *taskhub.Hub, blob string, cut bool) {
	t.Helper()
	st := hub.Store()
	container := st.Names.LargeMessages()
	var err error
	if cut {
		var data []byte
		if data, err = st.Account.Blobs.GetBlob(t.Context(), container, blob, 1<<20); err == nil {
			err = st.Account.Blobs.PutBlob(t.Context(), container, blob, data[:len(data)/2], false)
		}
	} else {
		err = st.Account.Blobs.DeleteBlob(t.Context(), container, blob)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An instance of which a payload is gone or damaged shows everything else, its poison mark included,
// and an error with it. A result that is there is returned although the input is not.
func TestGet_UnreadablePayload(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		client := taskhub.NewClient(hub)
		for _, tt := range []struct {
			id            string
			status        history.Status
			input, output bool // to be spoilt
			cut           bool
		}{
			{"input-gone", history.Completed, true, false, false},
			{"output-gone", history.Completed, false, true, false},
			{"output-cut", history.Completed, false, true, true},
			{"both-cut", history.Completed, true, true, true},
			{"failed", history.Failed, false, true, false},
		} {
			instance := start(t, client, incompressible(), taskhub.InstanceID(tt.id))
			inputs := blobsOf(t, hub)
			output := ended(t, hub, tt.id, tt.status)
			poison(t, hub, "m-"+tt.id, tt.id, "")
			if tt.input {
				for _, blob := range inputs {
					if strings.HasPrefix(blob, tt.id+"/") {
						spoil(t, hub, blob, tt.cut)
					}
				}
			}
			if tt.output {
				spoil(t, hub, output, tt.cut)
			}
			check := func(how string, s *taskhub.Status, err error, list bool) {
				t.Helper()
				if !list && !errors.Is(err, taskhub.ErrUnreadable) || list && err != nil || s == nil {
					t.Fatalf("%s of %s: %+v, %v", how, tt.id, s, err)
				}
				if s.Status != tt.status || s.Poison == nil || s.Unreadable != "" || (s.UnreadableInput != "") != tt.input || (s.UnreadableOutput != "") != tt.output ||
					(s.Input == nil) != tt.input || (s.Output == nil) != (tt.output || tt.status == history.Failed) {
					t.Errorf("%s of %s: %.300v, %v", how, tt.id, s, err)
				}
				for _, problem := range []string{s.UnreadableInput, s.UnreadableOutput} {
					if problem != "" && (!strings.Contains(problem, tt.id+"/") || strings.Contains(problem, "cut off") != tt.cut) {
						t.Errorf("%s of %s: %s", how, tt.id, problem)
					}
				}
			}
			s, err := client.Get(t.Context(), tt.id)
			check("get", s, err, false)
			s, err = client.Wait(t.Context(), tt.id)
			check("wait", s, err, false)
			page, err := client.List(t.Context(), taskhub.Query{IDPrefix: tt.id, Payloads: true})
			if err != nil || len(page.Instances) != 1 {
				t.Fatalf("list of %s: %+v, %v", tt.id, page, err)
			}
			check("list", page.Instances[0], nil, true)
			if s, err := client.Get(t.Context(), tt.id, taskhub.NoPayloads{}); err != nil || s.Status != tt.status {
				t.Errorf("get of %s without payloads: %+v, %v", tt.id, s, err)
			}
			out, err := instance.Wait(t.Context())
			var failed *taskhub.EndedError
			if tt.output && !errors.Is(err, taskhub.ErrUnreadable) || !tt.output && (err != nil || out != incompressible()) ||
				errors.As(err, &failed) != (tt.status == history.Failed) {
				t.Errorf("result of %s: %d bytes, %v", tt.id, len(out), err)
			}
		}
	})
}
