// Package manifest describes a directory tree: the SHA-256 of every file, computed by a fleet of
// workers, and published once somebody has approved it.
//
// It is meant to be copied from. This file is the contract that clients and workers share;
// orchestrate.go holds the orchestrators, service.go the activities, and the program in cmd
// starts it all. The tree must be readable under the same path on every worker.
package manifest

import (
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/orchestration"
)

// The contract: names and types, no code. A name is what is stored; it must not change while
// instances are alive.
var (
	// Manifest describes a tree.
	Manifest = orchestration.Declare[Request, Report]("Manifest")
	// Section describes one top-level directory; Manifest starts one for each.
	Section = orchestration.Declare[SectionRequest, []File]("ManifestSection")
	// Approved lets a Manifest publish its result, or not.
	Approved = orchestration.DeclareEvent[Decision]("Approved")

	// ListSections returns the top-level directories of a tree, and "." for the files beside them.
	ListSections = activity.Declare[string, []string]("ListSections")
	// ListFiles returns the files of a section in batches.
	ListFiles = activity.Declare[SectionRequest, []Batch]("ListFiles")
	// HashFiles reads the files of a batch.
	HashFiles = activity.Declare[Batch, []File]("HashFiles")
)

// AwaitingApproval is the Progress.Phase of a Manifest that waits for Approved.
const AwaitingApproval = "awaiting approval"

// Request says which tree to describe, and how.
type Request struct {
	// Root is the directory, an absolute path.
	Root string `json:"root"`
	// Limits cuts the work into batches.
	Limits Limits `json:"limits"`
	// Settle is how long to wait between the last hash and the question for approval.
	Settle time.Duration `json:"settle"`
}

// Limits bounds a batch. Zero fields mean the default. A batch is one activity: large enough that
// its cost does not count beside the work, small enough that losing it does not hurt.
type Limits struct {
	Files int   `json:"files,omitempty"` // default 64
	Bytes int64 `json:"bytes,omitempty"` // default 4 MiB
}

// SectionRequest says which part of a tree to describe.
type SectionRequest struct {
	Root   string `json:"root"`
	Dir    string `json:"dir"`
	Limits Limits `json:"limits"`
}

// Batch is a number of files to be read by one activity.
type Batch struct {
	Root string `json:"root"`
	// Paths are relative to Root, with slashes.
	Paths []string `json:"paths"`
}

// File describes one file.
type File struct {
	// Path is relative to the root, with slashes.
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Decision is the data of Approved.
type Decision struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
}

// Progress is the custom status of a Manifest.
type Progress struct {
	Phase string `json:"phase"`
	Files int    `json:"files,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
}

// Report is the result.
type Report struct {
	Root       string `json:"root"`
	Bytes      int64  `json:"bytes"`
	ApprovedBy string `json:"approvedBy"`
	// Files are in the order of their paths.
	Files []File `json:"files"`
}
