package doorbell

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

var secret = Secret{0: 1, 15: 0xff}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"10.0.0.1:7", "[fd00::1]:65535"} {
		want := Address{netip.MustParseAddrPort(at), secret}
		if text := want.Text(); text != at+" 010000000000000000000000000000ff" {
			t.Errorf("published as %q", text)
		}
		got, err := ParseAddress(want.Text())
		if err != nil || got != want {
			t.Errorf("%v became %v, error %v", want, got, err)
		}
	}
}

func TestParseAddress_Errors(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("ab", 16)
	for _, text := range []string{
		"", " ", digits, "10.0.0.1:7", "10.0.0.1:7 ", "10.0.0.1 " + digits, "10.0.0.1:0 " + digits, "host:7 " + digits, "0.0.0.0:7 " + digits,
		"[::]:7 " + digits, "224.0.0.1:7 " + digits, "[fe80::1%eth0]:7 " + digits, "10.0.0.1:7  " + digits, "10.0.0.1:7 " + digits + "a",
		"10.0.0.1:7 " + digits + "ab", "10.0.0.1:7 " + digits[2:], "10.0.0.1:7 " + strings.Repeat("xy", 16), "10.0.0.1:7 " + strings.Repeat("a", 200),
	} {
		_, err := ParseAddress(text)
		if !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), digits[2:]) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// Whoever prints an address does not print the secret.
func TestAddress_Prints(t *testing.T) {
	t.Parallel()
	a := Address{netip.MustParseAddrPort("10.0.0.1:7"), secret}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, a); !strings.Contains(text, "10.0.0.1:7") || strings.Contains(text, "ff") {
			t.Errorf("%s prints %s", format, text)
		}
		if text := fmt.Sprintf(format, a.Secret); strings.Contains(text, "ff") || strings.Contains(text, "255") {
			t.Errorf("%s prints %s", format, text)
		}
	}
	if text := a.LogValue().String(); text != "10.0.0.1:7" {
		t.Errorf("logged as %s", text)
	}
}
