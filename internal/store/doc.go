// Package store reads and writes what a task hub keeps in its storage account: messages,
// histories, status rows, payload blobs and the resources themselves.
//
// It knows how things are stored and in which order the parts of one write go out; what is
// written, and when, is decided above. Every operation that can be refused or can end unclear
// says so with one of the errors of this package.
package store
