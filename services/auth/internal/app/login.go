package app

import (
	"context"
	"errors"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errLogin = contract.Errorf(contract.Unauthenticated, "the e-mail address or the password is wrong")

// Login answers auth.login. Neither its answer nor its time tells whether an
// account exists.
func (a *App) Login(ctx context.Context, r *contract.LoginRequest) (*contract.LoginResponse, error) {
	var row db.AuthUser
	err := a.read(ctx, func(q *db.Queries) (err error) {
		row, err = q.UserByEmail(ctx, normaliseEmail(r.Email))
		return err
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	match, err := a.Hasher.Verify(ctx, row.PasswordHash, r.Password)
	if err != nil {
		return nil, busy(err)
	}
	tenant, active := a.Directory.TenantOf(row.ID)
	if !match || !active {
		return nil, errLogin
	}
	signed, err := a.Signer.Sign(row.ID, tenant.ID, kit.NewID())
	if err != nil {
		return nil, err
	}
	return &contract.LoginResponse{
		AccessToken: signed, TokenType: "Bearer", ExpiresIn: int(token.Lifetime.Seconds()),
		User: &contract.UserInfo{
			ID: row.ID, Email: row.Email, Username: row.Username, TenantID: tenant.ID, TenantCode: tenant.Code,
		},
	}, nil
}

// busy tells that there are more passwords to hash than there is time for.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return contract.Errorf(contract.RateLimited, "too many people log in at once; try again")
	}
	return err
}

func normaliseEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
