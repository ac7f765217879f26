package store

import (
	crypto "crypto/rand"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/doorbell"
)

// Environment is what a process gets from its machine, apart from the passing of time. A field
// that is nil means the real thing. With others in its place the same events lead to the same
// requests, which is what the simulation lives on.
type Environment struct {
	// NewID returns a new random id; about says what for, an instance as a rule.
	NewID func(about string) uuid.UUID
	// Random returns a number from 0 up to, but without, 1; about says what for.
	Random func(about string) float64
	// Now returns the wall-clock time.
	Now func() time.Time
	// NewSecret returns what nobody can guess.
	NewSecret func() doorbell.Secret
	// Network carries the rings of doorbells.
	Network doorbell.Network
}

func (e Environment) withDefaults() Environment {
	if e.NewID == nil {
		e.NewID = func(string) uuid.UUID { return uuid.New() }
	}
	if e.Random == nil {
		e.Random = func(string) float64 { return rand.Float64() }
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.NewSecret == nil {
		e.NewSecret = newSecret
	}
	if e.Network == nil {
		e.Network = doorbell.UDP()
	}
	return e
}

func newSecret() (secret doorbell.Secret) {
	_, _ = crypto.Read(secret[:]) // it never fails
	return secret
}
