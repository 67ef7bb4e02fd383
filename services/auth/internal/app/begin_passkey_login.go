package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// BeginPasskeyLogin answers auth.begin_passkey_login. It tells nobody who has a
// passkey: the browser finds out which ones it has for this platform.
func (a *App) BeginPasskeyLogin(ctx context.Context, _ *contract.BeginPasskeyLoginRequest) (*contract.LoginResponse, error) {
	ceremony, err := a.Passkeys.BeginLogin()
	if err != nil {
		return nil, err
	}
	w := waiting{Methods: []string{"passkey"}, Passkey: ceremony.State}
	var token string
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		token, err = a.addChallenge(ctx, db.New(tx), toLogIn, "", w)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &contract.LoginResponse{Challenge: &contract.Challenge{
		Token: token, Methods: w.Methods, ExpiresIn: int(challengeLifetime.Seconds()), Passkey: ceremony.Options,
	}}, nil
}
