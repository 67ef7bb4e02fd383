package contract

import "reflect"

// TailAudit follows a tenant's trail: each message is an event that was added to
// it, once, in the order of their sequences.
var TailAudit = RegisterStream[AuditEvent](AuditRead, Spec{
	Name: "audit.tail", Method: "GET", Path: "/api/v1/audit/tail",
	Access: User, Permission: "audit:events:read",
	Errors:  []Code{NotFound},
	Summary: "Streams the events of the caller's tenant as they are added to its trail. The id of each is its sequence: with Last-Event-ID a reader goes on where it was, and misses nothing.",
	Request: reflect.TypeFor[TailAuditRequest](),
})

// TailAuditRequest filters. The tenant is chosen as in ListAuditRequest.
type TailAuditRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose trail is followed; default is the caller's. Only platform administrators name another; the nil UUID is the platform's own trail."`
	UserID   ID     `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Action   string `json:"action,omitempty" query:"action" maxLength:"100" pattern:"^[A-Za-z0-9_.:*-]+$" patternDescription:"an action, in which * stands for anything" example:"auth.login.*" doc:"Only events of this action; * stands for anything."`
	Outcome  string `json:"outcome,omitempty" query:"outcome" enum:"success,failure,denied" doc:"Only events of this outcome."`
	After    *int64 `json:"after,omitempty" query:"after" minimum:"0" doc:"Begin behind this sequence, as Last-Event-ID does; default is from now on."`
}

// FollowAudit reads a trail forwards, for whoever follows it.
var FollowAudit = Register[FollowAuditRequest, FollowAuditResponse](AuditRead, Spec{
	Name: "audit.follow", Method: "GET", Path: "/api/v1/audit/follow",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{Unauthenticated, PermissionDenied, NotFound},
	Summary: "Lists the events behind a place in a tenant's trail, the oldest first, and says up to where it has looked: ask again from there.",
})

// FollowAuditRequest names the place, and filters.
type FollowAuditRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose trail is read; default is the caller's. Only platform administrators name another; the nil UUID is the platform's own trail."`
	UserID   ID     `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only events of this user."`
	Action   string `json:"action,omitempty" query:"action" maxLength:"100" pattern:"^[A-Za-z0-9_.:*-]+$" patternDescription:"an action, in which * stands for anything" example:"auth.login.*" doc:"Only events of this action; * stands for anything."`
	Outcome  string `json:"outcome,omitempty" query:"outcome" enum:"success,failure,denied" doc:"Only events of this outcome."`
	After    *int64 `json:"after,omitempty" query:"after" minimum:"0" doc:"The sequence behind which to begin; default is the trail's end."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Events an answer."`
}

// FollowAuditResponse is the next part of a trail.
type FollowAuditResponse struct {
	TenantID string       `json:"tenant_id" format:"uuid"`
	Items    []AuditEvent `json:"items"`
	Through  int64        `json:"through" doc:"What is asked for is all here up to this sequence: ask again behind it."`
	More     bool         `json:"more,omitempty" doc:"There is more behind it already."`
}

// TrailSubject is where service audit announces, inside account CORE, that a
// tenant's trail has grown; "*" matches all. The message is the last sequence in
// decimals. Nothing repeats it: whoever follows a trail asks now and then too.
func TrailSubject(tenant string) string { return "core.trail." + tenant }
