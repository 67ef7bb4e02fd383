package app

import (
	"context"
	"errors"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// awaitMember waits for a user who was made a moment ago. Anybody else who is no
// active member of the tenant is not_found, and field says where.
func (a *App) awaitMember(ctx context.Context, tenant, user, field string) error {
	return about(field, a.Directory.AwaitMember(ctx, tenant, user))
}

// see is awaitMember for several under the tenant's lock, and notes that they
// were seen. Without it a user who is disabled meanwhile could get a binding that
// nobody suspends: the look for bindings of a disabled user takes the lock too.
func (a *App) see(ctx context.Context, t *turn, users []string, field func(i int) string) error {
	seen := db.SeeUsersParams{TenantID: t.Tenant}
	for i, user := range users {
		if user == "" || slices.Contains(seen.Users, user) {
			continue
		}
		m, _ := a.Directory.Member(user)
		if _, ok := a.Directory.MemberOf(user, t.Tenant); !ok {
			return about(field(i), contract.Missing("user"))
		}
		seen.Users, seen.Revisions = append(seen.Users, user), append(seen.Revisions, m.Revision)
	}
	if len(seen.Users) == 0 {
		return nil
	}
	return t.Q.SeeUsers(ctx, seen)
}

// about names the field that an answer is about.
func about(field string, err error) error {
	var answer *contract.Error
	if errors.As(err, &answer) {
		named := *answer
		named.Field = field
		return &named
	}
	return err
}
