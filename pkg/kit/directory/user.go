package directory

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/token"
)

// UserVerifier verifies access tokens against service auth's public keys, and
// their users against a Directory that knows Members. It is safe for
// concurrent use.
type UserVerifier struct {
	tokens    *token.Verifier
	directory *Directory
}

// NewUserVerifier returns a UserVerifier that fetches the keys with client.
func NewUserVerifier(client *kit.Client, d *Directory) *UserVerifier {
	keys := &token.KeySet{Fetch: func(ctx context.Context) (*contract.JWKSResponse, error) {
		return kit.Call(ctx, client, contract.JWKS, &contract.JWKSRequest{})
	}}
	return &UserVerifier{tokens: token.NewVerifier(keys), directory: d}
}

// VerifyUser implements kit.UserVerifier: a valid token of an active user of
// an active tenant.
func (v *UserVerifier) VerifyUser(ctx context.Context, raw string) (kit.User, error) {
	claims, err := v.tokens.Verify(ctx, raw)
	var refused *contract.Error
	if errors.As(err, &refused) && refused.Code == contract.Unauthenticated {
		return kit.User{}, &contract.Error{Code: refused.Code, Field: "Authorization", Message: "the token " + refused.Message}
	}
	if err != nil {
		return kit.User{}, err
	}
	platform := v.directory.Platform(claims.Subject)
	_, active := v.directory.MemberOf(claims.Subject, claims.TenantID)
	if !active && (!platform || claims.TenantID != "") {
		return kit.User{}, &contract.Error{
			Code: contract.Unauthenticated, Field: "Authorization", Message: "the token's user is not active",
		}
	}
	return kit.User{ID: claims.Subject, TenantID: claims.TenantID, SessionID: claims.SessionID, Platform: platform}, nil
}
