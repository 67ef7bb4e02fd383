// Package backbone tests the events of the whole.
package backbone

import (
	"bytes"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/buildify/core/pkg/events"
)

// asyncAPI is the JSON Schema of AsyncAPI 3.0.0 documents, of the AsyncAPI
// Initiative (github.com/asyncapi/spec-json-schemas, Apache License 2.0).
const asyncAPI = "testdata/asyncapi-3.0.0.json"

func TestTheAsyncAPIDocumentIsValid(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(asyncAPI)
	require.NoError(t, err)
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("asyncapi.json", resource))
	schema, err := compiler.Compile("asyncapi.json")
	require.NoError(t, err)

	text, err := os.ReadFile("../../docs/asyncapi.yaml")
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(text, &document))
	require.NoError(t, schema.Validate(document))
	channels, ok := document["channels"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, len(events.Catalogue()), len(channels), "generate it again: make generate")

	document["asyncapi"] = "2.0.0"
	require.Error(t, schema.Validate(document), "the schema looks at it")
}
