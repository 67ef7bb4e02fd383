package directory

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/pkg/kit/token"
)

// UserVerifier verifies access tokens: by service auth's public keys, by the
// list of ended sessions, and their users by a Directory that knows Members.
// It is safe for concurrent use.
type UserVerifier struct {
	tokens    *token.Verifier
	sessions  *revocation.List
	directory *Directory
	quotas    quotas
}

// NewUserVerifier returns the UserVerifier of a service, which asks auth for
// what it needs. Start makes it answer from memory.
func NewUserVerifier(service string, client *kit.Client, d *Directory, telemetry *kit.Telemetry) *UserVerifier {
	keys := &token.KeySet{Fetch: func(ctx context.Context) (*contract.JWKSResponse, error) {
		return kit.Call(ctx, client, contract.JWKS, &contract.JWKSRequest{})
	}}
	sessions := revocation.NewList(revocation.Config{
		Service: service, Source: revocation.Remote{Client: client}, Keys: keys, Telemetry: telemetry,
	})
	return UserVerifierOf(token.NewVerifier(keys), sessions, d)
}

// UserVerifierOf returns a UserVerifier of parts that somebody else starts and
// stops.
func UserVerifierOf(tokens *token.Verifier, sessions *revocation.List, d *Directory) *UserVerifier {
	return &UserVerifier{tokens: tokens, sessions: sessions, directory: d}
}

// Start follows what ends sessions and changes keys. It returns when it has
// caught up, waiting for auth to answer, or ctx ends. Before Start, and after
// Stop, each session is asked for.
func (v *UserVerifier) Start(ctx context.Context, js jetstream.JetStream) error {
	return v.sessions.Start(ctx, js)
}

// Stop ends the following. It is idempotent.
func (v *UserVerifier) Stop() {
	if v != nil {
		v.sessions.Stop()
	}
}

// VerifyUser implements kit.UserVerifier: a valid token of a session that has
// not ended, of an active user who belongs to the active tenant that the token
// acts in. Each call is a request, counted against the tenant's limit, unless it
// is a platform administrator's.
func (v *UserVerifier) VerifyUser(ctx context.Context, raw string) (kit.User, error) {
	claims, err := v.tokens.Verify(ctx, raw)
	var refused *contract.Error
	if errors.As(err, &refused) && refused.Code == contract.Unauthenticated {
		return kit.User{}, refuse("the token " + refused.Message)
	}
	if err != nil {
		return kit.User{}, err
	}
	if !v.directory.MayAct(claims.Subject, claims.TenantID) {
		return kit.User{}, refuse("the token's user is not active")
	}
	if err := v.sessions.Check(ctx, claims.SessionID, claims.TenantID); err != nil {
		return kit.User{}, err
	}
	user := kit.User{
		ID: claims.Subject, TenantID: claims.TenantID, SessionID: claims.SessionID,
		Platform: v.directory.Platform(claims.Subject),
	}
	if tenant, _ := v.directory.Tenant(user.TenantID); !user.Platform {
		if err := v.quotas.take(tenant, time.Now()); err != nil {
			return kit.User{}, err
		}
	}
	return user, nil
}

// MayAct reports whether the user is active and may act in the tenant, which
// is active too. Only a platform administrator acts in none.
func (d *Directory) MayAct(user, tenant string) bool {
	if tenant == "" {
		return d.Platform(user)
	}
	_, ok := d.MemberOf(user, tenant)
	return ok
}

func refuse(why string) error {
	return &contract.Error{Code: contract.Unauthenticated, Field: "Authorization", Message: why}
}
