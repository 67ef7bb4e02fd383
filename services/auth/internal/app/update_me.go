package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// UpdateMe answers auth.update_me.
func (a *App) UpdateMe(ctx context.Context, r *contract.UpdateMeRequest) (*contract.MeResponse, error) {
	if r.Username != nil && strings.TrimSpace(*r.Username) == "" {
		return nil, contract.Invalid("username", "must have a letter or digit; leave it out to keep the one you have")
	}
	var response *contract.MeResponse
	var member contract.Member
	err := a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
		user, err := q.LockUser(ctx, kit.UserFrom(ctx).ID)
		if err != nil {
			return nil, err
		}
		if r.Revision != 0 && r.Revision != user.Revision {
			return nil, &contract.Error{
				Code: contract.Conflict, Field: "revision", Message: "the account has changed since; read it again",
			}
		}
		if fields := edit(&user, r); len(fields) > 0 {
			member, happened, err = a.storeProfile(ctx, q, user, fields)
			if err != nil {
				return nil, err
			}
			user.Revision = member.Revision
		}
		response, err = a.me(ctx, q, user)
		return happened, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	if member.UserID != "" {
		a.applied(member)
	}
	return response, nil
}

// edit puts what the request asks for into the account and returns the names
// of the fields that it changed.
func edit(user *db.AuthUser, r *contract.UpdateMeRequest) (changed []string) {
	put := func(name string, field, wanted *string) {
		if wanted != nil && strings.TrimSpace(*wanted) != *field {
			*field = strings.TrimSpace(*wanted)
			changed = append(changed, name)
		}
	}
	put("username", &user.Username, r.Username)
	put("name", &user.Name, r.Name)
	return changed
}

func (a *App) storeProfile(ctx context.Context, q *db.Queries, user db.AuthUser, fields []string) (contract.Member, []events.Event, error) {
	err := q.UpdateProfile(ctx, db.UpdateProfileParams{ID: user.ID, Username: user.Username, Name: user.Name})
	if err != nil {
		return contract.Member{}, nil, err
	}
	member, changed, err := a.userChanged(ctx, q, user.ID)
	if err != nil {
		return member, nil, err
	}
	administered, err := kit.NewEvent(ctx, events.UserAdministered, member.TenantID, member.Revision,
		events.UserChange{UserID: user.ID, Change: "updated", Fields: fields})
	return member, []events.Event{changed, administered}, err
}
