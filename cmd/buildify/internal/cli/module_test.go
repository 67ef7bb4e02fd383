package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildify/core/pkg/manifest"
)

// execute runs buildify with a standard input.
func execute(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	root := Root()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.Execute()
	return out.String(), errs.String(), err
}

func TestAValidManifestIsToldInNoWords(t *testing.T) {
	t.Parallel()
	path := "../../../../modules/financial/manifest.json"
	if out, errs, err := execute(t, "", "module", "validate", path, "--core", "0.1.0"); err != nil || out+errs != "" {
		t.Error(out, errs, err)
	}
	if out, _, err := execute(t, "", "module", "validate", path, "--format", "json"); err != nil || out != "[]\n" {
		t.Error(out, err)
	}
	out, _, err := execute(t, "", "module", "validate", path, "--core", "7.0.0")
	if err == nil || !strings.HasPrefix(out, path+":15:22: error: ") || !strings.HasSuffix(out, " [compat]\n") {
		t.Error(out, err)
	}
}

func TestFindingsAreLinesAndFail(t *testing.T) {
	t.Parallel()
	text := "{\n  \"manifest_version\": 2,\n  \"id\": \"users\",\n  \"colour\": 1\n}\n"
	file := filepath.Join(t.TempDir(), "m.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, stdin := range map[string]string{file: "", "-": text} {
		out, errs, err := execute(t, stdin, "module", "validate", name)
		if err == nil || strings.Contains(errs, "Usage") {
			t.Error(errs, err)
		}
		for _, line := range []string{":3:9: error: ", ":4:3: error: \"colour\" is no field here", "[missing]\n"} {
			if !strings.Contains(out, line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, name+":") {
				t.Error(line)
			}
		}
	}
	out, _, err := execute(t, text, "module", "validate", "-", "--format", "json")
	var found manifest.Findings
	if decoded := json.Unmarshal([]byte(out), &found); err == nil || decoded != nil || !found.HasErrors() || found[0].Line == 0 {
		t.Error(out, err, decoded)
	}
}

func TestMistakesOfTheCommandLineAreNamed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"module", "validate"}, {"module", "validate", "no-such-file.json"}, {"module", "validate", "-", "--format", "xml"}, {"module", "convert"}, {"module", "schema", "x"},
	} {
		if _, _, err := execute(t, "{}", args...); err == nil {
			t.Error(args)
		}
	}
	if _, _, err := execute(t, strings.Repeat(" ", manifest.MaxSize+1), "module", "validate", "-"); err == nil {
		t.Error("took too much")
	}
}

func TestVersion1IsPrintedAsVersion2(t *testing.T) {
	t.Parallel()
	out, errs, err := execute(t, "", "module", "convert", "../../../../pkg/manifest/testdata/v1/plan.v1.json")
	if err != nil || !strings.Contains(errs, "plan.v1.json:2:11: info: ") {
		t.Error(errs, err)
	}
	m, found := manifest.Parse([]byte(out))
	if found.HasErrors() || m.ID != "financial" || m.ManifestVersion != 2 || m.Schema != manifest.SchemaURL {
		t.Error(out, found)
	}
	if out, _, err := execute(t, "[]", "module", "convert", "-"); err == nil || out != "" {
		t.Error(out, err)
	}
}

func TestDocumentsArePrintedOrWritten(t *testing.T) {
	t.Parallel()
	for use, want := range map[string]string{"schema": string(manifest.Schema()), "reference": manifest.Reference()} {
		if out, _, err := execute(t, "", "module", use); err != nil || out != want {
			t.Error(use, err)
		}
		file := filepath.Join(t.TempDir(), use)
		if _, _, err := execute(t, "", "module", use, "--output", file); err != nil {
			t.Error(err)
		}
		if written, err := os.ReadFile(file); err != nil || string(written) != want {
			t.Error(use, err)
		}
	}
}
