package contract

import (
	"encoding/json"
	"time"
)

// LogAudit records what a user did in a module.
var LogAudit = Register[LogAuditRequest, LogAuditResponse](AuditMutation, Spec{
	Name: "audit.log", Method: "POST", Path: "/api/v1/core/audit/log",
	Access:  Module | Internal,
	Errors:  []Code{NotFound},
	Summary: "Records an audit event; answers once the event is durable.",
})

// LogAuditRequest says who did what to which resource. The tenant and the
// module of the event come from verified facts, not from here.
type LogAuditRequest struct {
	UserID       ID              `json:"user_id" format:"uuid" doc:"The user who acted."`
	TenantID     ID              `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in, one that the user belongs to; default is the user's home tenant."`
	Action       string          `json:"action" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9_.:-]+$" example:"invoice.created" doc:"What was done."`
	ResourceType string          `json:"resource_type" minLength:"1" maxLength:"100" example:"invoice"`
	ResourceID   ID              `json:"resource_id,omitempty" maxLength:"200" doc:"The resource acted on; a JSON number is read as its decimal string."`
	Details      json.RawMessage `json:"details,omitempty" doc:"Any JSON value, at most 64 KiB."`
}

// LogAuditResponse confirms durability.
type LogAuditResponse struct {
	Status string `json:"status" enum:"logged"`
	ID     string `json:"id" format:"uuid" doc:"The id of the recorded event."`
}

// ListAudit reads a tenant's audit trail, newest first.
var ListAudit = Register[ListAuditRequest, ListAuditResponse](AuditRead, Spec{
	Name: "audit.list", Method: "GET", Path: "/api/v1/audit/events",
	Access: User, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Lists the audit events of the caller's tenant, newest first: what modules logged, and every domain event of the core.",
})

// ListAuditRequest filters and pages. The tenant is the one that the caller's
// token acts in; a platform administrator may name any, and reads the
// platform's own trail in none.
type ListAuditRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose trail is read; default is the caller's. Only platform administrators name another; the nil UUID is the platform's own trail."`
	UserID   ID     `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Action   string `json:"action,omitempty" query:"action" maxLength:"100" doc:"Only events of this action."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Events a page."`
}

// ListAuditResponse is one page of events.
type ListAuditResponse struct {
	Items      []AuditEvent `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// AuditEvent is one stored audit event.
type AuditEvent struct {
	ID           string          `json:"id" format:"uuid"`
	Sequence     int64           `json:"sequence" doc:"Position in the tenant's trail, without gaps."`
	Time         time.Time       `json:"time"`
	TenantID     string          `json:"tenant_id" format:"uuid" doc:"The nil UUID for the platform's own events."`
	UserID       string          `json:"user_id" doc:"Who acted, or whom it is about; empty when that is nobody known."`
	Source       string          `json:"source" doc:"The module or service that recorded it."`
	Action       string          `json:"action" doc:"As the module logged it, or <service>.<entity>.<verb> of a domain event." example:"auth.login.failed"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id,omitempty"`
	Outcome      string          `json:"outcome,omitempty" enum:"success,failure,denied"`
	Details      json.RawMessage `json:"details,omitempty" doc:"What the module added, or the data of a domain event; {omitted_bytes} where that is longer than an answer."`
}
