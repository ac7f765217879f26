// Package chaos tests workers as operating systems treat them: real processes on a real Azurite
// that are killed, asked to stop, and frozen while they work.
package chaos
