package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// UpdateUser answers auth.update_user.
func (a *App) UpdateUser(ctx context.Context, r *contract.UpdateUserRequest) (*contract.UserDetail, error) {
	if r.Email != nil {
		email, err := newAddress(*r.Email)
		if err != nil {
			return nil, err
		}
		r.Email = &email
	}
	if r.Username != nil && strings.TrimSpace(*r.Username) == "" {
		return nil, contract.Invalid("username", "must not be blank; leave it out to keep the one there is")
	}
	named := &contract.UserRequest{TenantID: r.TenantID, UserID: r.UserID}
	detail, err := a.administer(ctx, named, "updated", func(q *db.Queries, user db.AuthUser) (fields []string, happened []events.Event, err error) {
		if r.Revision != 0 && r.Revision != user.Revision {
			return nil, nil, &contract.Error{
				Code: contract.Conflict, Field: "revision", Message: "the user has changed since; read them again",
			}
		}
		wanted := db.UpdateUserParams{
			ID: user.ID, Email: user.Email, Username: user.Username, Name: user.Name, MustChangePassword: user.MustChangePassword,
		}
		put := func(name string, field, value *string) {
			if value != nil && strings.TrimSpace(*value) != *field {
				*field, fields = strings.TrimSpace(*value), append(fields, name)
			}
		}
		put("email", &wanted.Email, r.Email)
		put("username", &wanted.Username, r.Username)
		put("name", &wanted.Name, r.Name)
		if r.MustChangePassword != nil && *r.MustChangePassword != user.MustChangePassword {
			wanted.MustChangePassword, fields = *r.MustChangePassword, append(fields, "must_change_password")
		}
		if wanted.Email != user.Email { // what was sent to the old address must not open the account
			if err := q.RemoveLinks(ctx, user.ID); err != nil {
				return nil, nil, err
			}
		}
		if wanted.MustChangePassword && !user.MustChangePassword { // at the next login, which is to be soon
			if _, happened, err = a.endSessions(ctx, q, user, "", "password to be changed"); err != nil {
				return nil, nil, err
			}
		}
		return fields, happened, q.UpdateUser(ctx, wanted)
	})
	return detail, duplicateAddress(err)
}
