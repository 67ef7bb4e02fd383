package parity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// fixture is everyone who calls, made once for each running core.
type fixture struct {
	s *stack.Stack
	// ours is the tenant that requests are about, theirs another.
	ours, theirs *stack.Company
	// master holds all that a tenant can give, in ours.
	master, platform stack.User

	tokens struct{ master, nobody, platform, platformInOurs string }
	// badTokens and badKeys are refused wherever they are shown, by what is
	// wrong with them.
	badTokens, badKeys map[string]string

	// module is that of ours; elsewhere its key for theirs only; narrow its keys
	// for one operation, ours, and this machine.
	module, stranger, elsewhere *module
	narrow                      map[string]*module

	hooks    sync.Mutex // one at a time has something happen to ours' module
	upgraded bool
}

// module is a key and an open connection of it.
type module struct {
	key, id    string
	bus        *nats.Conn
	mu         sync.Mutex // one violation at a time
	violations chan error
}

func newFixture(t *testing.T, s *stack.Stack) *fixture {
	t.Helper()
	f := &fixture{s: s, ours: s.Company(t), theirs: s.Company(t), platform: s.PlatformAdmin(t)}
	f.ours.PutRole(t, "master", "*:**")
	f.master = f.ours.AddUser(t, "master")
	f.tokens.master, f.tokens.nobody = f.ours.Token(t, f.master), f.ours.Token(t, f.ours.Nobody)
	f.tokens.platform = f.login(t, f.platform).AccessToken
	f.tokens.platformInOurs = f.switched(t, f.login(t, f.platform).AccessToken, f.ours.Tenant.ID)
	f.makeKeys(t)
	f.manage(t)
	f.makeBadKeys(t)
	f.makeBadTokens(t)
	for _, token := range []string{f.tokens.master, f.tokens.platformInOurs} { // have reached every service
		require.Eventually(t, func() bool {
			_, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}.Call(t, contract.ListAudit.Spec, "{}")
			return refused == nil
		}, stack.Timeout, 5*time.Millisecond)
	}
	return f
}

func (f *fixture) makeKeys(t *testing.T) {
	t.Helper()
	f.module = f.connect(t, f.ours.APIKey)
	f.stranger = f.connect(t, f.theirs.APIKey)
	f.elsewhere = f.connect(t, f.createKey(t, &contract.CreateKeyRequest{Tenants: []string{f.theirs.Tenant.ID}}))
	f.narrow = map[string]*module{}
	for _, name := range contract.ModuleOperations() {
		f.narrow[name] = f.connect(t, f.createKey(t, &contract.CreateKeyRequest{
			Operations: []string{name}, Tenants: []string{f.ours.Tenant.ID}, CIDRs: []string{"127.0.0.0/8", "::1/128"},
		}))
	}
}

// without is a key that does not grant the operation, but another.
func (f *fixture) without(operation string) *module {
	for name, m := range f.narrow {
		if name != operation {
			return m
		}
	}
	return nil
}

func (f *fixture) makeBadKeys(t *testing.T) {
	t.Helper()
	f.badKeys = wrongKeys(t, f.ours.APIKey)
	f.badKeys["a key used from outside its CIDRs"] = f.createKey(t, &contract.CreateKeyRequest{CIDRs: []string{"192.0.2.0/24", "2001:db8::/32"}})

	revoked := f.createKey(t, &contract.CreateKeyRequest{})
	f.awaitKey(t, revoked, true)
	stack.Do(t, f.s, contract.RevokeKey, &contract.KeyRequest{ID: keyID(t, revoked)})
	f.awaitKey(t, revoked, false)
	f.badKeys["a revoked key"] = revoked

	leaked := f.createKey(t, &contract.CreateKeyRequest{})
	stack.Do(t, f.s, contract.ReportLeak, &contract.ReportLeakRequest{APIKey: leaked})
	f.awaitKey(t, leaked, false)
	f.badKeys["a key reported as leaked"] = leaked

	soon := time.Now().Add(time.Second)
	expired := f.createKey(t, &contract.CreateKeyRequest{ExpiresAt: &soon})
	f.awaitKey(t, expired, false)
	require.False(t, time.Now().Before(soon))
	f.badKeys["an expired key"] = expired
}

