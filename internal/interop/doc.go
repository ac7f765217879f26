// Package interop tests that this engine and .NET's DurableTask.AzureStorage can share a task hub:
// hubs that .NET left half-run are finished here, programs that .NET ran are run here and must
// leave the same tables, and the requests are counted beside those of .NET.
package interop
