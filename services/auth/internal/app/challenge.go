package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// challengeLifetime is how long a challenge waits.
const challengeLifetime = 5 * time.Minute

// How many answers a challenge takes: few where an answer can be guessed, more
// where a policy refuses one password after the other.
const (
	guesses   = 5
	passwords = 20
)

// What challenges are for.
const (
	toLogIn           = "login"
	toRegisterPasskey = "register_passkey"
)

// waiting is what a challenge keeps, sealed, until it is met.
type waiting struct {
	// Done are the methods that the login proved, Methods those that meet the
	// challenge.
	Done    []string `json:"done,omitempty"`
	Methods []string `json:"methods,omitempty"`
	// PasswordSet is when the password was set that Done rests on.
	PasswordSet time.Time `json:"password_set,omitzero"`
	// Passkey is the state of the ceremony with the browser.
	Passkey json.RawMessage `json:"passkey,omitempty"`
	// TOTP is the secret that an app is being set up with.
	TOTP []byte `json:"totp,omitempty"`
}

// challenge is one that waits. Only the MAC of its token is kept.
type challenge struct {
	waiting
	mac []byte
	// user is whom it is for; empty is whoever has a passkey.
	user    string
	expires time.Time
}

var errChallenge = &contract.Error{
	Code: contract.Unauthenticated, Field: "challenge", Message: "is not valid or no more; log in again",
}

// newChallenge makes a login wait for one of methods, after those in done were
// used.
func (a *App) newChallenge(ctx context.Context, q *db.Queries, user db.AuthUser, done, methods []string) (*contract.Challenge, error) {
	w := waiting{Done: done, Methods: methods, PasswordSet: user.PasswordChangedAt}
	response := &contract.Challenge{Methods: methods, ExpiresIn: int(challengeLifetime.Seconds())}
	if slices.Contains(methods, "passkey") {
		person, err := a.passkeyPerson(ctx, q, user)
		if err != nil {
			return nil, err
		}
		ceremony, err := a.Passkeys.BeginSecondFactor(person)
		if err != nil {
			return nil, err
		}
		w.Passkey, response.Passkey = ceremony.State, ceremony.Options
	}
	var err error
	response.Token, err = a.addChallenge(ctx, q, toLogIn, user.ID, w)
	return response, err
}

// addChallenge keeps a challenge and returns its token.
func (a *App) addChallenge(ctx context.Context, q *db.Queries, purpose, user string, w waiting) (token string, err error) {
	token = "bfc_" + base64.RawURLEncoding.EncodeToString(secret.Random(32))
	mac := a.challengeMAC(token)
	sealed, err := a.sealWaiting(mac, w)
	if err != nil {
		return "", err
	}
	return token, q.AddChallenge(ctx, db.AddChallengeParams{
		Mac: mac, Purpose: purpose, UserID: nullable(user), Sealed: sealed, Lifetime: challengeLifetime.Seconds(),
	})
}

// findChallenge reads a challenge that can still be met; errChallenge for any
// other.
func (a *App) findChallenge(ctx context.Context, q *db.Queries, token, purpose string) (challenge, error) {
	row, err := q.Challenge(ctx, db.ChallengeParams{Mac: a.challengeMAC(token), Purpose: purpose})
	c, err := a.opened(row, err)
	if err == nil && row.Attempts >= c.attempts() {
		err = errChallenge
	}
	return c, err
}

// attempts is how many answers the challenge takes.
func (c challenge) attempts() int32 {
	if slices.Contains(c.Methods, "new_password") {
		return passwords
	}
	return guesses
}

// tryChallenge counts an answer to a challenge and locks it: of those who
// answer at once, one after the other is heard, and none once it is met.
func (a *App) tryChallenge(ctx context.Context, q *db.Queries, c challenge) (challenge, error) {
	row, err := q.TryChallenge(ctx, db.TryChallengeParams{Mac: c.mac, Most: c.attempts()})
	return a.opened(row, err)
}

// lockChallenge is tryChallenge for what is no answer, or was counted.
func (a *App) lockChallenge(ctx context.Context, q *db.Queries, c challenge) (challenge, error) {
	row, err := q.LockChallenge(ctx, c.mac)
	return a.opened(row, err)
}

func (a *App) opened(row db.AuthChallenge, err error) (challenge, error) {
	if database.Missing(err) {
		return challenge{}, errChallenge
	}
	if err != nil {
		return challenge{}, err
	}
	c := challenge{mac: row.Mac, user: value(row.UserID), expires: row.ExpiresAt}
	plain, err := a.Box.Unseal(challengeName(row.Mac), row.Sealed)
	if err != nil {
		return challenge{}, err
	}
	return c, json.Unmarshal(plain, &c.waiting)
}

func (a *App) sealWaiting(mac []byte, w waiting) ([]byte, error) {
	plain, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return a.Box.Seal(challengeName(mac), plain), nil
}

func (a *App) challengeMAC(token string) []byte { return a.Box.MAC("challenge " + token) }

func challengeName(mac []byte) string { return "challenge " + string(mac) }
