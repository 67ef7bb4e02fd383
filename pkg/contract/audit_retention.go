package contract

import "time"

// GetRetention says for how long a tenant's trail is kept.
var GetRetention = Register[GetRetentionRequest, Retention](AuditRead, Spec{
	Name: "audit.get_retention", Method: "GET", Path: "/api/v1/audit/retention",
	Access: User | Internal, Permission: "audit:events:read",
	Errors:  []Code{NotFound},
	Summary: "Says for how long the events of the tenant's trail are kept.",
})

// GetRetentionRequest names a tenant.
type GetRetentionRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
}

// Retention is for how long the events of a trail are kept.
type Retention struct {
	TenantID  string     `json:"tenant_id" format:"uuid"`
	KeepDays  int        `json:"keep_days" doc:"In days, by when an event occurred; 0 is for ever."`
	Own       bool       `json:"own" doc:"Whether the tenant has a rule of its own, rather than the installation's."`
	Reason    string     `json:"reason,omitempty"`
	SetBy     string     `json:"set_by" doc:"The person who set the tenant's rule."`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	Revision  int64      `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// SetRetention gives a tenant a rule of its own.
var SetRetention = Register[SetRetentionRequest, Retention](AuditMutation, Spec{
	Name: "audit.set_retention", Method: "PUT", Path: "/api/v1/audit/retention/{tenant_id}",
	Access: User | Internal, Permission: "audit:retain:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Says for how long the events of a tenant's trail are kept, whatever the installation's rule is.",
})

// SetRetentionRequest holds the rule.
type SetRetentionRequest struct {
	TenantID ID     `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The nil UUID is the platform's own trail."`
	KeepDays *int   `json:"keep_days,omitempty" minimum:"0" maximum:"36500" doc:"0 is for ever; without it the installation's rule holds again."`
	Reason   string `json:"reason" minLength:"1" maxLength:"500" doc:"Why; kept in the platform's trail."`
	Revision int64  `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the rule must still be at it; conflict otherwise. If-Match says the same."`
}

// ApplyRetention removes what has had its time.
var ApplyRetention = Register[ApplyRetentionRequest, RetentionReport](AuditMutation, Spec{
	Name: "audit.apply_retention", Method: "POST", Path: "/api/v1/audit/retention/apply",
	Access: User | Internal, Permission: "audit:retain:platform", Timeout: 25 * time.Second,
	Errors:  []Code{Conflict},
	Summary: "Removes the events whose time is over now rather than at night, or with dry_run counts them.",
})

// ApplyRetentionRequest says whether it is in earnest.
type ApplyRetentionRequest struct {
	DryRun bool `json:"dry_run,omitempty" doc:"Only count."`
}

// RetentionReport says what went, or would go.
type RetentionReport struct {
	DryRun   bool              `json:"dry_run,omitempty"`
	Complete bool              `json:"complete" doc:"Whether it is all; else ask again."`
	Months   []RetentionMonth  `json:"months" doc:"Months that go as a whole."`
	Tenants  []RetentionTenant `json:"tenants" doc:"Tenants of which events go one by one: from months that must stay."`
}

// RetentionMonth is a month of all trails.
type RetentionMonth struct {
	Month  string `json:"month" example:"2025-04"`
	Events int64  `json:"events"`
}

// RetentionTenant is how many events of a tenant go.
type RetentionTenant struct {
	TenantID string `json:"tenant_id" format:"uuid"`
	Events   int64  `json:"events"`
	Held     int64  `json:"held,omitempty" doc:"Events whose time is over too, and that a legal hold keeps."`
}

// PlaceHold keeps a trail, or a part of it, from being removed.
var PlaceHold = Register[PlaceHoldRequest, LegalHold](AuditMutation, Spec{
	Name: "audit.place_hold", Method: "POST", Path: "/api/v1/audit/holds",
	Access: User | Internal, Permission: "audit:hold:platform",
	Errors:  []Code{NotFound},
	Summary: "Places a legal hold: until it is released neither retention, nor the erasure of the tenant, nor that of a person removes anything under it.",
})

// PlaceHoldRequest says what is held: a tenant's whole trail, or what concerns one
// person or resource.
type PlaceHoldRequest struct {
	TenantID     ID     `json:"tenant_id" format:"uuid" doc:"The nil UUID is the platform's own trail."`
	UserID       ID     `json:"user_id,omitempty" format:"uuid" doc:"Only what this person did, or was done to them."`
	ResourceType string `json:"resource_type,omitempty" maxLength:"100" doc:"Only what was done to this resource."`
	ResourceID   ID     `json:"resource_id,omitempty" maxLength:"200"`
	Reason       string `json:"reason" minLength:"1" maxLength:"500" doc:"Why, such as the matter's name; kept in the platform's trail."`
}

// ReleaseHold ends a hold.
var ReleaseHold = Register[ReleaseHoldRequest, LegalHold](AuditMutation, Spec{
	Name: "audit.release_hold", Method: "POST", Path: "/api/v1/audit/holds/{hold_id}/release",
	Access: User | Internal, Permission: "audit:hold:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Releases a legal hold; what waited for it goes on.",
})

// ReleaseHoldRequest names a hold.
type ReleaseHoldRequest struct {
	HoldID ID     `json:"hold_id" path:"hold_id" format:"uuid"`
	Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why; kept in the platform's trail."`
}

// ListHolds lists holds.
var ListHolds = Register[ListHoldsRequest, ListHoldsResponse](AuditRead, Spec{
	Name: "audit.list_holds", Method: "GET", Path: "/api/v1/audit/holds",
	Access: User | Internal, Permission: "audit:hold:platform",
	Summary: "Lists legal holds, and what waits for them.",
})

// ListHoldsRequest filters and pages.
type ListHoldsRequest struct {
	Of       ID     `json:"of,omitempty" query:"of" format:"uuid" doc:"Only those of this tenant."`
	Released bool   `json:"released,omitempty" query:"released" doc:"Those that were released too."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Holds a page."`
}

// ListHoldsResponse is one page of holds, the oldest first.
type ListHoldsResponse struct {
	Items      []LegalHold `json:"items"`
	NextCursor string      `json:"next_cursor,omitempty"`
}

// LegalHold keeps a trail, or a part of it.
type LegalHold struct {
	ID            string     `json:"id" format:"uuid"`
	TenantID      string     `json:"tenant_id" format:"uuid"`
	UserID        string     `json:"user_id,omitempty"`
	ResourceType  string     `json:"resource_type,omitempty"`
	ResourceID    string     `json:"resource_id,omitempty"`
	Reason        string     `json:"reason"`
	PlacedBy      string     `json:"placed_by" doc:"The person; nobody when a service did."`
	PlacedAt      time.Time  `json:"placed_at"`
	ReleasedBy    string     `json:"released_by" doc:"Nobody while it is not released."`
	ReleasedAt    *time.Time `json:"released_at,omitempty"`
	ReleaseReason string     `json:"release_reason,omitempty"`
	ErasureWaits  bool       `json:"erasure_waits,omitempty" doc:"The tenant was deleted, and its trail is erased once no hold is left."`
}
