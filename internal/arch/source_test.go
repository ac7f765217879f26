package arch

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

func TestGoroutinesHaveAnOwner(t *testing.T) {
	t.Parallel()
	report(t, looseGoroutines(load(t)))
}

func looseGoroutines(t *tree) (broken []string) {
	t.each(func(p *pkg, file *source) {
		if file.test || under(p.dir, "internal/run") {
			return
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			if statement, ok := node.(*ast.GoStmt); ok {
				broken = append(broken, t.position(statement)+
					" starts a goroutine: use run.Group, so that it has a name, an owner and an end")
			}
			return true
		})
	})
	return broken
}

func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	report(t, calls(load(t), func(_ *pkg, file *source) bool { return file.test }, []string{"Sleep"},
		"a test that sleeps is slow when it passes and wrong when the machine is busy; wait for what is expected"))
}

func TestPurePackagesReadNoClock(t *testing.T) {
	t.Parallel()
	pure := func(p *pkg, file *source) bool {
		return !file.test && under(p.dir, "history", "activity", "orchestration", "internal/wire/...", "internal/payload/...")
	}
	report(t, calls(load(t), pure, []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
		"time is an input here; a replay a year later has to decide the same"))
}

// calls finds uses of functions of package time in chosen files.
func calls(t *tree, chosen func(*pkg, *source) bool, functions []string, reason string) (broken []string) {
	t.each(func(p *pkg, file *source) {
		name := localName(file.syntax, "time")
		if name == "" || !chosen(p, file) {
			return
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if base, ok := selector.X.(*ast.Ident); ok && base.Name == name && under(selector.Sel.Name, functions...) {
				broken = append(broken, fmt.Sprintf("%s uses time.%s: %s", t.position(selector), selector.Sel.Name, reason))
			}
			return true
		})
	})
	return broken
}

// localName returns the name under which the file knows a package of the standard library.
func localName(file *ast.File, imported string) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != `"`+imported+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return imported
	}
	return ""
}

func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	report(t, undocumentedPackages(load(t)))
}

func undocumentedPackages(t *tree) (broken []string) {
	for _, p := range t.sorted() {
		documented, code := false, false
		for _, file := range p.files {
			if file.test {
				continue
			}
			code = true
			documented = documented || strings.TrimSpace(file.syntax.Doc.Text()) != ""
		}
		if code && !documented {
			broken = append(broken, p.dir+" has no package comment: its reader has to guess what it is for")
		}
	}
	return broken
}

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	report(t, undocumentedNames(load(t)))
}

func undocumentedNames(t *tree) (broken []string) {
	t.each(func(_ *pkg, file *source) {
		if file.test || file.syntax.Name.Name == "main" {
			return
		}
		for _, declaration := range file.syntax.Decls {
			for _, name := range undocumented(declaration) {
				broken = append(broken, fmt.Sprintf("%s: %s has no comment: say what it is, what it guarantees and what not",
					t.position(name), name.Name))
			}
		}
	})
	return broken
}

// undocumented returns the exported names of a declaration that have no comment.
func undocumented(declaration ast.Decl) []*ast.Ident {
	switch declaration := declaration.(type) {
	case *ast.FuncDecl:
		if declaration.Doc == nil && declaration.Name.IsExported() && exportedReceiver(declaration.Recv) {
			return []*ast.Ident{declaration.Name}
		}
	case *ast.GenDecl:
		if declaration.Doc != nil { // it may speak for a whole group
			return nil
		}
		var names []*ast.Ident
		for _, spec := range declaration.Specs {
			names = append(names, undocumentedSpec(spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(spec ast.Spec) []*ast.Ident {
	var names []*ast.Ident
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Doc == nil && spec.Comment == nil {
			names = append(names, spec.Name)
		}
	case *ast.ValueSpec:
		if spec.Doc == nil && spec.Comment == nil {
			names = append(names, spec.Names...)
		}
	}
	var exported []*ast.Ident
	for _, name := range names {
		if name.IsExported() {
			exported = append(exported, name)
		}
	}
	return exported
}

// exportedReceiver reports whether a function is no method, or one of an exported type.
func exportedReceiver(receiver *ast.FieldList) bool {
	if receiver == nil {
		return true
	}
	expression := receiver.List[0].Type
	for {
		switch inner := expression.(type) {
		case *ast.StarExpr:
			expression = inner.X
		case *ast.IndexExpr:
			expression = inner.X
		case *ast.IndexListExpr:
			expression = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return true
		}
	}
}

// each calls f for every file, in order.
func (t *tree) each(f func(*pkg, *source)) {
	for _, p := range t.sorted() {
		for _, file := range p.files {
			f(p, file)
		}
	}
}
