package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Compress returns the blob content for a text: its UTF-8 bytes as one gzip member.
func Compress(text string) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		return nil, fmt.Errorf("compress blob: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress blob: %w", err)
	}
	return b.Bytes(), nil
}

const (
	// trailerBytes is the length of the size at the end of a gzip member.
	trailerBytes = 4
	// maxRatio is the most that a byte of gzip can unpack to.
	maxRatio = 1032
)

// UnpackedSize returns the number of bytes that a blob claims to unpack to, without unpacking it.
// Decompress finds out whether the claim is true.
func UnpackedSize(data []byte) int64 {
	if len(data) < trailerBytes || !bytes.HasPrefix(data, []byte{0x1F, 0x8B}) {
		return 0 // no gzip at all
	}
	return int64(binary.LittleEndian.Uint32(data[len(data)-trailerBytes:]))
}

// Decompress returns the text of a blob. It stops with ErrBlobTooLarge when the text would be
// longer than limit bytes, and returns ErrBlobCorrupt for anything but one complete gzip member,
// an empty blob included. A byte order mark is dropped and bytes that are not UTF-8 become U+FFFD,
// as .NET reads them.
func Decompress(data []byte, limit int64) (string, error) {
	input := bytes.NewReader(data)
	r, err := gzip.NewReader(input)
	if err != nil {
		return "", corrupt(err)
	}
	r.Multistream(false)
	var b strings.Builder
	b.Grow(int(max(0, min(UnpackedSize(data), int64(len(data))*maxRatio, limit))))
	n, err := io.Copy(&b, io.LimitReader(r, limit))
	if err != nil {
		return "", corrupt(err)
	}
	if err := drained(r, n, limit); err != nil {
		return "", err
	}
	if input.Len() > 0 {
		return "", fmt.Errorf("%w: %d bytes after the end", ErrBlobCorrupt, input.Len())
	}
	return strings.ToValidUTF8(strings.TrimPrefix(b.String(), byteOrderMark), "\uFFFD"), nil
}

// drained checks that a reader of which n bytes were taken ends there. Reading on is also what
// makes gzip verify its checksum.
func drained(r io.Reader, n, limit int64) error {
	switch _, err := io.ReadFull(r, make([]byte, 1)); {
	case err == nil:
		return fmt.Errorf("%w of %d bytes", ErrBlobTooLarge, limit)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return corrupt(fmt.Errorf("after %d bytes: %w", n, err))
	}
}

func corrupt(err error) error { return fmt.Errorf("%w: %w", ErrBlobCorrupt, err) }
