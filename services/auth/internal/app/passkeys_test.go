package app

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/passkeytest"
)

var site = virtualwebauthn.RelyingParty{Name: "Buildify", ID: "core.example.com", Origin: "https://core.example.com"}

// device is an authenticator with one passkey.
type device struct {
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
}

func (d *device) id() string { return base64.RawURLEncoding.EncodeToString(d.credential.ID) }

// get answers a login's challenge.
func (d *device) get(t testing.TB, c *contract.Challenge) *contract.CompleteLoginRequest {
	t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(string(c.Passkey))
	require.NoError(t, err)
	return &contract.CompleteLoginRequest{
		Challenge: c.Token, Method: "passkey",
		Passkey: json.RawMessage(virtualwebauthn.CreateAssertionResponse(site, d.authenticator, d.credential, *options)),
	}
}

// create begins to register a new passkey and answers as a browser would.
func (p *person) create(t testing.TB) (*device, *contract.FinishPasskeyRequest) {
	t.Helper()
	begun, err := p.w.BeginPasskey(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
	options, err := virtualwebauthn.ParseAttestationOptions(string(begun.Options))
	require.NoError(t, err)
	d := &device{
		authenticator: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(options.UserID)}),
		credential:    passkeytest.NewCredential(),
	}
	return d, p.answer(t, begun, d)
}

func (p *person) answer(t testing.TB, begun *contract.BeginPasskeyResponse, d *device) *contract.FinishPasskeyRequest {
	t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(string(begun.Options))
	require.NoError(t, err)
	return &contract.FinishPasskeyRequest{
		Challenge: begun.Challenge, Name: " laptop ",
		Passkey: json.RawMessage(virtualwebauthn.CreateAttestationResponse(site, d.authenticator, d.credential, *options)),
	}
}

func (p *person) register(t testing.TB) *device {
	t.Helper()
	d, answer := p.create(t)
	k, err := p.w.FinishPasskey(p.ctx(t), answer)
	require.NoError(t, err)
	require.Equal(t, d.id(), k.ID)
	return d
}

func (p *person) passkeys(t testing.TB) []contract.Passkey {
	t.Helper()
	list, err := p.w.ListPasskeys(p.ctx(t), &contract.ListPasskeysRequest{})
	require.NoError(t, err)
	return list.Items
}

// anybody begins a login by passkey alone.
func (w *world) anybody(t testing.TB) *contract.Challenge {
	t.Helper()
	begun, err := w.BeginPasskeyLogin(from(t, "192.0.2.1"), &contract.BeginPasskeyLoginRequest{})
	require.NoError(t, err)
	require.Empty(t, begun.AccessToken)
	require.Equal(t, []string{"passkey"}, begun.Challenge.Methods)
	return begun.Challenge
}

func (w *world) met(t testing.TB, r *contract.CompleteLoginRequest) (*contract.LoginResponse, error) {
	t.Helper()
	return w.CompleteLogin(from(t, "192.0.2.1"), r)
}

func TestAPasskeyAloneLogsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	require.Empty(t, p.passkeys(t))
	d := p.register(t)
	require.Equal(t, uuid.MustParse(p.id), uuid.UUID(d.authenticator.Options.UserHandle))
	listed := p.passkeys(t)
	require.Len(t, listed, 1)
	require.Equal(t, "laptop", listed[0].Name)
	require.Nil(t, listed[0].LastUsedAt)
	require.Equal(t, listed, p.factors(t).Passkeys)
	require.JSONEq(t, `{"user_id":"`+p.id+`","factor":"passkey","change":"enrolled"}`, w.told(t, events.FactorChanged)[0])

	c := w.anybody(t)
	in, err := w.met(t, d.get(t, c))
	require.NoError(t, err)
	require.Nil(t, in.Challenge, "the device and its unlocking are two factors")
	require.Equal(t, p.id, in.User.ID)
	require.Contains(t, w.told(t, events.LoginSucceeded)[1], `"methods":["passkey"]`)
	require.NotNil(t, p.passkeys(t)[0].LastUsedAt)
	_, err = w.met(t, d.get(t, c))
	require.Equal(t, error(errChallenge), err, "a challenge is met once")
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, other := w.person(t, "ada@example.com"), w.person(t, "bob@example.com")
	d, theirs := p.register(t), other.register(t)
	c := w.challenge(t, p)
	require.Equal(t, []string{"passkey"}, c.Methods)
	_, err := w.met(t, theirs.get(t, c))
	require.Equal(t, error(errPasskey), err, "another person's")
	d.authenticator.Options.UserNotVerified = true
	in, err := w.met(t, d.get(t, c))
	require.NoError(t, err, "after a password, having the device is enough")
	require.Equal(t, p.id, in.User.ID)
	require.Contains(t, strings.Join(w.told(t, events.LoginSucceeded), ""), `"methods":["password","passkey"]`)
	_, err = w.met(t, d.get(t, w.anybody(t)))
	require.Equal(t, error(errPasskey), err, "alone, it is not")

	codes, err := w.NewRecoveryCodes(p.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err, "for who lost the device")
	c = w.challenge(t, p)
	require.Equal(t, []string{"passkey", "recovery_code"}, c.Methods)
	_, err = w.complete(t, c, "recovery_code", codes.RecoveryCodes[0])
	require.NoError(t, err)
}

