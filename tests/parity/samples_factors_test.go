package parity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/auth/passkeytest"
	"github.com/buildify/core/tests/stack"
)

// factorSamples are of second factors, passkeys and what tenants ask for.
func factorSamples() map[string]sample {
	asNobody := func(_ *testing.T, f *fixture) request { return request{"{}", f.tokens.nobody} }
	enrolled := func(t *testing.T, f *fixture) request { return request{"{}", f.enrolled(t).token} }
	return map[string]sample{
		"auth.complete_login":      {request: challenged, want: func(t *testing.T, _ *fixture, got map[string]any) { require.NotEmpty(t, got["access_token"]) }},
		"auth.begin_passkey_login": {request: nothing},
		"auth.factors":             {request: asNobody},
		"auth.begin_totp":          {request: asNobody},
		"auth.confirm_totp": {request: func(t *testing.T, f *fixture) request {
			_, in := f.person(t)
			return request{fields{"code": totp(t, f.beginTOTP(t, in.AccessToken).Secret, time.Now())}.body(), in.AccessToken}
		}},
		"auth.disable_totp":       {request: enrolled},
		"auth.new_recovery_codes": {request: enrolled},
		"auth.begin_passkey":      {request: asNobody},
		"auth.finish_passkey": {request: func(t *testing.T, f *fixture) request {
			_, in := f.person(t)
			return request{f.newPasskey(t, in.AccessToken).register.body(), in.AccessToken}
		}},
		"auth.list_passkeys": {
			request: func(t *testing.T, f *fixture) request {
				_, token := f.withPasskey(t)
				return request{"{}", token}
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["items"], 1) },
		},
		"auth.delete_passkey": {
			request: func(t *testing.T, f *fixture) request {
				passkey, token := f.withPasskey(t)
				return request{fields{"passkey_id": passkey.ID}.body(), token}
			},
			foreign: func(t *testing.T, f *fixture) request {
				passkey, _ := f.withPasskey(t)
				return request{fields{"passkey_id": passkey.ID}.body(), f.tokens.nobody}
			},
			absent: func(_ *testing.T, f *fixture) request {
				return request{fields{"passkey_id": base64.RawURLEncoding.EncodeToString([]byte(rand.Text()))}.body(), f.tokens.nobody}
			},
		},
		"auth.sign_in_policy": {request: asNobody},
		"auth.set_sign_in_policy": {request: func(*testing.T, *fixture) request {
			return fields{"second_factor": "optional", "accept_access_tokens": true}.request()
		}},
	}
}

// challenged is a login that waits for a new password.
func challenged(t *testing.T, f *fixture) request {
	t.Helper()
	r := &contract.CreateUserRequest{
		TenantID: contract.ID(f.ours.Tenant.ID), Email: fresh() + "@example.com", Password: rand.Text(), MustChangePassword: true,
	}
	stack.Do(t, f.s, contract.CreateUser, r)
	in := stack.Do(t, f.s, contract.Login, &contract.LoginRequest{Email: r.Email, Password: r.Password})
	require.NotNil(t, in.Challenge)
	return fields{"challenge": in.Challenge.Token, "method": "new_password", "new_password": rand.Text()}.request()
}

// enrolment is somebody with an authenticator app.
type enrolment struct {
	stack.User
	token, secret string
	codes         []string // recovery codes
	used          time.Time
}

func (f *fixture) beginTOTP(t *testing.T, token string) (secret contract.TOTPSecret) {
	t.Helper()
	f.self(t, token, contract.BeginTOTP.Spec, fields{}, &secret)
	return secret
}

func (f *fixture) enrolled(t *testing.T) *enrolment {
	t.Helper()
	u, in := f.person(t)
	e := &enrolment{User: u, token: in.AccessToken, secret: f.beginTOTP(t, in.AccessToken).Secret, used: time.Now()}
	var codes contract.RecoveryCodes
	f.self(t, e.token, contract.ConfirmTOTP.Spec, fields{"code": totp(t, e.secret, e.used)}, &codes)
	e.codes = codes.RecoveryCodes
	return e
}

// totp is the code of a time: RFC 6238 with SHA-1, six digits, thirty seconds.
func totp(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	require.NoError(t, err)
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	code := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & (1<<31 - 1)
	return fmt.Sprintf("%06d", code%1_000_000)
}

// device is a browser's passkey, and what it answers to register it.
type device struct {
	key      virtualwebauthn.Credential
	handle   []byte // the user's, as the platform told it
	register fields
}

// newPasskey begins to register a passkey and answers as a browser would.
func (f *fixture) newPasskey(t *testing.T, token string) device {
	t.Helper()
	var begun contract.BeginPasskeyResponse
	f.self(t, token, contract.BeginPasskey.Spec, fields{}, &begun)
	options, err := virtualwebauthn.ParseAttestationOptions(string(begun.Options))
	require.NoError(t, err)
	d := device{key: passkeytest.NewCredential(), handle: []byte(options.UserID)}
	answer := virtualwebauthn.CreateAttestationResponse(f.relyingParty(), virtualwebauthn.NewAuthenticator(), d.key, *options)
	d.register = fields{"challenge": begun.Challenge, "name": "laptop", "passkey": json.RawMessage(answer)}
	return d
}

func (f *fixture) withPasskey(t *testing.T) (passkey contract.Passkey, token string) {
	t.Helper()
	_, in := f.person(t)
	f.self(t, in.AccessToken, contract.FinishPasskey.Spec, f.newPasskey(t, in.AccessToken).register, &passkey)
	return passkey, in.AccessToken
}

func (f *fixture) relyingParty() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{Name: "Buildify", ID: "localhost", Origin: f.s.PublicURL}
}
