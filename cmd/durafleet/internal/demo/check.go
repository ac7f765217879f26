package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/durafleet/durafleet/examples/manifest"
)

// maxDifferences is how many differences are named.
const maxDifferences = 5

// check compares a report with the tree, which it reads itself, without the code of the example.
func check(ctx context.Context, root string, report manifest.Report) error {
	reported := make(map[string]manifest.File, len(report.Files))
	for _, file := range report.Files {
		reported[file.Path] = file
	}
	var different []string
	if len(reported) != len(report.Files) {
		different = append(different, fmt.Sprintf("%d files are reported twice", len(report.Files)-len(reported)))
	}
	err := filepath.WalkDir(root+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !entry.Type().IsRegular():
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		want, err := describe(name)
		if err != nil {
			return err
		}
		want.Path = filepath.ToSlash(relative)
		if got, found := reported[want.Path]; !found {
			different = append(different, want.Path+" is missing")
		} else if got != want {
			different = append(different, fmt.Sprintf("%s is reported as %+v and is %+v", want.Path, got, want))
		}
		delete(reported, want.Path)
		return nil
	})
	if err != nil {
		return fmt.Errorf("check the manifest: %w", err)
	}
	for name := range reported {
		different = append(different, name+" is reported and does not exist")
	}
	if len(different) == 0 {
		return nil
	}
	shown := different[:min(len(different), maxDifferences)]
	return fmt.Errorf("%w: %d differences between manifest and tree: %s", ErrMismatch, len(different), strings.Join(shown, "; "))
}

func describe(name string) (manifest.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return manifest.File{}, err
	}
	defer file.Close()
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	if err != nil {
		return manifest.File{}, fmt.Errorf("read %s: %w", name, err)
	}
	return manifest.File{Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}
