package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// valid parses a manifest in which nothing is found.
func valid(t testing.TB, data []byte) *Manifest {
	t.Helper()
	m, found := Parse(data)
	if len(found) > 0 || m == nil {
		t.Fatalf("%s%s", lines("manifest", found), data)
	}
	return m
}

func TestExamplesAndTheExampleModuleAreValid(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"examples/minimal.json", "examples/full.json", "../../modules/financial/manifest.json"} {
		m := valid(t, readFile(t, path))
		if err := m.CompatibleWith("0.1.0-dev"); err != nil {
			t.Error(path, err)
		}
	}
}

// The manual shows only what exists, so every field must stand in the full example.
func TestTheFullExampleHasEveryField(t *testing.T) {
	t.Parallel()
	var example map[string]any
	if err := json.Unmarshal([]byte(full), &example); err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[Manifest]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[Manifest]().Field(i).Tag.Get("json"), ",")
		if _, ok := example[name]; !ok {
			t.Error(name)
		}
	}
}

func TestAPermissionOfTheExampleModuleIsInItsManifest(t *testing.T) {
	t.Parallel()
	m := valid(t, readFile(t, "../../modules/financial/manifest.json"))
	var declared []string
	for _, p := range m.Declared() {
		declared = append(declared, p.Code)
	}
	source := string(readFile(t, "../../modules/financial/internal/web/web.go"))
	used := 0
	for _, part := range strings.Split(source, `"`) {
		if strings.HasPrefix(part, "financial:") {
			used++
			if !slices.Contains(declared, part) {
				t.Error(part, "is not declared")
			}
		}
	}
	if used == 0 {
		t.Error("the module uses no permission")
	}
}

func TestWhatIsReadIsWrittenAndReadTheSame(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"examples/minimal.json", "examples/full.json", "../../modules/financial/manifest.json"} {
		same(t, valid(t, readFile(t, path)))
		var before, after any
		written, err := json.Marshal(valid(t, readFile(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(readFile(t, path), &before) != nil || json.Unmarshal(written, &after) != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s is written as %s", path, written)
		}
	}
}

// same writes a manifest and reads it again.
func same(t testing.TB, m *Manifest) {
	t.Helper()
	written := write(t, m)
	again, found := Parse(written)
	if found.HasErrors() {
		t.Fatalf("%s%s", lines("again", found), written)
	}
	if rewritten := write(t, again); !bytes.Equal(written, rewritten) {
		t.Fatalf("\n%s\n%s", written, rewritten)
	}
}

func write(t testing.TB, m *Manifest) []byte {
	t.Helper()
	var out bytes.Buffer
	in := json.NewEncoder(&out)
	in.SetEscapeHTML(false)
	if err := in.Encode(m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "examples/minimal.json", "examples/full.json", "../../modules/financial/manifest.json") {
		f.Add(readFile(f, path))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, found := Parse(data)
		if len(found) > maxFindings {
			t.Fatal(len(found), "findings")
		}
		for _, one := range found {
			if one.Line < 1 || one.Column < 1 || one.Code == "" || one.Message == "" || len(one.Path) > 500 || len(one.Message) > 2000 {
				t.Fatalf("%+v", one)
			}
		}
		if m == nil && !found.HasErrors() {
			t.Fatal("neither a manifest nor an error")
		}
		if m == nil || found.HasErrors() {
			return
		}
		if len(write(t, m)) <= MaxSize {
			same(t, m)
		}
		_ = m.Say(m.Name, "de")
		_ = m.Asks(nil)
		_ = m.CompatibleWith("1.0.0")
	})
}

