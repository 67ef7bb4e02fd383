package openapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func document(t testing.TB) map[string]any {
	t.Helper()
	raw, err := json.Marshal(Document())
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(raw, &doc))
	return doc
}

func at(t testing.TB, from any, path ...string) any {
	t.Helper()
	for i, name := range path {
		object, ok := from.(map[string]any)
		require.True(t, ok, "%v", path[:i])
		from, ok = object[name]
		require.True(t, ok, "%v is missing", path[:i+1])
	}
	return from
}

// get returns what is at a path, as the type that it must have.
func get[T any](t testing.TB, from any, path ...string) T {
	t.Helper()
	value, ok := at(t, from, path...).(T)
	require.True(t, ok, "%v", path)
	return value
}

type object = map[string]any

func TestTheDocumentIsTheSameAtEachCall(t *testing.T) {
	t.Parallel()
	firstYAML, err := Document().YAML()
	require.NoError(t, err)
	firstJSON, err := json.Marshal(Document())
	require.NoError(t, err)
	for range 20 {
		again, err := Document().YAML()
		require.NoError(t, err)
		require.Equal(t, string(firstYAML), string(again))
		raw, err := json.Marshal(Document())
		require.NoError(t, err)
		require.Equal(t, string(firstJSON), string(raw))
	}
}

func TestEveryPublicOperationStandsInTheDocumentAndNoOther(t *testing.T) {
	t.Parallel()
	doc := document(t)
	require.Equal(t, "3.1.0", at(t, doc, "openapi"))
	found := map[string]bool{}
	for path, item := range get[object](t, doc, "paths") {
		for method, op := range get[object](t, item) {
			found[strings.ToUpper(method)+" "+path+" "+get[string](t, op, "operationId")] = true
		}
	}
	want := map[string]bool{}
	for _, spec := range slices.Concat(contract.Operations(), contract.Streams()) {
		if spec.Path != "" {
			want[spec.Method+" "+spec.Path+" "+spec.Name] = true
		}
	}
	require.Equal(t, want, found)
	raw, err := json.Marshal(doc)
	require.NoError(t, err)
	for _, spec := range contract.Operations() {
		if spec.Access == contract.Internal {
			require.NotContains(t, string(raw), `"`+spec.Name+`"`)
			require.NotContains(t, string(raw), `"`+spec.Subject()+`"`)
		}
	}
}

func TestEveryOperationSaysHowToBeCalled(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for _, spec := range contract.Operations() {
		if spec.Path == "" {
			continue
		}
		op := get[object](t, doc, "paths", spec.Path, strings.ToLower(spec.Method))
		require.Equal(t, spec.Subject(), at(t, op, "x-subject"))
		responses := get[object](t, op, "responses")
		at(t, responses, "200", "content", "application/json", "schema")
		for _, code := range append([]contract.Code{contract.InvalidArgument, contract.InternalError}, spec.Errors...) {
			status := regexp.MustCompile(`^\d{3}$`)
			found := false
			for number, response := range responses {
				require.Regexp(t, status, number)
				found = found || strings.Contains(get[string](t, response, "description"), string(code))
			}
			require.True(t, found, "%s does not tell of %s", spec.Name, code)
		}
		var schemes []string // any one of which will do
		security, _ := op["security"].([]any)
		for _, alternative := range security {
			for scheme := range get[object](t, alternative) {
				schemes = append(schemes, scheme)
			}
		}
		require.Equal(t, spec.Access.Has(contract.Module), slices.Contains(schemes, "apiKey"), spec.Name)
		require.Equal(t, spec.Access&(contract.User|contract.Self) != 0, slices.Contains(schemes, "bearer"), spec.Name)
		inPath := map[string]bool{}
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			at(t, p, "schema", "type")
			if at(t, p, "in") == "path" {
				require.Equal(t, true, at(t, p, "required"))
				inPath[get[string](t, p, "name")] = true
			}
		}
		for _, m := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(spec.Path, -1) {
			require.True(t, inPath[m[1]], "%s: %s is not declared", spec.Name, m[1])
		}
		_, hasBody := op["requestBody"]
		wantBody := false
		for i := range spec.Request.NumField() {
			tag := spec.Request.Field(i).Tag
			wantBody = wantBody || tag.Get("path") == "" && tag.Get("query") == ""
		}
		require.Equal(t, wantBody && spec.Method != "GET" && spec.Method != "DELETE", hasBody, spec.Name)
	}
}

