package wire_test

import (
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// The unit of the message benchmarks is one message with a payload of a kilobyte.

func benchmarkMessage() *wire.Message {
	return messageOf(&history.TaskCompleted{
		Header: head(-1), TaskID: 3, Result: history.Text(`"` + strings.Repeat("payload ", 128) + `"`),
	})
}

func BenchmarkEncodeMessage(b *testing.B) {
	m := benchmarkMessage()
	b.SetBytes(int64(len(encode(b, m))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.EncodeMessage(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	text := encode(b, benchmarkMessage())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := wire.DecodeMessage(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventRow(b *testing.B) {
	e := &history.TaskScheduled{Header: head(3), Name: "Charge"}
	b.ReportAllocs()
	for b.Loop() {
		c, err := wire.EncodeEvent(e, "e")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := wire.DecodeEvent(c); err != nil {
			b.Fatal(err)
		}
	}
}
