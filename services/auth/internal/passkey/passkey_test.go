package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/services/auth/passkeytest"
)

var (
	site   = virtualwebauthn.RelyingParty{Name: "Buildify", ID: "core.example.com", Origin: "https://core.example.com:8443"}
	handle = []byte("0123456789abcdef")
)

func party(t testing.TB) *RelyingParty {
	t.Helper()
	r, err := New(&url.URL{Scheme: "https", Host: "core.example.com:8443", Path: "/somewhere"})
	require.NoError(t, err)
	return r
}

func ada(passkeys ...Passkey) Person {
	return Person{Handle: handle, Name: "ada@example.com", DisplayName: "Ada", Passkeys: passkeys}
}

// device is an authenticator with one credential.
type device struct {
	site          virtualwebauthn.RelyingParty
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
}

func newDevice() *device { return deviceWith(passkeytest.NewCredential()) }

func deviceWith(credential virtualwebauthn.Credential) *device {
	return &device{
		site:          site,
		authenticator: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: handle}),
		credential:    credential,
	}
}

func (d *device) create(t testing.TB, options json.RawMessage) json.RawMessage {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	require.NoError(t, err)
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(d.site, d.authenticator, d.credential, *parsed))
}

func (d *device) get(t testing.TB, options json.RawMessage) json.RawMessage {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	require.NoError(t, err)
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(d.site, d.authenticator, d.credential, *parsed))
}

func (d *device) registered(t testing.TB, r *RelyingParty) Passkey {
	t.Helper()
	ceremony, err := r.BeginRegistration(ada())
	require.NoError(t, err)
	k, err := r.FinishRegistration(ada(), ceremony.State, d.create(t, ceremony.Options))
	require.NoError(t, err)
	return k
}

// alone logs in by the passkey alone.
func (d *device) alone(t testing.TB, r *RelyingParty, p Person) (Passkey, error) {
	t.Helper()
	ceremony, err := r.BeginLogin()
	require.NoError(t, err)
	return r.FinishLogin(p, ceremony.State, d.get(t, ceremony.Options))
}

// second proves it as a second factor.
func (d *device) second(t testing.TB, r *RelyingParty, p Person) (Passkey, error) {
	t.Helper()
	ceremony, err := r.BeginSecondFactor(p)
	require.NoError(t, err)
	return r.FinishSecondFactor(p, ceremony.State, d.get(t, ceremony.Options))
}

func TestARegisteredPasskeyLogsIn(t *testing.T) {
	t.Parallel()
	r := party(t)
	for _, credential := range []virtualwebauthn.Credential{
		passkeytest.NewCredential(), virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA),
	} {
		d := deviceWith(credential)
		k := d.registered(t, r)
		require.Equal(t, d.credential.ID, k.ID)
		alone, err := d.alone(t, r, ada(k))
		require.NoError(t, err)
		require.Equal(t, k.ID, alone.ID)
		second, err := d.second(t, r, ada(alone))
		require.NoError(t, err)
		require.Equal(t, k.ID, second.ID)
	}
}

func TestWhatTheBrowserIsAskedFor(t *testing.T) {
	t.Parallel()
	r := party(t)
	k := newDevice().registered(t, r)
	ceremony, err := r.BeginRegistration(ada(k))
	require.NoError(t, err)
	var creation struct {
		RP                     struct{ ID string }
		User                   struct{ ID, Name, DisplayName string }
		Attestation            string
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		ExcludeCredentials     []struct{ ID string }
	}
	require.NoError(t, json.Unmarshal(ceremony.Options, &creation))
	require.Equal(t, "core.example.com", creation.RP.ID, "without the port")
	require.Equal(t, base64.RawURLEncoding.EncodeToString(handle), creation.User.ID)
	require.Equal(t, "ada@example.com", creation.User.Name)
	require.Equal(t, "Ada", creation.User.DisplayName)
	require.Equal(t, "none", creation.Attestation)
	require.Equal(t, "required", creation.AuthenticatorSelection.ResidentKey)
	require.Equal(t, "preferred", creation.AuthenticatorSelection.UserVerification)
	require.Len(t, creation.ExcludeCredentials, 1, "a device registers once")

	var request struct {
		RPID, UserVerification string
		AllowCredentials       []struct{ ID string }
	}
	ceremony, err = r.BeginLogin()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(ceremony.Options, &request))
	require.Equal(t, "required", request.UserVerification, "it is all there is")
	require.Empty(t, request.AllowCredentials, "nobody is told who has which")
	ceremony, err = r.BeginSecondFactor(ada(k))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(ceremony.Options, &request))
	require.Equal(t, "preferred", request.UserVerification)
	require.Equal(t, base64.RawURLEncoding.EncodeToString(k.ID), request.AllowCredentials[0].ID)
	require.Equal(t, "core.example.com", request.RPID)
}

