package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/passkey"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// maxPasskeys is how many a person may have.
const maxPasskeys = 20

// BeginPasskey answers auth.begin_passkey.
func (a *App) BeginPasskey(ctx context.Context, r *contract.FactorProofRequest) (*contract.BeginPasskeyResponse, error) {
	user, err := a.proveRecently(ctx, r.Password)
	if err != nil {
		return nil, err
	}
	response := &contract.BeginPasskeyResponse{}
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) ([]events.Event, error) {
		person, err := a.passkeyPerson(ctx, q, user)
		if err != nil {
			return nil, err
		}
		if len(person.Passkeys) >= maxPasskeys {
			return nil, errMaxPasskeys
		}
		ceremony, err := a.Passkeys.BeginRegistration(person)
		if err != nil {
			return nil, err
		}
		response.Options = ceremony.Options
		response.Challenge, err = a.addChallenge(ctx, q, toRegisterPasskey, user.ID, waiting{Passkey: ceremony.State})
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

var errMaxPasskeys = contract.Errorf(contract.Conflict, "you have %d passkeys, the most there can be; delete one first", maxPasskeys)

// FinishPasskey answers auth.finish_passkey. The ceremony serves once, whatever
// the answer is like.
func (a *App) FinishPasskey(ctx context.Context, r *contract.FinishPasskeyRequest) (*contract.Passkey, error) {
	user, err := a.self(ctx)
	if err != nil {
		return nil, err
	}
	var added db.AuthPasskey
	var refused error
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) (happened []events.Event, err error) {
		c, err := a.findChallenge(ctx, q, r.Challenge, toRegisterPasskey)
		if errors.Is(err, errChallenge) || err == nil && c.user != user.ID {
			return nil, contract.Invalid("challenge", "is not valid or no more; call auth.begin_passkey again")
		}
		if err != nil {
			return nil, err
		}
		if err := q.RemoveChallenge(ctx, c.mac); err != nil {
			return nil, err
		}
		person, err := a.passkeyPerson(ctx, q, user)
		if err != nil {
			return nil, err
		}
		if len(person.Passkeys) >= maxPasskeys {
			return nil, errMaxPasskeys
		}
		k, err := a.Passkeys.FinishRegistration(person, c.Passkey, r.Passkey)
		if errors.Is(err, passkey.ErrRefused) {
			a.Log.InfoContext(ctx, "auth: a passkey was not registered", "user_id", user.ID, "error", err)
			refused = contract.Invalid("passkey", "is not an answer to this challenge from a browser at %s", a.PublicURL.Host)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		added, err = q.AddPasskey(ctx, db.AddPasskeyParams{
			ID: k.ID, UserID: user.ID, TenantID: user.TenantID, Credential: k.Record,
			Name: cmp.Or(strings.TrimSpace(r.Name), "Passkey"),
		})
		if err != nil {
			return nil, err
		}
		e, err := factorChanged(ctx, user, "passkey", "enrolled")
		return []events.Event{e}, err
	})
	if _, duplicate := database.Duplicate(err); duplicate {
		return nil, contract.Errorf(contract.Conflict, "the passkey is registered already")
	}
	if err = cmp.Or(err, refused); err != nil {
		return nil, err
	}
	shown := shownPasskey(added)
	return &shown, nil
}