func TestHostileTextsCostLittle(t *testing.T) {
	t.Parallel()
	repeat := func(before, one, after string) []byte {
		n := (MaxSize - len(before) - len(after)) / len(one)
		return []byte(before + strings.Repeat(one, n) + after)
	}
	for name, data := range map[string][]byte{
		"deep lists":         repeat("", "[", ""),
		"deep objects":       repeat("", `{"a":`, ""),
		"closed deep lists":  []byte(strings.Repeat("[", 9000) + strings.Repeat("]", 9000)),
		"unknown fields":     repeat(`{"manifest_version":2,"id":"a"`, `,"b":1`, `}`),
		"many routes":        repeat(`{"manifest_version":2,"routes":[{}`, `,{"path":1}`, `]}`),
		"many hosts":         repeat(`{"manifest_version":2,"egress":["a"`, `,"x!"`, `]}`),
		"huge exponents":     repeat(`{"manifest_version":2,"x":[1`, `,1e999999`, `]}`),
		"tiny exponents":     repeat(`{"manifest_version":2,"storage":{"quota_mb":1e-99999},"x":[1`, `,1e-99999`, `]}`),
		"control characters": repeat(`{"manifest_version":2,"x":[""`, `,"\u0001"`, `]}`),
		"a long key":         []byte(`{"manifest_version":2,"` + strings.Repeat("k", 200_000) + `":{"a":[` + strings.Repeat("1,", 20_000) + `1]}}`),
		"version 1":          repeat(`{"name":"a","version":"1","navigation":[{}`, `,{"label":"a"}`, `]}`),
		"permissions of 1":   repeat(`{"name":"a","version":"1","permissions":["a"`, `,"a"`, `]}`),
		"too large":          bytes.Repeat([]byte(" "), MaxSize+1),
		"empty":              nil,
		"a byte order mark":  []byte("\xef\xbb\xbf{}"),
		"not UTF-8":          []byte("{\"id\": \"\xff\"}"),
		"UTF-16":             []byte("{\x00}\x00"),
		"null":               []byte("null"),
		"two values":         []byte("{} {}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, found := Parse(data)
			if !found.HasErrors() {
				t.Error("accepted")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Error(took)
			}
			t.Log(time.Since(start))
		})
	}
}

// A few errors among many notes are not lost.
func TestErrorsAreShownBeforeAllElse(t *testing.T) {
	t.Parallel()
	items := strings.Repeat(`"notes.all.read",`, 400)
	_, found := Parse([]byte(`{"name": "notes", "version": "1.0.0", "dependencies": ["` + strings.Repeat("x", 80) + `"], "permissions": [` + items + `"users:read"]}`))
	codes := map[string]bool{}
	for _, f := range found {
		codes[f.Code] = true
	}
	if len(found) != maxFindings || !found.HasErrors() || !codes["too_many"] {
		t.Error(len(found), codes)
	}
	// and notes alone are no errors
	var permissions []string
	for i := range 300 {
		permissions = append(permissions, `"notes.p`+string(rune('a'+i%26))+string(rune('a'+i/26))+`.read"`)
	}
	_, found = Parse([]byte(`{"name": "notes", "version": "1.0.0", "license": "MIT", "permissions": [` + strings.Join(permissions, ",") + `]}`))
	if len(found) != maxFindings || found.HasErrors() {
		t.Error(len(found), lines("", found))
	}
}

func TestFindingsPointIntoTheSourceByPointerToo(t *testing.T) {
	t.Parallel()
	data := readFile(t, "testdata/broken/namespace.json")
	_, found := Parse(data)
	for _, f := range found {
		if line, column := Locate(data, f.Path); line != f.Line || column != f.Column {
			t.Errorf("%s: %d:%d, not %d:%d", f.Path, line, column, f.Line, f.Column)
		}
	}
	for pointer, want := range map[string][2]int{
		"":                     {1, 1},
		"/id":                  {3, 9},
		"/permissions/1/code":  {11, 14},
		"/permissions/9/code":  {9, 18}, // what is around it
		"/permissions/-1":      {9, 18},
		"/backend/base_url":    {25, 14},
		"/nothing/of/the/kind": {1, 1},
	} {
		if line, column := Locate(data, pointer); line != want[0] || column != want[1] {
			t.Errorf("%s: %d:%d", pointer, line, column)
		}
	}
	if line, column := Locate(readFile(t, "testdata/v1/plan.v1.json"), "/menu/2/permission"); line != 20 || column != 66 {
		t.Error(line, column) // of version 1: where it was converted from
	}
	if line, column := Locate([]byte("{"), "/id"); line != 0 || column != 0 {
		t.Error(line, column)
	}
	if line, column := Locate([]byte("{\"ä/~\": {\"b\": [1,\r\n  \"é\", 3]}}"), "/ä~1~0/b/2"); line != 2 || column != 8 {
		t.Error(line, column)
	}
}

func TestAManifestWithErrorsStillSaysWhatCouldBeRead(t *testing.T) {
	t.Parallel()
	m, found := Parse([]byte(`{"manifest_version": 2, "id": "notes", "name": 7, "version": "1.0.0", "settings": 3, "routes": {}}`))
	if !found.HasErrors() || m.ID != "notes" || m.Version != "1.0.0" {
		t.Errorf("%+v", m)
	}
}
