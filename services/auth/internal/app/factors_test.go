package app

import (
	"context"
	"encoding/base32"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/throttle"
	"github.com/buildify/core/services/auth/internal/totp"
)

// person is somebody who is logged in.
type person struct {
	w                 *world
	id, email, access string
}

func (w *world) person(t testing.TB, email string) *person {
	t.Helper()
	id := w.user(t, email)
	return &person{w, id, email, w.loggedIn(t, email, "192.0.2.1").AccessToken}
}

func (p *person) ctx(t testing.TB) context.Context { return p.w.as(t, p.access) }

// authenticator is somebody's app.
type authenticator struct {
	secret  []byte
	counter int64    // of the code that it was enrolled with
	codes   []string // recovery codes
}

// code is the app's code some steps after the one that it was enrolled with.
func (a *authenticator) code(later int64) string { return totp.At(a.secret, a.counter+later) }

// wrong is a code that is not the app's in these minutes.
func (a *authenticator) wrong() string {
	for n := 0; ; n++ {
		code := fmt.Sprintf("%06d", n)
		if _, ok := totp.Match(a.secret, code, time.Unix((a.counter+1)*30, 0), 0); !ok && code != a.code(3) {
			return code
		}
	}
}

func newAuthenticator(t testing.TB, secret string) *authenticator {
	t.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	require.NoError(t, err)
	return &authenticator{secret: raw, counter: time.Now().Unix() / 30}
}

func (p *person) begin(t testing.TB) *authenticator {
	t.Helper()
	begun, err := p.w.BeginTOTP(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
	require.Contains(t, begun.URI, "secret="+begun.Secret)
	return newAuthenticator(t, begun.Secret)
}

func (p *person) enrol(t testing.TB) *authenticator {
	t.Helper()
	a := p.begin(t)
	confirmed, err := p.w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: a.code(0)})
	require.NoError(t, err)
	require.Len(t, confirmed.RecoveryCodes, 10)
	a.codes = confirmed.RecoveryCodes
	return a
}

func (p *person) factors(t testing.TB) *contract.FactorsResponse {
	t.Helper()
	factors, err := p.w.Factors(p.ctx(t), &contract.FactorsRequest{})
	require.NoError(t, err)
	return factors
}

// requireSecondFactor makes the tenant ask for one.
func (w *world) requireSecondFactor(t testing.TB) {
	t.Helper()
	_, err := w.SetSignInPolicy(bounded(t), &contract.SetSignInPolicyRequest{
		TenantID: contract.ID(w.tenant), SecondFactor: "required", AcceptAccessTokens: true,
	})
	require.NoError(t, err)
}

// longAgo lets eleven minutes pass since every login.
func (w *world) longAgo(t testing.TB) {
	t.Helper()
	w.exec(t, "UPDATE sessions SET authenticated_at = now() - interval '11 minutes'")
}

// noDelays lets the delays after failed attempts pass.
func (w *world) noDelays(t testing.TB) {
	t.Helper()
	w.exec(t, "UPDATE throttles SET until = now()")
}

// stored is all rows of the tables, as text.
func (w *world) stored(t testing.TB, tables ...string) (all string) {
	t.Helper()
	for _, table := range tables {
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			var text string
			err := tx.QueryRow(bounded(t), "SELECT coalesce(string_agg(r::text || encode(convert_to(r::text, 'UTF8'), 'escape'), ''), '') FROM "+table+" r").Scan(&text)
			all += text
			return err
		}))
	}
	return all
}

func TestAnAppIsEnrolledByItsFirstCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	require.Equal(t, &contract.FactorsResponse{Passkeys: []contract.Passkey{}}, p.factors(t))

	_, err := w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: "123456"})
	require.ErrorIs(t, err, is(contract.Conflict), "nothing was begun")
	abandoned := p.begin(t)
	require.False(t, p.factors(t).TOTP, "it is not confirmed")
	w.loggedIn(t, p.email, "192.0.2.1") // and not asked for
	a := p.begin(t)
	require.NotEqual(t, abandoned.secret, a.secret)
	for _, code := range []string{a.wrong(), abandoned.code(0), "000000000", a.code(5)} {
		_, err = w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: code})
		require.ErrorIs(t, err, is(contract.InvalidArgument), code)
	}
	require.False(t, p.factors(t).TOTP)
	confirmed, err := w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: a.code(0)[:3] + " " + a.code(0)[3:]})
	require.NoError(t, err)
	require.Equal(t, &contract.FactorsResponse{TOTP: true, RecoveryCodesLeft: 10, Passkeys: []contract.Passkey{}}, p.factors(t))

	_, err = w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: a.code(1)})
	require.ErrorIs(t, err, is(contract.Conflict), "twice")
	_, err = w.BeginTOTP(p.ctx(t), &contract.FactorProofRequest{})
	require.ErrorIs(t, err, is(contract.Conflict), "one who came to an unlocked screen replaces it")
	told := w.told(t, events.FactorChanged)
	require.Len(t, told, 1)
	require.JSONEq(t, `{"user_id":"`+p.id+`","factor":"totp","change":"enrolled"}`, told[0])

	all := w.stored(t, "totp", "recovery_codes", "outbox")
	for _, secret := range append(confirmed.RecoveryCodes, totp.Text(a.secret), string(a.secret), fmt.Sprintf("%x", a.secret)) {
		require.NotContains(t, all, secret)
		require.NotContains(t, all, strings.ReplaceAll(secret, "-", ""))
	}
}

func TestWrongFirstCodesSlowDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.begin(t)
	for range throttle.Pair.Free {
		_, err := w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: a.wrong()})
		require.ErrorIs(t, err, is(contract.InvalidArgument))
	}
	_, err := w.ConfirmTOTP(p.ctx(t), &contract.TOTPCodeRequest{Code: a.code(0)})
	wait(t, err)
}

// Nobody else at somebody's screen changes what their account is protected by.
func TestChangingFactorsNeedsAProofOfLately(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	p.enrol(t)
	w.longAgo(t)
	proofs := map[string]func(password string) error{
		"begin_totp": func(password string) error {
			_, err := w.BeginTOTP(p.ctx(t), &contract.FactorProofRequest{Password: password})
			return err
		},
		"disable_totp": func(password string) error {
			_, err := w.DisableTOTP(p.ctx(t), &contract.FactorProofRequest{Password: password})
			return err
		},
		"new_recovery_codes": func(password string) error {
			_, err := w.NewRecoveryCodes(p.ctx(t), &contract.FactorProofRequest{Password: password})
			return err
		},
		"begin_passkey": func(password string) error {
			_, err := w.BeginPasskey(p.ctx(t), &contract.FactorProofRequest{Password: password})
			return err
		},
	}
	for name, try := range proofs {
		require.ErrorIs(t, try(""), is(contract.PermissionDenied), name)
		require.ErrorIs(t, try("wrong"), is(contract.PermissionDenied), name)
	}
	require.Len(t, w.told(t, events.LoginFailed), 4)
	require.Equal(t, 10, p.factors(t).RecoveryCodesLeft)
	require.ErrorIs(t, proofs["disable_totp"]("wrong"), is(contract.PermissionDenied))
	wait(t, proofs["disable_totp"](goodPassword))
	w.noDelays(t)

	require.ErrorIs(t, proofs["begin_totp"](goodPassword), is(contract.Conflict), "it is them, but they have one")
	require.NoError(t, proofs["begin_passkey"](goodPassword))
	require.NoError(t, proofs["new_recovery_codes"](goodPassword))
	require.NoError(t, proofs["disable_totp"](goodPassword))
	require.False(t, p.factors(t).TOTP)
}

func TestRecoveryCodesAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	_, err := w.NewRecoveryCodes(p.ctx(t), &contract.FactorProofRequest{})
	require.ErrorIs(t, err, is(contract.NotFound), "there is nothing that they could stand in for")
	a := p.enrol(t)
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", a.codes[0])
	require.NoError(t, err)
	require.Equal(t, 9, p.factors(t).RecoveryCodesLeft)
	replaced, err := w.NewRecoveryCodes(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
	require.Len(t, replaced.RecoveryCodes, 10)
	require.Equal(t, 10, p.factors(t).RecoveryCodesLeft)
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", a.codes[1])
	require.Equal(t, error(errCode), err, "an old one")
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", replaced.RecoveryCodes[9])
	require.NoError(t, err)
	require.Contains(t, w.told(t, events.FactorChanged)[1], `"factor":"recovery_codes","change":"replaced"`)
}

func TestADisabledAppIsAskedForNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	disable := func() error {
		_, err := w.DisableTOTP(p.ctx(t), &contract.FactorProofRequest{})
		return err
	}
	require.ErrorIs(t, disable(), is(contract.NotFound))
	p.begin(t)
	require.ErrorIs(t, disable(), is(contract.NotFound), "not one that was never confirmed")
	a := p.enrol(t)
	waits := w.challenge(t, p)
	require.NoError(t, disable())
	require.Equal(t, &contract.FactorsResponse{Passkeys: []contract.Passkey{}}, p.factors(t))
	for method, code := range map[string]string{"totp": a.code(1), "recovery_code": a.codes[0]} {
		_, err := w.complete(t, waits, method, code)
		require.Equal(t, error(errCode), err, method)
	}
	w.loggedIn(t, p.email, "192.0.2.1")
	require.Contains(t, w.told(t, events.FactorChanged)[1], `"change":"removed"`)
	again := p.enrol(t)
	require.NotEqual(t, a.secret, again.secret)
}

func TestTheLastFactorStaysWhereOneIsRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	p.enrol(t)
	w.requireSecondFactor(t)
	require.True(t, p.factors(t).Required)
	disable := func() error {
		_, err := w.DisableTOTP(p.ctx(t), &contract.FactorProofRequest{})
		return err
	}
	require.ErrorIs(t, disable(), is(contract.Conflict))
	require.True(t, p.factors(t).TOTP)
	require.Equal(t, 10, p.factors(t).RecoveryCodesLeft, "nothing of it was done")

	laptop := p.register(t)
	require.NoError(t, disable(), "there is another")
	_, err := w.DeletePasskey(p.ctx(t), &contract.DeletePasskeyRequest{PasskeyID: laptop.id()})
	require.ErrorIs(t, err, is(contract.Conflict))
	require.Len(t, p.factors(t).Passkeys, 1)
	p.enrol(t)
	_, err = w.DeletePasskey(p.ctx(t), &contract.DeletePasskeyRequest{PasskeyID: laptop.id()})
	require.NoError(t, err)
}

// Whose a factor is, the home tenant of its row says to the database, whichever
// tenant they act in.
func TestFactorsBelongToTheHomeTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	abroad := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{
		ID: p.id, TenantID: kit.NewID(), SessionID: kit.UserFrom(p.ctx(t)).SessionID,
	}})
	begun, err := w.BeginTOTP(abroad, &contract.FactorProofRequest{})
	require.NoError(t, err)
	_, err = w.ConfirmTOTP(abroad, &contract.TOTPCodeRequest{Code: newAuthenticator(t, begun.Secret).code(0)})
	require.NoError(t, err)
	p.register(t)
	for table, rows := range map[string]int{"totp": 1, "recovery_codes": 10, "passkeys": 1} {
		for tenant, want := range map[string]int{w.tenant: rows, kit.NewID(): 0} {
			var n int
			require.NoError(t, w.DB.In(bounded(t), tenant, func(tx pgx.Tx) error {
				return tx.QueryRow(bounded(t), "SELECT count(*) FROM "+table).Scan(&n)
			}))
			require.Equal(t, want, n, table)
		}
	}
}

// A platform administrator has no home tenant, and factors all the same.
func TestAPlatformAdministratorHasFactors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	w.exec(t, "UPDATE users SET platform = true, tenant_id = NULL WHERE id = $1", id)
	p := &person{w, id, "ada@example.com", w.loggedIn(t, "ada@example.com", "192.0.2.1").AccessToken}
	a := p.enrol(t)
	p.register(t)
	in, err := w.complete(t, w.challenge(t, p), "totp", a.code(1))
	require.NoError(t, err)
	require.Empty(t, in.User.TenantID)
	_, err = w.DisableTOTP(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
}
