// Package record is what an audit event holds on its way from the ingress,
// through the stream, into the database and out again.
package record

import (
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
)

// Type is the CloudEvents type of an audit event.
const Type = "dev.buildify.audit.event.logged.v2"

// Data is the data of an audit event.
type Data struct {
	Actor   Actor                  `json:"actor"`
	Source  string                 `json:"source"`
	Action  string                 `json:"action"`
	Target  Target                 `json:"target"`
	Reason  string                 `json:"reason,omitempty"`
	Request Request                `json:"request"`
	Changes []contract.AuditChange `json:"changes,omitempty"`
	Details json.RawMessage        `json:"details,omitempty"`
}

// Actor is who acted: a person, in a module, by its key, perhaps for somebody
// else.
type Actor struct {
	UserID     string `json:"user_id,omitempty"`
	Module     string `json:"module,omitempty"`
	KeyID      string `json:"key_id,omitempty"`
	OnBehalfOf string `json:"on_behalf_of,omitempty"`
}

// Target is what was acted on.
type Target struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

// Request is how it reached the core or, with Address and Agent, the module.
type Request struct {
	ID        string `json:"id,omitempty"`
	Operation string `json:"operation,omitempty"`
	Address   string `json:"address,omitempty"`
	Agent     string `json:"agent,omitempty"`
}

// FirstType is the type of audit events before there was Data, and FirstData
// theirs: the stream may still hold some.
const FirstType = "dev.buildify.audit.event.logged.v1"

// FirstData is the data of FirstType.
type FirstData struct {
	UserID       string          `json:"user_id"`
	Source       string          `json:"source"`
	Action       string          `json:"action"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id,omitempty"`
	Details      json.RawMessage `json:"details,omitempty"`
	RequestID    string          `json:"request_id"`
}

// Read reads the data of an audit event of either type.
func Read(eventType string, data []byte) (d Data, err error) {
	if eventType == Type {
		return d, json.Unmarshal(data, &d)
	}
	var first FirstData
	err = json.Unmarshal(data, &first)
	return Data{
		Actor: Actor{UserID: first.UserID, Module: first.Source}, Source: first.Source, Action: first.Action,
		Target:  Target{Type: first.ResourceType, ID: first.ResourceID},
		Request: Request{ID: first.RequestID}, Details: first.Details,
	}, err
}

// PlatformTenant stands where a record belongs to no tenant but to the
// platform's own trail, which no tenant's reader sees.
const PlatformTenant = "00000000-0000-0000-0000-000000000000"
