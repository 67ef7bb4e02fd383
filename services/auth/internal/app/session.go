package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errNotBuilt = errors.New("not built yet") // STUBS of the lead: agents replace them with their own files

// secondFactors are the methods by which an account can meet a challenge:
// totp, recovery_code, passkey; none when it has no second factor. [agent C]
func (a *App) secondFactors(ctx context.Context, q *db.Queries, user string) ([]string, error) {
	return nil, nil // STUB: nobody has one yet
}

// newChallenge makes a login wait for one of methods, after those in done were
// used. [agent C]
func (a *App) newChallenge(ctx context.Context, q *db.Queries, user db.AuthUser, done, methods []string) (*contract.Challenge, error) {
	return nil, errNotBuilt
}

// signInPolicy is a tenant's policy; the platform's default for the empty
// tenant. From memory where it is known. [agent C]
func (a *App) signInPolicy(ctx context.Context, tenant string) (contract.SignInPolicy, error) {
	return contract.SignInPolicy{SecondFactor: "optional", AcceptAccessTokens: true}, nil // STUB: the platform's default
}

// cachedSignInPolicy never blocks. [agent C; E calls it in VerifyFast]
func (a *App) cachedSignInPolicy(tenant string) (contract.SignInPolicy, bool) {
	return contract.SignInPolicy{}, false
}
