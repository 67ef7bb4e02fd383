package contract

import (
	"encoding/json"
	"time"
)

// Reading of trails. Each is of one tenant: the one that the caller's token acts
// in; a platform administrator may name any, and reads the platform's own trail in
// none.

// ListAudit reads a tenant's trail.
var ListAudit = Register[ListAuditRequest, ListAuditResponse](AuditRead, Spec{
	Name: "audit.list", Method: "GET", Path: "/api/v1/audit/events",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Lists the audit events of the caller's tenant, newest first: what modules logged, and every domain event of the core.",
})

// ListAuditRequest filters and pages. What is filtered by together holds
// together.
type ListAuditRequest struct {
	TenantID     ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose trail is read; default is the caller's. Only platform administrators name another; the nil UUID is the platform's own trail."`
	UserID       ID         `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Module       string     `json:"module,omitempty" query:"module" maxLength:"100" doc:"Only what was done by way of this module."`
	KeyID        string     `json:"key_id,omitempty" query:"key_id" maxLength:"100" doc:"Only what was done with this API key."`
	Action       string     `json:"action,omitempty" query:"action" maxLength:"100" example:"invoice.*" doc:"Only events of this action; with * at its end, of those that begin so."`
	ResourceType string     `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"Only events about resources of this type."`
	ResourceID   ID         `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"Only events about the resource of this id."`
	Outcome      string     `json:"outcome,omitempty" query:"outcome" enum:"success,failure,denied" doc:"Only events of this outcome."`
	Source       string     `json:"source,omitempty" query:"source" maxLength:"100" doc:"Only what this module or service recorded."`
	RequestID    string     `json:"request_id,omitempty" query:"request_id" maxLength:"200" doc:"Only events of this request."`
	From         *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"Only what happened at this time or later."`
	Until        *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only what happened before this time."`
	Search       string     `json:"search,omitempty" query:"search" maxLength:"200" doc:"Only events with this text, in whatever case, in action, resource, reason or details."`
	Order        string     `json:"order,omitempty" query:"order" enum:"asc,desc" default:"desc" doc:"By sequence: the newest first, or the oldest."`
	Cursor       string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor or previous_cursor of a page with the same filter and order."`
	Limit        int        `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Events a page. A page may hold fewer, or none, and have a next one: of a filter that finds little 20,000 events are looked at for a page, and the cursor goes on."`
}

// ListAuditResponse is one page of events. Pages neither repeat nor miss an
// event while others are added.
type ListAuditResponse struct {
	Items          []AuditEvent `json:"items"`
	NextCursor     string       `json:"next_cursor,omitempty" doc:"Leads to the page behind; none when there is nothing more."`
	PreviousCursor string       `json:"previous_cursor,omitempty" doc:"Leads to the page before, in the same order; none on the first."`
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

	Type    string        `json:"type,omitempty" doc:"The CloudEvents type of what was recorded." example:"dev.buildify.audit.event.logged.v2"`
	Reason  string        `json:"reason,omitempty" doc:"Why it was done, or ended so."`
	Actor   *AuditActor   `json:"actor,omitempty" doc:"By what means user_id acted."`
	Request *AuditRequest `json:"request,omitempty" doc:"The request that it was done with."`
	Changes []AuditChange `json:"changes,omitempty" doc:"What changed, field by field."`
}

// AuditActor is by what means, and for whom, a person acted.
type AuditActor struct {
	Module     string `json:"module,omitempty" doc:"The module acted by way of."`
	KeyID      string `json:"key_id,omitempty" doc:"The API key that the module showed."`
	OnBehalfOf string `json:"on_behalf_of,omitempty" doc:"The user for whom the person acted."`
}

// AuditRequest is how an action reached the core or, with address and agent, the
// module.
type AuditRequest struct {
	ID        string `json:"id,omitempty"`
	Operation string `json:"operation,omitempty" example:"audit.log"`
	Address   string `json:"address,omitempty" example:"203.0.113.7"`
	Agent     string `json:"agent,omitempty"`
}

// GetAudit gives one event.
var GetAudit = Register[GetAuditRequest, AuditEvent](AuditRead, Spec{
	Name: "audit.get", Method: "GET", Path: "/api/v1/audit/events/{event_id}",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied, NotFound},
	Summary: "Gives one audit event of the caller's tenant.",
})

