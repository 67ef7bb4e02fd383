package parity

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/auth/passkeytest"
	"github.com/buildify/core/tests/stack"
)

// testIdentity tells people's and modules' stories from beginning to end, over
// HTTP as their browsers and programs would.
func testIdentity(t *testing.T, s *stack.Stack) {
	t.Parallel()
	for name, story := range map[string]func(*testing.T, *world){
		"invited, logged in, logged out":       testInvitation,
		"a forgotten password":                 testForgottenPassword,
		"an authenticator app":                 testAuthenticatorApp,
		"a passkey alone":                      testPasskey,
		"another tenant":                       testAnotherTenant,
		"a token for one module":               testModuleToken,
		"a key is rotated":                     testRotation,
		"a stolen refresh token":               testStolenRefreshToken,
		"login attempts are in the trail":      testLoginTrail,
		"a disabled user is out, and in again": testDisabledUser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, &world{fixture: fixture{s: s, ours: s.Company(t)}})
		})
	}
}

// world is a story's: a company, and calls over HTTP, or over the bus, that read
// easily.
type world struct {
	fixture
	bus bool
}

// by calls as the bearer of a token.
func (w *world) by(token string) stack.Caller {
	if w.bus {
		return stack.BusCaller{Conn: w.s.Operator, Bearer: token}
	}
	return stack.HTTPCaller{URL: w.s.HTTPURL, Bearer: token}
}

// as calls an operation as the bearer of a token, nobody's when it is empty; it
// must succeed.
func as[Req, Resp any](t *testing.T, w *world, token string, op contract.Operation[Req, Resp], r fields) *Resp {
	t.Helper()
	out, refused := w.by(token).Call(t, op.Spec, r.body())
	require.Nil(t, refused, op.Name)
	response := new(Resp)
	require.NoError(t, json.Unmarshal(out, response))
	return response
}

// refused is as for what must fail with the code; it returns the field at fault.
func (w *world) refused(t *testing.T, code contract.Code, token string, spec *contract.Spec, r fields) (field string) {
	t.Helper()
	_, refused := w.by(token).Call(t, spec, r.body())
	require.NotNil(t, refused, spec.Name)
	require.Equal(t, code, refused.Code, refused.Error())
	return refused.Field
}

// byModule asks as a module with its key.
func (w *world) byModule(t *testing.T, key string, spec *contract.Spec, r fields) (json.RawMessage, *contract.Error) {
	t.Helper()
	return stack.HTTPCaller{URL: w.s.HTTPURL, APIKey: key}.Call(t, spec, r.body())
}

func credentials(u stack.User) fields { return fields{"email": u.Email, "password": u.Password} }

func testInvitation(t *testing.T, w *world) {
	admin, u := w.ours.Token(t, w.ours.Admin), stack.User{Email: fresh() + "@example.com", Password: rand.Text()}
	made := as(t, w, admin, contract.CreateUser, fields{"email": u.Email, "name": "Ida Invited"})
	require.Equal(t, "invited", made.Status)
	w.refused(t, contract.Unauthenticated, "", contract.Login.Spec, credentials(u))
	link := w.s.LinkToken(t, u.Email)
	field := w.refused(t, contract.InvalidArgument, "", contract.ConfirmPasswordReset.Spec, fields{"token": link, "new_password": "short"})
	require.Equal(t, "new_password", field)
	as(t, w, "", contract.ConfirmPasswordReset, fields{"token": link, "new_password": u.Password})
	w.refused(t, contract.Unauthenticated, "", contract.ConfirmPasswordReset.Spec, fields{"token": link, "new_password": rand.Text()})

	in := as(t, w, "", contract.Login, credentials(u))
	me := as(t, w, in.AccessToken, contract.Me, fields{})
	require.Equal(t, "active", me.User.Status)
	require.Equal(t, w.ours.Tenant.ID, me.TenantID)
	require.Equal(t, in.SessionID, me.SessionID)
	next := as(t, w, "", contract.Refresh, fields{"refresh_token": in.RefreshToken})
	require.NotEqual(t, in.RefreshToken, next.RefreshToken)
	require.Equal(t, in.SessionID, next.SessionID)

	as(t, w, next.AccessToken, contract.Logout, fields{})
	for _, token := range []string{in.AccessToken, next.AccessToken} {
		w.refused(t, contract.Unauthenticated, token, contract.Me.Spec, fields{})
		w.awaitToken(t, token, false) // in another service
	}
	w.refused(t, contract.Unauthenticated, "", contract.Refresh.Spec, fields{"refresh_token": next.RefreshToken})
}

