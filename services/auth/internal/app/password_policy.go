package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// maxHistory is how many earlier passwords are kept, whatever a policy asks
// for now: it may ask for more later.
const maxHistory = 24

// GetPasswordPolicy answers auth.password_policy.
func (a *App) GetPasswordPolicy(ctx context.Context, _ *contract.GetPasswordPolicyRequest) (*contract.PasswordPolicy, error) {
	policy, err := a.passwordPolicy(ctx, kit.UserFrom(ctx).TenantID)
	return (*contract.PasswordPolicy)(&policy), err
}

// SetPasswordPolicy answers auth.set_password_policy.
func (a *App) SetPasswordPolicy(ctx context.Context, r *contract.SetPasswordPolicyRequest) (*contract.PasswordPolicy, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	before, err := a.passwordPolicy(ctx, tenant)
	if err != nil {
		return nil, err
	}
	after := contract.PasswordPolicy{MinLength: r.MinLength, RefuseCommon: r.RefuseCommon, History: r.History, MaxAgeDays: r.MaxAgeDays}
	raw, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		if err := q.SetPasswordPolicy(ctx, db.SetPasswordPolicyParams{TenantID: tenant, Password: raw}); err != nil {
			return nil, err
		}
		e, err := kit.NewEvent(ctx, events.AuthPolicyChanged, tenant, 0,
			events.AuthPolicy{TenantID: tenant, Policy: "password", Before: contract.PasswordPolicy(before), After: after})
		return []events.Event{e}, err
	})
	return &after, err
}

// passwordPolicy is a tenant's policy, the platform's default where it has set
// none and for the empty tenant.
func (a *App) passwordPolicy(ctx context.Context, tenant string) (password.Policy, error) {
	policy := password.DefaultPolicy
	if tenant == "" {
		return policy, nil
	}
	err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		raw, err := db.New(tx).PasswordPolicy(ctx, tenant)
		if database.Missing(err) {
			return nil
		}
		if err == nil {
			err = json.Unmarshal(raw, &policy)
		}
		return err
	})
	return policy, err
}

// newPassword checks a new password of an account by its tenant's policy and
// history and hashes it; field names the request's field in errors.
func (a *App) newPassword(ctx context.Context, user db.AuthUser, field, plain string) (string, error) {
	policy, err := a.passwordPolicy(ctx, value(user.TenantID))
	if err != nil {
		return "", err
	}
	if err := policy.Check(field, plain, user.Email, user.Username, user.Name); err != nil {
		return "", err
	}
	if err := a.notUsedBefore(ctx, user, policy.History, field, plain); err != nil {
		return "", err
	}
	hash, err := a.Hasher.Hash(ctx, plain)
	return hash, busy(err)
}

// notUsedBefore compares with the current password, always, or with the one
// that a reset ended, and with as many earlier ones as the policy says.
func (a *App) notUsedBefore(ctx context.Context, user db.AuthUser, history int, field, plain string) error {
	if user.PasswordHash == "" {
		history = max(history, 1)
	}
	var earlier []string
	err := a.read(ctx, func(q *db.Queries) (err error) {
		earlier, err = q.LastPasswords(ctx, db.LastPasswordsParams{UserID: user.ID, Limit: int32(history)})
		return err
	})
	if err != nil {
		return err
	}
	if user.PasswordHash != "" {
		earlier = append(earlier, user.PasswordHash)
	}
	for _, hash := range earlier {
		match, err := a.Hasher.Verify(ctx, hash, plain)
		if err != nil {
			return busy(err)
		}
		if match {
			return contract.Invalid(field, "must not be one of the last %d passwords of this account", max(history, 1))
		}
	}
	return nil
}

// storePassword makes hash the account's password and keeps the one before.
func (a *App) storePassword(ctx context.Context, q *db.Queries, user db.AuthUser, hash string) error {
	if user.PasswordHash != "" {
		if err := q.AddPasswordHistory(ctx, db.AddPasswordHistoryParams{
			UserID: user.ID, TenantID: user.TenantID, PasswordHash: user.PasswordHash,
		}); err != nil {
			return err
		}
		if err := q.PrunePasswordHistory(ctx, db.PrunePasswordHistoryParams{UserID: user.ID, Offset: maxHistory}); err != nil {
			return err
		}
	}
	if err := q.StorePassword(ctx, db.StorePasswordParams{ID: user.ID, PasswordHash: hash}); err != nil {
		return fmt.Errorf("store password: %w", err)
	}
	return nil
}

// passwordExpired reports whether the tenant's policy asks for a new password.
func (a *App) passwordExpired(ctx context.Context, user db.AuthUser) (bool, error) {
	policy, err := a.passwordPolicy(ctx, value(user.TenantID))
	if err != nil || policy.MaxAgeDays == 0 {
		return false, err
	}
	return time.Since(user.PasswordChangedAt) > time.Duration(policy.MaxAgeDays)*24*time.Hour, nil
}
