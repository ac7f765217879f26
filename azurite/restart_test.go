package azurite_test

import (
	"errors"
	"testing"

	"github.com/durafleet/durafleet/azurite"
)

func TestRelaunch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, server *azurite.Server)
	}{
		{"stopped", func(_ *testing.T, server *azurite.Server) { server.Stop() }},
		{"killed when all was saved", func(t *testing.T, server *azurite.Server) {
			if err := server.AwaitSaved(t.Context()); err != nil {
				t.Error(err)
			}
			server.Kill()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := azurite.StartPrivate(t, &azurite.Options{Location: t.TempDir()})
			createTable(t, server, "Kept")
			tt.end(t, server)
			again, err := server.Relaunch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer again.Stop()
			if again.ConnectionString() != server.ConnectionString() {
				t.Errorf("it listens elsewhere: %s", again.ConnectionString())
			}
			if !hasTable(t, again, "Kept") {
				t.Error("the table is gone")
			}
		})
	}
}

func TestRelaunch_OfARunningServer(t *testing.T) {
	t.Parallel()
	server := azurite.Start(t)
	if _, err := server.Relaunch(t.Context()); !errors.Is(err, azurite.ErrStart) {
		t.Errorf("got %v", err)
	}
	if err := server.AwaitSaved(t.Context()); err == nil {
		t.Error("a server in memory claims to save")
	}
}
