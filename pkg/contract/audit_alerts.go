package contract

import "time"

// AuditAlert is a rule that a tenant saved: when its trail shows what the rule
// says, the event dev.buildify.audit.alert.raised.v1 is told.
type AuditAlert struct {
	TenantID  string    `json:"tenant_id" format:"uuid"`
	ID        string    `json:"id" format:"uuid"`
	Name      string    `json:"name"`
	Rule      AlertRule `json:"rule"`
	Enabled   bool      `json:"enabled"`
	CreatedBy string    `json:"created_by" doc:"The person who made it; nobody when a service did."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Revision  int64     `json:"revision" doc:"Grows with each change of the alert; If-Match takes it."`
}

// AlertRule says which events count, and how many of them raise the alert. What
// is empty holds for every event.
type AlertRule struct {
	Actions         []string `json:"actions,omitempty" maxItems:"20" pattern:"^[A-Za-z0-9_.:*-]{1,100}$" patternDescription:"an action, in which * stands for anything" doc:"Actions, any of which it is."`
	Outcome         string   `json:"outcome,omitempty" enum:"success,failure,denied"`
	Source          string   `json:"source,omitempty" maxLength:"100" doc:"The module or service that recorded it."`
	UserID          ID       `json:"user_id,omitempty" format:"uuid" doc:"Who acted."`
	ResourceType    string   `json:"resource_type,omitempty" maxLength:"100"`
	ResourceID      ID       `json:"resource_id,omitempty" maxLength:"200"`
	Count           int      `json:"count,omitempty" minimum:"1" maximum:"1000" default:"1" doc:"So many of them, by when they occurred, within the window."`
	WindowSeconds   int      `json:"window_seconds,omitempty" minimum:"1" maximum:"86400" default:"300"`
	Per             string   `json:"per,omitempty" enum:"tenant,actor,address" default:"tenant" doc:"Whose events are counted together. Those of nobody, or from nowhere, do not count per actor or address."`
	CoolDownSeconds int      `json:"cool_down_seconds,omitempty" minimum:"1" maximum:"604800" default:"300" doc:"After it is raised, how long it is not raised again for the same."`
}

// AlertRequest names an alert.
type AlertRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	AlertID  ID `json:"alert_id" path:"alert_id" format:"uuid"`
}

// CreateAlert saves an alert.
var CreateAlert = Register[CreateAlertRequest, AuditAlert](AuditMutation, Spec{
	Name: "audit.create_alert", Method: "POST", Path: "/api/v1/audit/alerts",
	Access: User | Internal, Permission: "audit:alerts:manage",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Saves an alert: a rule on the events that are added to the tenant's trail from now on.",
})

// CreateAlertRequest describes an alert.
type CreateAlertRequest struct {
	TenantID ID        `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Name     string    `json:"name" minLength:"1" maxLength:"100" doc:"Unique in the tenant."`
	Rule     AlertRule `json:"rule"`
	Disabled bool      `json:"disabled,omitempty" doc:"Only save it."`
}

// ListAlerts lists a tenant's alerts.
var ListAlerts = Register[ListAlertsRequest, ListAlertsResponse](AuditRead, Spec{
	Name: "audit.list_alerts", Method: "GET", Path: "/api/v1/audit/alerts",
	Access: User | Internal, Permission: "audit:alerts:read",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches the tenant's alerts.",
})

// ListAlertsRequest filters and pages.
type ListAlertsRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a name, in any case."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Alerts a page."`
}

// ListAlertsResponse is one page of alerts, by when they were made.
type ListAlertsResponse struct {
	Items      []AuditAlert `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// GetAlert returns an alert.
var GetAlert = Register[AlertRequest, AuditAlert](AuditRead, Spec{
	Name: "audit.get_alert", Method: "GET", Path: "/api/v1/audit/alerts/{alert_id}",
	Access: User | Internal, Permission: "audit:alerts:read",
	Errors:  []Code{NotFound},
	Summary: "Returns an alert.",
})

// UpdateAlert changes an alert.
var UpdateAlert = Register[UpdateAlertRequest, AuditAlert](AuditMutation, Spec{
	Name: "audit.update_alert", Method: "PATCH", Path: "/api/v1/audit/alerts/{alert_id}",
	Access: User | Internal, Permission: "audit:alerts:manage",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Changes an alert's name or rule, or enables or disables it; what is absent stays. With another rule, or enabled again, it begins to count anew.",
})

// UpdateAlertRequest holds what is to change.
type UpdateAlertRequest struct {
	TenantID ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	AlertID  ID         `json:"alert_id" path:"alert_id" format:"uuid"`
	Name     *string    `json:"name,omitempty" minLength:"1" maxLength:"100"`
	Rule     *AlertRule `json:"rule,omitempty" doc:"The whole rule."`
	Enabled  *bool      `json:"enabled,omitempty"`
	Revision int64      `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the alert must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteAlert removes an alert.
var DeleteAlert = Register[DeleteAlertRequest, Empty](AuditMutation, Spec{
	Name: "audit.delete_alert", Method: "DELETE", Path: "/api/v1/audit/alerts/{alert_id}",
	Access: User | Internal, Permission: "audit:alerts:manage",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes an alert.",
})

// DeleteAlertRequest names an alert.
type DeleteAlertRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	AlertID  ID    `json:"alert_id" path:"alert_id" format:"uuid"`
	Revision int64 `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the alert must still be at it; conflict otherwise. If-Match says the same."`
}

// TestAlert tries a rule.
var TestAlert = Register[TestAlertRequest, TestAlertResponse](AuditRead, Spec{
	Name: "audit.test_alert", Method: "POST", Path: "/api/v1/audit/alerts/test",
	Access: User | Internal, Permission: "audit:alerts:read", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound},
	Summary: "Says how often a rule would have raised an alert over the last events of the trail, and raises nothing.",
})

// TestAlertRequest holds a rule.
type TestAlertRequest struct {
	TenantID ID        `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Rule     AlertRule `json:"rule"`
	Events   int       `json:"events,omitempty" minimum:"1" maximum:"100000" default:"10000" doc:"Over how many events, the last ones of the trail."`
}

// TestAlertResponse says what the rule would have done.
type TestAlertResponse struct {
	Events  int            `json:"events" doc:"How many events were looked at."`
	Matched int            `json:"matched" doc:"How many of them count."`
	Raised  int            `json:"raised" doc:"How often the alert would have been raised."`
	Items   []AlertRaising `json:"items" doc:"The first 100 of those times."`
}

// AlertRaising is one time that an alert is raised.
type AlertRaising struct {
	Sequence int64     `json:"sequence" doc:"The event that made it full."`
	First    time.Time `json:"first" doc:"When the first of the events that were counted occurred."`
	Last     time.Time `json:"last"`
	Actor    string    `json:"actor,omitempty" doc:"Whose events were counted, per actor."`
	Address  string    `json:"address,omitempty" doc:"Where those events came from, per address."`
}
