package contract

import "time"

// ListCalls reads the records of a tenant's calls of the Core API.
var ListCalls = Register[ListCallsRequest, ListCallsResponse](AuditRead, Spec{
	Name: "audit.list_calls", Method: "GET", Path: "/api/v1/audit/calls",
	Access: User | Internal, Permission: "audit:calls:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Lists the calls of the Core API that concerned the caller's tenant, newest first: who asked what, and how it was answered.",
})

// ListCallsRequest filters and pages. The tenant is chosen as in
// ListAuditRequest.
type ListCallsRequest struct {
	TenantID  ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose calls are read; default is the caller's. Only platform administrators name another; the nil UUID is for calls that concerned none."`
	Operation string     `json:"operation,omitempty" query:"operation" maxLength:"100" example:"rbac.check" doc:"Only calls of this operation."`
	Code      string     `json:"code,omitempty" query:"code" maxLength:"50" example:"permission_denied" doc:"Only calls that were answered so; ok is no error."`
	Module    string     `json:"module,omitempty" query:"module" maxLength:"100" doc:"Only calls by this module."`
	UserID    ID         `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only calls by this person, or decisions about them."`
	From      *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"Only calls from this time on."`
	Until     *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only calls before this time."`
	Cursor    string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit     int        `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Calls a page. A page may hold fewer, or none, and have a next one: a filter that finds little is applied to a bounded number of calls."`
}

// ListCallsResponse is one page of calls.
type ListCallsResponse struct {
	Items      []CallRecord `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// CallRecord is what is kept of one call of the Core API. It holds neither the
// request's body nor the answer's.
type CallRecord struct {
	Time      time.Time `json:"time" doc:"When the service received the request."`
	Operation string    `json:"operation" example:"rbac.check"`
	Code      string    `json:"code" doc:"ok, or the code of the error." example:"ok"`
	Micros    int64     `json:"micros" doc:"How long the answer took, in microseconds."`
	Caller    string    `json:"caller" enum:"service,module,anonymous" doc:"What the caller is; a person's client is anonymous when it showed no API key."`
	Module    string    `json:"module,omitempty"`
	KeyID     string    `json:"key_id,omitempty" doc:"The API key that the module showed."`
	UserID    string    `json:"user_id,omitempty" doc:"The person whose access token was verified."`
	SubjectID string    `json:"subject_id,omitempty" doc:"The person whom a decision is about."`
	Asked     string    `json:"asked,omitempty" doc:"The permission that was asked about." example:"financial:accounts:read"`
	Allowed   *bool     `json:"allowed,omitempty" doc:"What was decided."`
	RequestID string    `json:"request_id,omitempty"`
	Address   string    `json:"address,omitempty" doc:"Where the request reached the platform from, when that is known."`
}
