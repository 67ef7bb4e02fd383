package app

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/throttle"
)

// challenge begins a login that asks for more.
func (w *world) challenge(t testing.TB, p *person) *contract.Challenge {
	t.Helper()
	in, err := w.Login(from(t, "192.0.2.1"), &contract.LoginRequest{Email: p.email, Password: goodPassword})
	require.NoError(t, err)
	require.NotNil(t, in.Challenge)
	require.Empty(t, in.AccessToken+in.RefreshToken+in.SessionID, "a challenge comes without tokens")
	require.Nil(t, in.User)
	return in.Challenge
}

// complete answers a challenge with a code.
func (w *world) complete(t testing.TB, c *contract.Challenge, method, code string) (*contract.LoginResponse, error) {
	t.Helper()
	return w.CompleteLogin(from(t, "192.0.2.1"), &contract.CompleteLoginRequest{Challenge: c.Token, Method: method, Code: code})
}

// setPassword answers a challenge with a new password.
func (w *world) setPassword(t testing.TB, c *contract.Challenge, password string) (*contract.LoginResponse, error) {
	t.Helper()
	return w.CompleteLogin(from(t, "192.0.2.1"), &contract.CompleteLoginRequest{
		Challenge: c.Token, Method: "new_password", NewPassword: password,
	})
}

// atOnce does n things at once and counts how they went.
func atOnce(n int, do func(i int) error) map[error]int {
	var all sync.WaitGroup
	outcomes := make([]error, n)
	for i := range n {
		all.Go(func() { outcomes[i] = do(i) })
	}
	all.Wait()
	counts := map[error]int{}
	for _, err := range outcomes {
		counts[err]++
	}
	return counts
}

func TestASecondFactorCompletesALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	require.ElementsMatch(t, []string{"totp", "recovery_code"}, c.Methods)
	require.Equal(t, 300, c.ExpiresIn)
	w.exec(t, "DELETE FROM outbox")

	_, err := w.complete(t, c, "totp", a.wrong())
	require.Equal(t, error(errCode), err)
	in, err := w.complete(t, c, "totp", a.code(1))
	require.NoError(t, err)
	require.Nil(t, in.Challenge)
	require.Equal(t, p.id, in.User.ID)
	require.Equal(t, w.tenant, in.User.TenantID)
	_, err = w.refreshed(t, in.RefreshToken)
	require.NoError(t, err)

	told := w.outbox(t)
	require.Len(t, told, 2)
	require.True(t, events.LoginFailed.Is(told[0]))
	require.Equal(t, "failure", events.Extension(told[0], events.Outcome))
	require.Equal(t, w.tenant, events.Extension(told[0], events.TenantID))
	require.Contains(t, string(told[0].Data()), `"reason":"wrong code"`)
	require.Contains(t, string(told[0].Data()), `"methods":["password"]`)
	require.Contains(t, string(told[0].Data()), `"address":"192.0.2.1"`)
	require.NotContains(t, string(told[0].Data()), "ada@")
	require.True(t, events.LoginSucceeded.Is(told[1]))
	require.Contains(t, string(told[1].Data()), `"methods":["password","totp"]`)
	require.NotContains(t, w.stored(t, "challenges", "outbox"), c.Token[8:])
}

func TestACodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	_, err := w.complete(t, w.challenge(t, p), "totp", a.code(0))
	require.Equal(t, error(errCode), err, "the one that it was enrolled with")
	_, err = w.complete(t, w.challenge(t, p), "totp", a.code(-1))
	require.Equal(t, error(errCode), err, "one before it")

	w.noDelays(t)
	var challenges []*contract.Challenge
	for range 3 {
		challenges = append(challenges, w.challenge(t, p))
	}
	require.Equal(t, map[error]int{nil: 1, errCode: 2}, atOnce(len(challenges), func(i int) error {
		_, err := w.complete(t, challenges[i], "totp", a.code(1))
		return err
	}), "who looked over the shoulder is as quick")
	require.Contains(t, strings.Join(w.told(t, events.LoginFailed), ""), `"reason":"code used before"`)
}

func TestARecoveryCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, other := w.person(t, "ada@example.com"), w.person(t, "bob@example.com")
	a, b := p.enrol(t), other.enrol(t)
	_, err := w.complete(t, w.challenge(t, p), "recovery_code", b.codes[0])
	require.Equal(t, error(errCode), err, "another person's")
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", a.code(1))
	require.Equal(t, error(errCode), err, "the app's")
	_, err = w.complete(t, w.challenge(t, p), "totp", a.codes[0])
	require.Equal(t, error(errCode), err, "in the app's place")
	sloppy := strings.ToLower(strings.ReplaceAll(a.codes[0], "-", " "))
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", sloppy)
	require.NoError(t, err)
	require.Contains(t, strings.Join(w.told(t, events.LoginSucceeded), ""), `"methods":["password","recovery_code"]`)
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", a.codes[0])
	require.Equal(t, error(errCode), err, "used before")
	require.Equal(t, 9, p.factors(t).RecoveryCodesLeft)

	for _, code := range a.codes[1:] {
		w.noDelays(t)
		_, err = w.complete(t, w.challenge(t, p), "recovery_code", code)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"totp"}, w.challenge(t, p).Methods, "none is left")
}

func TestAChallengeIsMetOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	require.Equal(t, map[error]int{nil: 1, errChallenge: 3}, atOnce(4, func(i int) error {
		_, err := w.complete(t, c, "recovery_code", a.codes[i])
		return err
	}))
	require.Equal(t, 9, p.factors(t).RecoveryCodesLeft, "who came late keeps their code")
	_, err := w.complete(t, c, "totp", a.code(1))
	require.Equal(t, error(errChallenge), err)
}

func TestAChallengeTakesFewAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	for _, method := range []string{"totp", "recovery_code", "totp", "recovery_code", "totp"} {
		w.noDelays(t)
		_, err := w.complete(t, c, method, a.wrong())
		require.Equal(t, error(errCode), err)
	}
	w.noDelays(t)
	_, err := w.complete(t, c, "totp", a.code(1))
	require.Equal(t, error(errChallenge), err, "the right one comes too late")
	_, err = w.complete(t, w.challenge(t, p), "totp", a.code(1))
	require.NoError(t, err)
}

// Who asks many times at once is not heard more often: each found the challenge
// still open.
func TestAnswersAtOnceAreCountedAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	var found []*completion
	for range guesses + 2 {
		one, err := w.completion(from(t, "192.0.2.1"), &contract.CompleteLoginRequest{Challenge: c.Token, Method: "totp", Code: a.wrong()})
		require.NoError(t, err)
		found = append(found, one)
	}
	require.Equal(t, map[error]int{errCode: guesses, errChallenge: 2}, atOnce(len(found), func(i int) error {
		_, _, err := w.App.complete(from(t, "192.0.2.1"), found[i])
		return err
	}))
}

// Who knows the password gets no further by many challenges.
func TestWrongCodesSlowDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	for range throttle.Pair.Free {
		_, err := w.complete(t, w.challenge(t, p), "totp", a.wrong())
		require.Equal(t, error(errCode), err)
	}
	_, err := w.Login(from(t, "192.0.2.1"), &contract.LoginRequest{Email: p.email, Password: goodPassword})
	wait(t, err)
	w.noDelays(t)
	c := w.challenge(t, p)
	_, err = w.complete(t, c, "totp", a.wrong())
	require.Equal(t, error(errCode), err)
	_, err = w.complete(t, c, "totp", a.code(1))
	wait(t, err)
	require.Contains(t, strings.Join(w.told(t, events.LoginFailed), ""), `"reason":"too many failed attempts"`)
	w.noDelays(t)
	_, err = w.complete(t, c, "totp", a.code(1))
	require.NoError(t, err)
	for range throttle.Pair.Free - 1 { // which forgets the failures
		_, err = w.complete(t, w.challenge(t, p), "totp", a.wrong())
		require.Equal(t, error(errCode), err)
	}
}

func TestWhatIsNoChallengeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	begun, err := w.BeginPasskey(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
	for name, token := range map[string]string{
		"nonsense": "x", "altered": c.Token[:len(c.Token)-1], "longer": c.Token + "A", "for a registration": begun.Challenge,
		"an access token": p.access, "NUL": "\x00", "SQL": "' OR 1=1 --",
	} {
		_, err := w.complete(t, &contract.Challenge{Token: token}, "totp", a.code(1))
		require.Equal(t, error(errChallenge), err, name)
	}
	w.exec(t, "UPDATE challenges SET expires_at = now()")
	_, err = w.complete(t, c, "totp", a.code(1))
	require.Equal(t, error(errChallenge), err, "expired")
	require.NoError(t, w.sweep(bounded(t)))
	require.Empty(t, w.stored(t, "challenges"))
	require.Empty(t, w.told(t, events.LoginFailed), "nobody is meant")
}

// Rows that somebody moved about in the database open nothing.
func TestSecretsAreBoundToTheirOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, other := w.person(t, "ada@example.com"), w.person(t, "bob@example.com")
	a, b := p.enrol(t), other.enrol(t)
	mine, theirs := w.challenge(t, p), w.challenge(t, other)
	w.exec(t, "UPDATE challenges SET sealed = (SELECT sealed FROM challenges WHERE user_id = $1) WHERE user_id = $2", p.id, other.id)
	_, err := w.complete(t, theirs, "totp", b.code(1))
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated), "it is our trouble")
	_, err = w.complete(t, mine, "totp", a.code(1))
	require.NoError(t, err)
	w.exec(t, "DELETE FROM recovery_codes WHERE user_id = $1", other.id)
	w.exec(t, "UPDATE recovery_codes SET user_id = $2 WHERE user_id = $1", p.id, other.id)
	_, err = w.complete(t, w.challenge(t, other), "recovery_code", a.codes[0])
	require.Equal(t, error(errCode), err)
	w.exec(t, "UPDATE totp SET sealed = (SELECT sealed FROM totp WHERE user_id = $1) WHERE user_id = $2", p.id, other.id)
	_, err = w.complete(t, w.challenge(t, other), "totp", a.code(2))
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated), "it is our trouble")
}

func TestAnAnswerMustFitItsChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	c := w.challenge(t, p)
	for name, r := range map[string]*contract.CompleteLoginRequest{
		"a method that is not offered":  {Method: "passkey", Passkey: []byte("{}")},
		"enrolling another app":         {Method: "enrol_totp"},
		"enrolling another app by code": {Method: "enrol_totp", Code: a.code(1)},
		"a new password":                {Method: "new_password", NewPassword: "another horse, another battery"},
		"no code":                       {Method: "totp"},
		"a blank code":                  {Method: "recovery_code", Code: " "},
	} {
		for range 3 {
			r.Challenge = c.Token
			_, err := w.CompleteLogin(from(t, "192.0.2.1"), r)
			require.ErrorIs(t, err, is(contract.InvalidArgument), name)
		}
	}
	_, err := w.complete(t, c, "totp", a.code(1))
	require.NoError(t, err, "nothing of it counts as an answer")
}

// Between the two calls of a login much can happen.
func TestAnAccountThatChangedMeanwhileMeetsNoChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	a := p.enrol(t)
	for name, change := range map[string]struct{ do, undo, reason string }{
		"disabled":          {"UPDATE users SET disabled_at = now()", "UPDATE users SET disabled_at = NULL", "account disabled"},
		"deleted":           {"UPDATE users SET deleted_at = now()", "UPDATE users SET deleted_at = NULL", ""},
		"password exchange": {"UPDATE users SET password_changed_at = now() + interval '1 s'", "UPDATE users SET password_changed_at = created_at", "the password was changed meanwhile"},
	} {
		w.noDelays(t)
		c := w.challenge(t, p)
		w.exec(t, "DELETE FROM outbox")
		w.exec(t, change.do)
		_, err := w.complete(t, c, "totp", a.code(1))
		require.Equal(t, error(errChallenge), err, name)
		told := strings.Join(w.told(t, events.LoginFailed), "")
		require.Equal(t, change.reason != "", strings.Contains(told, `"reason":"`+change.reason+`"`), name)
		w.exec(t, change.undo)
	}
	w.noDelays(t)
	c := w.challenge(t, p)
	w.activate(false, 2)
	_, err := w.complete(t, c, "totp", a.code(1))
	require.Equal(t, error(errChallenge), err, "the tenant was suspended")
	w.activate(true, 3)
	_, err = w.complete(t, c, "totp", a.code(1))
	require.NoError(t, err)
}

