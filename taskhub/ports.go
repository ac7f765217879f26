package taskhub

import "github.com/durafleet/durafleet/internal/storage"

// Ports returns an account behind storage ports of the module's own packages: tests stand between
// the engine and its storage with it.
func Ports(ports storage.Account) Account { return portsAccount{ports} }

type portsAccount struct{ ports storage.Account }

func (p portsAccount) open(*storage.Meter) (storage.Account, error) { return p.ports, nil }

// String describes the account for messages.
func (portsAccount) String() string { return "account behind given ports" }