// GetAuditRequest names the event.
type GetAuditRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	EventID  ID `json:"event_id" path:"event_id" maxLength:"36" pattern:"^([0-9]+|[0-9A-Fa-f-]{36})$" patternDescription:"an event's id or sequence" doc:"The event's id, or its sequence."`
}

// PersonTimeline tells a person's story.
var PersonTimeline = Register[PersonTimelineRequest, ListAuditResponse](AuditRead, Spec{
	Name: "audit.person_timeline", Method: "GET", Path: "/api/v1/audit/users/{user_id}/timeline",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Lists what a person did, what was done for them, and what was done to their account, newest first.",
})

// PersonTimelineRequest names the person, and pages as ListAuditRequest does.
type PersonTimelineRequest struct {
	TenantID ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	UserID   ID         `json:"user_id" path:"user_id" format:"uuid"`
	From     *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"Only what happened at this time or later."`
	Until    *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only what happened before this time."`
	Order    string     `json:"order,omitempty" query:"order" enum:"asc,desc" default:"desc" doc:"By sequence: the newest first, or the oldest."`
	Cursor   string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor or previous_cursor of a page with the same filter and order."`
	Limit    int        `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Events a page."`
}

// ResourceTimeline tells the story of a resource.
var ResourceTimeline = Register[ResourceTimelineRequest, ListAuditResponse](AuditRead, Spec{
	Name: "audit.resource_timeline", Method: "GET", Path: "/api/v1/audit/resources/{resource_type}/{resource_id}/timeline",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Lists what was done to a resource, newest first.",
})

// ResourceTimelineRequest names the resource, and pages as ListAuditRequest does.
type ResourceTimelineRequest struct {
	TenantID     ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	ResourceType string     `json:"resource_type" path:"resource_type" minLength:"1" maxLength:"100" example:"invoice"`
	ResourceID   ID         `json:"resource_id" path:"resource_id" minLength:"1" maxLength:"200"`
	From         *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"Only what happened at this time or later."`
	Until        *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only what happened before this time."`
	Order        string     `json:"order,omitempty" query:"order" enum:"asc,desc" default:"desc" doc:"By sequence: the newest first, or the oldest."`
	Cursor       string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor or previous_cursor of a page with the same filter and order."`
	Limit        int        `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Events a page."`
}

// AuditStats counts events.
var AuditStats = Register[AuditStatsRequest, AuditStatsResponse](AuditRead, Spec{
	Name: "audit.stats", Method: "GET", Path: "/api/v1/audit/stats",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Counts the audit events of a stretch of time by action, outcome, actor and hour or day, for charts.",
	Timeout: 15 * time.Second,
})

