package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// demands is what an account's tenant asks of a login. They are found out
// before the transaction of a login's step, which holds a connection already.
type demands struct {
	secondFactor, newPassword bool
}

func (a *App) demands(ctx context.Context, user db.AuthUser) (demands, error) {
	policy, err := a.signInPolicy(ctx, value(user.TenantID))
	if err != nil {
		return demands{}, err
	}
	expired, err := a.passwordExpired(ctx, user)
	return demands{secondFactor: policy.SecondFactor == "required", newPassword: expired || user.MustChangePassword}, err
}

// continueLogin is the next step of a login, after the methods in done proved
// who it is: a challenge for a second factor, for enrolling one, or for a new
// password, in this order; or the session. user must have been read, locked, in
// q's transaction.
func (a *App) continueLogin(ctx context.Context, q *db.Queries, user db.AuthUser, d demands, done []string) (
	*contract.LoginResponse, []events.Event, error,
) {
	byPassword := slices.Contains(done, "password")
	var ask []string
	if byPassword && len(done) == 1 { // a passkey alone is two factors: the device, and its unlocking
		factors, err := a.secondFactors(ctx, q, user.ID)
		if err != nil {
			return nil, nil, err
		}
		if ask = factors; len(ask) == 0 && d.secondFactor {
			ask = []string{"enrol_totp"}
		}
	}
	if len(ask) == 0 && byPassword && d.newPassword {
		ask = []string{"new_password"}
	}
	if len(ask) == 0 {
		return a.startSession(ctx, q, user, done)
	}
	challenge, err := a.newChallenge(ctx, q, user, done, ask)
	if err != nil {
		return nil, nil, err
	}
	e, err := a.loginEvent(ctx, events.LoginChallenged, user, events.Login{Methods: done})
	return &contract.LoginResponse{Challenge: challenge}, []events.Event{e}, err
}
