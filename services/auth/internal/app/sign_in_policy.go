package app

import (
	"context"
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// required is a sign-in policy that wants a second factor of everybody.
const required = "required"

// defaultSignInPolicy is the platform's.
var defaultSignInPolicy = contract.SignInPolicy{SecondFactor: "optional", AcceptAccessTokens: true}

// GetSignInPolicy answers auth.sign_in_policy.
func (a *App) GetSignInPolicy(ctx context.Context, _ *contract.GetSignInPolicyRequest) (*contract.SignInPolicy, error) {
	policy, err := a.signInPolicy(ctx, kit.UserFrom(ctx).TenantID)
	if err != nil {
		return nil, err
	}
	return &policy, nil
}

// SetSignInPolicy answers auth.set_sign_in_policy.
func (a *App) SetSignInPolicy(ctx context.Context, r *contract.SetSignInPolicyRequest) (*contract.SignInPolicy, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	after := contract.SignInPolicy{SecondFactor: r.SecondFactor, AcceptAccessTokens: r.AcceptAccessTokens}
	raw, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		before, err := storedSignInPolicy(ctx, q, tenant)
		if err != nil {
			return nil, err
		}
		if err := q.SetSignInPolicy(ctx, db.SetSignInPolicyParams{TenantID: tenant, SignIn: raw}); err != nil {
			return nil, err
		}
		e, err := kit.NewEvent(ctx, events.AuthPolicyChanged, tenant, 0,
			events.AuthPolicy{TenantID: tenant, Policy: "sign_in", Before: before, After: after})
		return []events.Event{e}, err
	})
	if err != nil {
		return nil, err
	}
	a.SignInPolicyChanged(tenant)
	return &after, nil
}

// SignInPolicyChanged takes in that a tenant's policy changed, here or in
// another replica.
func (a *App) SignInPolicyChanged(tenant string) { a.signIn.forget(tenant) }

// signInPolicy is a tenant's policy; the platform's default for the empty
// tenant. From memory where it is known.
func (a *App) signInPolicy(ctx context.Context, tenant string) (contract.SignInPolicy, error) {
	if policy, ok := a.cachedSignInPolicy(tenant); ok {
		return policy, nil
	}
	mark := a.signIn.mark()
	var policy contract.SignInPolicy
	err := a.read(ctx, func(q *db.Queries) (err error) {
		policy, err = storedSignInPolicy(ctx, q, tenant)
		return err
	})
	if err != nil {
		return contract.SignInPolicy{}, err
	}
	a.signIn.put(tenant, policy, mark)
	return policy, nil
}

// cachedSignInPolicy is signInPolicy for what is known; it never blocks.
func (a *App) cachedSignInPolicy(tenant string) (contract.SignInPolicy, bool) {
	if tenant == "" {
		return defaultSignInPolicy, true
	}
	return a.signIn.get(tenant)
}

func storedSignInPolicy(ctx context.Context, q *db.Queries, tenant string) (contract.SignInPolicy, error) {
	policy := defaultSignInPolicy
	raw, err := q.SignInPolicy(ctx, tenant)
	if database.Missing(err) {
		return policy, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &policy)
	}
	return policy, err
}
