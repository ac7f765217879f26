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
	// minBlob is the length of the gzip of nothing: 10 bytes of header, 2 of an empty block, 8 of trailer.
	minBlob = 20
	// maxRatio is the most that a byte of gzip can unpack to: deflate's shortest code for its longest match.
	maxRatio = 1032
)

// UnpackedSize returns the number of bytes that a blob claims to unpack to, without unpacking it.
// The error is ErrBlobCorrupt if it is no gzip at all, or claims what a blob of its length cannot
// hold, as most blobs do that are cut off: the claim stands at the end. Decompress finds out whether
// the claim is true.
func UnpackedSize(data []byte) (int64, error) {
	if len(data) == 0 {
		return 0, fmt.Errorf("%w: it is empty", ErrBlobCorrupt)
	}
	if !bytes.HasPrefix(data, []byte{0x1F, 0x8B}) {
		return 0, fmt.Errorf("%w: its %d bytes do not begin as gzip does", ErrBlobCorrupt, len(data))
	}
	if len(data) < minBlob {
		return 0, fmt.Errorf("%w: it ends after %d bytes, no gzip is shorter than %d", ErrBlobCorrupt, len(data), minBlob)
	}
	claim := int64(binary.LittleEndian.Uint32(data[len(data)-trailerBytes:]))
	if most := int64(len(data)) * maxRatio; claim > most {
		return 0, fmt.Errorf("%w: its end claims that %d bytes unpack to %d, which cannot be more than %d",
			ErrBlobCorrupt, len(data), claim, most)
	}
	return claim, nil
}

// Decompress returns the text of a blob. It stops with ErrBlobTooLarge when the text would be
// longer than limit bytes, and returns ErrBlobCorrupt for anything but one complete gzip member,
// an empty blob included. A byte order mark is dropped and bytes that are not UTF-8 become U+FFFD,
// as .NET reads them.
func Decompress(data []byte, limit int64) (string, error) {
	claim, err := UnpackedSize(data)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(int(max(0, min(claim, limit))))
	if err := unpack(&b, data, min(claim, limit)); err != nil {
		if errors.Is(err, ErrBlobTooLarge) && claim <= limit {
			return "", fmt.Errorf("%w: it unpacks to more than the %d bytes that its end claims", ErrBlobCorrupt, claim)
		}
		return "", err
	}
	return strings.ToValidUTF8(strings.TrimPrefix(b.String(), byteOrderMark), "\uFFFD"), nil
}

// CheckTooLarge says what is wrong with a blob that claims to unpack to more than limit bytes: the
// error is ErrBlobTooLarge if that is so, ErrBlobCorrupt if it is not. It unpacks that much, without
// keeping it.
func CheckTooLarge(data []byte, limit int64) error {
	if err := unpack(io.Discard, data, limit); err != nil {
		return err
	}
	return fmt.Errorf("%w: it unpacks to no more than %d bytes, its end claims more", ErrBlobCorrupt, limit)
}

// unpack writes what a gzip member holds.
func unpack(w io.Writer, data []byte, limit int64) error {
	input := bytes.NewReader(data)
	r, err := gzip.NewReader(input)
	if err != nil {
		return corrupt(0, err)
	}
	r.Multistream(false)
	n, err := io.Copy(w, io.LimitReader(r, limit))
	if err != nil {
		return corrupt(n, err)
	}
	if err := drained(r, n, limit); err != nil {
		return err
	}
	if input.Len() > 0 {
		return fmt.Errorf("%w: %d bytes after the end", ErrBlobCorrupt, input.Len())
	}
	return nil
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
		return corrupt(n, err)
	}
}

func corrupt(unpacked int64, err error) error {
	return fmt.Errorf("%w: after %d unpacked bytes: %w", ErrBlobCorrupt, unpacked, err)
}
