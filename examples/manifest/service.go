package manifest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/durafleet/durafleet/worker"
)

// Service does the real work. Its methods are the activities: ordinary functions, which may read
// files, take their time and fail, and which may run more than once.
type Service struct {
	// Open returns the tree below a root. Default: os.DirFS.
	Open func(root string) fs.FS
}

// Bindings returns the code behind the contract, for a worker.
func (s *Service) Bindings() []worker.Binding {
	return []worker.Binding{
		Manifest.With(buildManifest),
		Section.With(buildSection),
		ListSections.With(s.ListSections),
		ListFiles.With(s.ListFiles),
		HashFiles.With(s.HashFiles),
	}
}

func (s *Service) open(root string) fs.FS {
	if s.Open != nil {
		return s.Open(root)
	}
	return os.DirFS(root)
}

// ListSections is the code of the activity of that name.
func (s *Service) ListSections(_ context.Context, root string) ([]string, error) {
	entries, err := fs.ReadDir(s.open(root), ".")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", root, err)
	}
	dirs := []string{"."}
	for _, entry := range entries {
		if entry.IsDir() {
			dirs = append(dirs, entry.Name())
		}
	}
	return dirs, nil
}

// ListFiles is the code of the activity of that name. It lists regular files only: what a symbolic
// link points to is listed where it is, if it is in the tree.
func (s *Service) ListFiles(ctx context.Context, in SectionRequest) ([]Batch, error) {
	maxFiles, maxBytes := cmp.Or(in.Limits.Files, 64), cmp.Or(in.Limits.Bytes, 4<<20)
	var batches []Batch
	batch, size := Batch{Root: in.Root}, int64(0)
	err := fs.WalkDir(s.open(in.Root), in.Dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case entry.IsDir() && in.Dir == "." && name != ".":
			return fs.SkipDir // it is a section of its own
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if len(batch.Paths) == maxFiles || len(batch.Paths) > 0 && size+info.Size() > maxBytes {
			batches = append(batches, batch)
			batch, size = Batch{Root: in.Root}, 0
		}
		batch.Paths, size = append(batch.Paths, name), size+info.Size()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path.Join(in.Root, in.Dir), err)
	}
	if len(batch.Paths) > 0 {
		batches = append(batches, batch)
	}
	return batches, nil
}

// HashFiles is the code of the activity of that name.
func (s *Service) HashFiles(ctx context.Context, batch Batch) ([]File, error) {
	tree := s.open(batch.Root)
	files := make([]File, 0, len(batch.Paths))
	for _, name := range batch.Paths {
		// The context ends when the worker stops: another one reads this batch again, then.
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		file, err := hash(tree, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		files = append(files, file)
	}
	return files, nil
}

func hash(tree fs.FS, name string) (File, error) {
	reader, err := tree.Open(name)
	if err != nil {
		return File{}, err
	}
	defer reader.Close()
	digest := sha256.New()
	size, err := io.Copy(digest, reader)
	if err != nil {
		return File{}, err
	}
	return File{Path: name, Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}
