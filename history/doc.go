// Package history holds the vocabulary of an instance's past as plain Go values: the events an
// execution is made of, the statuses it passes through and the details of its failures.
//
// The types mirror the Durable Task model. How they are stored is the business of internal/wire;
// a change here never changes a stored byte by itself.
package history
