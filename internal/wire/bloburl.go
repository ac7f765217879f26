package wire

import (
	"net/url"
	"strings"
)

// startMessageSuffix ends the names of blobs that hold a whole start message. Blobs that hold just
// an input end differently.
const startMessageSuffix = "ExecutionStarted" + messageExtension

// BlobURL returns the reference to a blob that an Input or Output column holds. Each segment of
// the name is percent-escaped.
func BlobURL(containerURL, blobName string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(containerURL, "/"))
	for segment := range strings.SplitSeq(blobName, "/") {
		b.WriteByte('/')
		for i := range len(segment) {
			if c := segment[i]; unreserved(c) {
				b.WriteByte(c)
			} else {
				b.WriteByte('%')
				b.WriteByte("0123456789ABCDEF"[c>>4])
				b.WriteByte("0123456789ABCDEF"[c&0xF])
			}
		}
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// ParseBlobURL returns the blob name if a text refers to a blob of the container. Everything else,
// other URLs included, is just a text. References of old versions, which did not escape, are
// understood too.
func ParseBlobURL(containerURL, text string) (blobName string, ok bool) {
	container := strings.TrimSuffix(containerURL, "/") + "/"
	if len(text) <= len(container) || !strings.EqualFold(text[:len(container)], container) {
		return "", false
	}
	escaped := text[len(container):]
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped, true
	}
	return name, true
}

// IsStartMessageBlob reports whether a blob that an Input refers to holds a start message, whose
// event has the input, rather than the input itself.
func IsStartMessageBlob(blobName string) bool { return strings.HasSuffix(blobName, startMessageSuffix) }
