package app

import (
	"context"
	"errors"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errLogin = contract.Errorf(contract.Unauthenticated, "the e-mail address or the password is wrong")

// Login answers auth.login. Neither its answer nor its time tells whether an
// account exists: until the password is right, the same statements are made
// and one hash is derived.
func (a *App) Login(ctx context.Context, r *contract.LoginRequest) (*contract.LoginResponse, error) {
	leave, err := a.logins.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	email := normaliseEmail(r.Email)
	refund, err := a.reserveAttempt(ctx, email)
	if err != nil {
		return nil, a.tooEarly(ctx, email, err)
	}
	user, match, err := a.matchPassword(ctx, email, r.Password)
	if err != nil {
		// Nothing was tried. The time for it may be what ran out.
		return nil, errors.Join(busy(err), refund(context.WithoutCancel(ctx)))
	}
	if reason := a.refusal(user, match); reason != "" {
		return nil, a.failLogin(ctx, user, email, reason, errLogin)
	}
	if err := refund(ctx); err != nil {
		return nil, err
	}
	upgraded, err := a.upgradedHash(ctx, user, r.Password)
	if err != nil {
		return nil, busy(err)
	}
	return a.passwordMatched(ctx, user, upgraded)
}

// matchPassword finds the account of an address and derives one hash, whether
// there is one or not.
func (a *App) matchPassword(ctx context.Context, email, plain string) (user db.AuthUser, match bool, err error) {
	if user, err = a.accountOf(ctx, email); err != nil {
		return user, false, err
	}
	match, err = a.Hasher.Verify(ctx, user.PasswordHash, plain)
	return user, match, err
}

// accountOf is the account of an address; an empty one where there is none.
func (a *App) accountOf(ctx context.Context, email string) (user db.AuthUser, err error) {
	err = a.read(ctx, func(q *db.Queries) (err error) {
		if user, err = q.UserByEmail(ctx, email); database.Missing(err) {
			return nil // so that the transaction ends in the same way
		}
		return err
	})
	return user, err
}

// refusal is why a login fails, for the audit trail only; empty when it does
// not.
func (a *App) refusal(user db.AuthUser, match bool) string {
	switch {
	case user.ID == "":
		return "unknown account"
	case user.PasswordHash == "":
		return "no password set"
	case !match:
		return "wrong password"
	}
	return a.barred(user)
}

// barred is why an account may not log in by whatever means; empty when it may.
func (a *App) barred(user db.AuthUser) string {
	tenant, _ := a.Directory.Tenant(value(user.TenantID))
	switch {
	case user.DisabledAt != nil:
		return "account disabled"
	case !user.Platform && !tenant.IsActive:
		return "tenant suspended"
	}
	return ""
}

// upgradedHash is the hash to store from now on: of today's cost.
func (a *App) upgradedHash(ctx context.Context, user db.AuthUser, plain string) (string, error) {
	if !a.Hasher.NeedsRehash(user.PasswordHash) {
		return user.PasswordHash, nil
	}
	return a.Hasher.Hash(ctx, plain)
}

// passwordMatched takes the next step of a login by password.
func (a *App) passwordMatched(ctx context.Context, user db.AuthUser, upgraded string) (*contract.LoginResponse, error) {
	d, err := a.demands(ctx, user)
	if err != nil {
		return nil, err
	}
	var response *contract.LoginResponse
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		now, err := q.LockUser(ctx, user.ID)
		if database.Missing(err) || err == nil && (now.PasswordHash == "" || !now.PasswordChangedAt.Equal(user.PasswordChangedAt)) {
			return nil, errLogin // the account changed since its password was found right
		}
		if err != nil {
			return nil, err
		}
		if upgraded != user.PasswordHash {
			if err := q.UpgradePasswordHash(ctx, db.UpgradePasswordHashParams{
				ID: user.ID, PasswordHash: upgraded, OldHash: user.PasswordHash,
			}); err != nil {
				return nil, err
			}
		}
		var happened []events.Event
		response, happened, err = a.continueLogin(ctx, q, now, d, []string{"password"})
		return happened, err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// tooEarly records that a login was refused before it was tried, once a delay.
func (a *App) tooEarly(ctx context.Context, email string, refused error) error {
	var e *contract.Error
	if !errors.As(refused, &e) || e.Code != contract.RateLimited {
		return refused
	}
	if !a.turnedAway.begins(email+" "+clientAddress(ctx), time.Duration(e.RetryAfter)*time.Second) {
		return refused
	}
	user, err := a.accountOf(ctx, email)
	if err != nil {
		return err
	}
	return a.failLogin(ctx, user, email, "too many failed attempts", refused)
}

// busy tells that there are more passwords to hash than there is time for.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return contract.Errorf(contract.RateLimited, "too many people log in at once; try again")
	}
	return err
}
