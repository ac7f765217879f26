package wire_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
)

// TestGoldenRows reads every stored or sent row and writes it again, column for column.
func TestGoldenRows(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		blobs := recordedBlobs(t, scenario)
		for _, row := range recordedRows(t, scenario) {
			switch c := row.columns; {
			case row.rowKey == wire.SentinelKey:
				checkSentinel(t, row)
			case c["EventType"] != nil:
				checkEvent(t, row, blobs)
			case c["IsDraining"] != nil:
				checkPartition(t, row)
			default:
				checkInstance(t, row)
			}
			if key := wire.EscapeKey(wire.UnescapeKey(row.partitionKey)); key != row.partitionKey {
				t.Errorf("key %q became %q", row.partitionKey, key)
			}
		}
	})
}

func checkColumns(t *testing.T, row recordedRow, got, want wire.Columns) {
	t.Helper()
	if diff := cmp.Diff(sortTags(t, want), sortTags(t, got)); diff != "" {
		t.Errorf("row %q %q differs (-recorded +encoded):\n%s", row.partitionKey, row.rowKey, diff)
	}
}

// sortTags puts the tags of a row into an order of their own, since a Go map keeps none.
func sortTags(t *testing.T, c wire.Columns) wire.Columns {
	t.Helper()
	text, ok := c["Tags"].(string)
	if !ok {
		return c
	}
	var tags map[string]string
	if err := json.Unmarshal([]byte(text), &tags); err != nil {
		t.Fatalf("tags %s: %v", text, err)
	}
	c = maps.Clone(c)
	if len(tags) > 1 {
		c["Tags"] = fmt.Sprint(tags)
	}
	return c
}

func checkSentinel(t *testing.T, row recordedRow) {
	t.Helper()
	s, err := wire.DecodeSentinel(row.columns)
	if err != nil {
		t.Errorf("sentinel of %q: %v", row.partitionKey, err)
		return
	}
	got := wire.EncodeSentinel(s)
	delete(got, "DurafleetProcessed") // .NET has no such columns
	delete(got, "DurafleetWaits")
	delete(got, "DurafleetReplaced")
	want := maps.Clone(row.columns)
	if !s.Complete {
		delete(want, "CheckpointCompletedTimestamp") // of an earlier checkpoint
	}
	checkColumns(t, row, got, want)
}

func checkEvent(t *testing.T, row recordedRow, blobs map[string]fixture.Blob) {
	t.Helper()
	c := maps.Clone(row.columns)
	names := wire.BlobColumns(c)
	for column, name := range names {
		blob, found := blobs[name]
		if !found {
			return // deleted since, when the instance continued as new
		}
		c[column] = unpack(t, blob)
	}
	e, err := wire.DecodeEvent(c)
	if err != nil {
		t.Errorf("row %q %q: %v", row.partitionKey, row.rowKey, err)
		return
	}
	got, err := wire.EncodeEvent(e, wire.ExecutionOf(c))
	if err != nil {
		t.Errorf("row %q %q: %v", row.partitionKey, row.rowKey, err)
		return
	}
	if large := wire.LargeColumnsOf(got); len(large) != len(names) {
		t.Errorf("row %q %q: large columns %q, recorded %q", row.partitionKey, row.rowKey, large, names)
	}
	for column, name := range names {
		random8 := strings.Split(name[strings.LastIndexByte(name, '/'):], "-")[3]
		again := wire.HistoryBlobName(wire.UnescapeKey(row.partitionKey), row.rowKey, string(e.Kind()), random8, column)
		if again != name {
			t.Errorf("blob name %s, want %s", again, name)
		}
		wire.SetBlob(got, column, name)
	}
	want := maps.Clone(row.columns)
	want["IsPlayed"] = false
	dropRewound(want, got)
	checkColumns(t, row, got, want)
}

// dropRewound removes what rewinding leaves behind: a row turned into a GenericEvent keeps the
// columns of what it was, and the row of a rewound child carries a Reason.
func dropRewound(want, got wire.Columns) {
	reason, _ := want["Reason"].(string)
	if !strings.HasPrefix(reason, "Rewound: ") {
		return
	}
	maps.DeleteFunc(want, func(name string, _ any) bool { return got[name] == nil })
}

func checkPartition(t *testing.T, row recordedRow) {
	t.Helper()
	p, err := wire.DecodePartition(row.rowKey, row.columns)
	if err != nil {
		t.Errorf("partition %q: %v", row.rowKey, err)
		return
	}
	if p.ID != row.rowKey {
		t.Errorf("partition %q has ID %q", row.rowKey, p.ID)
	}
	checkColumns(t, row, wire.EncodePartition(p), row.columns)
}

