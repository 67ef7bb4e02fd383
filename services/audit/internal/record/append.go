package record

import "github.com/buildify/core/services/audit/internal/store/db"

// Append adds a record to those that are stored together.
func Append(p *db.StoreEventsParams, e *db.AuditEvent) {
	p.TenantIds = append(p.TenantIds, e.TenantID)
	p.TenantSeqs = append(p.TenantSeqs, e.TenantSeq)
	p.OccurredAts = append(p.OccurredAts, e.OccurredAt)
	p.Ids = append(p.Ids, e.ID)
	p.MessageIds = append(p.MessageIds, e.MessageID)
	p.Streams = append(p.Streams, e.Stream)
	p.Types = append(p.Types, e.Type)
	p.Sources = append(p.Sources, e.Source)
	p.Actions = append(p.Actions, e.Action)
	p.Outcomes = append(p.Outcomes, e.Outcome)
	p.Reasons = append(p.Reasons, e.Reason)
	p.UserIds = append(p.UserIds, Text(e.UserID))
	p.Modules = append(p.Modules, e.Module)
	p.KeyIds = append(p.KeyIds, e.KeyID)
	p.OnBehalfOfs = append(p.OnBehalfOfs, Text(e.OnBehalfOf))
	p.ResourceTypes = append(p.ResourceTypes, e.ResourceType)
	p.ResourceIds = append(p.ResourceIds, e.ResourceID)
	p.RequestIds = append(p.RequestIds, e.RequestID)
	p.Operations = append(p.Operations, e.Operation)
	p.Addresses = append(p.Addresses, e.Address)
	p.Agents = append(p.Agents, e.Agent)
	p.Entries = append(p.Entries, e.Entry)
	p.Leaves = append(p.Leaves, e.Leaf)
}

// Text is what s points to, nothing for nil.
func Text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