// AuditStatsRequest names the time and filters as ListAuditRequest does.
type AuditStatsRequest struct {
	TenantID     ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	From         *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"The beginning; default is a day, or by day 30 days, before the end."`
	Until        *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"The end, which is not counted; default is now."`
	Interval     string     `json:"interval,omitempty" query:"interval" enum:"hour,day" default:"hour" doc:"What is counted together, in UTC: an hour, of at most 31 days; or a day, of at most 400."`
	Top          int        `json:"top,omitempty" query:"top" minimum:"1" maximum:"100" default:"20" doc:"How many actions and actors are told, the most frequent first."`
	UserID       ID         `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Module       string     `json:"module,omitempty" query:"module" maxLength:"100" doc:"Only what was done by way of this module."`
	Action       string     `json:"action,omitempty" query:"action" maxLength:"100" example:"invoice.*" doc:"Only events of this action; with * at its end, of those that begin so."`
	ResourceType string     `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"Only events about resources of this type."`
	ResourceID   ID         `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"Only events about the resource of this id."`
	Outcome      string     `json:"outcome,omitempty" query:"outcome" enum:"success,failure,denied" doc:"Only events of this outcome."`
	Source       string     `json:"source,omitempty" query:"source" maxLength:"100" doc:"Only what this module or service recorded."`
}

// MaxCounted bounds the events that audit.stats counts: the newest ones.
const MaxCounted = 500_000

// AuditStatsResponse holds the counts.
type AuditStatsResponse struct {
	From     time.Time    `json:"from"`
	Until    time.Time    `json:"until"`
	Interval string       `json:"interval" enum:"hour,day"`
	Counted  int64        `json:"counted" doc:"How many events were counted."`
	Complete bool         `json:"complete" doc:"All of that time were counted; otherwise the newest 500,000."`
	Times    []AuditTime  `json:"times" doc:"By hour or day, without those in which nothing happened."`
	Actions  []AuditCount `json:"actions"`
	Outcomes []AuditCount `json:"outcomes"`
	Actors   []AuditCount `json:"actors" doc:"By user_id; empty is nobody known."`
}

// AuditCount is how many events have a value.
type AuditCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// AuditTime is how many events there were in an hour or a day.
type AuditTime struct {
	Time    time.Time `json:"time" doc:"Its beginning."`
	Count   int64     `json:"count"`
	Failure int64     `json:"failure" doc:"Of these, how many failed."`
	Denied  int64     `json:"denied" doc:"Of these, how many were denied."`
}

// ExportAudit gives out a trail, part by part.
var ExportAudit = Register[ExportAuditRequest, ExportAuditResponse](AuditRead, Spec{
	Name: "audit.export", Method: "GET", Path: "/api/v1/audit/export",
	Access: User | Internal, Permission: "audit:events:export",
	Errors:  []Code{Unauthenticated, PermissionDenied},
	Summary: "Gives the next part of an export of the caller's trail as JSON lines, CSV or OCSF, the oldest event first. GET /api/v1/audit/export.jsonl, .csv and .ocsf stream all parts.",
	Timeout: 15 * time.Second,
})

// ExportAuditRequest filters as ListAuditRequest does.
type ExportAuditRequest struct {
	TenantID     ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	Format       string     `json:"format,omitempty" query:"format" enum:"jsonl,csv,ocsf" default:"jsonl" doc:"jsonl are the entries byte for byte, as the proofs are about them; csv is for spreadsheets; ocsf are events of the Open Cybersecurity Schema Framework, one a line."`
	UserID       ID         `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Module       string     `json:"module,omitempty" query:"module" maxLength:"100" doc:"Only what was done by way of this module."`
	KeyID        string     `json:"key_id,omitempty" query:"key_id" maxLength:"100" doc:"Only what was done with this API key."`
	Action       string     `json:"action,omitempty" query:"action" maxLength:"100" example:"invoice.*" doc:"Only events of this action; with * at its end, of those that begin so."`
	ResourceType string     `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"Only events about resources of this type."`
	ResourceID   ID         `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"Only events about the resource of this id."`
	Outcome      string     `json:"outcome,omitempty" query:"outcome" enum:"success,failure,denied" doc:"Only events of this outcome."`
	Source       string     `json:"source,omitempty" query:"source" maxLength:"100" doc:"Only what this module or service recorded."`
	RequestID    string     `json:"request_id,omitempty" query:"request_id" maxLength:"200" doc:"Only events of this request."`
	From         *time.Time `json:"from,omitempty" query:"from" format:"date-time" doc:"Only what happened at this time or later."`
	Until        *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only what happened before this time."`
	Search       string     `json:"search,omitempty" query:"search" maxLength:"200" doc:"Only events with this text, as in audit.list."`
	After        int64      `json:"after,omitempty" query:"after" minimum:"0" doc:"Only events behind this sequence: an export that broke off is gone on with, and a CSV has no header again."`
	Cursor       string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the part before, with the same filter and format."`
}

// ExportAuditResponse is one part. The parts' chunks, one behind the other, are
// the export.
type ExportAuditResponse struct {
	Chunk      []byte `json:"chunk" contentEncoding:"base64" doc:"The next bytes, base64; at most 640 KiB, perhaps none. Only the last part ends at the end of a line for sure."`
	Events     int    `json:"events" doc:"How many events end in it."`
	Sequence   int64  `json:"sequence" doc:"What is asked for has been given out up to this sequence."`
	Through    int64  `json:"through" doc:"The sequence that the export ends at: the trail's end when it began."`
	NextCursor string `json:"next_cursor,omitempty" doc:"Leads to the next part; none when this is the last."`
}
