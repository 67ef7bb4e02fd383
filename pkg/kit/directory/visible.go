package directory

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Sees is the platform's rule of visibility: a service sees every tenant; a
// module those that are active, have it enabled, consented to its use of the
// operation that it calls, and that its key is good for; nobody else sees any.
func (d *Directory) Sees(p kit.Principal, tenant string) bool {
	switch p.Kind {
	case kit.KindService:
		_, ok := d.Tenant(tenant)
		return ok
	case kit.KindModule:
		if !p.May(tenant) {
			return false
		}
		a := d.Activation(tenant, p.Module)
		return a.Enabled && a.Permits(p.Operation)
	}
	return false
}

// VisibleTenant is Sees for the caller of the operation, whose call is recorded
// as one about the tenant.
func (d *Directory) VisibleTenant(ctx context.Context, tenant string) bool {
	if !d.Sees(kit.PrincipalFrom(ctx), tenant) {
		return false
	}
	kit.RecordTenant(ctx, tenant)
	return true
}

// VisibleUser returns the tenant in which the caller of the operation may ask
// about an active user: the user's home tenant when tenant is empty, else that
// one. Everyone else is not_found, whether they exist or not.
func (d *Directory) VisibleUser(ctx context.Context, user, tenant string) (contract.Tenant, error) {
	t, ok := d.MemberOf(user, tenant)
	if !ok || !d.VisibleTenant(ctx, t.ID) {
		return contract.Tenant{}, contract.Missing("user")
	}
	return t, nil
}

// AwaitMember waits until the user is known as an active member of the tenant:
// a change made elsewhere a moment ago arrives by event. It answers not_found
// after two seconds, and the context's error when ctx ends first.
func (d *Directory) AwaitMember(ctx context.Context, tenant, user string) error {
	return d.await(ctx, "user", func() bool {
		_, ok := d.MemberOf(user, tenant)
		return ok
	})
}

// AwaitTenant is AwaitMember for a tenant.
func (d *Directory) AwaitTenant(ctx context.Context, tenant string) error {
	return d.await(ctx, "tenant", func() bool {
		t, ok := d.Tenant(tenant)
		return ok && t.IsActive
	})
}

// ActingTenant is the one that an administrative request acts in: the caller's
// own, or, for a platform administrator or a service, the one that the request
// names. A tenant that the caller may not act in is not_found.
func (d *Directory) ActingTenant(ctx context.Context, requested contract.ID) (string, error) {
	user, named := kit.UserFrom(ctx), kit.UUID(requested)
	switch {
	case user.ID == "" || user.Platform: // a service, or a platform administrator
		if named == "" {
			named = user.TenantID
		}
		if named == "" {
			return "", contract.Invalid("tenant_id", "is required: you act in no tenant")
		}
	case named == "" || named == user.TenantID:
		return user.TenantID, nil
	default:
		return "", contract.Missing("tenant")
	}
	if _, known := d.Tenant(named); !known { // made a moment ago, perhaps
		if err := d.AwaitTenant(ctx, named); err != nil {
			return named, err
		}
	}
	kit.RecordTenant(ctx, named)
	return named, nil
}

func (d *Directory) await(ctx context.Context, what string, holds func() bool) error {
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	for {
		d.mu.RLock()
		changed := d.changed
		d.mu.RUnlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return contract.Missing(what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
