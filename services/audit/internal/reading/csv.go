package reading

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
)

var csvHeader = []string{
	"sequence", "id", "time", "tenant_id", "type", "source", "action", "outcome", "reason", "user_id", "module", "key_id", "on_behalf_of",
	"resource_type", "resource_id", "request_id", "operation", "address", "agent", "changes", "details",
}

func csvFields(e *contract.AuditEvent) []string {
	actor, request, changes := contract.AuditActor{}, contract.AuditRequest{}, ""
	if e.Actor != nil {
		actor = *e.Actor
	}
	if e.Request != nil {
		request = *e.Request
	}
	if len(e.Changes) > 0 {
		raw, _ := json.Marshal(e.Changes) // JSON that was read
		changes = string(raw)
	}
	return []string{
		strconv.FormatInt(e.Sequence, 10), e.ID, e.Time.Format(time.RFC3339Nano), e.TenantID, e.Type, e.Source, e.Action, e.Outcome, e.Reason,
		e.UserID, actor.Module, actor.KeyID, actor.OnBehalfOf, e.ResourceType, e.ResourceID, request.ID, request.Operation, request.Address, request.Agent,
		changes, string(e.Details),
	}
}

// csvLine is a record as RFC 4180 has it.
func csvLine(fields []string) []byte {
	guarded := make([]string, len(fields))
	for i, field := range fields {
		guarded[i] = guard(field)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	_ = w.Write(guarded) // a buffer takes it
	w.Flush()
	return out.Bytes()
}

// guard keeps a spreadsheet from taking a text that somebody wrote for a formula.
func guard(field string) string {
	if strings.IndexAny(field, "=+-@\t\r\n") == 0 {
		return "'" + field
	}
	return field
}
