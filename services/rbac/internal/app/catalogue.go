package app

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// platformModule stands where a module's name would, for what the platform
// itself declares.
const platformModule = "platform"

// platformPermissions describes what the platform's operations ask people for.
var platformPermissions = map[string]struct{ title, risk string }{
	"audit:calls:read":             {"Read who called the Core API", "medium"},
	"audit:dead-letters:platform":  {"Read, retry and discard messages that no record could be made of", "critical"},
	"audit:alerts:manage":          {"Create, change and delete alerts on the audit trail", "medium"},
	"audit:alerts:read":            {"Read alerts on the audit trail, and try rules on it", "medium"},
	"audit:events:export":          {"Export the audit trail", "high"},
	"audit:events:read":            {"Read the audit trail", "medium"},
	"audit:hold:platform":          {"Place and release legal holds on audit trails", "critical"},
	"audit:keys:platform":          {"Rotate the key that checkpoints of audit trails are signed with", "critical"},
	"audit:proofs:read":            {"Read proofs of the audit trail", "low"},
	"audit:shred:tenant":           {"Make what is personal of somebody in the audit trail unreadable", "critical"},
	"audit:retain:platform":        {"Say for how long audit trails are kept, and remove what is older", "critical"},
	"bindings:create:tenant":       {"Grant roles", "critical"},
	"bindings:delete:tenant":       {"Revoke roles", "high"},
	"bindings:read:tenant":         {"Read role bindings, and ask why somebody may", "low"},
	"groups:create:tenant":         {"Create groups", "medium"},
	"groups:delete:tenant":         {"Delete groups", "high"},
	"groups:read:tenant":           {"Read groups and who belongs to them", "low"},
	"groups:update:tenant":         {"Change groups and who belongs to them", "high"},
	"keys:create:tenant":           {"Create API keys", "critical"},
	"keys:delete:tenant":           {"Revoke API keys", "high"},
	"keys:read:tenant":             {"Read API keys, without their secrets", "low"},
	"keys:update:tenant":           {"Rotate API keys", "critical"},
	"menu:read:tenant":             {"Read the menu's overrides", "low"},
	"menu:update:tenant":           {"Change the menu for everybody", "medium"},
	"modules:install:tenant":       {"Install, change and uninstall modules, and consent for the tenant", "critical"},
	"modules:read:tenant":          {"Read the catalogue of modules and those installed", "low"},
	"modules:review:platform":      {"Approve and reject versions of modules", "critical"},
	"modules:submit:tenant":        {"Publish modules of one's own", "high"},
	"modules:suspend:platform":     {"Suspend modules everywhere", "critical"},
	"org:create:tenant":            {"Create companies, branches and departments", "medium"},
	"org:delete:tenant":            {"Delete and restore companies, branches and departments", "high"},
	"org:read:tenant":              {"Read the organisation", "low"},
	"org:update:tenant":            {"Change and move companies, branches and departments", "critical"},
	"permissions:declare:platform": {"Declare the permissions of modules", "high"},
	"policies:update:tenant":       {"Change the rules for passwords and sign-in", "high"},
	"roles:create:tenant":          {"Create roles", "high"},
	"roles:delete:tenant":          {"Delete roles", "high"},
	"roles:read:tenant":            {"Read roles and the permissions there are", "low"},
	"roles:update:tenant":          {"Change roles", "critical"},
	"signing-keys:rotate:platform": {"Rotate the keys that sign access tokens", "critical"},
	"settings:read:tenant":         {"Read settings and their history, without secrets", "low"},
	"settings:update:tenant":       {"Change settings of the tenant", "high"},
	"tenants:create:platform":      {"Create tenants", "critical"},
	"tenants:delete:platform":      {"Delete and restore tenants", "critical"},
	"tenants:limit:platform":       {"Change what a tenant may use", "high"},
	"tenants:read:platform":        {"Read all tenants", "medium"},
	"tenants:read:tenant":          {"Read the tenant, its limits and its use", "low"},
	"tenants:suspend:platform":     {"Suspend and resume tenants", "critical"},
	"tenants:update:tenant":        {"Change the tenant's name and branding", "medium"},
	"users:assign:platform":        {"Give users access to further tenants", "critical"},
	"users:create:tenant":          {"Create and invite users", "high"},
	"users:delete:tenant":          {"Delete users", "critical"},
	"users:read:tenant":            {"Read users", "medium"},
	"users:update:tenant":          {"Change, disable and unlock users, and reset their passwords", "high"},
	"webhooks:manage:tenant":       {"Create and change webhooks: where the tenant's events are sent", "critical"},
	"webhooks:read:tenant":         {"Read webhooks and the log of their deliveries", "medium"},
}

// platformCatalogue lists what the contract's operations ask people for, by
// code. No role gives what only platform administrators may: its code ends in
// "platform", and it is not effective in any tenant.
func platformCatalogue() []contract.Permission {
	var all []contract.Permission
	for _, op := range contract.Operations() {
		if !op.Access.Has(contract.User) || op.Permission == "" {
			continue
		}
		known := platformPermissions[op.Permission]
		all = append(all, contract.Permission{
			Code: op.Permission, Module: platformModule, Category: contract.PermissionNamespace(op.Permission),
			Title: cmp.Or(known.title, op.Permission), Risk: cmp.Or(known.risk, "medium"),
			Effective: !strings.HasSuffix(op.Permission, ":platform"),
		})
	}
	byCode := func(a, b contract.Permission) int { return cmp.Compare(a.Code, b.Code) }
	slices.SortFunc(all, byCode)
	return slices.CompactFunc(all, func(a, b contract.Permission) bool { return a.Code == b.Code })
}

// catalogueOf is all that is declared: the platform's own before the modules', by
// module, category and code. Effective is as the tenant has modules enabled.
func (a *App) catalogueOf(ctx context.Context, tenant string) ([]contract.Permission, error) {
	all := platformCatalogue()
	err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		q, enabled := db.New(tx), map[string]bool{}
		modules, err := q.PolicyModules(ctx, tenant)
		if err != nil {
			return err
		}
		for _, m := range modules {
			enabled[m.Name] = m.Enabled
		}
		rows, err := q.ListPermissions(ctx)
		for _, row := range rows {
			p := permissionOf(row)
			p.Effective = enabled[p.Module]
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b contract.Permission) int {
		own := func(p contract.Permission) int {
			if p.Module == platformModule {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(a.Module, b.Module), cmp.Compare(a.Category, b.Category), cmp.Compare(a.Code, b.Code))
	})
	return all, nil
}

func permissionOf(row db.RbacPermission) contract.Permission {
	return contract.Permission{Code: row.Code, Module: row.Module, Category: row.Category, Title: row.Title, Risk: row.Risk}
}
