// Package telemetry is what Durafleet tells OpenTelemetry. It uses the API alone: which figures go
// where, and whether they go anywhere, is decided by whoever makes the provider.
package telemetry

// scope names the instrumentation.
const scope = "github.com/durafleet/durafleet"
