package sdk

import (
	"context"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// Token is what the core verified of a token.
type Token struct {
	User User
	// SessionID is the session that the token is of.
	SessionID string
	// Scope holds, for a token made for this module, the permission codes that
	// it was made with. What the user may do now is for [Client.Check] to say.
	Scope []string
	// ExpiresAt is when the token ends; zero when the core did not say.
	ExpiresAt time.Time
}

// VerifyToken returns the user behind an access token. It ends with
// [ErrUnauthenticated] when the token is invalid, expired or revoked and with
// [ErrNotFound] when the user is gone or their tenant has not enabled this
// module.
func (c *Client) VerifyToken(ctx context.Context, token string) (*User, error) {
	verified, err := c.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return &verified.User, nil
}

// Verify is [Client.VerifyToken] that returns all there is to know of the
// token.
func (c *Client) Verify(ctx context.Context, token string) (*Token, error) {
	answer, err := Call(ctx, c.transport, contract.VerifyToken, &contract.VerifyRequest{Token: token})
	if err != nil {
		return nil, err
	}
	if answer.User.ID == "" || answer.User.TenantID == "" {
		return nil, fault.Unreadable(contract.VerifyToken.Spec, "the answer names no user")
	}
	verified := &Token{User: answer.User, SessionID: answer.SessionID, Scope: strings.Fields(answer.Scope)}
	if answer.ExpiresAt != nil {
		verified.ExpiresAt = *answer.ExpiresAt
	}
	return verified, nil
}
