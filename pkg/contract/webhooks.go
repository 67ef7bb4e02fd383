package contract

import "time"

// Webhooks have events sent to an HTTPS address, signed as Standard Webhooks
// says. One belongs to a tenant, which hears of its own events, or to a module,
// which hears what it is granted in each tenant.

// MaxWebhooks is how many webhooks an owner may have.
const MaxWebhooks = 50

// Webhook is where events are sent, without its secret.
type Webhook struct {
	ID          string   `json:"id" format:"uuid"`
	OwnerType   string   `json:"owner_type" enum:"tenant,module"`
	OwnerID     string   `json:"owner_id" doc:"The tenant's id or the module's name."`
	URL         string   `json:"url"`
	Types       []string `json:"types" doc:"The types of events that it hears, as in create."`
	Tenants     []string `json:"tenants" doc:"Of a module's: the only tenants whose events are sent; none is all that granted them."`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	// DisabledReason and DisabledAt are there while it is not enabled.
	DisabledReason string     `json:"disabled_reason,omitempty" doc:"Why nothing is sent: somebody disabled it, the address answered 410, failed for too long, or its API key was revoked."`
	DisabledAt     *time.Time `json:"disabled_at,omitempty"`
	FailingSince   *time.Time `json:"failing_since,omitempty" doc:"Since when every attempt failed."`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"Until when the secret before the last rotation signs too."`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
	Revision       int64      `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// WebhookSecret is a webhook with the secret that its messages are signed with.
type WebhookSecret struct {
	Webhook Webhook `json:"webhook"`
	Secret  string  `json:"secret" doc:"whsec_ and the key in base64. It is shown this once."`
}

// WebhookRequest names a webhook.
type WebhookRequest struct {
	TenantID  ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module    string `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID ID     `json:"webhook_id" path:"webhook_id" format:"uuid"`
}

// CreateWebhook makes a webhook.
var CreateWebhook = Register[CreateWebhookRequest, WebhookSecret](AuditMutation, Spec{
	Name: "audit.create_webhook", Method: "POST", Path: "/api/v1/webhooks",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Has the tenant's events, or those that the calling module is granted, sent to an address; the secret that signs them is shown this once.",
})

// CreateWebhookRequest says what is sent where.
type CreateWebhookRequest struct {
	TenantID    ID       `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Module      string   `json:"module,omitempty" maxLength:"64" doc:"The module that it is for; default is the calling one. Only platform administrators name one."`
	URL         string   `json:"url" minLength:"1" maxLength:"2000" example:"https://example.com/hooks" doc:"An https address on a public network, port 443 or one above 1023, without a user name or a fragment."`
	Types       []string `json:"types,omitempty" maxItems:"100" maxLength:"200" pattern:"^(\\*|[a-z0-9_-]+)(\\.(\\*|[a-z0-9_-]+))*(\\.\\*\\*)?$|^\\*\\*$" patternDescription:"a type of events such as auth.user.changed, auth.*.changed or auth.**" example:"auth.user.changed" doc:"Types of events: * stands for one segment, ** at the end for all that follow. Default is all."`
	Tenants     []string `json:"tenants,omitempty" maxItems:"1000" format:"uuid" doc:"For a module: the only tenants whose events are sent; default is all that the API key is good for."`
	Description string   `json:"description,omitempty" maxLength:"500"`
}

// ListWebhooks lists webhooks.
var ListWebhooks = Register[ListWebhooksRequest, ListWebhooksResponse](AuditRead, Spec{
	Name: "audit.list_webhooks", Method: "GET", Path: "/api/v1/webhooks",
	Access: Module | User | Internal, Permission: "webhooks:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the webhooks of the tenant or of the calling module, the oldest first.",
})

// ListWebhooksRequest pages.
type ListWebhooksRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Module   string `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose they are; default is the calling one. Only platform administrators name one."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Webhooks a page."`
}