func TestAPasskeyAloneIsEnoughWhereASecondFactorIsRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d := p.register(t)
	w.requireSecondFactor(t)
	require.Equal(t, []string{"passkey"}, w.challenge(t, p).Methods)
	in, err := w.met(t, d.get(t, w.anybody(t)))
	require.NoError(t, err)
	require.NotEmpty(t, in.AccessToken)
}

func TestForgedPasskeyLoginsAreRefusedAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d := p.register(t)
	for name, forged := range map[string]struct {
		change func(*device)
		tenant string
	}{
		"another key":                    {func(d *device) { d.credential.Key = passkeytest.NewCredential().Key }, w.tenant},
		"not unlocked":                   {func(d *device) { d.authenticator.Options.UserNotVerified = true }, w.tenant},
		"a passkey that nobody has":      {func(d *device) { d.credential = passkeytest.NewCredential() }, events.Platform},
		"another person's handle":        {func(d *device) { d.authenticator.Options.UserHandle = []byte("0123456789abcdef") }, events.Platform},
		"an e-mail address for a handle": {func(d *device) { d.authenticator.Options.UserHandle = []byte(p.email) }, events.Platform},
		"no handle":                      {func(d *device) { d.authenticator.Options.UserHandle = nil }, events.Platform},
	} {
		w.exec(t, "DELETE FROM outbox")
		copied := *d
		forged.change(&copied)
		_, err := w.met(t, copied.get(t, w.anybody(t)))
		require.Equal(t, error(errPasskey), err, name)
		told := w.outbox(t)
		require.Len(t, told, 1, name)
		require.True(t, events.LoginFailed.Is(told[0]))
		require.Equal(t, forged.tenant, events.Extension(told[0], events.TenantID), name)
		require.Equal(t, "failure", events.Extension(told[0], events.Outcome))
		require.NotContains(t, string(told[0].Data()), "ada@")
	}
	for _, answer := range []string{"null", "{}", `"x"`, "[]", `{"id":"AA"}`} {
		_, err := w.met(t, &contract.CompleteLoginRequest{Challenge: w.anybody(t).Token, Method: "passkey", Passkey: []byte(answer)})
		require.Equal(t, error(errPasskey), err, answer)
	}
	c := w.anybody(t)
	_, err := w.met(t, &contract.CompleteLoginRequest{Challenge: c.Token, Method: "passkey"})
	require.ErrorIs(t, err, is(contract.InvalidArgument))
	stale := d.get(t, w.anybody(t))
	for range guesses {
		stale.Challenge = c.Token
		_, err = w.met(t, stale)
		require.Equal(t, error(errPasskey), err, "another ceremony's answer")
	}
	_, err = w.met(t, d.get(t, c))
	require.Equal(t, error(errChallenge), err, "it was answered too often")
	w.challenge(t, p) // nobody is slowed down by answers that cannot be guessed
}

func TestACopiedPasskeyIsRefusedAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d := p.register(t)
	d.credential.Counter = 5
	_, err := w.met(t, d.get(t, w.anybody(t)))
	require.NoError(t, err)
	d.credential.Counter = 3
	kept := w.stored(t, "passkeys")
	for _, c := range []*contract.Challenge{w.anybody(t), w.challenge(t, p)} {
		w.exec(t, "DELETE FROM outbox")
		_, err = w.met(t, d.get(t, c))
		require.Equal(t, error(errPasskey), err)
		require.JSONEq(t, `{"user_id":"`+p.id+`","factor":"passkey","change":"clone_suspected"}`, w.told(t, events.FactorChanged)[0])
		require.Contains(t, w.told(t, events.LoginFailed)[0], "a copy may be in use")
	}
	require.Equal(t, kept, w.stored(t, "passkeys"))
	d.credential.Counter = 6
	_, err = w.met(t, d.get(t, w.anybody(t)))
	require.NoError(t, err, "the true one goes on")
}

