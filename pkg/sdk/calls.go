package sdk

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// User is a person whom the core verified: ID, Email, Username, TenantID,
// TenantCode.
type User = contract.UserInfo

// Tenant is a company on the platform: ID, Code, Name, IsActive, Revision.
type Tenant = contract.Tenant

// Tenant returns a tenant that enabled this module, [ErrNotFound] for any
// other.
func (c *Client) Tenant(ctx context.Context, tenantID string) (*Tenant, error) {
	answer, err := Call(ctx, c.transport, contract.GetTenant, &contract.GetTenantRequest{TenantID: contract.ID(tenantID)})
	if err != nil {
		return nil, err
	}
	if answer.ID == "" {
		return nil, fault.Unreadable(contract.GetTenant.Spec, "the answer names no tenant")
	}
	return answer, nil
}

// ModuleEnabled reports whether a tenant enabled this module. A tenant that
// does not exist has not. It is false with every error.
func (c *Client) ModuleEnabled(ctx context.Context, tenantID string) (bool, error) {
	answer, err := Call(ctx, c.transport, contract.GetTenantModule, &contract.TenantModuleRequest{
		TenantID: contract.ID(tenantID), ModuleName: c.module,
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return answer.Enabled, nil
}

// AuditEvent is what a user did in the module. The core adds the module and
// the time.
type AuditEvent struct {
	// UserID is who acted: [User].ID.
	UserID string
	// TenantID is where: [User].TenantID. Empty is the user's home tenant.
	TenantID string
	// Action says what was done, such as "invoice.created".
	Action string
	// ResourceType and ResourceID say to what; the id may be empty.
	ResourceType, ResourceID string
	// Details is anything that marshals to JSON, at most 64 KiB; nil is none.
	Details any
}

// LogAudit records an event and returns once it is durable. It is never
// repeated by itself: after [ErrUnavailable] or [ErrDeadlineExceeded] the event
// may have been recorded.
func (c *Client) LogAudit(ctx context.Context, event AuditEvent) error {
	request := &contract.LogAuditRequest{
		UserID: contract.ID(event.UserID), TenantID: contract.ID(event.TenantID), Action: event.Action,
		ResourceType: event.ResourceType, ResourceID: contract.ID(event.ResourceID),
	}
	if event.Details != nil {
		details, err := json.Marshal(event.Details)
		if err != nil {
			return contract.Invalid("details", "cannot be written as JSON: %v", err)
		}
		request.Details = details
	}
	answer, err := Call(ctx, c.transport, contract.LogAudit, request)
	if err != nil {
		return err
	}
	if answer.Status != "logged" {
		return fault.Unreadable(contract.LogAudit.Spec, "the answer does not say that the event was logged")
	}
	return nil
}
