package reading

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// ocsfSchemas are the schemas of the classes that are written, by class_uid.
func ocsfSchemas(t *testing.T) map[int]*jsonschema.Schema {
	t.Helper()
	schemas := map[int]*jsonschema.Schema{}
	for uid, name := range map[int]string{3001: "account_change", 3002: "authentication", 6003: "api_activity"} {
		schema, err := jsonschema.NewCompiler().Compile("testdata/ocsf/" + name + ".schema.json")
		require.NoError(t, err)
		schemas[uid] = schema
	}
	return schemas
}

// requireOCSF holds that a line is an event as its class's schema has it, and
// returns it.
func requireOCSF(t *testing.T, schemas map[int]*jsonschema.Schema, line []byte) map[string]any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	require.NoError(t, err)
	var is struct {
		Class int `json:"class_uid"`
	}
	require.NoError(t, json.Unmarshal(line, &is))
	schema := schemas[is.Class]
	require.NotNil(t, schema, "class %d", is.Class)
	require.NoError(t, schema.Validate(value), string(line))
	var event map[string]any
	require.NoError(t, json.Unmarshal(line, &event))
	return event
}

func TestEventsAreWrittenAsOCSFHasThem(t *testing.T) {
	t.Parallel()
	schemas, someone, at := ocsfSchemas(t), anybody(), began.Add(time.Second)
	full := contract.AuditEvent{
		ID: anybody(), Sequence: 7, Time: began, TenantID: anybody(), UserID: someone, Source: "crm", ResourceType: "invoice", ResourceID: "1",
		Type: "t", Reason: "because", Details: json.RawMessage(`{"a":[1]}`),
		Actor:   &contract.AuditActor{Module: "crm", KeyID: "k", OnBehalfOf: anybody()},
		Request: &contract.AuditRequest{ID: "r", Operation: "audit.log", Address: "2001:db8::1", Agent: "curl"},
		Changes: []contract.AuditChange{{Field: "a", Before: json.RawMessage("1")}},
	}
	for _, c := range []struct {
		action, outcome               string
		class, activity, status, kind float64
	}{
		{"auth.login.succeeded", "success", 3002, 1, 1, 300201},
		{"auth.login.failed", "failure", 3002, 1, 2, 300201},
		{"auth.login.challenged", "", 3002, 6, 0, 300206},
		{"auth.session.ended", "success", 3002, 2, 1, 300202},
		{"auth.session.switched", "success", 3002, 99, 1, 300299},
		{"auth.user.administered", "success", 3001, 99, 1, 300199},
		{"auth.factor.changed", "success", 3001, 99, 1, 300199},
		{"invoice.created", "success", 6003, 1, 1, 600301},
		{"invoice:read", "success", 6003, 2, 1, 600302},
		{"rbac.policy.changed", "success", 6003, 3, 1, 600303},
		{"audit.list", "denied", 6003, 2, 2, 600302},
		{"auth.delete_key", "denied", 6003, 99, 2, 600399},
		{"invoice.DELETED", "success", 6003, 4, 1, 600304},
		{"anything", "", 6003, 99, 0, 600399},
	} {
		bare := contract.AuditEvent{ID: anybody(), Sequence: 1, Time: began, TenantID: anybody(), Source: "core", ResourceType: "thing"}
		odd := full
		odd.Request = &contract.AuditRequest{Address: "not an address; sealed, for instance"}
		odd.ResourceType, odd.ResourceID = "user", someone
		for _, e := range []contract.AuditEvent{full, bare, odd} {
			e.Action, e.Outcome = c.action, c.outcome
			line, err := ocsfLine(&e, at)
			require.NoError(t, err)
			require.Equal(t, byte('\n'), line[len(line)-1])
			event := requireOCSF(t, schemas, line)
			require.Equal(t, [4]any{c.class, c.activity, c.status, c.kind},
				[4]any{event["class_uid"], event["activity_id"], event["status_id"], event["type_uid"]}, c.action)
		}
	}
}

// The schemas are no rubber stamp.
func TestWhatOCSFHasNotIsRefused(t *testing.T) {
	t.Parallel()
	schemas := ocsfSchemas(t)
	line, err := ocsfLine(&contract.AuditEvent{ID: "x", Time: began, Action: "a", Source: "crm", ResourceType: "t"}, began)
	require.NoError(t, err)
	for name, spoil := range map[string]func(map[string]any){
		"an unknown attribute": func(e map[string]any) { e["who"] = "x" },
		"no metadata":          func(e map[string]any) { delete(e, "metadata") },
		"an unknown activity":  func(e map[string]any) { e["activity_id"] = 17 },
		"another class's type": func(e map[string]any) { e["type_uid"] = 300201 },
		"time as text":         func(e map[string]any) { e["time"] = "now" },
		"a nobody of an actor": func(e map[string]any) { e["actor"] = map[string]any{} },
	} {
		event := requireOCSF(t, schemas, line)
		spoil(event)
		require.Error(t, schemas[6003].Validate(event), name)
	}
}