func testForgottenPassword(t *testing.T, w *world) {
	u, in := w.person(t)
	as(t, w, "", contract.RequestPasswordReset, fields{"email": u.Email})
	as(t, w, "", contract.RequestPasswordReset, fields{"email": fresh() + "@example.com"}) // tells the same
	password := rand.Text()
	as(t, w, "", contract.ConfirmPasswordReset, fields{"token": w.s.LinkToken(t, u.Email), "new_password": password})
	w.refused(t, contract.Unauthenticated, "", contract.Login.Spec, credentials(u))
	w.refused(t, contract.Unauthenticated, in.AccessToken, contract.Me.Spec, fields{})
	w.refused(t, contract.Unauthenticated, "", contract.Refresh.Spec, fields{"refresh_token": in.RefreshToken})
	u.Password = password
	require.NotEmpty(t, as(t, w, "", contract.Login, credentials(u)).AccessToken)
}

func testAuthenticatorApp(t *testing.T, w *world) {
	e := w.enrolled(t)
	challenge := func() fields {
		in := as(t, w, "", contract.Login, credentials(e.User))
		require.Empty(t, in.AccessToken+in.RefreshToken, "a challenge comes without tokens")
		require.ElementsMatch(t, []string{"totp", "recovery_code"}, in.Challenge.Methods)
		return fields{"challenge": in.Challenge.Token}
	}
	met := func(c fields, method, code string) fields {
		return fields{"challenge": c["challenge"], "method": method, "code": code}
	}
	first := challenge()
	w.refused(t, contract.Unauthenticated, first["challenge"].(string), contract.Me.Spec, fields{}) //nolint:errcheck // set above
	wrong := "000000"
	if totp(t, e.secret, e.used) == wrong {
		wrong = "111111"
	}
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, met(first, "totp", wrong))
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, met(first, "totp", totp(t, e.secret, e.used)))
	next := totp(t, e.secret, e.used.Add(30*time.Second)) // early, but good: that one was used to enrol
	in := as(t, w, "", contract.CompleteLogin, met(first, "totp", next))
	require.Equal(t, e.ID, as(t, w, in.AccessToken, contract.Me, fields{}).User.ID)
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, met(first, "recovery_code", e.codes[1])) // met once
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, met(challenge(), "totp", next))          // used once

	in = as(t, w, "", contract.CompleteLogin, met(challenge(), "recovery_code", e.codes[0]))
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, met(challenge(), "recovery_code", e.codes[0]))
	factors := as(t, w, in.AccessToken, contract.Factors, fields{})
	require.True(t, factors.TOTP)
	require.Equal(t, len(e.codes)-1, factors.RecoveryCodesLeft)
	as(t, w, in.AccessToken, contract.DisableTOTP, fields{})
	require.NotEmpty(t, as(t, w, "", contract.Login, credentials(e.User)).AccessToken)
}