func TestWhoNeedsASecondFactorEnrolsAtLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.requireSecondFactor(t)
	c := w.challenge(t, p)
	require.Equal(t, []string{"enrol_totp"}, c.Methods)
	_, err := w.complete(t, c, "enrol_totp", "123456")
	require.Equal(t, error(errCode), err, "before a secret was shown")
	shown, err := w.complete(t, c, "enrol_totp", "")
	require.NoError(t, err)
	require.Empty(t, shown.AccessToken)
	require.Equal(t, c.Token, shown.Challenge.Token)
	require.Equal(t, c.Methods, shown.Challenge.Methods)
	require.InDelta(t, 300, shown.Challenge.ExpiresIn, 30)
	again, err := w.complete(t, c, "enrol_totp", "")
	require.NoError(t, err)
	require.Equal(t, shown.Challenge.TOTP, again.Challenge.TOTP)
	require.False(t, p.factors(t).TOTP)
	require.NotContains(t, w.stored(t, "challenges", "outbox"), shown.Challenge.TOTP.Secret)

	a := newAuthenticator(t, shown.Challenge.TOTP.Secret)
	_, err = w.complete(t, c, "enrol_totp", a.wrong())
	require.Equal(t, error(errCode), err)
	in, err := w.complete(t, c, "enrol_totp", a.code(0))
	require.NoError(t, err)
	require.Equal(t, p.id, in.User.ID)
	require.Len(t, in.RecoveryCodes, 10)
	require.Nil(t, in.Challenge, "no challenge beside tokens")
	require.True(t, p.factors(t).TOTP)
	changed := w.outbox(t)
	last := changed[len(changed)-1]
	require.True(t, events.LoginSucceeded.Is(last))
	require.Contains(t, string(last.Data()), `"methods":["password","totp"]`)
	require.True(t, events.FactorChanged.Is(changed[len(changed)-2]))
	require.Equal(t, p.id, events.Extension(changed[len(changed)-2], events.ActorID))

	next := w.challenge(t, p)
	require.ElementsMatch(t, []string{"totp", "recovery_code"}, next.Methods)
	_, err = w.complete(t, next, "totp", a.code(0))
	require.Equal(t, error(errCode), err, "the code is used up")
	_, err = w.complete(t, next, "totp", a.code(1))
	require.NoError(t, err)
	_, err = w.complete(t, w.challenge(t, p), "recovery_code", in.RecoveryCodes[3])
	require.NoError(t, err)
}

// Who stole a password must not get ahead of its owner, who enrols.
func TestWhoBeganToEnrolDoesNotReplaceTheOwnersApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.requireSecondFactor(t)
	thief := w.challenge(t, p)
	shown, err := w.complete(t, thief, "enrol_totp", "")
	require.NoError(t, err)
	owners := p.enrol(t)
	_, err = w.complete(t, thief, "enrol_totp", newAuthenticator(t, shown.Challenge.TOTP.Secret).code(0))
	require.Equal(t, error(errChallenge), err)
	_, err = w.complete(t, w.challenge(t, p), "totp", owners.code(1))
	require.NoError(t, err)
}

