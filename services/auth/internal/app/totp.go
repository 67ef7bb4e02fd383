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

// issuer is what authenticator apps show beside the account.
const issuer = "Buildify"

// BeginTOTP answers auth.begin_totp. An app that is not confirmed counts for
// nothing: whoever begins again replaces it.
func (a *App) BeginTOTP(ctx context.Context, r *contract.FactorProofRequest) (*contract.TOTPSecret, error) {
	user, err := a.proveRecently(ctx, r.Password)
	if err != nil {
		return nil, err
	}
	secret := totp.NewSecret()
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) ([]events.Event, error) {
		n, err := q.BeginTOTP(ctx, db.BeginTOTPParams{
			UserID: user.ID, TenantID: user.TenantID, Sealed: a.Box.Seal(totpName(user.ID), secret),
		})
		if err == nil && n == 0 {
			err = errEnrolled
		}
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	return totpSecret(secret, user), nil
}

var errEnrolled = contract.Errorf(contract.Conflict, "an authenticator app is enrolled already; disable it first")

// ConfirmTOTP answers auth.confirm_totp.
func (a *App) ConfirmTOTP(ctx context.Context, r *contract.TOTPCodeRequest) (*contract.RecoveryCodes, error) {
	user, err := a.self(ctx)
	if err != nil {
		return nil, err
	}
	var codes []string
	err = a.guess(ctx, user, func() (wrong bool, err error) {
		err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) (happened []events.Event, err error) {
			row, err := q.TOTP(ctx, user.ID)
			switch {
			case database.Missing(err):
				return nil, contract.Errorf(contract.Conflict, "nothing is being enrolled; call auth.begin_totp first")
			case err != nil:
				return nil, err
			case row.ConfirmedAt != nil:
				return nil, errEnrolled
			}
			secret, err := a.Box.Unseal(totpName(user.ID), row.Sealed)
			if err != nil {
				return nil, err
			}
			counter, ok := totp.Match(secret, r.Code, time.Now(), 0)
			if !ok {
				wrong = true
				return nil, contract.Invalid("code", "is not the app's code of now; compare the device's clock")
			}
			codes, happened, err = a.enrolTOTP(ctx, q, user, secret, counter)
			return happened, err
		})
		return wrong, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.RecoveryCodes{RecoveryCodes: codes}, nil
}

// DisableTOTP answers auth.disable_totp.
func (a *App) DisableTOTP(ctx context.Context, r *contract.FactorProofRequest) (*contract.Empty, error) {
	user, err := a.proveRecently(ctx, r.Password)
	if err != nil {
		return nil, err
	}
	policy, err := a.signInPolicy(ctx, value(user.TenantID))
	if err != nil {
		return nil, err
	}
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) ([]events.Event, error) {
		state, err := q.FactorState(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if !state.Totp { // one that was never confirmed is none
			return nil, contract.Missing("authenticator app")
		}
		if _, err := q.RemoveTOTP(ctx, user.ID); err != nil {
			return nil, err
		}
		if err := q.RemoveRecoveryCodes(ctx, user.ID); err != nil {
			return nil, err
		}
		if err := a.factorRemoved(ctx, q, user.ID, policy); err != nil {
			return nil, err
		}
		e, err := factorChanged(ctx, user, "totp", "removed")
		return []events.Event{e}, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}

// enrolTOTP makes an app, of which counter's code was right, the account's
// second factor. The account must be locked and have none.
func (a *App) enrolTOTP(ctx context.Context, q *db.Queries, user db.AuthUser, secret []byte, counter int64) (codes []string, happened []events.Event, err error) {
	n, err := q.EnrolTOTP(ctx, db.EnrolTOTPParams{
		UserID: user.ID, TenantID: user.TenantID, Sealed: a.Box.Seal(totpName(user.ID), secret), LastCounter: counter,
	})
	if err == nil && n == 0 {
		err = errEnrolled
	}
	if err != nil {
		return nil, nil, err
	}
	if codes, err = a.replaceRecoveryCodes(ctx, q, user); err != nil {
		return nil, nil, err
	}
	e, err := factorChanged(ctx, user, "totp", "enrolled")
	return codes, []events.Event{e}, err
}

// spendTOTP uses a code of the account's app up; a refusal says why it cannot.
func (a *App) spendTOTP(ctx context.Context, q *db.Queries, user db.AuthUser, code string) error {
	row, err := q.TOTP(ctx, user.ID)
	if database.Missing(err) || err == nil && row.ConfirmedAt == nil {
		return refuse("no authenticator app", errCode)
	}
	if err != nil {
		return err
	}
	secret, err := a.Box.Unseal(totpName(user.ID), row.Sealed)
	if err != nil {
		return err
	}
	counter, ok := totp.Match(secret, code, time.Now(), 0)
	if !ok {
		return refuse("wrong code", errCode)
	}
	// The row's condition holds whoever else has the code at the same time.
	n, err := q.SpendTOTP(ctx, db.SpendTOTPParams{UserID: user.ID, Counter: counter})
	if err == nil && n == 0 {
		return refuse("code used before", errCode)
	}
	return err
}

func totpSecret(secret []byte, user db.AuthUser) *contract.TOTPSecret {
	return &contract.TOTPSecret{Secret: totp.Text(secret), URI: totp.URI(secret, issuer, user.Email)}
}

// totpName binds a sealed secret to its owner.
func totpName(user string) string { return "totp " + user }
