package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var (
	errCode = &contract.Error{
		Code: contract.Unauthenticated, Field: "code", Message: "is wrong or was used before; wait for the next one",
	}
	errPasskey = &contract.Error{
		Code: contract.Unauthenticated, Field: "passkey", Message: "is not accepted; begin the login again",
	}
)

// unproven is an answer to a challenge that proves nothing: what the caller is
// told, and, for the audit trail only, why.
type unproven struct {
	reason   string
	answer   error
	happened []events.Event
}

func refuse(reason string, answer error, happened ...events.Event) error {
	return &unproven{reason, answer, happened}
}

// Error is the reason.
func (u *unproven) Error() string { return u.reason }

// completion is one answer to a login's challenge.
type completion struct {
	request   *contract.CompleteLoginRequest
	challenge challenge
	// user is whom the challenge is for, or whose passkey the answer names; empty
	// when nobody has it.
	user    db.AuthUser
	demands demands
	hash    string // of the new password

	member contract.Member // as a new password left it
}

// CompleteLogin answers auth.complete_login. An answer is counted before it is
// looked at, and a challenge is met once, whoever answers at the same time.
func (a *App) CompleteLogin(ctx context.Context, r *contract.CompleteLoginRequest) (*contract.LoginResponse, error) {
	c, err := a.completion(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if r.Method == "enrol_totp" && r.Code == "" {
		return a.showTOTP(ctx, c)
	}
	if c.demands, err = a.demands(ctx, c.user); err != nil {
		return nil, err
	}
	if r.Method == "new_password" {
		if c.hash, err = a.newPasswordInLogin(ctx, c); err != nil {
			return nil, err
		}
	}
	var response *contract.LoginResponse
	complete := func() (wrong bool, err error) {
		response, wrong, err = a.complete(ctx, c)
		return wrong, err
	}
	if r.Code == "" {
		_, err = complete()
	} else {
		err = a.guess(ctx, c.user, complete)
	}
	if err != nil {
		return nil, err
	}
	if c.member.UserID != "" {
		a.applied(c.member)
	}
	return response, nil
}

// completion finds out what and who is meant. A challenge that is unknown,
// expired, met, answered too often or for somebody who is gone is errChallenge.
func (a *App) completion(ctx context.Context, r *contract.CompleteLoginRequest) (*completion, error) {
	c := &completion{request: r}
	err := a.read(ctx, func(q *db.Queries) (err error) {
		if c.challenge, err = a.findChallenge(ctx, q, r.Challenge, toLogIn); err != nil {
			return err
		}
		id := c.challenge.user
		if id == "" {
			if id, err = claimant(ctx, q, r.Passkey); err != nil || id == "" {
				return err
			}
		}
		c.user, err = q.UserByID(ctx, id)
		return err
	})
	if database.Missing(err) {
		return nil, errChallenge
	}
	return c, err
}

// check refuses what cannot meet the challenge, before it counts as an answer.
func (c *completion) check() error {
	r := c.request
	switch {
	case !slices.Contains(c.challenge.Methods, r.Method):
		return contract.Invalid("method", "does not meet this challenge; use one of: %s", strings.Join(c.challenge.Methods, ", "))
	case (r.Method == "totp" || r.Method == "recovery_code") && strings.TrimSpace(r.Code) == "":
		return contract.Invalid("code", "is required for %s", r.Method)
	case r.Method == "passkey" && len(r.Passkey) == 0:
		return contract.Invalid("passkey", "is required: what navigator.credentials.get answered, by its toJSON")
	case r.Method == "new_password" && r.NewPassword == "":
		return contract.Invalid("new_password", "is required")
	case r.Code != "" && (r.Method == "passkey" || r.Method == "new_password"):
		return contract.Invalid("code", "is not for the method %s", r.Method)
	}
	return nil
}

// complete takes the login's next step, or counts and records a failed one.
func (a *App) complete(ctx context.Context, c *completion) (response *contract.LoginResponse, wrong bool, err error) {
	var refused *unproven
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		now, err := a.lockAccount(ctx, q, c)
		if err != nil {
			return nil, err
		}
		var happened []events.Event
		response, happened, err = a.proven(ctx, q, c, now)
		if errors.As(err, &refused) { // what was counted stays counted
			failed, err := a.loginEvent(ctx, events.LoginFailed, now, events.Login{Methods: c.challenge.Done, Reason: refused.reason})
			failed.SetExtension(events.Outcome, "failure")
			return append(refused.happened, failed), err
		}
		return happened, err
	})
	if err == nil && refused != nil {
		return nil, true, refused.answer
	}
	return response, false, err
}

// lockAccount locks the account and then the challenge, in the order of every
// login, and counts the answer.
func (a *App) lockAccount(ctx context.Context, q *db.Queries, c *completion) (now db.AuthUser, err error) {
	if c.user.ID != "" {
		now, err = q.LockUser(ctx, c.user.ID)
		if database.Missing(err) {
			return now, errChallenge
		}
		if err != nil {
			return now, err
		}
	}
	if c.request.Method == "new_password" {
		c.challenge, err = a.lockChallenge(ctx, q, c.challenge) // it was counted before it was hashed
	} else {
		c.challenge, err = a.tryChallenge(ctx, q, c.challenge)
	}
	return now, err
}

// proven looks at the answer, uses up what it shows, and takes the next step;
// or it is a refusal.
func (a *App) proven(ctx context.Context, q *db.Queries, c *completion, now db.AuthUser) (*contract.LoginResponse, []events.Event, error) {
	if now.ID == "" {
		return nil, nil, refuse("unknown passkey", errPasskey)
	}
	if reason := a.barred(now); reason != "" {
		return nil, nil, refuse(reason, errChallenge)
	}
	if slices.Contains(c.challenge.Done, "password") && (now.PasswordHash == "" || !now.PasswordChangedAt.Equal(c.challenge.PasswordSet)) {
		return nil, nil, refuse("the password was changed meanwhile", errChallenge)
	}
	done, proof := c.challenge.Done, c.request.Method
	var codes []string
	var happened []events.Event
	var err error
	switch c.request.Method {
	case "totp":
		err = a.spendTOTP(ctx, q, now, c.request.Code)
	case "recovery_code":
		err = a.spendRecoveryCode(ctx, q, now, c.request.Code)
	case "passkey":
		err = a.usePasskey(ctx, q, now, c.challenge, c.request.Passkey)
	case "enrol_totp":
		codes, happened, err = a.enrolInLogin(ctx, q, c, now)
		proof = "totp"
	case "new_password":
		now, happened, err = a.passwordInLogin(ctx, q, c, now)
		proof = "" // it was the old one that proved something
	}
	if err != nil {
		return nil, nil, err
	}
	if proof != "" {
		done = append(done, proof)
	}
	if err := q.RemoveChallenge(ctx, c.challenge.mac); err != nil {
		return nil, nil, err
	}
	response, then, err := a.continueLogin(ctx, q, now, c.demands, done)
	if err != nil {
		return nil, nil, err
	}
	response.RecoveryCodes = codes
	for i := range happened { // by whom the login proved to be
		happened[i].SetExtension(events.ActorID, now.ID)
	}
	return response, append(happened, then...), nil
}
