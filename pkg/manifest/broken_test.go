package manifest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is expected anew")

// lines are findings as the command line prints them.
func lines(file string, found Findings) string {
	var out strings.Builder
	for _, f := range found {
		fmt.Fprintf(&out, "%s:%d:%d: %s: %s [%s]\n", file, f.Line, f.Column, f.Severity, f.Message, f.Code)
	}
	return out.String()
}

// expect holds a text against a file.
func expect(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expected := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(expected) || line != expected[i] {
			t.Errorf("%s:%d is now %q; with -update it is written anew", file, i+1, line)
			return
		}
	}
	if got != string(want) {
		t.Errorf("%s has more lines than are made now; with -update it is written anew", file)
	}
}

func TestBrokenManifestsAreToldLineByLine(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.json")
	if err != nil || len(files) < 10 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, found := Check(data, "1.4.0")
			if !found.HasErrors() {
				t.Error("has no errors")
			}
			expect(t, strings.TrimSuffix(file, ".json")+".findings", lines(filepath.Base(file), found))
		})
	}
}

// wrong is a value of a type that is never right where value stands.
func wrong(value any) any {
	if _, ok := value.(float64); ok {
		return "wrong"
	}
	return 7.5
}

// places visits every value of a document; set puts another one there.
func places(at string, value any, set func(any), visit func(at string, value any, set func(any))) {
	visit(at, value, set)
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			places(at+pointer(key), inner, func(v any) { value[key] = v }, visit)
		}
	case []any:
		for i, inner := range value {
			places(fmt.Sprintf("%s/%d", at, i), inner, func(v any) { value[i] = v }, visit)
		}
	}
}

func TestEveryValueOfAWrongTypeIsFoundWhereItStands(t *testing.T) {
	t.Parallel()
	var whole any
	if err := json.Unmarshal([]byte(full), &whole); err != nil {
		t.Fatal(err)
	}
	tried := 0
	places("", whole, func(any) {}, func(at string, value any, set func(any)) {
		if at == "" || strings.HasPrefix(at, "/settings/properties/page_size/enum/") {
			return // an enum has values of any type
		}
		tried++
		set(wrong(value))
		text, err := json.MarshalIndent(whole, "", "  ") // one value a line
		set(value)
		if err != nil {
			t.Fatal(err)
		}
		_, found := Parse(text)
		line, column := Locate(text, at)
		if !slices.ContainsFunc(found, func(f Finding) bool {
			return f.Severity == Error && f.Path == at && f.Line == line && f.Column == column
		}) {
			t.Errorf("%s at %d:%d:\n%s", at, line, column, lines("", found))
		}
	})
	if tried < 200 {
		t.Error(tried)
	}
}