// Two copies that answer at once cannot both get ahead of the counter.
func TestACounterIsUsedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d := p.register(t)
	d.credential.Counter = 1
	var answers []*contract.CompleteLoginRequest
	for range 4 {
		answers = append(answers, d.get(t, w.anybody(t)))
	}
	require.Equal(t, map[error]int{nil: 1, errPasskey: 3}, atOnce(len(answers), func(i int) error {
		_, err := w.met(t, answers[i])
		return err
	}))
}

func TestWhoseAccountIsBarredGetsInByNoPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d := p.register(t)
	w.exec(t, "UPDATE users SET disabled_at = now()")
	_, err := w.met(t, d.get(t, w.anybody(t)))
	require.Equal(t, error(errChallenge), err, "disabled")
	w.exec(t, "UPDATE users SET disabled_at = NULL, deleted_at = now()")
	_, err = w.met(t, d.get(t, w.anybody(t)))
	require.Equal(t, error(errChallenge), err, "deleted")
	w.exec(t, "UPDATE users SET deleted_at = NULL")
	w.activate(false, 2)
	_, err = w.met(t, d.get(t, w.anybody(t)))
	require.Equal(t, error(errChallenge), err, "the tenant is suspended")
	w.activate(true, 3)
	c := w.anybody(t)
	_, err = w.DeletePasskey(p.ctx(t), &contract.DeletePasskeyRequest{PasskeyID: d.id()})
	require.NoError(t, err)
	_, err = w.met(t, d.get(t, c))
	require.Equal(t, error(errPasskey), err, "the passkey was removed")
	require.Empty(t, w.told(t, events.LoginSucceeded)[1:])
}

func TestARegistrationIsFinishedOnceByWhoBeganIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, other := w.person(t, "ada@example.com"), w.person(t, "bob@example.com")
	finish := func(p *person, r *contract.FinishPasskeyRequest) (err error) {
		_, err = w.FinishPasskey(p.ctx(t), r)
		return err
	}
	refused := func(err error, field, why string) {
		t.Helper()
		var wire *contract.Error
		require.ErrorAs(t, err, &wire, why)
		require.Equal(t, contract.InvalidArgument, wire.Code, why)
		require.Equal(t, field, wire.Field, why)
	}
	_, answer := p.create(t)
	refused(finish(other, answer), "challenge", "another person's challenge")
	login := *answer
	login.Challenge = w.anybody(t).Token
	refused(finish(p, &login), "challenge", "a login's challenge")
	require.NoError(t, finish(p, answer))
	refused(finish(p, answer), "challenge", "finished already")

	_, answer = p.create(t)
	w.exec(t, "UPDATE challenges SET expires_at = now()")
	refused(finish(p, answer), "challenge", "expired")

	_, answer = p.create(t)
	_, stale := p.create(t)
	stale.Challenge = answer.Challenge
	refused(finish(p, stale), "passkey", "another ceremony's answer")
	refused(finish(p, answer), "challenge", "after a forged answer")
	_, answer = p.create(t)
	answer.Passkey = nil
	refused(finish(p, answer), "passkey", "no answer")
	require.Len(t, p.passkeys(t), 1)
	require.Len(t, w.told(t, events.FactorChanged), 1)

	// A credential belongs to one account.
	taken := p.register(t)
	begun, err := w.BeginPasskey(other.ctx(t), &contract.FactorProofRequest{})
	require.NoError(t, err)
	require.ErrorIs(t, finish(other, other.answer(t, begun, taken)), is(contract.Conflict))
	_, err = w.DeletePasskey(other.ctx(t), &contract.DeletePasskeyRequest{PasskeyID: taken.id()})
	require.ErrorIs(t, err, is(contract.NotFound))
	for _, id := range []string{"AAAA", "A", "-", taken.id() + "AAAA"} {
		_, err = w.DeletePasskey(p.ctx(t), &contract.DeletePasskeyRequest{PasskeyID: id})
		require.ErrorIs(t, err, is(contract.NotFound), id)
	}
	require.Len(t, p.passkeys(t), 2)
	require.Empty(t, other.passkeys(t))
}

func TestPasskeysAreNotCollectedForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	d, late := p.create(t)
	p.register(t)
	for i := range maxPasskeys - 1 {
		w.exec(t, `INSERT INTO passkeys (id, user_id, tenant_id, name, credential)
			SELECT $1::text::bytea, user_id, tenant_id, '', credential FROM passkeys LIMIT 1`, fmt.Sprint(i))
	}
	_, err := w.BeginPasskey(p.ctx(t), &contract.FactorProofRequest{})
	require.ErrorIs(t, err, is(contract.Conflict))
	_, err = w.FinishPasskey(p.ctx(t), late)
	require.ErrorIs(t, err, is(contract.Conflict), "begun before")
	require.NotEmpty(t, d.id())
	require.Len(t, p.passkeys(t), maxPasskeys)
}
