package app

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// MayAdminister answers rbac.may_administer. Who takes an account over has all
// that it is bound to, in every tenant that it belongs to; who only ends it takes
// nothing over elsewhere, but must not leave a tenant to nobody there either.
func (a *App) MayAdminister(ctx context.Context, r *contract.MayAdministerRequest) (*contract.Empty, error) {
	home, user, by := kit.UUID(r.TenantID), kit.UUID(r.UserID), giver{kit.UUID(r.ByUserID)}
	tenants := []string{home}
	if member, ok := a.Directory.Member(user); ok && member.TenantID == home { // of others auth tells nothing
		tenants = append(tenants, member.Tenants...)
	}
	for i, tenant := range tenants {
		if slices.Contains(tenants[:i], tenant) {
			continue
		}
		policy, err := a.policy(ctx, tenant, 0)
		if err != nil {
			return nil, err
		}
		if tenant == home || !r.Leaving {
			lacking, err := a.lacking(ctx, policy, tenant, user, by)
			if err != nil {
				return nil, err
			}
			if lacking != "" {
				return nil, mayNotTakeOver(tenant == home, lacking)
			}
		}
		gone := []contract.PolicyChange{{User: &contract.PolicyUser{ID: user, Suspended: true}}}
		if r.Leaving && leftToNobody(policy, policy.Apply(policy.Revision(), gone)) {
			return nil, errLastAdministrator
		}
	}
	return &contract.Empty{}, nil
}

// lacking is a code that a user is bound to in a tenant and that somebody else
// does not hold there, not everywhere, or not for so long. What is without effect
// at present counts: a suspended user can be enabled, and so can a module.
func (a *App) lacking(ctx context.Context, policy *decision.Policy, tenant, user string, by giver) (code string, err error) {
	var given []gift
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		rows, err := q.GivenTo(ctx, db.GivenToParams{TenantID: tenant, Now: time.Now(), UserID: user})
		if err != nil {
			return err
		}
		same := make([]db.GivenByRow, len(rows))
		for i, row := range rows {
			same[i] = db.GivenByRow(row)
		}
		given, err = giftsIn(ctx, q, tenant, same)
		return err
	})
	for _, one := range given {
		for _, code := range one.codes {
			if !by.has(policy, code, one.reach) {
				return code, err
			}
		}
	}
	return "", err
}

// mayNotTakeOver says no more of another tenant than that there is something.
func mayNotTakeOver(home bool, code string) error {
	if !home {
		return contract.Errorf(contract.PermissionDenied,
			"the user holds something in another tenant that you do not; ask a platform administrator")
	}
	return contract.Errorf(contract.PermissionDenied, "the user holds %s, which you do not; ask a tenant administrator", code)
}
