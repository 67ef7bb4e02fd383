package browser

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// client is what a page does with passkeys, by nothing but the browser's own
// means and the REST API. Each step answers {refused: code} or {body}.
const client = `
const call = async (method, path, body, token) => {
	const headers = {'Content-Type': 'application/json'};
	if (token) headers.Authorization = 'Bearer ' + token;
	const answer = await fetch('/api/v1/auth' + path, {method, headers, body: body && JSON.stringify(body)});
	const json = await answer.json();
	return answer.ok ? {body: json} : {refused: json.code};
};
const create = async (options) => (await navigator.credentials.create(
	{publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)})).toJSON();
const get = async (options) => (await navigator.credentials.get(
	{publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})).toJSON();
const caught = (error) => ({refused: error.name});
window.register = async (token) => {
	const begun = await call('POST', '/passkeys/begin', {}, token);
	if (begun.refused) return begun;
	const passkey = await create(begun.body.options);
	return call('POST', '/passkeys', {challenge: begun.body.challenge, name: 'this browser', passkey}, token);
};
const meet = async (begun) => begun.refused ? begun : call('POST', '/login/complete', {
	challenge: begun.body.challenge.token, method: 'passkey', passkey: await get(begun.body.challenge.passkey)});
window.alone = async () => meet(await call('POST', '/login/passkey', {}));
window.second = async (email, password) => meet(await call('POST', '/login', {email, password}));
window.me = async (token) => call('GET', '/me', undefined, token);
window.tried = (step) => step.catch(caught);
`

// answer is what a step of the client came to.
type answer[T any] struct {
	Refused string
	Body    T
}

// step runs a step of the client; its arguments become JavaScript's.
func step[T any](t *testing.T, p *page, name string, args ...any) answer[T] {
	t.Helper()
	expression := "tried(" + name + "("
	for _, arg := range args {
		text, err := json.Marshal(arg)
		require.NoError(t, err)
		expression += string(text) + ","
	}
	raw, err := chromedp.Run(p.ctx, chromedp.Evaluate[json.RawMessage](expression+"))",
		chromedp.EvalAwaitPromise, chromedp.EvalAsValue, func(r *runtime.EvaluateParams) { r.UserGesture = new(true) }))
	require.NoError(t, err)
	var a answer[T]
	require.NoError(t, json.Unmarshal(raw, &a), string(raw))
	return a
}

func TestARealBrowserRegistersAPasskeyAndLogsInWithIt(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	company := s.Company(t)
	u := company.AddUser(t)
	p := open(t)
	at := func(url string) {
		t.Helper()
		require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(url+"/"), chromedp.WaitVisible("h1")))
		_, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](client))
		require.NoError(t, err)
	}
	at(s.PublicURL)
	device := p.authenticator(t)

	registered := step[contract.Passkey](t, p, "register", company.Token(t, u))
	require.Empty(t, registered.Refused)
	require.Equal(t, "this browser", registered.Body.Name)
	again := step[contract.Passkey](t, p, "register", company.Token(t, company.Nobody))
	require.Empty(t, again.Refused, "the same device serves another person")

	in := step[contract.LoginResponse](t, p, "second", u.Email, u.Password)
	require.Empty(t, in.Refused)
	require.Equal(t, u.ID, in.Body.User.ID, "as a second factor")
	twice := step[contract.Passkey](t, p, "register", in.Body.AccessToken)
	require.Equal(t, "InvalidStateError", twice.Refused, "the browser knows that it has one already")

	// Alone, the browser would ask which of the two it is to be.
	id, err := base64.RawURLEncoding.DecodeString(again.Body.ID)
	require.NoError(t, err)
	_, err = chromedp.Call(p.ctx, webauthn.RemoveCredential, webauthn.RemoveCredentialParams{AuthenticatorID: device, CredentialID: id})
	require.NoError(t, err)
	in = step[contract.LoginResponse](t, p, "alone")
	require.Empty(t, in.Refused)
	require.Equal(t, u.ID, in.Body.User.ID)
	me := step[contract.MeResponse](t, p, "me", in.Body.AccessToken)
	require.Equal(t, u.ID, me.Body.User.ID)
	require.Equal(t, []string{"passkey"}, me.Body.User.SecondFactors)

	override := func(bits webauthn.SetResponseOverrideBitsParams) {
		t.Helper()
		bits.AuthenticatorID = device
		_, err := chromedp.Call(p.ctx, webauthn.SetResponseOverrideBits, bits)
		require.NoError(t, err)
	}
	override(webauthn.SetResponseOverrideBitsParams{IsBogusSignature: new(true)})
	require.Equal(t, string(contract.Unauthenticated), step[contract.LoginResponse](t, p, "alone").Refused, "a bogus signature")
	override(webauthn.SetResponseOverrideBitsParams{IsBadUV: new(true)})
	require.Equal(t, string(contract.Unauthenticated), step[contract.LoginResponse](t, p, "alone").Refused, "a device that was not unlocked")
	require.Empty(t, step[contract.LoginResponse](t, p, "second", u.Email, u.Password).Refused, "after a password that is enough")
	override(webauthn.SetResponseOverrideBitsParams{IsBadUP: new(true)})
	require.Equal(t, string(contract.Unauthenticated), step[contract.LoginResponse](t, p, "second", u.Email, u.Password).Refused, "nobody was there")
	override(webauthn.SetResponseOverrideBitsParams{})
	require.Empty(t, step[contract.LoginResponse](t, p, "alone").Refused)

	// The same core by another name is another site to the browser.
	at(s.HTTPURL)
	require.Equal(t, "SecurityError", step[contract.LoginResponse](t, p, "alone").Refused)
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.troubles)
}

// authenticator plugs a virtual device into the browser: one that holds
// passkeys and is unlocked by its owner, as a laptop's own.
func (p *page) authenticator(t *testing.T) webauthn.AuthenticatorID {
	t.Helper()
	_, err := chromedp.Call(p.ctx, webauthn.Enable, webauthn.EnableParams{})
	require.NoError(t, err)
	added, err := chromedp.Call(p.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	})
	require.NoError(t, err)
	return added.AuthenticatorID
}
