package app

import (
	"context"
	"net/mail"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// scope is where an administrative request sees people: a tenant, or
// everywhere for a platform administrator or a service that names none.
func (a *App) scope(ctx context.Context, requested contract.ID) (string, error) {
	caller := kit.UserFrom(ctx)
	if requested == "" && caller.TenantID == "" && (caller.ID == "" || caller.Platform) {
		return database.Everything, nil
	}
	return a.Directory.ActingTenant(ctx, requested)
}

// administer changes an account within the caller's scope: work changes it and
// returns the events of what it did beside. An account out of the scope is
// not_found. change says what was done, for the audit trail.
func (a *App) administer(ctx context.Context, r *contract.UserRequest, change string,
	work func(q *db.Queries, user db.AuthUser) (fields []string, happened []events.Event, err error),
) (*contract.UserDetail, error) {
	scope, err := a.scope(ctx, r.TenantID)
	if err == nil {
		err = a.mayAdminister(ctx, scope, r.UserID, change)
	}
	if err != nil {
		return nil, err
	}
	return a.administerIn(ctx, scope, r.UserID, change, work)
}

// mayAdminister asks rbac about a tenant's own administrators: whoever can
// change an account can take it over, so it must not hold more than they do.
func (a *App) mayAdminister(ctx context.Context, tenant string, user contract.ID, change string) error {
	caller := kit.UserFrom(ctx)
	if caller.ID == "" || caller.Platform || caller.ID == kit.UUID(user) {
		return nil
	}
	return a.Authority(ctx, &contract.MayAdministerRequest{
		TenantID: contract.ID(tenant), UserID: user, ByUserID: contract.ID(caller.ID),
		Leaving: change == "disabled" || change == "deleted",
	})
}

func (a *App) administerIn(ctx context.Context, scope string, id contract.ID, change string,
	work func(q *db.Queries, user db.AuthUser) (fields []string, happened []events.Event, err error),
) (*contract.UserDetail, error) {
	var detail *contract.UserDetail
	var member contract.Member
	err := a.change(ctx, scope, func(q *db.Queries) ([]events.Event, error) {
		user, err := q.LockUser(ctx, kit.UUID(id))
		if err != nil {
			return nil, err
		}
		fields, happened, err := work(q, user)
		if err != nil {
			return nil, err
		}
		var told []events.Event
		member, told, err = a.administered(ctx, q, user.ID, change, fields...)
		if err != nil {
			return nil, err
		}
		detail, err = userDetail(ctx, q, user.ID)
		return append(happened, told...), err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	a.applied(member)
	return detail, nil
}

// administered makes the events of a changed account: its new state for
// projections, and what was done for the audit trail. It is the last to be
// called in a transaction, which sees everything from then on: the state
// reaches over tenants.
func (a *App) administered(ctx context.Context, q *db.Queries, user, change string, fields ...string) (contract.Member, []events.Event, error) {
	if err := q.Widen(ctx); err != nil {
		return contract.Member{}, nil, err
	}
	if _, err := q.TouchUser(ctx, user); err != nil {
		return contract.Member{}, nil, err
	}
	member, changed, err := a.userChanged(ctx, q, user)
	if err != nil {
		return member, nil, err
	}
	administered, err := kit.NewEvent(ctx, events.UserAdministered, member.TenantID, member.Revision,
		events.UserChange{UserID: user, Change: change, Fields: fields})
	return member, []events.Event{changed, administered}, err
}

// userDetail reads an account as administrators see it. Which further tenants
// somebody belongs to is for themself, platform administrators and services to
// know.
func userDetail(ctx context.Context, q *db.Queries, user string) (*contract.UserDetail, error) {
	row, err := q.UserDetail(ctx, user)
	if err != nil {
		return nil, err
	}
	detail := detailOf(ctx, db.ListUsersRow(row))
	return &detail, nil
}

func detailOf(ctx context.Context, row db.ListUsersRow) contract.UserDetail {
	detail := contract.UserDetail{
		ID: row.ID, TenantID: value(row.TenantID), Platform: row.Platform,
		Email: row.Email, Username: row.Username, Name: row.Name, Status: status(row),
		MustChangePassword: row.MustChangePassword, LastLoginAt: row.LastLoginAt, CreatedAt: row.CreatedAt, Revision: row.Revision,
	}
	if caller := kit.UserFrom(ctx); len(row.Tenants) > 0 && (caller.ID == "" || caller.ID == row.ID || caller.Platform) {
		detail.Tenants = row.Tenants
	}
	if row.Totp {
		detail.SecondFactors = append(detail.SecondFactors, "totp")
	}
	if row.Passkey {
		detail.SecondFactors = append(detail.SecondFactors, "passkey")
	}
	return detail
}

func status(row db.ListUsersRow) string {
	switch {
	case row.DeletedAt != nil:
		return "deleted"
	case row.DisabledAt != nil:
		return "disabled"
	case row.PasswordHash == "" && row.LastLoginAt == nil:
		return "invited"
	}
	return "active"
}

// notOneself keeps people from shutting themselves out.
func notOneself(ctx context.Context, user db.AuthUser, verb string) error {
	if kit.UserFrom(ctx).ID == user.ID {
		return contract.Errorf(contract.Conflict, "nobody can %s themself; ask another administrator", verb)
	}
	return nil
}

// newAddress is an e-mail address as accounts hold it. One that is more than a
// bare address, or whose domain cannot be one, is refused.
func newAddress(raw string) (string, error) {
	email := normaliseEmail(raw)
	parsed, err := mail.ParseAddress(email)
	_, domain, _ := strings.Cut(email, "@")
	_, domainErr := idna.Lookup.ToASCII(domain)
	if err != nil || domainErr != nil || parsed.Address != email || len(email) > 254 {
		return "", contract.Invalid("email", "must be a bare address such as anna@example.com")
	}
	return email, nil
}

// normaliseEmail makes one spelling of an e-mail address: composed, in lower
// case, its domain in ASCII (RFC 5891).
func normaliseEmail(email string) string {
	email = strings.ToLower(norm.NFC.String(strings.TrimSpace(email)))
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return email
	}
	if domain, err := idna.Lookup.ToASCII(email[at+1:]); err == nil {
		email = email[:at+1] + domain
	}
	return email
}

// duplicateAddress makes a unique violation the answer that it stands for.
func duplicateAddress(err error) error {
	if constraint, duplicate := database.Duplicate(err); duplicate && constraint == "users_email" {
		return &contract.Error{Code: contract.AlreadyExists, Field: "email", Message: "a user of this address exists"}
	}
	return err
}

// patterns are what ILIKE finds text by, anywhere in a field; none for an empty
// text. The database may know the case of ASCII letters only, so others are
// looked for as they are usually written.
func patterns(text string) []string {
	all := []string{}
	text = norm.NFC.String(strings.TrimSpace(text))
	for _, spelt := range []string{text, strings.ToLower(text), strings.ToUpper(text), cases.Title(language.Und).String(text)} {
		p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(spelt) + "%"
		if text != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
