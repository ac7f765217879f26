package doorbell

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRing(t *testing.T) {
	t.Parallel()
	for _, want := range []Ring{
		{News, "hub-control-00"}, {News, strings.Repeat("a", maxQueue)}, {Topic: WorkItems}, {Topic: Partitions},
	} {
		datagram := encode(secret, want)
		claimed, got, err := decode(datagram)
		if err != nil || got != want || claimed != secret || len(datagram) > maxDatagram {
			t.Errorf("%v became %v by %v in %d bytes, error %v", want, got, claimed, len(datagram), err)
		}
	}
}

func TestDecode_Errors(t *testing.T) {
	t.Parallel()
	good := encode(secret, Ring{News, "hub-control-00"})
	changed := func(at int, to byte) []byte {
		bad := bytes.Clone(good)
		bad[at] = to
		return bad
	}
	for name, datagram := range map[string][]byte{
		"empty": nil, "short": good[:headSize-1], "other version": changed(3, '2'), "unknown topic": changed(headSize-1, 'x'),
		"no queue": good[:headSize], "short queue": good[:headSize+2], "bad name": changed(headSize, 'A'), "zero byte": changed(len(good)-1, 0),
		"long queue":        append(bytes.Clone(good), bytes.Repeat([]byte{'a'}, maxQueue)...),
		"queue of nobody's": encode(secret, Ring{Partitions, "hub-control-00"}),
	} {
		if _, r, err := decode(datagram); !errors.Is(err, ErrMalformed) || r != (Ring{}) {
			t.Errorf("%s: %v, error %v", name, r, err)
		}
	}
}

// Whatever arrives, it is a ring that would be sent so, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(encode(secret, Ring{News, "hub-control-00"}))
	f.Add(encode(secret, Ring{Topic: WorkItems}))
	f.Add(encode(secret, Ring{Topic: Partitions}))
	f.Add([]byte("DFR1"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		claimed, r, err := decode(datagram)
		if err == nil && !bytes.Equal(encode(claimed, r), datagram) {
			t.Errorf("%x became %v", datagram, r)
		}
		if err != nil && (!errors.Is(err, ErrMalformed) || r != (Ring{})) {
			t.Errorf("%x: %v, error %v", datagram, r, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add("10.0.0.1:7 " + strings.Repeat("ab", 16))
	f.Add("[fd00::1]:7 " + strings.Repeat("AB", 16))
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		again, err := ParseAddress(a.Text())
		if err != nil || again != a || !usable(a.At) {
			t.Errorf("%q became %v and %v, error %v", text, a, again, err)
		}
	})
}
