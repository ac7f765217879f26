// Package readme holds the program of the README as an example that is compiled and run.
package readme
