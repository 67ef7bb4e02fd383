package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// standardRate is the class of keys that ask for none.
const standardRate = "standard"

// CreateKey answers auth.create_key.
func (a *App) CreateKey(ctx context.Context, r *contract.CreateKeyRequest) (*contract.CreateKeyResponse, error) {
	if contract.ReservedModule(r.Module) {
		return nil, contract.Invalid("module", "%q is a name of the platform itself", r.Module)
	}
	operations, err := parseOperations(r.Operations)
	if err != nil {
		return nil, err
	}
	tenants, err := parseTenants(r.Tenants)
	if err != nil {
		return nil, err
	}
	cidrs, err := parseCIDRs(r.CIDRs)
	if err != nil {
		return nil, err
	}
	expires, err := end(r.ExpiresAt)
	if err != nil {
		return nil, err
	}
	rate := cmp.Or(r.RateClass, standardRate)
	if err := a.mayIssue(ctx, r.Module, tenants, rate); err != nil {
		return nil, err
	}
	key := newAPIKey(r.Environment, r.Module)
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		return a.issue(ctx, q, key, db.CreateKeyParams{
			Module: r.Module, Name: r.Name, Operations: operations, Tenants: tenants, Cidrs: cidrs, RateClass: rate, ExpiresAt: expires,
		})
	})
	if err != nil {
		return nil, err
	}
	return &contract.CreateKeyResponse{ID: key.ID, APIKey: key.Reveal()}, nil
}

// mayIssue says whether the caller may make such a key. A tenant's
// administrator is told the same of foreign tenants and of those that do not
// exist.
func (a *App) mayIssue(ctx context.Context, module string, tenants []string, rate string) error {
	ring := keyringOf(ctx)
	if ring.all {
		for _, tenant := range tenants {
			if err := a.Directory.AwaitTenant(ctx, tenant); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case !slices.Equal(tenants, []string{ring.tenant}):
		return &contract.Error{
			Code: contract.PermissionDenied, Field: "tenants",
			Message: "must name your own tenant and no other; keys for more are a platform administrator's to make",
		}
	case rate != standardRate:
		return &contract.Error{
			Code: contract.PermissionDenied, Field: "rate_class", Message: "another class than standard is a platform administrator's to give",
		}
	case !a.Directory.Enabled(ring.tenant, module):
		return contract.Missing("module")
	}
	return nil
}

// issue stores a key and tells of it.
func (a *App) issue(ctx context.Context, q *db.Queries, key contract.APIKey, row db.CreateKeyParams) ([]events.Event, error) {
	row.ID, row.Environment, row.SecretHmac = key.ID, key.Environment, a.Box.MAC(key.Reveal())
	row.CreatedBy, row.CreatedAt = kit.UserFrom(ctx).ID, moment(time.Now())
	if err := q.CreateKey(ctx, row); err != nil {
		return nil, err
	}
	created, err := keyEvent(ctx, events.KeyCreated, row.Tenants, events.KeyChange{
		ID: row.ID, Module: row.Module, RotatedFrom: value(row.RotatedFrom), ExpiresAt: row.ExpiresAt,
	})
	return []events.Event{created}, err
}
