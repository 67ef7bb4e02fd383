// Package passkey registers and verifies passkeys (WebAuthn Level 3) with the
// platform as the relying party.
//
// Every passkey is a discoverable credential, so that each can be used alone.
// User verification, the unlocking of the device by PIN or biometrics, is
// required where a passkey is the sole credential: the device and its unlocking
// are then the two factors. It is preferred while registering and after a
// password, where having the device is enough: a security key without a PIN
// makes a good second factor.
package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ErrRefused says that a browser's answer proves nothing; what it wraps says
// why, for logs only.
var ErrRefused = errors.New("passkey refused")

// ErrCloned says that the signature is good, but its counter did not grow: a
// copy of the authenticator may be in use. It is an ErrRefused too.
var ErrCloned = fmt.Errorf("%w: its counter did not grow", ErrRefused)

// RelyingParty holds ceremonies. It is safe for concurrent use.
type RelyingParty struct{ web *webauthn.WebAuthn }

// Person is whose passkeys they are.
type Person struct {
	// Handle is what authenticators know the person by, at most 64 bytes. It must
	// say nothing about them.
	Handle []byte
	// Name and DisplayName are shown by the browser.
	Name, DisplayName string
	Passkeys          []Passkey
}

// Passkey is a registered credential.
type Passkey struct {
	ID []byte
	// Record is the credential record of WebAuthn as JSON: public key, counter,
	// flags, transports. Each use yields the record to keep from then on.
	Record json.RawMessage
}

// Ceremony is a begun exchange with a browser.
type Ceremony struct {
	// Options go to the browser, in the form that its
	// PublicKeyCredential.parse…OptionsFromJSON reads.
	Options json.RawMessage
	// State is what finishing needs; it must not reach the browser, and serve once.
	State json.RawMessage
}

// New returns the relying party of the URL where browsers reach the platform:
// passkeys are bound to its host and accepted from its origin alone. Browsers
// want a host name, not an address, and https for all but localhost.
func New(public *url.URL) (*RelyingParty, error) {
	err := protocol.ValidateRPID(public.Hostname())
	if err != nil {
		return nil, fmt.Errorf("passkeys for %q: %w: the public URL needs a host name, as in https://core.example.com or http://localhost:8080",
			public.Redacted(), err)
	}
	web, err := webauthn.New(&webauthn.Config{
		RPID: public.Hostname(), RPDisplayName: "Buildify", RPOrigins: []string{public.Scheme + "://" + public.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(), ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationPreferred,
		},
		// Some password managers answer extensions that nobody asked for; none is read.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys for %q: %w", public.Redacted(), err)
	}
	return &RelyingParty{web}, nil
}

// BeginRegistration starts to make a passkey on a device that has none of the
// person's yet.
func (r *RelyingParty) BeginRegistration(p Person) (Ceremony, error) {
	user, err := userOf(p)
	if err != nil {
		return Ceremony{}, err
	}
	creation, session, err := r.web.BeginRegistration(user,
		webauthn.WithExclusions(webauthn.Credentials(user.credentials).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, err
	}
	return begun(creation.Response, session)
}

// FinishRegistration verifies the browser's RegistrationResponseJSON. Whether
// another person has the credential is the caller's to check.
func (r *RelyingParty) FinishRegistration(p Person, state, answer json.RawMessage) (Passkey, error) {
	session, err := sessionOf(state)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	user, err := userOf(p)
	if err != nil {
		return Passkey{}, err
	}
	credential, err := r.web.CreateCredential(user, session, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	// None was asked for, nothing is judged by it, and it can name the device.
	credential.Attestation = webauthn.CredentialAttestation{}
	return kept(credential)
}

// BeginSecondFactor starts to prove that a known person has one of their
// passkeys.
func (r *RelyingParty) BeginSecondFactor(p Person) (Ceremony, error) {
	user, err := userOf(p)
	if err != nil {
		return Ceremony{}, err
	}
	assertion, session, err := r.web.BeginLogin(user)
	if err != nil {
		return Ceremony{}, err
	}
	return begun(assertion.Response, session)
}

// FinishSecondFactor verifies the browser's AuthenticationResponseJSON and
// returns the passkey with its new record.
func (r *RelyingParty) FinishSecondFactor(p Person, state, answer json.RawMessage) (Passkey, error) {
	return r.finish(p, state, answer, func(user *user, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
		return r.web.ValidateLogin(user, session, parsed)
	})
}

// BeginLogin starts a login by a passkey alone, of whomever it belongs to.
func (r *RelyingParty) BeginLogin() (Ceremony, error) {
	assertion, session, err := r.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, err
	}
	return begun(assertion.Response, session)
}

// FinishLogin is FinishSecondFactor after BeginLogin; p is the person that
// Claimed led to.
func (r *RelyingParty) FinishLogin(p Person, state, answer json.RawMessage) (Passkey, error) {
	return r.finish(p, state, answer, func(user *user, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
		_, credential, err := r.web.ValidatePasskeyLogin(
			func(_, _ []byte) (webauthn.User, error) { return user, nil }, session, parsed)
		return credential, err
	})
}

// Claimed is the credential and the person's handle that an answer names; nil
// when it is no answer of a browser. It proves nothing.
func Claimed(answer json.RawMessage) (id, handle []byte) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, nil
	}
	return parsed.RawID, parsed.Response.UserHandle
}

