package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// administratorOutcome is what became of the search for a tenant's first
// administrator: one of the two.
type administratorOutcome struct {
	Ready   *events.TenantProvision      `json:"ready,omitempty"`
	Refused *events.AdministratorRefusal `json:"refused,omitempty"`
}

// FirstAdministrator takes in TenantProvisioning: it makes and invites the user,
// or makes the one who has the address a member, and tells how that ended. The
// outcome is kept: asked again, it tells the same.
func (a *App) FirstAdministrator(ctx context.Context, e events.Event) error {
	p, err := events.Data[events.TenantProvision](e)
	if err != nil {
		return err
	}
	var member contract.Member
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.LockTenant(ctx, p.TenantID)
		if err != nil || row.Erased != nil { // the tenant was given up meanwhile
			return nil, err
		}
		var outcome administratorOutcome
		var happened []events.Event
		if row.Administrator != nil {
			if err := json.Unmarshal(row.Administrator, &outcome); err != nil {
				return nil, err
			}
		} else if outcome, member, happened, err = a.findAdministrator(ctx, q, p); err != nil {
			return nil, err
		}
		told, err := outcome.event(ctx, p.TenantID)
		return append(happened, told), err
	})
	if err == nil && member.UserID != "" {
		a.applied(member)
	}
	return err
}

// refusing are the answers that make an administrator impossible; anything else may pass.
var refusing = []contract.Code{contract.InvalidArgument, contract.Conflict}

func (o administratorOutcome) event(ctx context.Context, tenant string) (events.Event, error) {
	if o.Refused != nil {
		return kit.NewEvent(ctx, events.AdministratorRefused, tenant, 0, o.Refused)
	}
	return kit.NewEvent(ctx, events.AdministratorReady, tenant, o.Ready.Revision, o.Ready)
}

// findAdministrator makes the administrator, or says why there is none, and
// keeps the outcome.
func (a *App) findAdministrator(ctx context.Context, q *db.Queries, p events.TenantProvision,
) (outcome administratorOutcome, member contract.Member, happened []events.Event, err error) {
	member, happened, err = a.makeAdministrator(ctx, q, p)
	var refused *contract.Error
	switch {
	case errors.As(err, &refused) && slices.Contains(refusing, refused.Code):
		outcome.Refused = &events.AdministratorRefusal{
			TenantID: p.TenantID, Code: refused.Code, Field: "administrator." + refused.Field, Reason: refused.Message,
		}
	case err != nil:
		return outcome, member, nil, err
	default:
		outcome.Ready = &events.TenantProvision{TenantID: p.TenantID, UserID: member.UserID, Revision: member.Revision}
	}
	raw, err := json.Marshal(outcome)
	if err != nil {
		return outcome, member, nil, err
	}
	return outcome, member, happened, q.SettleAdministrator(ctx, db.SettleAdministratorParams{TenantID: p.TenantID, Outcome: raw})
}

// makeAdministrator refuses with a contract error, before it changes anything.
func (a *App) makeAdministrator(ctx context.Context, q *db.Queries, p events.TenantProvision) (contract.Member, []events.Event, error) {
	email, err := newAddress(p.Administrator.Email)
	if err != nil {
		return contract.Member{}, nil, err
	}
	user, err := q.UserByEmail(ctx, email)
	switch {
	case database.Missing(err):
		return a.inviteAdministrator(ctx, q, p, email)
	case err != nil:
		return contract.Member{}, nil, err
	case user.Platform:
		return contract.Member{}, nil, refuseAddress("is a platform administrator's, who may act in every tenant; name somebody else")
	case user.DisabledAt != nil:
		return contract.Member{}, nil, refuseAddress("is a disabled user's; enable them first, or name somebody else")
	}
	if user, err = q.LockUser(ctx, user.ID); err != nil {
		return contract.Member{}, nil, err // removed meanwhile: comes again
	}
	if _, err := q.AddMembership(ctx, db.AddMembershipParams{UserID: user.ID, TenantID: p.TenantID}); err != nil {
		return contract.Member{}, nil, err
	}
	return a.administered(ctx, q, user.ID, "member_added", p.TenantID)
}

func (a *App) inviteAdministrator(ctx context.Context, q *db.Queries, p events.TenantProvision, email string) (contract.Member, []events.Event, error) {
	username, _, _ := strings.Cut(email, "@")
	if named := strings.TrimSpace(p.Administrator.Username); named != "" {
		username = named
	}
	user, err := q.CreateUser(ctx, db.CreateUserParams{
		ID: p.UserID, TenantID: &p.TenantID, Email: email, Username: username, Name: strings.TrimSpace(p.Administrator.Name),
	})
	if err == nil {
		err = a.sendLink(ctx, q, user, inviteLink)
	}
	if err != nil {
		return contract.Member{}, nil, err
	}
	return a.administered(ctx, q, user.ID, "created")
}

func refuseAddress(message string) error {
	return &contract.Error{Code: contract.Conflict, Field: "email", Message: "the address " + message}
}
