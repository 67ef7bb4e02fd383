package webhooks

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// noTenant is the tenant of modules' webhooks, and of the platform's events.
const noTenant = "00000000-0000-0000-0000-000000000000"

// owner is whose webhooks a request is about.
type owner struct {
	tenant string // noTenant for a module's
	module string
	// allowed are the only tenants whose events the caller may have sent, where
	// its API key is restricted to some: webhooks that hear more are not there.
	allowed []string
	// keyID is the API key that asks.
	keyID string
}

// owner tells whose webhooks the caller asks about: a module's own, the tenant's
// that a person acts in, or whose a platform administrator or a service names.
func (a *App) owner(ctx context.Context, tenant contract.ID, module string) (owner, error) {
	principal, user := kit.PrincipalFrom(ctx), kit.UserFrom(ctx)
	if principal.Kind == kit.KindModule && user.ID == "" {
		switch {
		case tenant != "":
			return owner{}, contract.Invalid("tenant_id", "is for people: a module's webhooks are its own in all tenants")
		case module != "" && module != principal.Module:
			return owner{}, contract.Missing("webhook")
		}
		return owner{tenant: noTenant, module: principal.Module, allowed: canonical(principal.Tenants), keyID: principal.KeyID}, nil
	}
	if module != "" {
		switch {
		case user.ID != "" && !user.Platform:
			return owner{}, &contract.Error{
				Code: contract.PermissionDenied, Field: "module", Message: "modules have their own webhooks; only platform administrators name one",
			}
		case tenant != "":
			return owner{}, contract.Invalid("module", "cannot be given together with tenant_id: a webhook is a module's or a tenant's")
		}
		return owner{tenant: noTenant, module: module, allowed: []string{}}, nil
	}
	acting, err := a.Directory.ActingTenant(ctx, tenant)
	return owner{tenant: acting, allowed: []string{}}, err
}

// tenants are those whose events the owner's webhook hears that names some.
func (o owner) tenants(requested []string) ([]string, error) {
	if o.module == "" {
		if len(requested) > 0 {
			return nil, contract.Invalid("tenants", "is for modules: a tenant hears of its own events")
		}
		return []string{}, nil
	}
	if len(requested) == 0 {
		return o.allowed, nil
	}
	all := canonical(requested)
	slices.Sort(all)
	all = slices.Compact(all)
	for _, tenant := range all {
		if len(o.allowed) > 0 && !slices.Contains(o.allowed, tenant) {
			return nil, &contract.Error{Code: contract.NotFound, Field: "tenants", Message: "no such tenant: the API key is not good for it"}
		}
	}
	return all, nil
}

func canonical(tenants []string) []string {
	all := make([]string, len(tenants))
	for i, tenant := range tenants {
		all[i] = kit.UUID(contract.ID(tenant))
	}
	return slices.DeleteFunc(all, func(tenant string) bool { return uuid.Validate(tenant) != nil })
}