// ListPasskeys answers auth.list_passkeys.
func (a *App) ListPasskeys(ctx context.Context, _ *contract.ListPasskeysRequest) (*contract.ListPasskeysResponse, error) {
	response := &contract.ListPasskeysResponse{}
	err := a.read(ctx, func(q *db.Queries) (err error) {
		response.Items, err = listPasskeys(ctx, q, kit.UserFrom(ctx).ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// DeletePasskey answers auth.delete_passkey.
func (a *App) DeletePasskey(ctx context.Context, r *contract.DeletePasskeyRequest) (*contract.Empty, error) {
	id, err := base64.RawURLEncoding.DecodeString(r.PasskeyID)
	if err != nil {
		return nil, contract.Missing("passkey")
	}
	user, err := a.self(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := a.signInPolicy(ctx, value(user.TenantID))
	if err != nil {
		return nil, err
	}
	err = a.changeFactors(ctx, user, func(q *db.Queries, user db.AuthUser) ([]events.Event, error) {
		n, err := q.RemovePasskey(ctx, db.RemovePasskeyParams{ID: id, UserID: user.ID})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, contract.Missing("passkey")
		}
		if err := a.factorRemoved(ctx, q, user.ID, policy); err != nil {
			return nil, err
		}
		e, err := factorChanged(ctx, user, "passkey", "removed")
		return []events.Event{e}, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}

// passkeyPerson is an account as browsers and their authenticators know it: by
// the bytes of its id, which say nothing about the person.
func (a *App) passkeyPerson(ctx context.Context, q *db.Queries, user db.AuthUser) (passkey.Person, error) {
	handle, err := userHandle(user.ID)
	if err != nil {
		return passkey.Person{}, err
	}
	rows, err := q.ListPasskeys(ctx, user.ID)
	if err != nil {
		return passkey.Person{}, err
	}
	person := passkey.Person{
		Handle: handle, Name: user.Email, DisplayName: cmp.Or(user.Name, user.Username, user.Email),
	}
	for _, row := range rows {
		person.Passkeys = append(person.Passkeys, passkey.Passkey{ID: row.ID, Record: row.Credential})
	}
	return person, nil
}

func userHandle(user string) ([]byte, error) {
	id, err := uuid.Parse(user)
	if err != nil {
		return nil, fmt.Errorf("user id: %w", err)
	}
	return id[:], nil
}

// claimant is whose passkey an answer names; empty where nobody has it, or
// another than the answer says. It proves nothing.
func claimant(ctx context.Context, q *db.Queries, answer []byte) (user string, err error) {
	id, handle := passkey.Claimed(answer)
	owner, err := q.PasskeyOwner(ctx, id)
	if database.Missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	expected, err := userHandle(owner)
	if err != nil || !bytes.Equal(handle, expected) {
		return "", err
	}
	return owner, nil
}

// usePasskey verifies the answer to a login's challenge and keeps the passkey's
// new counter. A refusal says why it proves nothing.
func (a *App) usePasskey(ctx context.Context, q *db.Queries, user db.AuthUser, c challenge, answer []byte) error {
	person, err := a.passkeyPerson(ctx, q, user)
	if err != nil {
		return err
	}
	finish := a.Passkeys.FinishSecondFactor
	if c.user == "" {
		finish = a.Passkeys.FinishLogin
	}
	k, err := finish(person, c.Passkey, answer)
	switch {
	case errors.Is(err, passkey.ErrCloned):
		e, eventErr := factorChanged(ctx, user, "passkey", "clone_suspected")
		if eventErr != nil {
			return eventErr
		}
		return refuse("the passkey's counter did not grow: a copy may be in use", errPasskey, e)
	case errors.Is(err, passkey.ErrRefused):
		a.Log.InfoContext(ctx, "auth: a passkey was refused", "user_id", user.ID, "error", err)
		return refuse("passkey refused", errPasskey)
	case err != nil:
		return err
	}
	_, err = q.UsePasskey(ctx, db.UsePasskeyParams{ID: k.ID, UserID: user.ID, Credential: k.Record})
	return err
}

func listPasskeys(ctx context.Context, q *db.Queries, user string) ([]contract.Passkey, error) {
	rows, err := q.ListPasskeys(ctx, user)
	items := make([]contract.Passkey, len(rows))
	for i, row := range rows {
		items[i] = shownPasskey(row)
	}
	return items, err
}

func shownPasskey(row db.AuthPasskey) contract.Passkey {
	return contract.Passkey{
		ID: base64.RawURLEncoding.EncodeToString(row.ID), Name: row.Name, CreatedAt: row.CreatedAt, LastUsedAt: row.LastUsedAt,
	}
}
