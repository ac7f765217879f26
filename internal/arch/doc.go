// Package arch holds the rules of the source tree as tests: which package may import what, where
// goroutines begin, what has to be documented. Each rule says why it exists when it is broken. The
// package has no code of its own.
package arch
