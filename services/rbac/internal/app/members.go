package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
)

// awaitMember waits for a user who was made a moment ago. Anybody else who is no
// active member of the tenant is not_found, and field says where.
func (a *App) awaitMember(ctx context.Context, tenant, user, field string) error {
	return about(field, a.Directory.AwaitMember(ctx, tenant, user))
}

// isMember is awaitMember under the tenant's lock. Without it a user who is
// disabled meanwhile could get a binding that nobody suspends: the look for
// bindings of a disabled user takes the lock too.
func (a *App) isMember(tenant, user, field string) error {
	if _, ok := a.Directory.MemberOf(user, tenant); !ok {
		return about(field, contract.Missing("user"))
	}
	return nil
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
