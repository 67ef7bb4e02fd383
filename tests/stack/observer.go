package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
)

// observe holds every event that services publish while the test runs to the
// catalogue: that its kind is in it, and that its data is what the schema says,
// with no member more.
func (s *Stack) observe(t testing.TB) {
	t.Helper()
	var mu sync.Mutex
	wrong := map[string]string{} // by type: one complaint tells enough
	_, err := s.Operator.Subscribe("core.events.>", func(msg *nats.Msg) {
		if complaint := CheckEvent(msg.Subject, msg.Header, msg.Data); complaint != nil {
			mu.Lock()
			defer mu.Unlock()
			wrong[msg.Header.Get("ce-type")] = fmt.Sprintf("%v\n%s", complaint, msg.Data)
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for eventType, complaint := range wrong {
			t.Errorf("an event of type %s is not as the catalogue says: %s", eventType, complaint)
		}
	})
}

// CheckEvent tells what of a published event is not as the catalogue says.
func CheckEvent(subject string, header nats.Header, data []byte) error {
	e, err := events.Decode(header, data)
	if err != nil {
		return err
	}
	schema, known := schemas()[e.Type()]
	if !known {
		return fmt.Errorf("type %q is not in it", e.Type())
	}
	definition, _ := events.Lookup(e.Type())
	if want := definition.Kind.Subject(events.Extension(e, events.TenantID)); subject != want {
		return fmt.Errorf("it is published on %s, not on %s", subject, want)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data()))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// schemas are those of the data, by type, and strict.
var schemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	all := map[string]*jsonschema.Schema{}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, d := range events.Catalogue() {
		var schema any
		if err := json.Unmarshal(d.Schema, &schema); err != nil {
			panic(err)
		}
		closed(schema)
		if err := compiler.AddResource(d.Type, schema); err != nil {
			panic(err)
		}
		all[d.Type] = compiler.MustCompile(d.Type)
	}
	return all
})

// closed forbids members that a schema does not name.
func closed(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, ok := s["properties"].(map[string]any); ok && s["type"] == "object" {
			s["additionalProperties"] = false
		}
		for _, inner := range s {
			closed(inner)
		}
	case []any:
		for _, inner := range s {
			closed(inner)
		}
	}
}
