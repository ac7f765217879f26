package azurite_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
)

// childVariable makes the test binary play the program that is killed.
const childVariable = "DURAFLEET_AZURITE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		beKilled()
	}
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

// beKilled starts a server, says where, and waits for its end.
func beKilled() {
	server, err := azurite.Launch(context.Background(), &azurite.Options{Location: os.Getenv(childVariable + "_LOCATION")})
	if err != nil {
		println("error: " + err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(server.TableURL() + "\n")
	select {}
}

func TestStart_SharesOneServer(t *testing.T) {
	t.Parallel()
	first, second := azurite.Start(t), azurite.Start(t)
	if first != second {
		t.Error("two servers")
	}
	createTable(t, first, "Shared")
	if !hasTable(t, second, "Shared") {
		t.Error("the table is not there")
	}
	want := regexp.MustCompile(`^DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=[^;]+==;` +
		`BlobEndpoint=http://127\.0\.0\.1:\d+/devstoreaccount1;` +
		`QueueEndpoint=http://127\.0\.0\.1:\d+/devstoreaccount1;` +
		`TableEndpoint=http://127\.0\.0\.1:\d+/devstoreaccount1$`)
	if got := first.ConnectionString(); !want.MatchString(got) {
		t.Errorf("connection string: %s", got)
	}
	for _, url := range []string{first.BlobURL(), first.QueueURL(), first.TableURL()} {
		if !listens(t, url) {
			t.Errorf("nothing listens at %s", url)
		}
	}
}

func TestStop_LeavesNothingBehind(t *testing.T) {
	t.Parallel()
	server := azurite.StartPrivate(t, &azurite.Options{Logger: slog.New(slog.DiscardHandler)})
	createTable(t, server, "Busy") // also leaves an idle connection open, which must not hold it up
	server.Stop()
	select {
	case <-server.Done():
	default:
		t.Error("Stop returned before the process ended")
	}
	if listens(t, server.TableURL()) {
		t.Error("it still listens")
	}
	if output := server.LastOutput(); !strings.Contains(output, "Table service successfully closed") {
		t.Errorf("it did not close in good order: %s", output)
	}
	server.Stop()
	server.Kill()
}

func TestKill_IsNoticed(t *testing.T) {
	t.Parallel()
	server := azurite.StartPrivate(t, nil)
	process, err := os.FindProcess(server.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("Done was not closed")
	}
	server.Kill()
	server.Stop()
}

func TestLocation_KeepsData(t *testing.T) {
	t.Parallel()
	location := t.TempDir()
	server := azurite.StartPrivate(t, &azurite.Options{Location: location})
	createTable(t, server, "Kept")
	server.Stop()

	again := azurite.StartPrivate(t, &azurite.Options{Location: location})
	if !hasTable(t, again, "Kept") {
		t.Error("the table is gone after a restart")
	}
	again.Stop() // so that it does not write while the directory is removed
}

func TestServer_DiesWithItsParent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, location string }{
		{"in memory", ""},
		{"on disk", t.TempDir()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			azurite.Start(t) // skips where there can be no server
			parent := exec.CommandContext(t.Context(), os.Args[0])
			parent.Env = append(os.Environ(), childVariable+"=1", childVariable+"_LOCATION="+tt.location)
			parent.Stderr = os.Stderr
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			url, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			url = strings.TrimSpace(url)
			if !listens(t, url) {
				t.Fatalf("nothing listens at %s", url)
			}
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait() // "signal: killed" is what we want
			eventually(t, "the server of a killed program ends", func() bool { return !listens(t, url) })
		})
	}
}

func TestServer_SurvivesTheThreadThatLaunchedIt(t *testing.T) {
	t.Parallel()
	azurite.Start(t) // skips where there can be no server
	launched := make(chan *azurite.Server)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		server, err := azurite.Launch(t.Context(), nil)
		if err != nil {
			t.Error(err)
		}
		launched <- server
	}()
	server := <-launched
	if server == nil {
		return
	}
	t.Cleanup(server.Kill)
	<-ended
	createTable(t, server, "Alive")
	if !hasTable(t, server, "Alive") {
		t.Error("the table is not there")
	}
}

func TestLaunch_TakesGivenPorts(t *testing.T) {
	t.Parallel()
	shared := azurite.Start(t)
	if _, err := azurite.Launch(t.Context(), &azurite.Options{BlobPort: 65536}); err == nil {
		t.Error("an impossible port was accepted")
	}
	var port int
	for _, digit := range regexp.MustCompile(`:(\d+)/`).FindStringSubmatch(shared.TableURL())[1] {
		port = port*10 + int(digit-'0')
	}
	_, err := azurite.Launch(t.Context(), &azurite.Options{TablePort: port})
	if !errors.Is(err, azurite.ErrStart) || !strings.Contains(err.Error(), "EADDRINUSE") {
		t.Errorf("a port in use: %v", err)
	}
	if status, _ := tableRequest(t, shared, http.MethodGet, "/Tables", ""); status != http.StatusOK {
		t.Errorf("the shared server answers %d", status)
	}
}

func TestLaunch_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	azurite.Start(t) // skips where there can be no server
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := azurite.Launch(ctx, &azurite.Options{Progress: func(text string) {
		if strings.HasPrefix(text, "Starting") {
			cancel(cause)
		}
	}})
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
