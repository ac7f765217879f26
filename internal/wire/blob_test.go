package wire_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/wire"
)

func compress(t testing.TB, text string) []byte {
	t.Helper()
	data, err := wire.Compress(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecompress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "plain": "plain", "\uFEFFmarked": "marked", "bad\xFF": "bad\uFFFD"} {
		if got, err := wire.Decompress(compress(t, text), 100); err != nil || got != want {
			t.Errorf("%q became %q, error %v", text, got, err)
		}
	}
}

// A blob of a few bytes can unpack to gigabytes; it is refused without being unpacked.
func TestDecompress_Bomb(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{-1, 0, 1, 1 << 10, 64<<20 - 1} {
		if _, err := wire.Decompress(bomb.Bytes(), limit); !errors.Is(err, wire.ErrBlobTooLarge) {
			t.Errorf("limit %d: got error %v, want ErrBlobTooLarge", limit, err)
		}
	}
	if text, err := wire.Decompress(bomb.Bytes(), 64<<20); err != nil || len(text) != 64<<20 {
		t.Errorf("at the limit: %d bytes, error %v", len(text), err)
	}
}

func TestDecompress_Corrupt(t *testing.T) {
	t.Parallel()
	good := compress(t, strings.Repeat("text ", 100))
	flipped := slices.Clone(good)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for name, data := range map[string][]byte{
		"empty":           nil,
		"no gzip":         []byte("plain text"),
		"cut off":         good[:len(good)-3],
		"header only":     good[:10],
		"checksum":        flipped,
		"garbage behind":  append(slices.Clone(good), 0),
		"a second member": append(slices.Clone(good), good...),
	} {
		if text, err := wire.Decompress(data, 1000); !errors.Is(err, wire.ErrBlobCorrupt) || text != "" {
			t.Errorf("%s: got %q, error %v; want ErrBlobCorrupt", name, text, err)
		}
	}
}

func TestBlobURL(t *testing.T) {
	t.Parallel()
	const container = "https://acct.blob.core.windows.net/myhub-largemessages"
	for name, want := range map[string]string{
		"@cart@u42/history-0000000000000001-ExecutionStarted-0A1B2C3D-Input.json.gz": "/%40cart%40u42/history-0000000000000001-ExecutionStarted-0A1B2C3D-Input.json.gz",
		"a:b c/x":   "/a%3Ab%20c/x",
		"x^0y#~_.-": "/x%5E0y%23~_.-",
		"日":         "/%E6%97%A5",
		"100%/a//b": "/100%25/a//b",
	} {
		if got := wire.BlobURL(container, name); got != container+want {
			t.Errorf("BlobURL(%q) = %s, want …%s", name, got, want)
		}
	}
}

func TestParseBlobURL(t *testing.T) {
	t.Parallel()
	const container = "https://acct.blob.core.windows.net/myhub-largemessages"
	for _, tt := range []struct {
		text, want string
		ok         bool
	}{
		{container + "/a%2Fb/c", "a/b/c", true},
		{"HTTPS://ACCT.blob.core.windows.net/myhub-largemessages/a", "a", true},
		{container + "/@old@key/x 100% y", "@old@key/x 100% y", true}, // not escaped, as before 2.2.0
		{container + "/", "", false},
		{container, "", false},
		{container + "2/a", "", false},
		{"https://acct.blob.core.windows.net/other/a", "", false},
		{`"` + container + `/a"`, "", false},
		{"urn:x", "", false},
		{"", "", false},
	} {
		if got, ok := wire.ParseBlobURL(container, tt.text); got != tt.want || ok != tt.ok {
			t.Errorf("ParseBlobURL(%q) = %q, %t; want %q, %t", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestUnpackedSize(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", strings.Repeat("long ", 100_000), strings.Repeat(" ", 10<<20)} {
		if got, err := wire.UnpackedSize(compress(t, text)); got != int64(len(text)) || err != nil {
			t.Errorf("%d bytes, want %d, error %v", got, len(text), err)
		}
	}
	liar := compress(t, "text")
	binary.LittleEndian.PutUint32(liar[len(liar)-4:], uint32(1032*len(liar)+1))
	for name, data := range map[string][]byte{
		"nothing": nil, "no gzip": []byte(strings.Repeat("x", 100)), "two bytes": {0x1F, 0x8B}, "header only": compress(t, "text")[:10], "liar": liar,
	} {
		if got, err := wire.UnpackedSize(data); !errors.Is(err, wire.ErrBlobCorrupt) {
			t.Errorf("%s: %d bytes, error %v", name, got, err)
		}
	}
}

// noise returns a text that hardly packs.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteByte(byte(' ' + r.IntN(90)))
	}
	return b.String()
}

// Wherever a blob is cut off, and whatever bit of it is another, it is told to be cut off or corrupt,
// never to be too large; what can still be read is what it was.
func TestDecompress_Damaged(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"short": "text", "noise": noise(90_000), "repeats": strings.Repeat("text ", 20_000)} {
		data := compress(t, text)
		step := max(1, len(data)/200)
		for at := 0; at < len(data); at += step {
			if got, err := wire.Decompress(data[:at], 64<<20); !errors.Is(err, wire.ErrBlobCorrupt) || got != "" {
				t.Errorf("%s cut off at %d of %d: %d bytes, error %v", name, at, len(data), len(got), err)
			}
			flipped := slices.Clone(data)
			flipped[at] ^= 1 << (at % 8)
			if got, err := wire.Decompress(flipped, 64<<20); err == nil && got != text || err != nil && !errors.Is(err, wire.ErrBlobCorrupt) {
				t.Errorf("%s with another bit in byte %d of %d: %d bytes, error %v", name, at, len(data), len(got), err)
			}
		}
	}
}

// What claims more than the limit is too large if that is true, and otherwise cut off.
func TestCheckTooLarge(t *testing.T) {
	t.Parallel()
	bomb := compress(t, strings.Repeat(" ", 3<<20))
	if err := wire.CheckTooLarge(bomb, 1<<20); !errors.Is(err, wire.ErrBlobTooLarge) {
		t.Errorf("a bomb: %v", err)
	}
	for name, data := range map[string][]byte{"cut off": compress(t, noise(50_000))[:30_000], "no gzip": []byte("x"), "small": compress(t, "x")} {
		if err := wire.CheckTooLarge(data, 1<<20); !errors.Is(err, wire.ErrBlobCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