func TestAStreamIsEventsOfItsMessage(t *testing.T) {
	t.Parallel()
	news := get[object](t, document(t), "paths", contract.ModuleNews.Path, "get")
	require.Equal(t, "#/components/schemas/ModuleNewsMessage", at(t, news, "responses", "200", "content", "text/event-stream", "schema", "$ref"))
	op := get[object](t, document(t), "paths", contract.PolicyFeed.Path, "get")
	require.Equal(t, "#/components/schemas/PolicyFeedMessage", at(t, op, "responses", "200", "content", "text/event-stream", "schema", "$ref"))
	for _, status := range []string{"401", "403", "429", "503"} {
		at(t, op, "responses", status)
	}
	require.Equal(t, []any{object{"apiKey": []any{}}}, op["security"])
	require.NotContains(t, op, "parameters")
}

func TestWhatHasARevisionOrATagIsTaggedWithIt(t *testing.T) {
	t.Parallel()
	doc := document(t)
	headers := func(op object) (names []string) {
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			if at(t, p, "in") == "header" {
				names = append(names, get[string](t, p, "name"))
			}
		}
		return names
	}
	for _, c := range []struct {
		spec    *contract.Spec
		headers []string
		tag     bool
	}{
		{contract.GetRole.Spec, []string{"If-None-Match"}, true},
		{contract.UpdateRole.Spec, []string{"If-Match"}, true},
		{contract.DeleteRole.Spec, []string{"If-Match"}, false},
		{contract.CreateRole.Spec, nil, true},
		{contract.ListRoles.Spec, nil, false},
		{contract.GetTenant.Spec, []string{"If-None-Match"}, true},
		{contract.GetMenu.Spec, []string{"If-None-Match"}, true},
		{contract.PutMenuOverrides.Spec, []string{"If-Match"}, false},
	} {
		op := get[object](t, doc, "paths", c.spec.Path, strings.ToLower(c.spec.Method))
		require.Equal(t, c.headers, headers(op), c.spec.Name)
		_, tag := get[object](t, op, "responses", "200")["headers"]
		require.Equal(t, c.tag, tag, c.spec.Name)
		_, unchanged := get[object](t, op, "responses")["304"]
		require.Equal(t, c.tag && c.spec.Method == "GET", unchanged, c.spec.Name)
	}
}

func TestEveryReferenceResolvesAndEverySchemaIsUsed(t *testing.T) {
	t.Parallel()
	doc := document(t)
	used := map[string]bool{}
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case map[string]any:
			if ref, ok := n["$ref"].(string); ok {
				path, ok := strings.CutPrefix(ref, "#/")
				require.True(t, ok, ref)
				at(t, doc, strings.Split(path, "/")...)
				used[ref] = true
			}
			for _, child := range n {
				walk(child)
			}
		case []any:
			for _, child := range n {
				walk(child)
			}
		}
	}
	walk(doc)
	require.NotEmpty(t, used)
	for name := range get[object](t, doc, "components", "schemas") {
		require.True(t, used["#/components/schemas/"+name], "%s is nobody's", name)
	}
}

func TestRequestsAreClosedAndAnswersOpen(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := get[object](t, doc, "components", "schemas")
	require.Equal(t, false, at(t, schemas, "VerifyRequest", "additionalProperties"))
	for _, name := range []string{"VerifyResponse", "UserInfo", "Problem", "Tenant"} {
		require.NotContains(t, schemas[name], "additionalProperties", name)
	}
	codes := get[[]any](t, schemas, "Problem", "properties", "code", "enum")
	require.Len(t, codes, len(contract.Codes()))
}
