package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// guestsTold is how many guests are told in one event, which the bus bounds.
const guestsTold = 500

// EraseTenant takes in TenantErasing: everything of the tenant goes in one
// transaction, and is told. Asked again, it tells the same.
func (a *App) EraseTenant(ctx context.Context, e events.Event) error {
	asked, err := events.Data[events.TenantErasure](e)
	if err != nil {
		return err
	}
	var members []contract.Member
	var keys []db.AuthApiKey
	err = a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
		row, err := q.LockTenant(ctx, asked.TenantID)
		if err != nil {
			return nil, err
		}
		done := events.TenantErasure{TenantID: asked.TenantID}
		if row.Erased == nil {
			if members, keys, happened, err = a.erase(ctx, q, &done); err != nil {
				return nil, err
			}
			counts, _ := json.Marshal(done.Counts) // numbers
			if err := q.MarkErased(ctx, db.MarkErasedParams{TenantID: asked.TenantID, Counts: counts}); err != nil {
				return nil, err
			}
		} else if err := json.Unmarshal(row.Erased, &done.Counts); err != nil {
			return nil, err
		}
		told, err := kit.NewEvent(ctx, events.TenantErased("auth"), "", 0, done)
		return append(happened, told), err
	})
	if err != nil {
		return err
	}
	for _, member := range members {
		a.applied(member)
	}
	for _, key := range keys {
		a.KeyRevoked(ctx, key.ID)
	}
	return nil
}

// erase removes everything of the tenant, and returns whose state others hold,
// the keys that ended, and the events of both.
func (a *App) erase(ctx context.Context, q *db.Queries, done *events.TenantErasure) ([]contract.Member, []db.AuthApiKey, []events.Event, error) {
	guests, happened, err := a.endGuests(ctx, q, done.TenantID)
	if err != nil {
		return nil, nil, nil, err
	}
	keys, ended, err := eraseKeys(ctx, q, done.TenantID)
	if err != nil {
		return nil, nil, nil, err
	}
	members, left, err := a.sendHome(ctx, q, done.TenantID)
	if err != nil {
		return nil, nil, nil, err
	}
	done.Counts = map[string]int64{"api_keys": int64(len(keys))}
	for _, table := range []struct {
		name  string
		erase func(context.Context, *string) (int64, error)
	}{
		{"challenges", q.EraseChallenges},
		{"refresh_tokens", q.EraseRefreshTokens},
		{"sessions", q.EraseSessions},
		{"password_history", q.ErasePasswordHistory},
		{"links", q.EraseLinks},
		{"totp", q.EraseTOTP},
		{"recovery_codes", q.EraseRecoveryCodes},
		{"passkeys", q.ErasePasskeys},
		{"users", q.EraseUsers},
	} {
		if done.Counts[table.name], err = table.erase(ctx, &done.TenantID); err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", table.name, err)
		}
	}
	if done.Counts["policies"], err = q.ErasePolicies(ctx, done.TenantID); err != nil {
		return nil, nil, nil, err
	}
	happened = append(append(happened, ended...), left...)
	return append(members, guests...), keys, happened, nil
}

// endGuests ends what the tenant's people are in other tenants, where what is
// known of them does not go with this one.
func (a *App) endGuests(ctx context.Context, q *db.Queries, tenant string) (guests []contract.Member, happened []events.Event, err error) {
	rows, err := q.Guests(ctx, &tenant)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		_, ended, err := a.endSessions(ctx, q, db.AuthUser{ID: row.ID, TenantID: &tenant}, "", "tenant erased")
		if err != nil {
			return nil, nil, err
		}
		gone := contract.Member{UserID: row.ID, TenantID: tenant, Deleted: true, Revision: row.Revision}
		e, err := kit.NewEvent(ctx, events.UserChanged, tenant, row.Revision, gone)
		if err != nil {
			return nil, nil, err
		}
		happened = append(append(happened, ended...), e)
		gone.Tenants = row.Tenants // where rbac is to forget them
		guests = append(guests, gone)
	}
	for some := range slices.Chunk(guests, guestsTold) {
		e, err := kit.NewEvent(ctx, events.GuestsErased, "", 0, events.TenantGuests{TenantID: tenant, Guests: some})
		if err != nil {
			return nil, nil, err
		}
		happened = append(happened, e)
	}
	return guests, happened, nil
}

// sendHome ends the memberships of the tenant, and those of its people. Other
// tenants' people act at home from then on.
func (a *App) sendHome(ctx context.Context, q *db.Queries, tenant string) (members []contract.Member, happened []events.Event, err error) {
	users, err := q.MembersFrom(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	if err := q.LeaveTenant(ctx, &tenant); err != nil {
		return nil, nil, err
	}
	if _, err := q.EraseMemberships(ctx, tenant); err != nil {
		return nil, nil, err
	}
	for _, user := range users {
		if _, err := q.TouchUser(ctx, user); err != nil {
			return nil, nil, err
		}
		member, e, err := a.userChanged(ctx, q, user)
		if err != nil {
			return nil, nil, err
		}
		members, happened = append(members, member), append(happened, e)
	}
	return members, happened, nil
}

// eraseKeys ends the keys that are good for the tenant alone.
func eraseKeys(ctx context.Context, q *db.Queries, tenant string) ([]db.AuthApiKey, []events.Event, error) {
	keys, err := q.KeysOfTenant(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	var happened []events.Event
	for _, key := range keys {
		ids = append(ids, key.ID)
		e, err := keyEvent(ctx, events.KeyEnded, nil, events.KeyChange{ID: key.ID, Module: key.Module, Reason: "tenant erased"})
		if err != nil {
			return nil, nil, err
		}
		happened = append(happened, e)
	}
	if err := q.UnlinkKeys(ctx, ids); err != nil {
		return nil, nil, err
	}
	if _, err := q.EraseKeys(ctx, ids); err != nil {
		return nil, nil, err
	}
	_, err = q.RemoveTenantFromKeys(ctx, tenant)
	return keys, happened, err
}