// ListWebhooksResponse is one page of webhooks.
type ListWebhooksResponse struct {
	Items      []Webhook `json:"items"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// GetWebhook returns a webhook.
var GetWebhook = Register[WebhookRequest, Webhook](AuditRead, Spec{
	Name: "audit.get_webhook", Method: "GET", Path: "/api/v1/webhooks/{webhook_id}",
	Access: Module | User | Internal, Permission: "webhooks:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a webhook, without its secret.",
})

// UpdateWebhook changes a webhook.
var UpdateWebhook = Register[UpdateWebhookRequest, Webhook](AuditMutation, Spec{
	Name: "audit.update_webhook", Method: "PATCH", Path: "/api/v1/webhooks/{webhook_id}",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes a webhook's address, types or description, or enables or disables it; what is absent stays.",
})

// UpdateWebhookRequest holds what is to change; what is absent stays.
type UpdateWebhookRequest struct {
	TenantID    ID        `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module      string    `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID   ID        `json:"webhook_id" path:"webhook_id" format:"uuid"`
	URL         *string   `json:"url,omitempty" minLength:"1" maxLength:"2000" doc:"As in create."`
	Types       *[]string `json:"types,omitempty" minItems:"1" maxItems:"100" maxLength:"200" pattern:"^(\\*|[a-z0-9_-]+)(\\.(\\*|[a-z0-9_-]+))*(\\.\\*\\*)?$|^\\*\\*$" patternDescription:"a type of events such as auth.user.changed, auth.*.changed or auth.**" doc:"As in create."`
	Description *string   `json:"description,omitempty" maxLength:"500"`
	Enabled     *bool     `json:"enabled,omitempty" doc:"What waits is sent when it is enabled again; what happened meanwhile is in the log as missed, for audit.replay_webhook."`
	Revision    int64     `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the webhook must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteWebhook removes a webhook.
var DeleteWebhook = Register[DeleteWebhookRequest, Empty](AuditMutation, Spec{
	Name: "audit.delete_webhook", Method: "DELETE", Path: "/api/v1/webhooks/{webhook_id}",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a webhook with its secret and its log; what waits is not sent.",
})

// DeleteWebhookRequest names a webhook.
type DeleteWebhookRequest struct {
	TenantID  ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module    string `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID ID     `json:"webhook_id" path:"webhook_id" format:"uuid"`
	Revision  int64  `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the webhook must still be at it; conflict otherwise. If-Match says the same."`
}

// RotateWebhookSecret gives a webhook another secret.
var RotateWebhookSecret = Register[RotateWebhookSecretRequest, WebhookSecret](AuditMutation, Spec{
	Name: "audit.rotate_webhook_secret", Method: "POST", Path: "/api/v1/webhooks/{webhook_id}/rotate-secret",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Gives a webhook another secret, shown this once; the one before signs too, for as long as the overlap says.",
})

// RotateWebhookSecretRequest says how long both secrets sign.
type RotateWebhookSecretRequest struct {
	TenantID       ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module         string `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID      ID     `json:"webhook_id" path:"webhook_id" format:"uuid"`
	OverlapSeconds *int   `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" default:"86400" doc:"How long the secret before signs too; 0 ends it at once, as after a leak."`
	Revision       int64  `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the webhook must still be at it; conflict otherwise. If-Match says the same."`
}

// TestWebhook tries a webhook.
var TestWebhook = Register[WebhookRequest, DeliveryDetail](AuditMutation, Spec{
	Name: "audit.test_webhook", Method: "POST", Path: "/api/v1/webhooks/{webhook_id}/test",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant", Timeout: 20 * time.Second,
	Errors:  []Code{NotFound},
	Summary: "Sends an event of type audit.webhook.test at once, also where the webhook is disabled, and returns how that went; it is not tried again.",
})

// Delivery is an event on its way to a webhook.
type Delivery struct {
	ID            string     `json:"id" format:"uuid"`
	WebhookID     string     `json:"webhook_id" format:"uuid"`
	EventID       string     `json:"event_id" doc:"The event's id, which is header webhook-id: the same in each attempt."`
	EventType     string     `json:"event_type" example:"auth.user.changed"`
	TenantID      string     `json:"tenant_id" format:"uuid" doc:"The tenant of the event; the nil UUID for none."`
	EventTime     time.Time  `json:"event_time"`
	State         string     `json:"state" enum:"waiting,sent,failed,missed" doc:"waiting for its next attempt; sent: answered with 2xx; failed: given up; missed: not sent, for the webhook was disabled or the event no longer granted."`
	Attempts      int        `json:"attempts" doc:"How often it was tried."`
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
	CreatedAt     time.Time  `json:"created_at"`
	SettledAt     *time.Time `json:"settled_at,omitempty" doc:"When it was sent, given up or missed."`
}

// DeliveryAttempt is one try.
type DeliveryAttempt struct {
	Number    int       `json:"number"`
	Time      time.Time `json:"time"`
	Status    int       `json:"status,omitempty" doc:"The HTTP status answered; absent when there was no answer."`
	LatencyMS int       `json:"latency_ms"`
	Answer    string    `json:"answer,omitempty" doc:"The first 1,024 bytes of the answer."`
	Error     string    `json:"error,omitempty" doc:"Why the attempt failed."`
}

// DeliveryDetail is a delivery with its attempts.
type DeliveryDetail struct {
	Delivery Delivery          `json:"delivery"`
	Attempts []DeliveryAttempt `json:"attempts" doc:"The last 100, the oldest first."`
}

// ListDeliveries reads a webhook's log.
var ListDeliveries = Register[ListDeliveriesRequest, ListDeliveriesResponse](AuditRead, Spec{
	Name: "audit.list_deliveries", Method: "GET", Path: "/api/v1/webhooks/{webhook_id}/deliveries",
	Access: Module | User | Internal, Permission: "webhooks:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the deliveries of a webhook, the newest first; the log keeps 30 days.",
})

// ListDeliveriesRequest filters and pages.
type ListDeliveriesRequest struct {
	TenantID  ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module    string     `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID ID         `json:"webhook_id" path:"webhook_id" format:"uuid"`
	State     string     `json:"state,omitempty" query:"state" enum:"waiting,sent,failed,missed" doc:"Only deliveries in this state."`
	Since     *time.Time `json:"since,omitempty" query:"since" format:"date-time" doc:"Only deliveries made from then on."`
	Until     *time.Time `json:"until,omitempty" query:"until" format:"date-time" doc:"Only deliveries made before."`
	Cursor    string     `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit     int        `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Deliveries a page."`
}

// ListDeliveriesResponse is one page of deliveries.
type ListDeliveriesResponse struct {
	Items      []Delivery `json:"items"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

// DeliveryRequest names a delivery of a webhook.
type DeliveryRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module     string `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID  ID     `json:"webhook_id" path:"webhook_id" format:"uuid"`
	DeliveryID ID     `json:"delivery_id" path:"delivery_id" format:"uuid"`
}

// GetDelivery returns a delivery.
var GetDelivery = Register[DeliveryRequest, DeliveryDetail](AuditRead, Spec{
	Name: "audit.get_delivery", Method: "GET", Path: "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}",
	Access: Module | User | Internal, Permission: "webhooks:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a delivery with its attempts: when, what was answered, and how long that took.",
})

// RetryDelivery sends a delivery again.
var RetryDelivery = Register[DeliveryRequest, Delivery](AuditMutation, Spec{
	Name: "audit.retry_delivery", Method: "POST", Path: "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant",
	Errors:  []Code{NotFound},
	Summary: "Sends a delivery now, one that was sent, too, under the same webhook-id, with the retries of a new one.",
})

// ReplayWebhook sends deliveries again.
var ReplayWebhook = Register[ReplayWebhookRequest, ReplayWebhookResponse](AuditMutation, Spec{
	Name: "audit.replay_webhook", Method: "POST", Path: "/api/v1/webhooks/{webhook_id}/replay",
	Access: Module | User | Internal, Permission: "webhooks:manage:tenant", Timeout: 20 * time.Second,
	Errors:  []Code{NotFound},
	Summary: "Sends again what failed or was missed, or with all everything since a time, under the same webhook-ids.",
})

// ReplayWebhookRequest says what is sent again.
type ReplayWebhookRequest struct {
	TenantID  ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant whose webhook it is; default is the caller's. Only platform administrators name another."`
	Module    string     `json:"module,omitempty" query:"module" maxLength:"64" doc:"The module whose webhook it is; default is the calling one. Only platform administrators name one."`
	WebhookID ID         `json:"webhook_id" path:"webhook_id" format:"uuid"`
	Since     *time.Time `json:"since,omitempty" format:"date-time" doc:"Only deliveries made from then on; required with all."`
	All       bool       `json:"all,omitempty" doc:"What was sent, too."`
}

// ReplayWebhookResponse says how many.
type ReplayWebhookResponse struct {
	Deliveries int  `json:"deliveries" doc:"How many are sent again."`
	Complete   bool `json:"complete" doc:"Whether that is all; ask again otherwise."`
}
