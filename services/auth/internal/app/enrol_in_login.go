package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
	"github.com/buildify/core/services/auth/internal/totp"
)

// showTOTP answers what to set up an authenticator app with, so that a login
// can go on that needs a second factor. Asked again, it is the same.
func (a *App) showTOTP(ctx context.Context, c *completion) (*contract.LoginResponse, error) {
	err := a.change(ctx, database.Everything, func(q *db.Queries) (_ []events.Event, err error) {
		if c.challenge, err = a.lockChallenge(ctx, q, c.challenge); err != nil || len(c.challenge.TOTP) > 0 {
			return nil, err
		}
		c.challenge.TOTP = totp.NewSecret()
		sealed, err := a.sealWaiting(c.challenge.mac, c.challenge.waiting)
		if err != nil {
			return nil, err
		}
		return nil, q.KeepInChallenge(ctx, db.KeepInChallengeParams{Mac: c.challenge.mac, Sealed: sealed})
	})
	if err != nil {
		return nil, err
	}
	return &contract.LoginResponse{Challenge: &contract.Challenge{
		Token: c.request.Challenge, Methods: c.challenge.Methods, ExpiresIn: max(int(time.Until(c.challenge.expires).Seconds()), 0),
		TOTP: totpSecret(c.challenge.TOTP, c.user),
	}}, nil
}

// enrolInLogin enrols the app that was set up by showTOTP. Who began to log in
// when the account had no second factor must not replace the one that its owner
// enrolled meanwhile.
func (a *App) enrolInLogin(ctx context.Context, q *db.Queries, c *completion, now db.AuthUser) ([]string, []events.Event, error) {
	factors, err := a.secondFactors(ctx, q, now.ID)
	if err != nil {
		return nil, nil, err
	}
	if len(factors) > 0 {
		return nil, nil, refuse("a second factor was enrolled meanwhile", errChallenge)
	}
	if len(c.challenge.TOTP) == 0 {
		return nil, nil, refuse("no authenticator app is being set up", errCode)
	}
	counter, ok := totp.Match(c.challenge.TOTP, c.request.Code, time.Now(), 0)
	if !ok {
		return nil, nil, refuse("wrong code of a new authenticator app", errCode)
	}
	return a.enrolTOTP(ctx, q, now, c.challenge.TOTP, counter)
}