func testPasskey(t *testing.T, w *world) {
	u, in := w.person(t)
	laptop := w.newPasskey(t, in.AccessToken)
	as(t, w, in.AccessToken, contract.FinishPasskey, laptop.register)
	begun := as(t, w, "", contract.BeginPasskeyLogin, fields{})
	require.Empty(t, begun.AccessToken)
	options, err := virtualwebauthn.ParseAssertionOptions(string(begun.Challenge.Passkey))
	require.NoError(t, err)
	answer := func(key virtualwebauthn.Credential) fields {
		device := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: laptop.handle})
		return fields{
			"challenge": begun.Challenge.Token, "method": "passkey",
			"passkey": json.RawMessage(virtualwebauthn.CreateAssertionResponse(w.relyingParty(), device, key, *options)),
		}
	}
	forged := passkeytest.NewCredential()
	forged.ID = laptop.key.ID
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, answer(forged))
	by := as(t, w, "", contract.CompleteLogin, answer(laptop.key))
	require.Equal(t, u.ID, by.User.ID)
	require.Equal(t, u.ID, as(t, w, by.AccessToken, contract.Me, fields{}).User.ID)
	w.refused(t, contract.Unauthenticated, "", contract.CompleteLogin.Spec, answer(laptop.key)) // the challenge is met
}

func testAnotherTenant(t *testing.T, w *world) {
	other := w.s.Company(t)
	u, in := w.person(t)
	w.refused(t, contract.NotFound, in.AccessToken, contract.SwitchTenant.Spec, fields{"tenant_id": other.Tenant.ID})
	membership := &contract.MembershipRequest{UserID: contract.ID(u.ID), TenantID: contract.ID(other.Tenant.ID)}
	stack.Do(t, w.s, contract.AddMembership, membership)
	other.Bind(t, u.ID, "administrator")
	items := as(t, w, in.AccessToken, contract.MyTenants, fields{}).Items
	require.Len(t, items, 2)
	require.True(t, items[0].Home && items[0].Current)
	there := as(t, w, in.AccessToken, contract.SwitchTenant, fields{"tenant_id": other.Tenant.ID})
	require.Equal(t, other.Tenant.ID, there.TenantID)
	require.Equal(t, other.Tenant.Code, as(t, w, there.AccessToken, contract.Me, fields{}).TenantCode)
	require.Equal(t, other.Tenant.ID, as(t, w, "", contract.Refresh, fields{"refresh_token": in.RefreshToken}).User.TenantID, "the session stays there")
	w.awaitToken(t, there.AccessToken, true)

	// What they may there, they may there only; and the trail is that tenant's.
	check := fields{"user_id": u.ID, "permission": other.Module + ":accounts:read", "tenant_id": other.Tenant.ID}
	out, refused := w.byModule(t, other.APIKey, contract.CheckPermission.Spec, check)
	require.Nil(t, refused)
	require.Contains(t, string(out), `"allowed":true`)
	_, refused = w.byModule(t, w.ours.APIKey, contract.CheckPermission.Spec, check)
	requireCode(t, contract.NotFound, "", refused)
	out, refused = w.byModule(t, w.ours.APIKey, contract.CheckPermission.Spec, fields{"user_id": u.ID, "permission": other.Module + ":accounts:read"})
	require.Nil(t, refused)
	require.Contains(t, string(out), `"allowed":false`)
	_, refused = w.byModule(t, other.APIKey, contract.LogAudit.Spec, fields{
		"user_id": u.ID, "tenant_id": other.Tenant.ID, "action": "abroad.test", "resource_type": "x",
	})
	require.Nil(t, refused)
	w.awaitTrail(t, there.AccessToken, "abroad.test", u.ID)
	require.Empty(t, w.trail(t, w.ours.Token(t, w.ours.Admin), "abroad.test"))
	w.awaitTrail(t, there.AccessToken, "auth.session.switched", u.ID)

	stack.Do(t, w.s, contract.RemoveMembership, membership)
	w.refused(t, contract.Unauthenticated, there.AccessToken, contract.Me.Spec, fields{})
	w.awaitToken(t, there.AccessToken, false)
	as(t, w, in.AccessToken, contract.Me, fields{}) // at home nothing changed
}

