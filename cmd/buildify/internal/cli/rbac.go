package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func rbacCommand() *cobra.Command {
	cmd := group("rbac", "Who may do what in a tenant: roles, bindings, and why")
	role := group("role", "Make, change and delete roles")
	role.AddCommand(createRoleCommand(), updateRoleCommand(), deleteRoleCommand())
	permissions := group("permissions", "The catalogue of permissions")
	permissions.AddCommand(declarePermissionsCommand())
	cmd.AddCommand(rolesCommand(), role, bindingsCommand(), grantCommand(), revokeCommand(),
		explainCommand(), whoCanCommand(), permissions, unitsCommand())
	return cmd
}

// policy is a command about a tenant's policy.
type policy struct {
	operator
	printer
	tenant string
}

func (p *policy) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.tenant, "tenant", "", "id of the tenant")
	_ = cmd.MarkFlagRequired("tenant") // it is there
	p.printer.flags(cmd)
	p.operator.flags(cmd)
}

func (p *policy) tenantID() contract.ID { return contract.ID(p.tenant) }

// user is the id of whom an id or an e-mail address names.
func (p *policy) user(ctx context.Context, client *kit.Client, name string) (contract.ID, error) {
	if !strings.Contains(name, "@") {
		return contract.ID(name), nil
	}
	page, err := kit.Call(ctx, client, contract.ListUsers, &contract.ListUsersRequest{TenantID: p.tenantID(), Search: name, Limit: 500})
	if err != nil {
		return "", err
	}
	for _, u := range page.Items {
		if strings.EqualFold(u.Email, name) {
			return contract.ID(u.ID), nil
		}
	}
	return "", fmt.Errorf("%s: nobody in the tenant has this e-mail address", name)
}

// role is the id of which an id or a name names; the tenant's own before the
// platform's.
func (p *policy) role(ctx context.Context, client *kit.Client, name string) (found contract.ID, err error) {
	if isID(name) {
		return contract.ID(name), nil
	}
	page, err := kit.Call(ctx, client, contract.ListRoles, &contract.ListRolesRequest{TenantID: p.tenantID(), Search: name, Limit: 500})
	if err != nil {
		return "", err
	}
	for _, r := range page.Items {
		if r.Name == name && (found == "" || r.TenantID != "") {
			found = contract.ID(r.ID)
		}
	}
	if found == "" {
		return "", fmt.Errorf("no role %s: `buildify rbac roles` lists them", name)
	}
	return found, nil
}

// group is the id of which an id or a name names.
func (p *policy) group(ctx context.Context, client *kit.Client, name string) (contract.ID, error) {
	if name == "" || isID(name) {
		return contract.ID(name), nil
	}
	page, err := kit.Call(ctx, client, contract.ListGroups, &contract.ListGroupsRequest{TenantID: p.tenantID(), Search: name, Limit: 500})
	if err != nil {
		return "", err
	}
	for _, g := range page.Items {
		if g.Name == name {
			return contract.ID(g.ID), nil
		}
	}
	return "", fmt.Errorf("--group %s: no such group", name)
}

func isID(name string) bool {
	_, err := uuid.Parse(name)
	return err == nil
}

// place narrows a question or a binding: a unit of the org tree, or a resource.
type place struct{ unit, resource string }

func (p *place) flags(cmd *cobra.Command, unit, resource string) {
	cmd.Flags().StringVar(&p.unit, "unit", "", unit)
	cmd.Flags().StringVar(&p.resource, "resource", "", resource)
}

// split takes the resource apart.
func (p *place) split() (kind, id string, err error) {
	kind, id, ok := strings.Cut(p.resource, ":")
	if p.resource != "" && (!ok || kind == "" || id == "") {
		return "", "", fmt.Errorf("--resource %s: must be type:id, such as invoice:17", p.resource)
	}
	return kind, id, nil
}

// scope is where a binding holds, as it stands in a trace.
func scope(unit, kind, id string) string {
	switch {
	case unit != "":
		return "unit:" + unit
	case kind != "":
		return "resource:" + kind + ":" + id
	}
	return "tenant"
}
