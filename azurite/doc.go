// Package azurite runs a real Azurite, Microsoft's emulator of Azure Storage, for programs and
// tests. It installs a pinned version once per user with npm, starts it as a child process on
// free ports of 127.0.0.1, and makes sure that the child ends with its parent.
//
// # Lifetime of the child
//
// The child ends when Stop or Kill is called, and when the process that started it ends for
// whatever reason: Azurite's Node process watches a pipe on its standard input that closes with
// the parent, on every system; on Linux the kernel signals it, too. It has a process group of its
// own, so that an interrupt typed at the terminal reaches the parent alone, which can still write
// to storage while it shuts down.
//
// # Tests
//
// Start gives a test the server that all tests of its process share; StartPrivate gives it one of
// its own. Where there is no Node.js they skip the test, but fail it if the environment says
// CI=true: a green run that tested nothing is a lie.
package azurite