func TestADeviceThatWasNotUnlockedIsASecondFactorOnly(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	d.authenticator.Options.UserNotVerified = true
	k := d.registered(t, r)
	_, err := d.second(t, r, ada(k))
	require.NoError(t, err)
	_, err = d.alone(t, r, ada(k))
	require.ErrorIs(t, err, ErrRefused)
}

func TestForgedRegistrationsAreRefused(t *testing.T) {
	t.Parallel()
	r := party(t)
	for name, forge := range map[string]func(*device){
		"another origin":                 func(d *device) { d.site.Origin = "https://core.example.com.evil.example" },
		"another port":                   func(d *device) { d.site.Origin = "https://core.example.com" },
		"without TLS":                    func(d *device) { d.site.Origin = "http://core.example.com:8443" },
		"another relying party":          func(d *device) { d.site.ID = "example.com" },
		"nobody was there":               func(d *device) { d.authenticator.Options.UserNotPresent = true },
		"backed up, but never to be":     func(d *device) { d.authenticator.Options.BackupState = true },
		"an id longer than WebAuthn has": func(d *device) { d.credential.ID = bytes.Repeat([]byte{1}, 1024) },
	} {
		d := newDevice()
		forge(d)
		ceremony, err := r.BeginRegistration(ada())
		require.NoError(t, err)
		_, err = r.FinishRegistration(ada(), ceremony.State, d.create(t, ceremony.Options))
		require.ErrorIs(t, err, ErrRefused, name)
	}
	d := newDevice()
	first, err := r.BeginRegistration(ada())
	require.NoError(t, err)
	other, err := r.BeginRegistration(ada())
	require.NoError(t, err)
	_, err = r.FinishRegistration(ada(), other.State, d.create(t, first.Options))
	require.ErrorIs(t, err, ErrRefused, "another ceremony's")
	stranger := Person{Handle: []byte("fedcba9876543210"), Name: "eve"}
	_, err = r.FinishRegistration(stranger, first.State, d.create(t, first.Options))
	require.ErrorIs(t, err, ErrRefused, "another person's")
	login, err := r.BeginLogin()
	require.NoError(t, err)
	_, err = r.FinishRegistration(ada(), first.State, d.get(t, login.Options))
	require.ErrorIs(t, err, ErrRefused, "an assertion")
}

func TestForgedLoginsAreRefused(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	k := d.registered(t, r)
	for name, forge := range map[string]func(*device){
		"another origin":             func(d *device) { d.site.Origin = "https://evil.example" },
		"another relying party":      func(d *device) { d.site.ID = "example.com" },
		"another key":                func(d *device) { d.credential.Key = passkeytest.NewCredential().Key },
		"another credential":         func(d *device) { d.credential.ID = []byte("another credential's id") },
		"nobody was there":           func(d *device) { d.authenticator.Options.UserNotPresent = true },
		"backed up, but never to be": func(d *device) { d.authenticator.Options.BackupState = true },
		"another person's handle":    func(d *device) { d.authenticator.Options.UserHandle = []byte("fedcba9876543210") },
	} {
		forged := *d
		forge(&forged)
		_, err := forged.alone(t, r, ada(k))
		require.ErrorIs(t, err, ErrRefused, "%s, alone", name)
		_, err = forged.second(t, r, ada(k))
		require.ErrorIs(t, err, ErrRefused, "%s, as a second factor", name)
	}
	anonymous := *d
	anonymous.authenticator.Options.UserHandle = nil
	_, err := anonymous.alone(t, r, ada(k))
	require.ErrorIs(t, err, ErrRefused, "no handle")

	first, err := r.BeginLogin()
	require.NoError(t, err)
	other, err := r.BeginLogin()
	require.NoError(t, err)
	_, err = r.FinishLogin(ada(k), other.State, d.get(t, first.Options))
	require.ErrorIs(t, err, ErrRefused, "another ceremony's")
	second, err := r.BeginSecondFactor(ada(k))
	require.NoError(t, err)
	_, err = r.FinishLogin(ada(k), second.State, d.get(t, second.Options))
	require.ErrorIs(t, err, ErrRefused, "begun as a second factor, which asks for less")
	_, err = r.FinishSecondFactor(ada(k), first.State, d.get(t, first.Options))
	require.ErrorIs(t, err, ErrRefused, "begun as a login")
	_, err = r.FinishLogin(ada(), first.State, d.get(t, first.Options))
	require.ErrorIs(t, err, ErrRefused, "a passkey that was removed")

	stolen := newDevice()
	theirs := stolen.registered(t, r)
	limited, err := r.BeginSecondFactor(ada(k))
	require.NoError(t, err)
	_, err = r.FinishSecondFactor(ada(k, theirs), limited.State, stolen.get(t, limited.Options))
	require.ErrorIs(t, err, ErrRefused, "not one that was asked for")
}

