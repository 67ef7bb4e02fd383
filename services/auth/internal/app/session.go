package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errNotBuilt = errors.New("not built yet") // STUBS of the lead: agents replace them with their own files

// startSession begins a session of an account that proved who it is by
// methods, and returns its tokens and the events of it. [agent F]
func (a *App) startSession(ctx context.Context, q *db.Queries, user db.AuthUser, methods []string) (*contract.LoginResponse, []events.Event, error) {
	return nil, nil, errNotBuilt
}

// endSessions ends the open sessions of a user but one (except may be empty)
// and returns how many there were and the event that revokes their tokens.
// [agent F]
func (a *App) endSessions(ctx context.Context, q *db.Queries, user db.AuthUser, except, reason string) (int, []events.Event, error) {
	return 0, nil, errNotBuilt
}

// reserveAttempt counts an attempt to prove to be an account (its normalised
// e-mail address) before anything is hashed, and refuses with rate_limited
// when it comes too early. refund takes the attempt back after it succeeded.
// [agent F]
func (a *App) reserveAttempt(ctx context.Context, account string) (refund func(context.Context) error, err error) {
	return nil, errNotBuilt
}

// clearAttempts forgets an account's failures. [agent F]
func (a *App) clearAttempts(ctx context.Context, q *db.Queries, account string) error {
	return errNotBuilt
}

// newPassword checks a new password of an account by its tenant's policy and
// history and hashes it; field names the request's field in errors. [agent B]
func (a *App) newPassword(ctx context.Context, user db.AuthUser, field, plain string) (hash string, err error) {
	return "", errNotBuilt
}

// storePassword makes hash the account's password: history, time, and no more
// must_change_password. [agent B]
func (a *App) storePassword(ctx context.Context, q *db.Queries, user db.AuthUser, hash string) error {
	return errNotBuilt
}

// passwordExpired reports whether the tenant's policy asks for a new password.
// [agent B]
func (a *App) passwordExpired(ctx context.Context, user db.AuthUser) (bool, error) {
	return false, errNotBuilt
}

// secondFactors are the methods by which an account can meet a challenge:
// totp, recovery_code, passkey; none when it has no second factor. [agent C]
func (a *App) secondFactors(ctx context.Context, q *db.Queries, user string) ([]string, error) {
	return nil, errNotBuilt
}

// newChallenge makes a login wait for one of methods, after those in done were
// used. [agent C]
func (a *App) newChallenge(ctx context.Context, q *db.Queries, user db.AuthUser, done, methods []string) (*contract.Challenge, error) {
	return nil, errNotBuilt
}

// signInPolicy is a tenant's policy; the platform's default for the empty
// tenant. From memory where it is known. [agent C]
func (a *App) signInPolicy(ctx context.Context, tenant string) (contract.SignInPolicy, error) {
	return contract.SignInPolicy{}, errNotBuilt
}

// cachedSignInPolicy never blocks. [agent C; E calls it in VerifyFast]
func (a *App) cachedSignInPolicy(tenant string) (contract.SignInPolicy, bool) {
	return contract.SignInPolicy{}, false
}
