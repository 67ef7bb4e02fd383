package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestTheSchemaIsValid(t *testing.T) {
	t.Parallel()
	c := jsonschema.NewCompiler()
	meta, err := c.Compile("https://json-schema.org/draft/2020-12/schema")
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.Validate(decode(Schema())); err != nil {
		t.Error(err)
	}
	manifestSchema()
	settingsSchema()
	for range 5 {
		document := Schema()
		if !bytes.Equal(document, Schema()) {
			t.Fatal("differs from call to call")
		}
	}
}

func TestTheSchemaAloneFindsFormWrong(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{minimal: true, full: true, `{}`: false, `{"manifest_version": 1}`: false, `[]`: false} {
		if err := manifestSchema().Validate(decode([]byte(text))); (err == nil) != ok {
			t.Error(text, err)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	for _, s := range append([]*schema{document().root}, document().ordered...) {
		for _, p := range s.order {
			if p.doc == "" {
				t.Errorf("%s.%s", s.name, p.name)
			}
		}
	}
}

// make generate writes it too, and the manual, which names operations of the
// contract as well.
func TestTheCommittedSchemaIsTheGeneratedOne(t *testing.T) {
	t.Parallel()
	expect(t, "../../docs/schemas/manifest.v2.json", string(Schema()))
}

func TestTheManualHasEveryFieldExampleAndCode(t *testing.T) {
	t.Parallel()
	manual := Reference()
	if strings.Contains(manual, "{{") {
		t.Error("a placeholder is left")
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(manual, -1)
	if len(blocks) != 2 {
		t.Fatal(len(blocks), "examples")
	}
	for _, block := range blocks {
		valid(t, []byte(block[1]))
	}
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(manual, -1) {
		anchors = append(anchors, strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-"))
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(manual, -1) {
		if !slices.Contains(anchors, link[1]) {
			t.Error("no heading", link[1])
		}
	}
	for _, s := range append([]*schema{document().root}, document().ordered...) {
		for _, p := range s.order {
			if !strings.Contains(manual, "`"+p.name+"`") {
				t.Error(p.name)
			}
		}
	}
	var known []string
	for _, code := range codes {
		known = append(known, code[0])
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`(?:\b(?:fail|failKey|warn|failSource|notSchema)\(|Code: |code:)"([a-z_0-9]+)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range used.FindAllStringSubmatch(string(source), -1) {
			if !slices.Contains(known, match[1]) {
				t.Errorf("%s: the code %s is not in the manual", file, match[1])
			}
		}
	}
}

// An editor that only knows the schema shows no link of the manual.
func TestDescriptionsOfTheSchemaArePlain(t *testing.T) {
	t.Parallel()
	var document any
	if err := json.Unmarshal(Schema(), &document); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(Schema()), "](#") {
		t.Error("has a link")
	}
}