type validate func(*user, webauthn.SessionData, *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error)

func (r *RelyingParty) finish(p Person, state, answer json.RawMessage, validate validate) (Passkey, error) {
	session, err := sessionOf(state)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	user, err := userOf(p)
	if err != nil {
		return Passkey{}, err
	}
	user.followBackup(parsed)
	credential, err := validate(user, session, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	if credential.Authenticator.CloneWarning {
		return Passkey{ID: credential.ID}, ErrCloned
	}
	return kept(credential)
}

// user is a Person as the library sees one.
type user struct {
	Person
	credentials []webauthn.Credential
}

func userOf(p Person) (*user, error) {
	u := &user{Person: p, credentials: make([]webauthn.Credential, len(p.Passkeys))}
	for i, k := range p.Passkeys {
		if err := json.Unmarshal(k.Record, &u.credentials[i]); err != nil {
			return nil, fmt.Errorf("passkey record: %w", err)
		}
	}
	return u, nil
}

func (u *user) WebAuthnID() []byte                         { return u.Handle }
func (u *user) WebAuthnName() string                       { return u.Name }
func (u *user) WebAuthnDisplayName() string                { return u.DisplayName }
func (u *user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// followBackup takes the flag "backup eligible" as the answer has it. It should
// never change, and the library refuses it when it does; but it does, with
// passkeys that were made before the device began to sync, and nothing here is
// decided by it.
func (u *user) followBackup(parsed *protocol.ParsedCredentialAssertionData) {
	for i := range u.credentials {
		if bytes.Equal(u.credentials[i].ID, parsed.RawID) {
			u.credentials[i].Flags.BackupEligible = parsed.Response.AuthenticatorData.Flags.HasBackupEligible()
		}
	}
}

func begun(options any, session *webauthn.SessionData) (Ceremony, error) {
	public, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, err
	}
	state, err := json.Marshal(session)
	return Ceremony{Options: public, State: state}, err
}

func sessionOf(state json.RawMessage) (session webauthn.SessionData, err error) {
	if err = json.Unmarshal(state, &session); err != nil {
		err = fmt.Errorf("passkey ceremony: %w", err)
	}
	return session, err
}

func kept(credential *webauthn.Credential) (Passkey, error) {
	record, err := json.Marshal(credential)
	return Passkey{ID: credential.ID, Record: record}, err
}

// refused keeps the library's details, which its errors do not print.
func refused(err error) error {
	var detailed *protocol.Error
	if errors.As(err, &detailed) && detailed.DevInfo != "" {
		return fmt.Errorf("%w: %w (%s)", ErrRefused, err, detailed.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}
