package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/wire"
)

// F06: a hub name is 3 to 45 letters and digits and starts with a letter.
func TestF06_HubNames(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{
		"abc": true, "MyHub": true, "h42": true, "A" + strings.Repeat("9", 44): true,
		"": false, "ab": false, "A" + strings.Repeat("9", 45): false, "1abc": false, "my-hub": false,
		"my_hub": false, "my hub": false, "hüb": false, "hub\x00": false, "hub.": false,
	} {
		_, err := wire.NewNames(name)
		switch {
		case valid && err != nil:
			t.Errorf("%q: %v", name, err)
		case !valid && !errors.Is(err, wire.ErrHubName):
			t.Errorf("%q: got error %v, want ErrHubName", name, err)
		case !valid && !strings.Contains(err.Error(), "want 3 to 45"):
			t.Errorf("%q: the error does not state the rule: %v", name, err)
		}
	}
	if _, err := wire.NewNames("my-hub"); !strings.Contains(err.Error(), `"my-hub"`) {
		t.Errorf("the error does not name the hub: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	n, err := wire.NewNames("MyHub")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ got, want string }{
		{n.Hub(), "MyHub"},
		{n.ControlQueue(0), "myhub-control-00"},
		{n.ControlQueue(15), "myhub-control-15"},
		{n.WorkItemQueue(), "myhub-workitems"},
		{n.HistoryTable(), "MyHubHistory"},
		{n.InstancesTable(), "MyHubInstances"},
		{n.PartitionsTable(), "MyHubPartitions"},
		{n.LargeMessages(), "myhub-largemessages"},
		{n.Leases(), "myhub-leases"},
		{n.AppLease(), "myhub-applease"},
		{n.AppLeaseInfo(), "myhub-appleaseinfo"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