// wrongKeys are near misses of a valid key.
func wrongKeys(t *testing.T, key string) map[string]string {
	t.Helper()
	parsed, err := contract.ParseAPIKey(key)
	require.NoError(t, err)
	forged := contract.NewAPIKey(parsed.Environment, parsed.ID, strings.Repeat("0", 64))
	unknown := contract.NewAPIKey(parsed.Environment, "nobody-aaaaaaaaaaaaaaaa", strings.Repeat("0", 64))
	environment := contract.NewAPIKey("prod", parsed.ID, parsed.Secret[:64])
	return map[string]string{
		"garbage": "x", "a key with a character more": key + "0", "a key cut short": key[:len(key)-1],
		"a wrong secret": forged.Reveal(), "an unknown key": unknown.Reveal(), "a key of another environment": environment.Reveal(),
		"a key without a secret": "bfy_dev_" + parsed.ID + "_", "an endless key": strings.Repeat("a", 600),
	}
}

// awaitKey waits until the bridge takes a key, or does not.
func (f *fixture) awaitKey(t *testing.T, key string, good bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, refused := stack.HTTPCaller{URL: f.s.HTTPURL, APIKey: key}.Call(t, contract.GetTenant.Spec, fields{"tenant_id": f.ours.Tenant.ID}.body())
		return (refused == nil) == good
	}, stack.Timeout, 5*time.Millisecond)
}

// createKey makes a key of our module with what r says beside.
func (f *fixture) createKey(t *testing.T, r *contract.CreateKeyRequest) string {
	t.Helper()
	r.Module, r.Environment = f.ours.Module, "dev"
	return stack.Do(t, f.s, contract.CreateKey, r).APIKey
}

func keyID(t *testing.T, key string) string {
	t.Helper()
	parsed, err := contract.ParseAPIKey(key)
	require.NoError(t, err)
	return parsed.ID
}

func (f *fixture) connect(t *testing.T, key string) *module {
	t.Helper()
	m := &module{key: key, id: keyID(t, key), violations: make(chan error, 16)}
	var err error
	m.bus, err = f.s.ModuleBus(t, key, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { m.violations <- err }))
	require.NoError(t, err)
	return m
}

// requireViolation holds that the server refuses to publish on the subject, and
// that forged headers change nothing.
func (m *module) requireViolation(t *testing.T, subject, body string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	msg := &nats.Msg{Subject: subject, Reply: m.bus.NewInbox(), Data: []byte(body), Header: nats.Header{}}
	msg.Header.Set("Buildify-Principal", "service;")
	require.NoError(t, m.bus.PublishMsg(msg))
	select {
	case err := <-m.violations:
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.ErrorContains(t, err, `"`+subject+`"`)
	case <-time.After(stack.Timeout):
		require.Fail(t, "the server did not refuse the publish")
	}
}

// testBusDoor holds that no bad key opens a connection, nor none at all.
func testBusDoor(t *testing.T, f *fixture) {
	_, err := f.s.ModuleBus(t, "")
	require.ErrorIs(t, err, nats.ErrAuthorization)
	for name, key := range f.badKeys {
		t.Run(name, func(t *testing.T) {
			_, err := f.s.ModuleBus(t, key)
			require.ErrorIs(t, err, nats.ErrAuthorization)
		})
	}
	for _, token := range []string{f.tokens.platform, f.ours.Reader.Password} {
		_, err := f.s.ModuleBus(t, token)
		require.ErrorIs(t, err, nats.ErrAuthorization, "what is no key")
	}
}

// testVerify holds that no module is told that a bad token is good.
func testVerify(t *testing.T, f *fixture) {
	callers := map[string]stack.Caller{
		"http": stack.HTTPCaller{URL: f.s.HTTPURL, APIKey: f.module.key},
		"nats": stack.BusCaller{Conn: f.module.bus, KeyID: f.module.id},
		"core": stack.BusCaller{Conn: f.s.Operator},
	}
	for name, token := range f.badTokens {
		for transport, caller := range callers {
			if name == "a token made for a module" && transport != "core" {
				continue // the module's own: that is what it is for
			}
			t.Run(name+" over "+transport, func(t *testing.T) {
				_, refused := caller.Call(t, contract.VerifyToken.Spec, fields{"token": token}.body())
				require.NotNil(t, refused)
				if refused.Code != contract.NotFound { // of a user who is gone, or was never seen
					requireCode(t, contract.Unauthenticated, "token", refused)
				}
			})
		}
	}
}

func (f *fixture) login(t *testing.T, u stack.User) *contract.LoginResponse {
	t.Helper()
	in := stack.Do(t, f.s, contract.Login, &contract.LoginRequest{Email: u.Email, Password: u.Password})
	require.Nil(t, in.Challenge, "%v", in.Challenge)
	return in
}

func (f *fixture) switched(t *testing.T, token, tenant string) string {
	t.Helper()
	var answer contract.AccessTokenResponse
	f.self(t, token, contract.SwitchTenant.Spec, fields{"tenant_id": tenant}, &answer)
	return answer.AccessToken
}