// An app that somebody began to set up, and left, is in nobody's way.
func TestAnUnconfirmedAppGivesWayAtLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	left := p.begin(t)
	w.requireSecondFactor(t)
	c := w.challenge(t, p)
	shown, err := w.complete(t, c, "enrol_totp", "")
	require.NoError(t, err)
	a := newAuthenticator(t, shown.Challenge.TOTP.Secret)
	require.NotEqual(t, left.secret, a.secret)
	_, err = w.complete(t, c, "enrol_totp", a.code(0))
	require.NoError(t, err)
}

const betterPassword = "purple tractor under glass"

func TestWhoMustChangeTheirPasswordDoesAtLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.exec(t, "UPDATE users SET must_change_password = true")
	c := w.challenge(t, p)
	require.Equal(t, []string{"new_password"}, c.Methods)
	for _, refused := range []string{"short", goodPassword, "adaadaadaada"} {
		_, err := w.setPassword(t, c, refused)
		require.ErrorIs(t, err, is(contract.InvalidArgument), refused)
	}
	require.Equal(t, error(nil), w.Sessions.Check(bounded(t), w.sessions(t, p.access)[0].ID, w.tenant))
	in, err := w.setPassword(t, c, betterPassword)
	require.NoError(t, err)
	require.NotEmpty(t, in.AccessToken)
	require.Nil(t, in.Challenge)
	require.Len(t, w.sessions(t, in.AccessToken), 1, "whoever came in by the old one is out")
	require.Len(t, w.told(t, events.SessionsEnded), 1)
	require.Contains(t, strings.Join(w.told(t, events.UserAdministered), ""), `"change":"password_changed"`)
	require.Contains(t, w.told(t, events.LoginSucceeded)[1], `"methods":["password"]`)
	_, err = w.setPassword(t, c, betterPassword+"!")
	require.Equal(t, error(errChallenge), err)
	require.Equal(t, error(errLogin), w.try(t, p.email, goodPassword, "192.0.2.1"))
	require.NoError(t, w.try(t, p.email, betterPassword, "192.0.2.1"))
}

func TestNewPasswordsAreNotTriedForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.exec(t, "UPDATE users SET must_change_password = true")
	c := w.challenge(t, p)
	for range passwords {
		_, err := w.setPassword(t, c, "short")
		require.ErrorIs(t, err, is(contract.InvalidArgument))
	}
	_, err := w.setPassword(t, c, betterPassword)
	require.Equal(t, error(errChallenge), err)
}

func TestTheSecondFactorComesBeforeTheNewPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.requireSecondFactor(t)
	w.exec(t, "UPDATE users SET must_change_password = true")
	first := w.challenge(t, p)
	require.Equal(t, []string{"enrol_totp"}, first.Methods)
	_, err := w.setPassword(t, first, betterPassword)
	require.ErrorIs(t, err, is(contract.InvalidArgument), "not yet")
	shown, err := w.complete(t, first, "enrol_totp", "")
	require.NoError(t, err)
	second, err := w.complete(t, first, "enrol_totp", newAuthenticator(t, shown.Challenge.TOTP.Secret).code(0))
	require.NoError(t, err)
	require.Empty(t, second.AccessToken)
	require.Equal(t, []string{"new_password"}, second.Challenge.Methods)
	require.Len(t, second.RecoveryCodes, 10)
	require.NotEqual(t, first.Token, second.Challenge.Token)
	in, err := w.setPassword(t, second.Challenge, betterPassword)
	require.NoError(t, err)
	require.Nil(t, in.Challenge)
	require.Contains(t, strings.Join(w.told(t, events.LoginSucceeded), ""), `"methods":["password","totp"]`)
}

// The step after a new password looks at the account anew.
func TestAFactorEnrolledMeanwhileIsAskedForAfterTheNewPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	w.exec(t, "UPDATE users SET must_change_password = true")
	c := w.challenge(t, p)
	a := p.enrol(t)
	next, err := w.setPassword(t, c, betterPassword)
	require.NoError(t, err)
	require.Empty(t, next.AccessToken)
	_, err = w.complete(t, next.Challenge, "totp", a.code(1))
	require.NoError(t, err)
}