func testModuleToken(t *testing.T, w *world) {
	second := "m" + fresh()
	w.ours.EnableModule(t, second, true)
	secondKey := stack.Do(t, w.s, contract.CreateKey, &contract.CreateKeyRequest{Module: second, Environment: "dev"}).APIKey
	in := w.login(t, w.ours.Reader)
	token := as(t, w, in.AccessToken, contract.ModuleToken, fields{"module": w.ours.Module})
	require.Equal(t, w.ours.Module+":accounts:read", token.Scope)
	require.LessOrEqual(t, token.ExpiresIn, 300)
	verify := fields{"token": token.AccessToken}
	out, refused := w.byModule(t, w.ours.APIKey, contract.VerifyToken.Spec, verify)
	require.Nil(t, refused)
	var verified contract.VerifyResponse
	require.NoError(t, json.Unmarshal(out, &verified))
	require.Equal(t, w.ours.Reader.ID, verified.User.ID)
	require.Equal(t, token.Scope, verified.Scope)
	_, refused = w.byModule(t, secondKey, contract.VerifyToken.Spec, verify)
	requireCode(t, contract.Unauthenticated, "token", refused)
	w.refused(t, contract.Unauthenticated, token.AccessToken, contract.Me.Spec, fields{})
	w.refused(t, contract.Unauthenticated, token.AccessToken, contract.ModuleToken.Spec, fields{"module": second})

	// It ends with the session.
	as(t, w, in.AccessToken, contract.Logout, fields{})
	_, refused = w.byModule(t, w.ours.APIKey, contract.VerifyToken.Spec, verify)
	requireCode(t, contract.Unauthenticated, "token", refused)

	// The tenant may insist on such tokens.
	admin, in := w.ours.Token(t, w.ours.Admin), w.login(t, w.ours.Reader)
	as(t, w, admin, contract.SetSignInPolicy, fields{"second_factor": "optional", "accept_access_tokens": false})
	eventually(t, contract.Unauthenticated, "an ordinary token", func() *contract.Error {
		_, refused := w.byModule(t, w.ours.APIKey, contract.VerifyToken.Spec, fields{"token": in.AccessToken})
		return refused
	})
	token = as(t, w, in.AccessToken, contract.ModuleToken, fields{"module": w.ours.Module})
	_, refused = w.byModule(t, w.ours.APIKey, contract.VerifyToken.Spec, fields{"token": token.AccessToken})
	require.Nil(t, refused)
}

func testRotation(t *testing.T, w *world) {
	admin := w.ours.Token(t, w.ours.Admin)
	made := as(t, w, admin, contract.CreateKey, fields{
		"module": w.ours.Module, "environment": "dev", "tenants": []string{w.ours.Tenant.ID}, "operations": []string{"tenant.get"},
	})
	about := fields{"tenant_id": w.ours.Tenant.ID}
	works := func(key string) bool {
		_, refused := w.byModule(t, key, contract.GetTenant.Spec, about)
		return refused == nil
	}
	require.True(t, works(made.APIKey))
	next := as(t, w, admin, contract.RotateKey, fields{"id": made.ID, "overlap_seconds": 5})
	for _, key := range []string{made.APIKey, next.APIKey} {
		require.True(t, works(key), "both keys work in the overlap")
		_, err := w.s.ModuleBus(t, key)
		require.NoError(t, err)
	}
	_, refused := w.byModule(t, next.APIKey, contract.CheckPermission.Spec, fields{"user_id": w.ours.Reader.ID, "permission": "a:b"})
	requireCode(t, contract.PermissionDenied, "", refused) // the same rights, no more
	require.Equal(t, made.ID, as(t, w, admin, contract.GetKey, fields{"id": next.ID}).RotatedFrom)
	require.Eventually(t, func() bool { return !works(made.APIKey) }, stack.Timeout, 20*time.Millisecond)
	require.True(t, works(next.APIKey))
	last := as(t, w, admin, contract.RotateKey, fields{"id": next.ID, "overlap_seconds": 0})
	require.Eventually(t, func() bool { return !works(next.APIKey) }, stack.Timeout, 5*time.Millisecond)
	require.True(t, works(last.APIKey))
}

