package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/durafleet/durafleet"

// source is a parsed Go file.
type source struct {
	path    string // with slashes, relative to the module
	test    bool
	syntax  *ast.File
	imports []string // packages of the module are relative to it, as in pkg.dir
}

// pkg is a directory with Go files.
type pkg struct {
	dir   string // with slashes, relative to the module; "." is the root
	files []*source
}

// tree is all packages of the module, by directory.
type tree struct {
	fset     *token.FileSet
	packages map[string]*pkg
}

func newTree() *tree { return &tree{fset: token.NewFileSet(), packages: map[string]*pkg{}} }

// repository parses this repository once for all tests.
var repository = sync.OnceValues(func() (*tree, error) {
	root := filepath.Join("..", "..")
	t := newTree()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if base == "testdata" || name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return t.add(filepath.ToSlash(relative), text)
	})
	return t, err
})

// load returns the repository's tree.
func load(t *testing.T) *tree {
	t.Helper()
	loaded, err := repository()
	if err != nil {
		t.Fatalf("parse repository: %v", err)
	}
	return loaded
}

// add parses one file.
func (t *tree) add(name string, text []byte) error {
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	file := &source{path: name, test: strings.HasSuffix(name, "_test.go"), syntax: syntax}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if imported == module {
			imported = "."
		}
		file.imports = append(file.imports, strings.TrimPrefix(imported, module+"/"))
	}
	dir := path.Dir(name)
	if t.packages[dir] == nil {
		t.packages[dir] = &pkg{dir: dir}
	}
	t.packages[dir].files = append(t.packages[dir].files, file)
	return nil
}

// sorted returns the packages in the order of their directories.
func (t *tree) sorted() []*pkg {
	packages := make([]*pkg, 0, len(t.packages))
	for _, p := range t.packages {
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return packages
}

// position says where a node is, for messages.
func (t *tree) position(node ast.Node) string {
	position := t.fset.Position(node.Pos())
	return position.Filename + ":" + strconv.Itoa(position.Line)
}

// imports maps what the package's code (not its tests) imports to the first file that does.
func (p *pkg) imports() map[string]string {
	imports := map[string]string{}
	for _, file := range p.files {
		if file.test {
			continue
		}
		for _, imported := range file.imports {
			if _, known := imports[imported]; !known {
				imports[imported] = file.path
			}
		}
	}
	return imports
}

// reach returns all packages of the module that the package's code depends on, itself included,
// each with the chain of imports that leads to it.
func (t *tree) reach(dir string) map[string][]string {
	chains := map[string][]string{dir: {dir}}
	for queue := []string{dir}; len(queue) > 0; queue = queue[1:] {
		p := t.packages[queue[0]]
		for imported := range p.imports() {
			if _, seen := chains[imported]; seen || t.packages[imported] == nil {
				continue
			}
			chain := chains[p.dir]
			chains[imported] = append(chain[:len(chain):len(chain)], imported)
			queue = append(queue, imported)
		}
	}
	return chains
}

// under reports whether a package is one of the patterns: a path, or a path and all below it if
// it ends with "/...".
func under(dir string, patterns ...string) bool {
	for _, pattern := range patterns {
		base, tree := strings.CutSuffix(pattern, "/...")
		if dir == base || tree && strings.HasPrefix(dir, base+"/") {
			return true
		}
	}
	return false
}

// testSupport reports whether a package exists for tests only.
func testSupport(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test") || under(dir, "internal/fixture/...", "internal/arch/...")
}
