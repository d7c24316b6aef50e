package heiban_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/heiban/heiban/"

// layers is the import policy: a package may import its own row's packages and
// nothing else of ours. It is a statement of intent: widen it only on purpose.
var layers = map[string][]string{
	"clock":          {},
	"core/invariant": {},
	"core/errcode":   {},
	"core/mutant":    {},
	"core/batch":     {"clock", "core/errcode", "core/invariant"},
	"core/compress":  {"core/batch"},
	"core/log":       {"clock", "core/batch", "core/errcode", "core/invariant", "core/mutant"},
	"core/wire":      {"core/batch", "core/errcode", "core/invariant", "core/log"},
	"core/config":    {"clock", "core/batch", "core/errcode", "core/invariant", "core/log"},
	"core/metadata":  {"clock", "core/config", "core/errcode", "core/invariant", "core/log"},
	"core/controller": {
		"clock", "core/config", "core/errcode", "core/invariant", "core/log", "core/metadata",
		"core/mutant",
	},
	"core/group": {
		"clock", "core/config", "core/errcode", "core/invariant", "core/metadata", "core/mutant",
	},
	"core/quorum":  {"clock", "core/invariant", "core/mutant"},
	"core/replica": {"clock", "core/errcode", "core/invariant", "core/mutant"},
	"core": {
		"clock", "core/batch", "core/config", "core/controller", "core/errcode", "core/group",
		"core/invariant", "core/log", "core/metadata", "core/mutant", "core/quorum",
		"core/replica", "core/wire",
	},
	"netsim":             {"clock"},
	"netsim/conformance": {"clock", "netsim"},
	"checker":            {"clock"},
	"checker/kafka":      {},
	"checker/linkv":      {},
	"checker/report":     {"checker/kafka"},
	"sim": {
		"clock", "core", "core/batch", "core/compress", "core/config", "core/errcode",
		"core/invariant", "core/log", "core/metadata", "core/mutant", "core/wire",
		"netsim", "checker",
	},
	"sim/conformance": {"clock", "core/log", "sim"},
	"scenarios": {
		"clock", "checker", "core/batch", "core/compress", "core/log", "core/mutant",
		"netsim", "sim",
	},
	"realnet": {
		"clock", "core", "core/batch", "core/compress", "core/config", "core/errcode",
		"core/group", "core/invariant", "core/log", "core/metadata", "core/wire",
	},
	"internal/repeatable": {},
}

// pure are the packages whose behaviour may depend on nothing but their input.
var pure = []string{
	"clock", "core", "core/batch", "core/config", "core/controller", "core/errcode",
	"core/group", "core/invariant", "core/log", "core/metadata", "core/mutant", "core/quorum",
	"core/replica",
	"core/wire", "netsim", "sim", "checker",
	"checker/kafka",
}

// pureStd is what pure packages may use of the standard library.
var pureStd = []string{
	"bytes", "cmp", "encoding/base64", "encoding/binary", "encoding/hex", "errors", "fmt",
	"hash/crc32", "io", "iter", "maps", "math", "math/bits", "path", "regexp", "slices", "sort",
	"strconv", "strings", "unicode", "unicode/utf16", "unicode/utf8", "unsafe", "encoding/json",
}

// pureModules is what pure packages may use of other modules.
var pureModules = []string{
	"github.com/twmb/franz-go/pkg/kmsg", "github.com/twmb/franz-go/pkg/kmsg/kbin",
	"github.com/anishathalye/porcupine",
	"go.etcd.io/raft/v3", "go.etcd.io/raft/v3/raftpb", "google.golang.org/protobuf/proto",
}

const functionLinesMax = 70

// sources parses the non-test files of every package, by directory.
func sources(t *testing.T, fset *token.FileSet) map[string][]*ast.File {
	t.Helper()
	return parseFiles(t, fset, parser.ParseComments, func(name string) bool {
		return !strings.HasSuffix(name, "_test.go")
	})
}

// parseFiles parses the Go files that are wanted, by directory.
func parseFiles(
	t *testing.T, fset *token.FileSet, mode parser.Mode, wanted func(name string) bool,
) map[string][]*ast.File {
	t.Helper()
	packages := map[string][]*ast.File{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || !wanted(name) {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, mode)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		packages[dir] = append(packages[dir], file)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, packages)
	return packages
}

