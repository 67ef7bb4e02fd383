package manifest

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// Beside each manifest of version 1 stand what it is converted to and what is
// told of it.
func TestVersion1IsConverted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/v1/*.v1.json")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			m, found := Parse(readFile(t, file))
			if found.HasErrors() {
				t.Fatal(lines(filepath.Base(file), found))
			}
			var shown bytes.Buffer
			if err := json.Indent(&shown, write(t, m), "", "  "); err != nil {
				t.Fatal(err)
			}
			expect(t, strings.TrimSuffix(file, ".v1.json")+".v2.json", shown.String())
			expect(t, strings.TrimSuffix(file, ".v1.json")+".findings", lines(filepath.Base(file), found))
			same(t, m)
			for _, f := range found {
				if f.Code == "converted" && f.Severity == Error {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestWhatIsMeantAsVersion2IsNotConverted(t *testing.T) {
	t.Parallel()
	for text, v1 := range map[string]bool{
		`{"name": "a", "version": "1"}`:             true,
		`{"name": "a", "navigation": []}`:           true,
		`{"dependencies": []}`:                      true,
		`{"manifest_version": 1}`:                   true,
		`{"manifest_version": 2, "name": "a"}`:      false,
		`{"manifest_version": 3, "navigation": []}`: false,
		`{"name": "a", "id": "a"}`:                  false,
		`{"name": "a", "compat": {}}`:               false,
		`{}`:                                        false,
	} {
		if source, _ := read([]byte(text)); isVersion1(source) != v1 {
			t.Error(text)
		}
	}
}

func TestVersion1ThatIsWrongIsToldByItsOwnLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"name": 7, "version": "1.0.0"}`:                                                    "1:10 /id schema, 1:10 /name schema",
		"{\"name\": \"notes\",\n \"version\": \"1.0.0\",\n \"routes\": {}}":                  "3:12 /routes schema",
		"{\"name\": \"notes\", \"version\": \"1.0.0\",\n \"routes\": [7]}":                   "2:13 /routes/0 schema",
		"{\"name\": \"notes\", \"version\": \"1.0.0\",\n \"navigation\": {}}":                "2:16 /navigation schema",
		"{\"name\": \"notes\", \"version\": \"1.0.0\",\n \"dependencies\": 7}":               "2:18 /dependencies schema",
		"{\"name\": \"notes\", \"version\": \"1.0.0\",\n \"permissions\": [\"users.read\"]}": "2:18 /permissions/0/code namespace",
		"{\"name\": \"notes\", \"version\": [\"1\"]}":                                        "1:30 /version schema",
		"{\"name\": \"users\", \"version\": \"1.0.0\"}":                                      "1:10 /id reserved",
	} {
		_, found := Parse([]byte(text))
		var got []string
		for _, f := range found {
			if f.Severity == Error {
				at := lines("", Findings{f})
				at = strings.Join(strings.SplitN(at[1:], ":", 3)[:2], ":")
				got = append(got, at+" "+f.Path+" "+f.Code)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
}
