package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
	"github.com/buildify/core/services/auth/internal/totp"
)

// NewRecoveryCodes answers auth.new_recovery_codes.
func (a *App) NewRecoveryCodes(ctx context.Context, r *contract.FactorProofRequest) (*contract.RecoveryCodes, error) {
	user, err := a.proveRecently(ctx, r.Password)
	if err != nil {
		return nil, err
	}
	var codes []string
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) ([]events.Event, error) {
		factors, err := a.secondFactors(ctx, q, user.ID)
		if err != nil {
			return nil, err
		}
		if len(factors) == 0 {
			return nil, contract.Missing("second factor that recovery codes could stand in for")
		}
		if codes, err = a.replaceRecoveryCodes(ctx, q, user); err != nil {
			return nil, err
		}
		e, err := factorChanged(ctx, user, "recovery_codes", "replaced")
		return []events.Event{e}, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.RecoveryCodes{RecoveryCodes: codes}, nil
}

func (a *App) replaceRecoveryCodes(ctx context.Context, q *db.Queries, user db.AuthUser) ([]string, error) {
	codes := totp.NewRecoveryCodes()
	macs := make([][]byte, len(codes))
	for i, code := range codes {
		macs[i] = a.recoveryMAC(user.ID, code)
	}
	if err := q.RemoveRecoveryCodes(ctx, user.ID); err != nil {
		return nil, err
	}
	return codes, q.AddRecoveryCodes(ctx, db.AddRecoveryCodesParams{UserID: user.ID, TenantID: user.TenantID, Macs: macs})
}

// spendRecoveryCode uses a code up; a refusal says why it cannot.
func (a *App) spendRecoveryCode(ctx context.Context, q *db.Queries, user db.AuthUser, typed string) error {
	code, ok := totp.NormaliseRecoveryCode(typed)
	if !ok {
		return refuse("no recovery code", errCode)
	}
	n, err := q.SpendRecoveryCode(ctx, db.SpendRecoveryCodeParams{UserID: user.ID, Mac: a.recoveryMAC(user.ID, code)})
	if err == nil && n == 0 {
		return refuse("wrong recovery code, or used before", errCode)
	}
	return err
}

// recoveryMAC is all that is kept of a person's code.
func (a *App) recoveryMAC(user, code string) []byte {
	return a.Box.MAC("recovery code " + user + " " + code)
}
