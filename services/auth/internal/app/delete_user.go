package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// DeleteUser answers auth.delete_user.
func (a *App) DeleteUser(ctx context.Context, r *contract.DeleteUserRequest) (*contract.Empty, error) {
	member := contract.Member{UserID: kit.UUID(r.UserID), TenantID: kit.UUID(r.TenantID)}
	err := a.change(ctx, member.TenantID, func(q *db.Queries) (_ events.Event, err error) {
		member.Revision, err = q.DeleteUser(ctx, db.DeleteUserParams{TenantID: member.TenantID, ID: member.UserID})
		if err != nil {
			return events.Event{}, err
		}
		return events.New(events.UserChanged, member.TenantID, member.Revision, member)
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	a.people.forget(member.UserID)
	a.Directory.PutMember(member)
	return &contract.Empty{}, nil
}