func imports(file *ast.File) []string {
	var paths []string
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func TestImportsFollowTheLayers(t *testing.T) {
	fset := token.NewFileSet()
	for dir, files := range sources(t, fset) {
		allowed, limited := layers[dir]
		for _, file := range files {
			at := fset.Position(file.Pos()).Filename
			for _, imported := range imports(file) {
				ours, isOurs := strings.CutPrefix(imported, module)
				if isOurs && limited && !slices.Contains(allowed, ours) {
					t.Errorf("%s: %s must not import %s", at, dir, ours)
				}
				if isOurs && !limited && strings.HasPrefix(dir, "core/") {
					t.Errorf("%s: package %s has no row in layers", at, dir)
				}
				if !isOurs && slices.Contains(pure, dir) {
					checkPureImport(t, at, dir, imported)
				}
			}
		}
	}
}

// TestPropertyTestsRepeat makes sure that tests with rapid draw the same in every run.
func TestPropertyTestsRepeat(t *testing.T) {
	mode := parser.ImportsOnly | parser.ParseComments
	packages := parseFiles(t, token.NewFileSet(), mode, func(name string) bool {
		return strings.HasSuffix(name, "_test.go")
	})
	found := 0
	for dir, files := range packages {
		repeatable := dir == "internal/repeatable"
		var properties bool
		for _, file := range files {
			list := imports(file)
			properties = properties || slices.Contains(list, "pgregory.net/rapid")
			repeatable = repeatable ||
				!mutantsOnly(file) && slices.Contains(list, module+"internal/repeatable")
		}
		if !properties {
			continue
		}
		found++
		if !repeatable {
			t.Errorf("%s: a test uses rapid and none imports internal/repeatable", dir)
		}
	}
	require.Positive(t, found)
}

func checkPureImport(t *testing.T, at, dir, imported string) {
	t.Helper()
	list := pureStd
	if strings.Contains(strings.Split(imported, "/")[0], ".") {
		list = pureModules
	}
	if !slices.Contains(list, imported) {
		t.Errorf("%s: %s must stay pure: no %s", at, dir, imported)
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	fset := token.NewFileSet()
	packages := sources(t, fset)
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil), Error: func(error) {}}
	for _, dir := range pure {
		files := slices.DeleteFunc(slices.Clone(packages[dir]), mutantsOnly)
		require.NotEmpty(t, files, dir)
		info := &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		}
		_, err := conf.Check(module+dir, fset, files, info)
		require.NoError(t, err, dir)
		for _, file := range files {
			checkPurity(t, fset, file, info)
		}
	}
}

// mutantsOnly reports whether a file is left out of a normal build.
func mutantsOnly(file *ast.File) bool {
	for _, group := range file.Comments {
		first := group.List[0].Text
		if group.Pos() < file.Package && strings.Contains(first, "//go:build mutants") {
			return true
		}
	}
	return false
}

func checkPurity(t *testing.T, fset *token.FileSet, file *ast.File, info *types.Info) {
	t.Helper()
	excused := linesBelow(fset, file, "in any order")
	fail := func(n ast.Node, format string, args ...any) {
		t.Errorf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
			fail(n, "goroutines and channels do not belong in a pure package")
		case *ast.RangeStmt:
			_, isMap := info.TypeOf(n.X).Underlying().(*types.Map)
			if isMap && !excused[fset.Position(n.Pos()).Line] {
				fail(n, "range over a map: sort the keys, or say above that it may go in any order")
			}
		case *ast.SelectorExpr:
			checkMapsFunc(fail, fset, n, info, excused)
		case *ast.GenDecl:
			checkGlobals(fail, file, n)
		}
		return true
	})
}

// checkMapsFunc lets maps.Keys and its like be used only under slices.Sorted.
func checkMapsFunc(fail func(ast.Node, string, ...any), fset *token.FileSet, sel *ast.SelectorExpr,
	info *types.Info, excused map[int]bool,
) {
	obj := info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != "maps" {
		return
	}
	line := fset.Position(sel.Pos()).Line
	source := readLine(fset.Position(sel.Pos()).Filename, line)
	if slices.Contains([]string{"Keys", "Values", "All"}, sel.Sel.Name) &&
		!strings.Contains(source, "slices.Sorted") && !excused[line] {
		fail(sel, "maps.%s has no order: wrap it in slices.Sorted", sel.Sel.Name)
	}
}

// checkGlobals allows package variables only where they are constants in spirit.
func checkGlobals(fail func(ast.Node, string, ...any), file *ast.File, decl *ast.GenDecl) {
	if decl.Tok != token.VAR || !slices.Contains(file.Decls, ast.Decl(decl)) {
		return
	}
	for _, spec := range decl.Specs {
		for i, name := range spec.(*ast.ValueSpec).Names {
			if name.Name != "_" && len(spec.(*ast.ValueSpec).Values) <= i {
				fail(name, "%s is a package variable without a value: state belongs in a struct",
					name.Name)
			}
		}
	}
}

// linesBelow returns the lines that follow a comment holding text.
func linesBelow(fset *token.FileSet, file *ast.File, text string) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		if strings.Contains(group.Text(), text) {
			lines[fset.Position(group.End()).Line] = true
			lines[fset.Position(group.End()).Line+1] = true
		}
	}
	return lines
}

func readLine(name string, line int) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	lines := strings.Split(string(data), "\n")
	return lines[line-1]
}

func TestFunctionsAreShort(t *testing.T) {
	fset := token.NewFileSet()
	for _, files := range sources(t, fset) {
		for _, file := range files {
			for _, decl := range file.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				first, last := fset.Position(fn.Pos()).Line, fset.Position(fn.End()).Line
				if last-first >= functionLinesMax {
					t.Errorf("%s: %s has %d lines, at most %d are allowed",
						fset.Position(fn.Pos()), fn.Name.Name, last-first+1, functionLinesMax)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for dir, files := range sources(t, token.NewFileSet()) {
		documented := slices.ContainsFunc(files, func(f *ast.File) bool { return f.Doc != nil })
		require.True(t, documented, "package %s has no package comment", path.Clean(dir))
	}
}
