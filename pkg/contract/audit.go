package contract

import "encoding/json"

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
	Outcome      string          `json:"outcome,omitempty" enum:"success,failure,denied" default:"success" doc:"How it ended."`
	Reason       string          `json:"reason,omitempty" maxLength:"500" doc:"Why it was done, or ended so."`
	OnBehalfOf   ID              `json:"on_behalf_of,omitempty" format:"uuid" doc:"The user of the tenant for whom the user acted."`
	Changes      []AuditChange   `json:"changes,omitempty" maxItems:"100" doc:"What changed, field by field; with the details at most 64 KiB."`
	Address      string          `json:"address,omitempty" maxLength:"64" doc:"Where the user's request reached the module from." example:"203.0.113.7"`
	Agent        string          `json:"agent,omitempty" maxLength:"200" doc:"The user's client, such as its User-Agent."`
}

// AuditChange is a field that an action changed.
type AuditChange struct {
	Field  string          `json:"field" minLength:"1" maxLength:"200" example:"total"`
	Before json.RawMessage `json:"before,omitempty" doc:"Any JSON value; none is that there was nothing."`
	After  json.RawMessage `json:"after,omitempty" doc:"Any JSON value; none is that there is nothing now."`
}

// LogAuditResponse confirms durability.
type LogAuditResponse struct {
	Status string `json:"status" enum:"logged"`
	ID     string `json:"id" format:"uuid" doc:"The id of the recorded event."`
}
