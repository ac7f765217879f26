package doorbell

import "fmt"

// Topic says what a ring is about.
type Topic byte

// The topics.
const (
	// News: there is a message in a control queue.
	News Topic = 'q'
	// WorkItems: there is a message in the queue of work items.
	WorkItems Topic = 'w'
	// Partitions: a row of the partition table has changed.
	Partitions Topic = 'p'
)

// Ring is what a datagram says.
type Ring struct {
	Topic Topic
	// Queue is the control queue of News, "" with other topics.
	Queue string
}

const (
	magic    = "DFR1"
	headSize = len(magic) + len(Secret{}) + 1
	// maxQueue is how long names of queues are at most.
	maxQueue    = 63
	maxDatagram = headSize + maxQueue
)

// encode returns the datagram of a ring.
func encode(secret Secret, r Ring) []byte {
	datagram := make([]byte, 0, headSize+len(r.Queue))
	datagram = append(datagram, magic...)
	datagram = append(datagram, secret[:]...)
	datagram = append(datagram, byte(r.Topic))
	return append(datagram, r.Queue...)
}

// decode reads a datagram. The secret is what it claims.
func decode(datagram []byte) (Secret, Ring, error) {
	var secret Secret
	if len(datagram) < headSize || len(datagram) > maxDatagram || string(datagram[:len(magic)]) != magic {
		return secret, Ring{}, fmt.Errorf("%w: %d bytes that are no ring", ErrMalformed, len(datagram))
	}
	copy(secret[:], datagram[len(magic):])
	r := Ring{Topic: Topic(datagram[headSize-1]), Queue: string(datagram[headSize:])}
	switch r.Topic {
	case News:
		if !queueName(r.Queue) {
			return secret, Ring{}, fmt.Errorf("%w: no name of a queue", ErrMalformed)
		}
	case WorkItems, Partitions:
		if r.Queue != "" {
			return secret, Ring{}, fmt.Errorf("%w: a queue with topic %q", ErrMalformed, r.Topic)
		}
	default:
		return secret, Ring{}, fmt.Errorf("%w: unknown topic %q", ErrMalformed, r.Topic)
	}
	return secret, r, nil
}

// queueName reports whether a text can be the name of a queue.
func queueName(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(text) >= 3 && len(text) <= maxQueue
}
