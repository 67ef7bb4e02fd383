// Package record is what an audit event holds on its way from the ingress,
// through the stream, into the database and out again.
package record

import "encoding/json"

// Type is the CloudEvents type of an audit event.
const Type = "dev.buildify.audit.event.logged.v1"

// Data is the data of an audit event.
type Data struct {
	UserID       string          `json:"user_id"`
	Source       string          `json:"source"`
	Action       string          `json:"action"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id,omitempty"`
	Details      json.RawMessage `json:"details,omitempty"`
	RequestID    string          `json:"request_id"`
}

// PlatformTenant stands where a record belongs to no tenant but to the
// platform's own trail, which no tenant's reader sees.
const PlatformTenant = "00000000-0000-0000-0000-000000000000"
