package manifest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// sample is a tree of files at the top, in two directories, and one file that is alone too large
// for a batch.
func sample() fstest.MapFS {
	tree := fstest.MapFS{"README": {Data: []byte("read me")}, "empty": {}}
	for i := range 10 {
		tree[fmt.Sprintf("docs/%02d.txt", i)] = &fstest.MapFile{Data: fmt.Append(nil, "page ", i)}
		tree[fmt.Sprintf("src/deep/er/%02d.go", i)] = &fstest.MapFile{Data: fmt.Append(nil, "package p", i)}
	}
	tree["src/large.bin"] = &fstest.MapFile{Data: bytes.Repeat([]byte("x"), 10_000)}
	tree["src/link"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("large.bin")}
	return tree
}

// fleet runs a worker over a tree in memory for the length of a test, in its bubble.
func fleet(t *testing.T, open func(string) fs.FS) *taskhub.Client {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	hub, err := taskhub.Create(ctx, taskhub.Memory(), "Test", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := worker.New(hub, nil, (&manifest.Service{Open: open}).Bindings()...)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return taskhub.NewClient(hub)
}

func TestManifest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tree := sample()
		client := fleet(t, func(string) fs.FS { return tree })
		request := manifest.Request{Root: "/any", Limits: manifest.Limits{Files: 3, Bytes: 1000}, Settle: time.Hour}
		begun := time.Now()
		instance, err := taskhub.Start(t.Context(), client, manifest.Manifest, request)
		if err != nil {
			t.Fatal(err)
		}
		status := awaitQuestion(t, client, instance.ID())
		if waited := time.Since(begun); waited < time.Hour {
			t.Errorf("the question came after %v, before the tree has settled", waited)
		}
		if want := `"files":23`; !strings.Contains(string(status.CustomStatus), want) {
			t.Errorf("custom status %s has no %s", status.CustomStatus, want)
		}
		decision := manifest.Decision{Approved: true, By: "a test"}
		if err := taskhub.RaiseEvent(t.Context(), client, instance.ID(), manifest.Approved, decision); err != nil {
			t.Fatal(err)
		}
		report, err := instance.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, tree, report)
		if report.ApprovedBy != decision.By {
			t.Errorf("approved by %q, want %q", report.ApprovedBy, decision.By)
		}
	})
}

// awaitQuestion waits until the instance asks for approval; time is virtual.
func awaitQuestion(t *testing.T, client *taskhub.Client, id string) *taskhub.Status {
	t.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		status, err := client.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status.CustomStatus), manifest.AwaitingApproval) {
			return status
		}
		if status.Status.Terminal() {
			t.Fatalf("it is %s before it asked: %s", status.Status, status.Failure)
		}
		<-ticker.C
	}
}

func checkReport(t *testing.T, tree fstest.MapFS, report manifest.Report) {
	t.Helper()
	if len(report.Files) != len(tree)-1 { // without the link
		t.Errorf("%d files, want %d", len(report.Files), len(tree)-1)
	}
	last := ""
	for _, file := range report.Files {
		if file.Path <= last {
			t.Errorf("%s comes after %s", file.Path, last)
		}
		last = file.Path
		source, ok := tree[file.Path]
		if !ok || !source.Mode.IsRegular() {
			t.Errorf("%s is no file of the tree", file.Path)
			continue
		}
		sum := sha256.Sum256(source.Data)
		if file.SHA256 != hex.EncodeToString(sum[:]) || file.Size != int64(len(source.Data)) {
			t.Errorf("%s is described wrongly: %+v", file.Path, file)
		}
	}
}

func TestManifest_Refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tree := sample()
		client := fleet(t, func(string) fs.FS { return tree })
		instance, err := taskhub.Start(t.Context(), client, manifest.Manifest, manifest.Request{Root: "/any"})
		if err != nil {
			t.Fatal(err)
		}
		if err := taskhub.RaiseEvent(t.Context(), client, instance.ID(), manifest.Approved, manifest.Decision{By: "a test"}); err != nil {
			t.Fatal(err)
		}
		_, err = instance.Wait(t.Context())
		var ended *taskhub.EndedError
		if !errors.As(err, &ended) || ended.Status != history.Failed || !strings.Contains(ended.Failure, "refused by a test") {
			t.Errorf("the wait ended with %v", err)
		}
	})
}

func TestManifest_FileReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tree := &shaky{MapFS: sample()}
		client := fleet(t, func(string) fs.FS { return tree })
		instance, err := taskhub.Start(t.Context(), client, manifest.Manifest, manifest.Request{Root: "/any"})
		if err != nil {
			t.Fatal(err)
		}
		if err := taskhub.RaiseEvent(t.Context(), client, instance.ID(), manifest.Approved, manifest.Decision{Approved: true}); err != nil {
			t.Fatal(err)
		}
		report, err := instance.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, tree.MapFS, report)
	})
}

// shaky is a tree in which one file cannot be opened the first time.
type shaky struct {
	fstest.MapFS
	failed atomic.Bool
}

func (s *shaky) Open(name string) (fs.File, error) {
	if name == "src/large.bin" && s.failed.CompareAndSwap(false, true) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("device is away")}
	}
	return s.MapFS.Open(name)
}

func TestListFiles_Batches(t *testing.T) {
	t.Parallel()
	tree := sample()
	service := &manifest.Service{Open: func(string) fs.FS { return tree }}
	for _, tt := range []struct {
		name   string
		dir    string
		limits manifest.Limits
		want   []int // files in each batch
	}{
		{"the top alone", ".", manifest.Limits{}, []int{2}},
		{"default", "docs", manifest.Limits{}, []int{10}},
		{"by number", "docs", manifest.Limits{Files: 4}, []int{4, 4, 2}},
		{"by size", "docs", manifest.Limits{Bytes: 12}, []int{2, 2, 2, 2, 2}},
		{"a large file alone", "src", manifest.Limits{Bytes: 1000}, []int{10, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			batches, err := service.ListFiles(t.Context(), manifest.SectionRequest{Dir: tt.dir, Limits: tt.limits})
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, batch := range batches {
				got = append(got, len(batch.Paths))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("batches of %v, want %v", got, tt.want)
			}
		})
	}
}

func TestService_Faults(t *testing.T) {
	t.Parallel()
	service := &manifest.Service{Open: func(string) fs.FS { return sample() }}
	if _, err := service.ListFiles(t.Context(), manifest.SectionRequest{Root: "/r", Dir: "gone"}); err == nil || !strings.Contains(err.Error(), "/r/gone") {
		t.Errorf("a directory that is gone: %v", err)
	}
	if _, err := service.HashFiles(t.Context(), manifest.Batch{Paths: []string{"gone.txt"}}); err == nil || !strings.Contains(err.Error(), "gone.txt") {
		t.Errorf("a file that is gone: %v", err)
	}
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(stopped)
	if _, err := service.HashFiles(ctx, manifest.Batch{Paths: []string{"README"}}); !errors.Is(err, stopped) {
		t.Errorf("a stopped activity: %v", err)
	}
}