func TestACopiedAuthenticatorIsNoticed(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	d.credential.Counter = 7
	k := d.registered(t, r)
	for _, counter := range []uint32{7, 6, 1, 0} {
		d.credential.Counter = counter
		for _, use := range []func(testing.TB, *RelyingParty, Person) (Passkey, error){d.alone, d.second} {
			_, err := use(t, r, ada(k))
			require.ErrorIs(t, err, ErrCloned, counter)
			require.ErrorIs(t, err, ErrRefused)
		}
	}
	d.credential.Counter = 8
	k, err := d.alone(t, r, ada(k))
	require.NoError(t, err)
	_, err = d.alone(t, r, ada(k))
	require.ErrorIs(t, err, ErrCloned, "the new record holds the new counter")
}

// Synced passkeys do not count, and begin to be backed up when they like.
func TestSyncedPasskeysWork(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	k := d.registered(t, r)
	var err error
	for _, backup := range []struct{ eligible, backedUp bool }{{false, false}, {true, false}, {true, true}, {true, false}} {
		d.authenticator.Options.BackupEligible, d.authenticator.Options.BackupState = backup.eligible, backup.backedUp
		k, err = d.alone(t, r, ada(k))
		require.NoError(t, err)
		k, err = d.second(t, r, ada(k))
		require.NoError(t, err)
	}
}

func TestTheRecordHoldsWhatIsNeededOnly(t *testing.T) {
	t.Parallel()
	k := newDevice().registered(t, party(t))
	require.Less(t, len(k.Record), 1000)
	for _, personal := range []string{"ada@example.com", "Ada", base64.StdEncoding.EncodeToString(handle)} {
		require.NotContains(t, string(k.Record), personal)
	}
}

func TestAnAnswerNamesItsCredential(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	ceremony, err := r.BeginLogin()
	require.NoError(t, err)
	id, whose := Claimed(d.get(t, ceremony.Options))
	require.Equal(t, d.credential.ID, id)
	require.Equal(t, handle, whose)
	for _, answer := range answers {
		id, whose := Claimed(json.RawMessage(answer))
		require.Nil(t, id, answer)
		require.Nil(t, whose, answer)
	}
}

// answers are no browser's.
var answers = []string{
	"", "null", "{}", "[]", `"x"`, "{", `{"id":"","rawId":"","type":"public-key","response":{}}`,
	`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`,
	`{"id":"AA","rawId":"BB","type":"public-key","response":{}}`, strings.Repeat("[", 1000),
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	t.Parallel()
	r := party(t)
	k := newDevice().registered(t, r)
	registration, err := r.BeginRegistration(ada())
	require.NoError(t, err)
	login, err := r.BeginLogin()
	require.NoError(t, err)
	for _, answer := range answers {
		_, err := r.FinishRegistration(ada(), registration.State, json.RawMessage(answer))
		require.ErrorIs(t, err, ErrRefused, answer)
		_, err = r.FinishLogin(ada(k), login.State, json.RawMessage(answer))
		require.ErrorIs(t, err, ErrRefused, answer)
	}
}

// A record or a state that cannot be read is our trouble, not a refusal.
func TestBrokenStorageIsNoRefusal(t *testing.T) {
	t.Parallel()
	r, d := party(t), newDevice()
	login, err := r.BeginLogin()
	require.NoError(t, err)
	_, err = r.FinishLogin(ada(Passkey{Record: []byte("x")}), login.State, d.get(t, login.Options))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused)
	_, err = r.FinishLogin(ada(), []byte("x"), d.get(t, login.Options))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused)
}

func TestAPublicURLNeedsAHostName(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"http://127.0.0.1:8080", "https://[::1]", "https://"} {
		public, err := url.Parse(raw)
		require.NoError(t, err)
		_, err = New(public)
		require.ErrorContains(t, err, "needs a host name", raw)
	}
	_, err := New(&url.URL{Scheme: "http", Host: "localhost:8080"})
	require.NoError(t, err)
}

func FuzzAnswers(f *testing.F) {
	r, d := party(f), newDevice()
	k := d.registered(f, r)
	login, err := r.BeginLogin()
	require.NoError(f, err)
	registration, err := r.BeginRegistration(ada())
	require.NoError(f, err)
	for _, answer := range answers {
		f.Add([]byte(answer))
	}
	f.Add([]byte(d.get(f, login.Options)[1:]))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, err := r.FinishLogin(ada(k), login.State, answer); err != nil {
			require.ErrorIs(t, err, ErrRefused)
		}
		if _, err := r.FinishRegistration(ada(), registration.State, answer); err != nil {
			require.ErrorIs(t, err, ErrRefused)
		}
	})
}
