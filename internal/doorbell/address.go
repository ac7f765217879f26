package doorbell

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
)

// Secret is what a ring has to know. Whoever has it can ring.
type Secret [16]byte

// is reports whether both are the same, in a time that does not depend on where they differ.
func (s Secret) is(other Secret) bool { return subtle.ConstantTimeCompare(s[:], other[:]) == 1 }

// String implements fmt.Stringer; it does not show the secret.
func (Secret) String() string { return "(secret)" }

// GoString implements fmt.GoStringer; it does not show the secret.
func (s Secret) GoString() string { return s.String() }

// Address says where a Bell is, and what it takes to ring it.
type Address struct {
	At     netip.AddrPort
	Secret Secret
}

// maxText is longer than any Address.
const maxText = 100

// Text returns the form in which an Address is published: host and port, a space, the secret as 32
// hexadecimal digits.
func (a Address) Text() string { return a.At.String() + " " + hex.EncodeToString(a.Secret[:]) }

// ParseAddress reads what Text returns. The error is ErrMalformed and does not show the text.
func ParseAddress(text string) (Address, error) {
	place, secret, found := strings.Cut(text, " ")
	if len(text) > maxText || !found {
		return Address{}, fmt.Errorf("%w: an address is host:port, a space and a secret", ErrMalformed)
	}
	var a Address
	at, err := netip.ParseAddrPort(place)
	if err != nil || !usable(at) {
		return Address{}, fmt.Errorf("%w: the address has no usable IP address and port", ErrMalformed)
	}
	if hex.DecodedLen(len(secret)) != len(a.Secret) || len(secret)%2 != 0 {
		return Address{}, fmt.Errorf("%w: a secret has %d hexadecimal digits", ErrMalformed, hex.EncodedLen(len(a.Secret)))
	}
	if _, err := hex.Decode(a.Secret[:], []byte(secret)); err != nil {
		return Address{}, fmt.Errorf("%w: a secret has %d hexadecimal digits", ErrMalformed, hex.EncodedLen(len(a.Secret)))
	}
	a.At = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return a, nil
}

// usable reports whether one process can be reached at a place. Zones mean nothing on other machines.
func usable(at netip.AddrPort) bool {
	ip := at.Addr()
	return ip.IsValid() && at.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && ip.Zone() == ""
}

// String returns host and port; it does not show the secret.
func (a Address) String() string { return a.At.String() }

// GoString implements fmt.GoStringer; it does not show the secret.
func (a Address) GoString() string { return a.String() }

// LogValue implements slog.LogValuer; it does not show the secret.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }
