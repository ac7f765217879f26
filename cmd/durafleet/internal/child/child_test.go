package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// TestMain makes this program the child of its own tests: its argument says what it is like.
func TestMain(m *testing.M) {
	if os.Getenv("DURAFLEET_CONNECTION") != "of a test" {
		os.Exit(m.Run())
	}
	manner := os.Args[1]
	if manner == "mute" {
		fmt.Fprintln(os.Stderr, "no words")
		os.Exit(3)
	}
	fmt.Println("begun")
	switch manner {
	case "garbled":
		fmt.Println("garbage")
		fmt.Println("more")
	case "short":
		os.Exit(4)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
	fmt.Print("ended")
	os.Exit(0)
}

var errGarbage = errors.New("garbage was told")

// nursery is where the child of a test lives.
type nursery struct {
	group run.Group
	told  []string
	fails []error
}

func (n *nursery) start(t *testing.T, manner string) *Process {
	t.Helper()
	p, err := Start(t.Context(), &n.group, &Spec{
		ID: "w", Args: []string{manner}, Connection: "of a test",
		Take: func(text []byte) error {
			if string(text) == "garbage" {
				return errGarbage
			}
			n.told = append(n.told, string(text))
			return nil
		},
		Fail: func(err error) { n.fails = append(n.fails, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// check waits until the child has ended and compares what has come of it.
func (n *nursery) check(t *testing.T, told, epitaph, fails string, p *Process) {
	t.Helper()
	<-p.Done()
	n.group.Wait()
	if got := strings.Join(n.told, " "); got != told {
		t.Errorf("it told %q, want %q", got, told)
	}
	if got := p.epitaph(); !strings.Contains(got, epitaph) {
		t.Errorf("it ended like this: %q, want %q", got, epitaph)
	}
	if got := errors.Join(n.fails...); (got != nil) != (fails != "") || got != nil && !strings.Contains(got.Error(), fails) {
		t.Errorf("failed with %v, want %q", got, fails)
	}
}

func TestProcess_Ends(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, manner         string
		begins               bool
		end                  func(*Process)
		told, epitaph, fails string
	}{
		{"released", "good", true, (*Process).Release, "begun ended", "exit status 0", ""},
		{"killed", "good", true, (*Process).Kill, "begun", "", ""},
		{"by itself", "short", true, nil, "begun", "exit status 4", "worker w ended by itself: exit status 4"},
		{"before it began", "mute", false, nil, "", "exit status 3\nno words", "worker w ended by itself"},
		{"after garbage", "garbled", true, nil, "begun", errGarbage.Error(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n nursery
			p := n.start(t, tt.manner)
			err := p.AwaitStart(t.Context())
			if !tt.begins && (err == nil || !strings.Contains(err.Error(), "worker w ended before it began: "+tt.epitaph)) {
				t.Errorf("the start: %v", err)
			}
			if tt.end != nil {
				tt.end(p)
			}
			n.check(t, tt.told, tt.epitaph, tt.fails, p)
		})
	}
}

func TestProcess_StopTooLate(t *testing.T) {
	t.Parallel()
	if !CanFreeze {
		t.Skip("this system cannot freeze processes")
	}
	var n nursery
	p := n.start(t, "good")
	if err := errors.Join(p.AwaitStart(t.Context()), p.Freeze()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "still ran after 1ms") {
		t.Error(err)
	}
	n.check(t, "begun", "killed", "", p)
	if err := p.Stop(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "exit code -1") {
		t.Error(err)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		fails    bool
	}{
		{"cut off at the end", "a\ngar", false},
		{"garbage in between", "a\ngar\na\n", true},
		{"a line without end", "a\n" + strings.Repeat("a", 2*maxLine), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := 0
			err := readLines(strings.NewReader(tt.in), func(text []byte) error {
				if strings.HasPrefix(string(text), "gar") {
					return errGarbage
				}
				lines++
				return nil
			})
			if lines != 1 || (err != nil) != tt.fails {
				t.Errorf("%d lines, %v", lines, err)
			}
		})
	}
}

func TestStart_Fails(t *testing.T) {
	t.Parallel()
	var group run.Group
	// Take and Fail are missing: they must not be called.
	if _, err := Start(t.Context(), &group, &Spec{ID: "w", Executable: t.TempDir()}); err == nil || !strings.HasPrefix(err.Error(), "start w: ") {
		t.Error(err)
	}
	group.Wait()
}

func TestServe(t *testing.T) {
	t.Parallel()
	var lines []string
	stopped := make(chan struct{})
	Serve(t.Context(), strings.NewReader("one\ntwo\n"), func(text string) { lines = append(lines, text) },
		func() { close(stopped) }, time.Hour, func() { t.Error("ended by force") })
	<-stopped
	if !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("got %q", lines)
	}
}