func testStolenRefreshToken(t *testing.T, w *world) {
	in := w.login(t, w.ours.Reader)
	next := as(t, w, "", contract.Refresh, fields{"refresh_token": in.RefreshToken})
	again := as(t, w, "", contract.Refresh, fields{"refresh_token": in.RefreshToken})
	require.Equal(t, next.RefreshToken, again.RefreshToken, "who races gets the same successor")
	w.pass(t, in.SessionID, time.Minute)
	w.refused(t, contract.Unauthenticated, "", contract.Refresh.Spec, fields{"refresh_token": in.RefreshToken})
	w.refused(t, contract.Unauthenticated, "", contract.Refresh.Spec, fields{"refresh_token": next.RefreshToken})
	w.refused(t, contract.Unauthenticated, next.AccessToken, contract.Me.Spec, fields{})
	w.awaitTrail(t, w.ours.Token(t, w.ours.Admin), "auth.refresh.reused", w.ours.Reader.ID)
}

// pass lets time pass for the spent refresh tokens of a session.
func (w *world) pass(t *testing.T, session string, time time.Duration) {
	t.Helper()
	conn, err := pgx.Connect(stack.Context(t), w.s.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(stack.Context(t))) }()
	tag, err := conn.Exec(stack.Context(t), `UPDATE auth.refresh_tokens SET spent_at = spent_at - $2::interval
		WHERE session_id = $1 AND spent_at IS NOT NULL`, session, time)
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected())
}

func testLoginTrail(t *testing.T, w *world) {
	admin := w.ours.Token(t, w.ours.Admin)
	w.refused(t, contract.Unauthenticated, "", contract.Login.Spec, fields{"email": w.ours.Reader.Email, "password": "wrong"})
	as(t, w, "", contract.Login, credentials(w.ours.Reader))
	failed := w.awaitTrail(t, admin, "auth.login.failed", w.ours.Reader.ID)
	require.Equal(t, "failure", failed.Outcome)
	require.NotContains(t, string(failed.Details), w.ours.Reader.Email, "personal data in an event")
	var login struct {
		Address string `json:"address"`
		Agent   string `json:"agent"`
	}
	require.NoError(t, json.Unmarshal(failed.Details, &login))
	require.Equal(t, "127.0.0.1", login.Address)
	require.Contains(t, login.Agent, "Go-http-client")
	require.Equal(t, "success", w.awaitTrail(t, admin, "auth.login.succeeded", w.ours.Reader.ID).Outcome)
	w.refused(t, contract.PermissionDenied, w.ours.Token(t, w.ours.Nobody), contract.ListAudit.Spec, fields{})
}

// trail are a tenant's audit events of an action, newest first.
func (w *world) trail(t *testing.T, token, action string) []contract.AuditEvent {
	t.Helper()
	return as(t, w, token, contract.ListAudit, fields{"action": action, "limit": 500}).Items
}

// awaitTrail waits until there is one of the user's.
func (w *world) awaitTrail(t *testing.T, token, action, user string) (found contract.AuditEvent) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, item := range w.trail(t, token, action) {
			if item.UserID == user {
				found = item
				return true
			}
		}
		return false
	}, stack.Timeout, 20*time.Millisecond, action)
	return found
}

func testDisabledUser(t *testing.T, w *world) {
	admin := w.ours.Token(t, w.ours.Admin)
	u, in := w.person(t)
	require.Equal(t, "disabled", as(t, w, admin, contract.DisableUser, fields{"user_id": u.ID}).Status)
	w.refused(t, contract.Unauthenticated, in.AccessToken, contract.Me.Spec, fields{})
	w.refused(t, contract.Unauthenticated, "", contract.Refresh.Spec, fields{"refresh_token": in.RefreshToken})
	w.refused(t, contract.Unauthenticated, "", contract.Login.Spec, credentials(u))
	require.Equal(t, "active", as(t, w, admin, contract.EnableUser, fields{"user_id": u.ID}).Status)
	w.refused(t, contract.Unauthenticated, in.AccessToken, contract.Me.Spec, fields{}) // what ended stays ended
	require.NotEmpty(t, as(t, w, "", contract.Login, credentials(u)).AccessToken)
	w.awaitTrail(t, admin, "auth.user.administered", w.ours.Admin.ID)
}