func checkInstance(t *testing.T, row recordedRow) {
	t.Helper()
	in, err := wire.DecodeInstance(row.partitionKey, row.columns)
	if err != nil {
		t.Errorf("instance %q: %v", row.partitionKey, err)
		return
	}
	var got wire.Columns
	switch c := row.columns; {
	case c["CustomStatus"] != nil:
		got = updateOf(in, c).Encode()
	case c["CreatedTime"] != nil:
		got = newInstanceOf(in, c)
	case c["CompletedTime"] != nil:
		got = wire.EncodeEarlyTermination(in.Output, in.LastUpdated, *in.Completed)
	default:
		got = wire.EncodeRewound(in.LastUpdated)
	}
	want := maps.Clone(row.columns)
	delete(want, "InputBlobName") // of a client that does not put a URL into Input
	checkColumns(t, row, got, want)
	for _, text := range []*string{in.Input, in.Output} {
		checkReference(t, row, history.TextOr(text, ""))
	}
}

// newInstanceOf returns the client-made row; a row that was terminated before its first turn has
// the columns of both writers.
func newInstanceOf(in wire.Instance, c wire.Columns) wire.Columns {
	got := wire.EncodeNewInstance(in)
	if in.Completed != nil {
		maps.Copy(got, wire.EncodeEarlyTermination(in.Output, in.LastUpdated, *in.Completed))
	}
	for _, name := range []string{"ExecutionId", "Generation", "Tags"} {
		if c[name] == nil {
			delete(got, name) // clients of old versions
		}
	}
	return got
}

// updateOf returns the worker's update that writes the given columns.
func updateOf(in wire.Instance, c wire.Columns) wire.InstanceUpdate {
	u := wire.InstanceUpdate{
		ExecutionID: in.ExecutionID, LastUpdated: in.LastUpdated, TaskHubName: in.TaskHubName,
		CustomStatus: in.CustomStatus, Status: in.Status, Completed: in.Completed, Output: in.Output,
	}
	if c["CreatedTime"] != nil {
		u.Start = &wire.InstanceStart{
			Name: in.Name, Version: in.Version, Created: in.Created, Tags: in.Tags, Input: in.Input,
			ScheduledStart: in.ScheduledStart,
		}
		if in.HasGeneration {
			u.Start.Generation = &in.Generation
		}
	}
	return u
}

// checkReference checks that a URL in a payload column is recognised and built in the same way.
func checkReference(t *testing.T, row recordedRow, text string) {
	t.Helper()
	const mark = "-largemessages/"
	i := strings.Index(text, mark)
	if !strings.HasPrefix(text, "http") || i < 0 {
		return
	}
	container := text[:i+len(mark)-1]
	name, ok := wire.ParseBlobURL(container, text)
	if !ok || wire.BlobURL(container, name) != text {
		t.Errorf("instance %q: reference %s became %q, %t", row.partitionKey, text, name, ok)
	}
}

// TestGoldenHistoryOrder checks that the rows of an execution are numbered as RowKey numbers them.
func TestGoldenHistoryOrder(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		hub := fixture.Load(t, scenario)
		index := map[string]int{}
		for _, row := range hub.Rows(hub.Name + "History") {
			if row.RowKey == wire.SentinelKey {
				continue
			}
			if want := wire.RowKey(index[row.PartitionKey]); row.RowKey != want {
				t.Errorf("row %q of %q, want %q", row.RowKey, row.PartitionKey, want)
			}
			index[row.PartitionKey]++
		}
	})
}

// TestGoldenSmallBlobs covers the blobs that hold plain JSON.
func TestGoldenSmallBlobs(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		for _, container := range fixture.Load(t, scenario).Containers {
			for _, blob := range container.Blobs {
				switch {
				case strings.HasSuffix(blob.Name, "-appleaseinfo"):
					info, err := wire.DecodeAppLeaseInfo(blob.Text)
					if again := wire.EncodeAppLeaseInfo(info); err != nil || again != blob.Text {
						t.Errorf("app lease info %s became %s, error %v", blob.Text, again, err)
					}
				case blob.Name == wire.HubInfoBlob:
					info, err := wire.DecodeHubInfo(blob.Text)
					if err != nil || info.PartitionCount != 4 || info.CreatedAt.IsZero() || info.TaskHubName == "" {
						t.Errorf("hub info %s became %+v, error %v", blob.Text, info, err)
					}
				}
			}
		}
	})
}
