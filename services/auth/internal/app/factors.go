package app

import (
	"context"
	"errors"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// recently is how long after a login nobody is asked for their password again.
const recently = 10 * time.Minute

// Factors answers auth.factors.
func (a *App) Factors(ctx context.Context, _ *contract.FactorsRequest) (*contract.FactorsResponse, error) {
	user, err := a.self(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := a.signInPolicy(ctx, value(user.TenantID))
	if err != nil {
		return nil, err
	}
	response := &contract.FactorsResponse{Required: policy.SecondFactor == required}
	err = a.read(ctx, func(q *db.Queries) error {
		state, err := q.FactorState(ctx, user.ID)
		if err != nil {
			return err
		}
		response.TOTP, response.RecoveryCodesLeft = state.Totp, int(state.RecoveryCodes)
		response.Passkeys, err = listPasskeys(ctx, q, user.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// secondFactors are the methods by which an account can meet a challenge:
// totp, recovery_code, passkey; none when it has no second factor. Recovery
// codes are none by themselves.
func (a *App) secondFactors(ctx context.Context, q *db.Queries, user string) (methods []string, err error) {
	state, err := q.FactorState(ctx, user)
	if err != nil {
		return nil, err
	}
	if state.Totp {
		methods = append(methods, "totp")
	}
	if state.Passkeys > 0 {
		methods = append(methods, "passkey")
	}
	if len(methods) > 0 && state.RecoveryCodes > 0 {
		methods = append(methods, "recovery_code")
	}
	return methods, nil
}

// self is the caller's account.
func (a *App) self(ctx context.Context) (user db.AuthUser, err error) {
	err = a.read(ctx, func(q *db.Queries) (err error) {
		user, err = q.UserByID(ctx, kit.UserFrom(ctx).ID)
		return err
	})
	if database.Missing(err) {
		return user, contract.Missing("user")
	}
	return user, err
}

// proveRecently is self for a caller who proves that it is them and not
// somebody at their unlocked screen: by a login of a moment ago, or else by
// their password.
func (a *App) proveRecently(ctx context.Context, plain string) (db.AuthUser, error) {
	user, err := a.self(ctx)
	if err != nil {
		return user, err
	}
	var lately bool
	err = a.read(ctx, func(q *db.Queries) (err error) {
		lately, err = q.AuthenticatedLately(ctx, db.AuthenticatedLatelyParams{
			ID: kit.UserFrom(ctx).SessionID, UserID: user.ID, Within: recently.Seconds(),
		})
		return err
	})
	if err != nil || lately {
		return user, err
	}
	if plain == "" {
		return user, &contract.Error{
			Code: contract.PermissionDenied, Field: "password", Message: "is needed, for your login is more than ten minutes ago; or log in again",
		}
	}
	user, err = a.provePassword(ctx, "password", plain)
	if errors.Is(err, &contract.Error{Code: contract.PermissionDenied}) {
		return user, a.failLogin(ctx, user, "", "wrong password, to change second factors", err)
	}
	return user, err
}

// changeFactors runs work on a person's locked account, in a transaction that
// sees their home tenant only.
func (a *App) changeFactors(ctx context.Context, user db.AuthUser, work func(q *db.Queries, user db.AuthUser) ([]events.Event, error)) error {
	return a.change(ctx, scopeOf(value(user.TenantID)), func(q *db.Queries) ([]events.Event, error) {
		user, err := q.LockUser(ctx, user.ID)
		if database.Missing(err) {
			return nil, contract.Missing("user")
		}
		if err != nil {
			return nil, err
		}
		return work(q, user)
	})
}

// factorChanged makes the event of a factor that was added, removed or used in
// a way worth telling.
func factorChanged(ctx context.Context, user db.AuthUser, factor, change string) (events.Event, error) {
	return kit.NewEvent(ctx, events.FactorChanged, value(user.TenantID), user.Revision,
		events.FactorChange{UserID: user.ID, Factor: factor, Change: change})
}

// factorRemoved is called after a second factor was removed. It refuses that
// where the tenant requires one and this was the last, and ends the recovery
// codes, which would stand in for nothing.
func (a *App) factorRemoved(ctx context.Context, q *db.Queries, user string, policy contract.SignInPolicy) error {
	left, err := a.secondFactors(ctx, q, user)
	if err != nil || len(left) > 0 {
		return err
	}
	if policy.SecondFactor == required {
		return contract.Errorf(contract.Conflict, "your tenant requires a second factor and this is your last; enrol another one first")
	}
	return q.RemoveRecoveryCodes(ctx, user)
}

// guess runs work, which compares what somebody may be guessing, as one attempt
// to prove to be the account. It is refused when it comes too early, and counts
// as failed if work says that it was wrong.
func (a *App) guess(ctx context.Context, user db.AuthUser, work func() (wrong bool, err error)) error {
	leave, err := a.logins.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	refund, err := a.reserveAttempt(ctx, user.Email)
	if err != nil {
		return a.tooEarly(ctx, user.Email, err)
	}
	wrong, err := work()
	if wrong {
		return err
	}
	if refundErr := refund(context.WithoutCancel(ctx)); refundErr != nil {
		// It is done; that the attempt stands as failed does no harm.
		a.Log.WarnContext(ctx, "auth: an attempt that was right counts as failed", "error", refundErr)
	}
	return err
}
