package taskhub

import (
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// Ports returns an account behind storage ports of the module's own packages: tests stand between
// the engine and its storage with it.
func Ports(ports storage.Account) Account { return portsAccount{ports: ports} }

// PortsIn is Ports for a process that runs in an environment of its own.
func PortsIn(ports storage.Account, environment store.Environment) Account {
	return portsAccount{ports, environment}
}

type portsAccount struct {
	ports       storage.Account
	environment store.Environment
}

func (p portsAccount) open(*storage.Meter) (storage.Account, error) { return p.ports, nil }

// String describes the account for messages.
func (portsAccount) String() string { return "account behind given ports" }
