// Package fleettest runs workers and clients on a task hub under test: on the memory store in
// virtual time, and on a real Azurite, with the session cache on and off.
package fleettest