// self calls an operation as a person; it must succeed.
func (f *fixture) self(t *testing.T, token string, spec *contract.Spec, r fields, answer any) {
	t.Helper()
	out, refused := stack.HTTPCaller{URL: f.s.HTTPURL, Bearer: token}.Call(t, spec, r.body())
	require.Nil(t, refused, spec.Name)
	require.NoError(t, json.Unmarshal(out, answer))
}

// person adds somebody to ours and logs them in.
func (f *fixture) person(t *testing.T, roles ...string) (stack.User, *contract.LoginResponse) {
	t.Helper()
	u := f.ours.AddUser(t, roles...)
	return u, f.login(t, u)
}

// makeBadTokens makes those that a token's look gives away, and those that only
// who knows of the world can refuse.
func (f *fixture) makeBadTokens(t *testing.T) {
	t.Helper()
	valid := f.tokens.master
	f.badTokens = forgeries(t, f.s, valid)
	f.badTokens["an API key"] = f.ours.APIKey
	var forModule contract.AccessTokenResponse
	f.self(t, valid, contract.ModuleToken.Spec, fields{"module": f.ours.Module}, &forModule)
	f.badTokens["a token made for a module"] = forModule.AccessToken
	f.badTokens["a refresh token"] = f.login(t, f.master).RefreshToken

	// Each of these was good, and then something happened.
	ended := f.login(t, f.master).AccessToken
	f.awaitToken(t, ended, true)
	f.self(t, ended, contract.Logout.Spec, fields{}, &contract.Empty{})
	f.badTokens["a token of a session that was logged out"] = ended

	f.badTokens["an expired token"] = f.s.ShortLivedToken(t, f.master, time.Second)

	u, in := f.person(t, "master")
	f.awaitToken(t, in.AccessToken, true)
	stack.Do(t, f.s, contract.DisableUser, &contract.UserRequest{TenantID: contract.ID(f.ours.Tenant.ID), UserID: contract.ID(u.ID)})
	f.badTokens["a token of a disabled user"] = in.AccessToken

	gone, in := f.person(t, "master")
	f.awaitToken(t, in.AccessToken, true)
	stack.Do(t, f.s, contract.DeleteUser, &contract.UserRequest{TenantID: contract.ID(f.ours.Tenant.ID), UserID: contract.ID(gone.ID)})
	f.badTokens["a token of a deleted user"] = in.AccessToken

	suspended := f.s.Company(t)
	f.badTokens["a token of a suspended tenant"] = suspended.Token(t, suspended.Admin)
	stack.Do(t, f.s, contract.SuspendTenant, &contract.TenantReasonRequest{TenantID: contract.ID(suspended.Tenant.ID)})

	for _, token := range f.badTokens { // what travels by event has arrived
		f.awaitToken(t, token, false)
	}
}

// awaitToken waits until a token is good, or not, in another service than the
// one that knows first.
func (f *fixture) awaitToken(t *testing.T, token string, good bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, refused := stack.HTTPCaller{URL: f.s.HTTPURL, Bearer: token}.Call(t, contract.ListAudit.Spec, "{}")
		return (refused == nil) == good
	}, stack.Timeout, 5*time.Millisecond)
}

// forgeries are tokens that nobody's key has signed, made after a valid one.
func forgeries(t *testing.T, s *stack.Stack, valid string) map[string]string {
	t.Helper()
	_, foreign, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(valid, claims)
	require.NoError(t, err)
	sign := func(method jwt.SigningMethod, key any, kid any) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"], token.Header["typ"] = kid, parsed.Header["typ"]
		signed, err := token.SignedString(key)
		require.NoError(t, err)
		return signed
	}
	kid := parsed.Header["kid"]
	var public []byte
	for _, key := range stack.Do(t, s, contract.JWKS, &contract.JWKSRequest{}).Keys {
		if key.KeyID == kid {
			public, err = base64.RawURLEncoding.DecodeString(key.X)
			require.NoError(t, err)
		}
	}
	require.NotEmpty(t, public)
	return map[string]string{
		"garbage":                                "abc",
		"a token cut short":                      valid[:len(valid)-4],
		"an altered token":                       strings.Replace(valid, ".", ".A", 1),
		"a token by alg none":                    sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid),
		"a token by HS256 with the public key":   sign(jwt.SigningMethodHS256, public, kid),
		"a token of a foreign key with our kid":  sign(jwt.SigningMethodEdDSA, foreign, kid),
		"a token of a key that nobody knows":     sign(jwt.SigningMethodEdDSA, foreign, "nobody"),
		"a token of a foreign key without a kid": sign(jwt.SigningMethodEdDSA, foreign, nil),
	}
}

// fresh is a name that nobody has.
func fresh() string { return strings.ToLower(rand.Text()[:12]) }
