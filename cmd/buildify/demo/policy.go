package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// module is what the demo's tenant has enabled.
const module = "financial"

// declared are the module's permissions.
var declared = contract.DeclarePermissionsRequest{ModuleName: module, Permissions: []contract.DeclaredPermission{
	{Code: "financial:accounts:read", Category: "Accounts", Title: "Read accounts", Risk: "low"},
	{Code: "financial:accounts:write", Category: "Accounts", Title: "Open and change accounts", Risk: "high"},
	{Code: "financial:invoices:read", Category: "Invoices", Title: "Read invoices", Risk: "low"},
	{Code: "financial:invoices:write", Category: "Invoices", Title: "Issue and change invoices", Risk: "medium"},
}}

// roles of the demo's tenant. Its administrator has one that comes with the
// product.
var roles = []contract.CreateRoleRequest{
	{Name: "accountant", Title: "Accountant", Permissions: []string{"financial:accounts:*", "financial:invoices:*"}},
	{Name: "viewer", Title: "Viewer", Permissions: []string{"financial:accounts:read", "financial:invoices:read"}},
}

// groups of the demo's tenant, each bound to a role.
var groups = []struct {
	contract.CreateGroupRequest
	role string
}{
	{contract.CreateGroupRequest{Name: "accounting", Title: "Accounting"}, "accountant"},
}

// Unit is a company, branch or department of the demo's tenant.
type Unit struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Code string `json:"code"`
	Name string `json:"name"`
	// In is the name of the unit above; a company has none.
	In string `json:"in,omitempty"`
}

// units are the org tree, from above.
func units() []Unit {
	return []Unit{
		{Kind: "company", Code: "ACME", Name: "ACME Corporation"},
		{Kind: "branch", Code: "IZM", Name: "Izmir", In: "ACME Corporation"},
		{Kind: "branch", Code: "BER", Name: "Berlin", In: "ACME Corporation"},
		{Kind: "department", Code: "SALES", Name: "Izmir Sales", In: "Izmir"},
	}
}

// makePolicy makes who may do what. What is there of a load that was cut off
// stays.
func (s *State) makePolicy(ctx context.Context, client *kit.Client) error {
	if s.finished() {
		return nil // later changes are somebody's own
	}
	for _, step := range []func(context.Context, *kit.Client) error{
		s.enableModules, s.makeUnits, s.makeRoles, s.makeGroups, s.makeBindings, s.awaitPolicy,
	} {
		if err := step(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) tenantID() contract.ID { return contract.ID(s.Tenant.ID) }

func (s *State) enableModules(ctx context.Context, client *kit.Client) error {
	for _, m := range s.Modules {
		if _, err := kit.Call(ctx, client, contract.SetTenantModule, &contract.SetTenantModuleRequest{
			TenantID: s.tenantID(), ModuleName: m.Name, Enabled: true,
		}); err != nil {
			return err
		}
	}
	_, err := kit.Call(ctx, client, contract.DeclarePermissions, &declared)
	return err
}

func (s *State) makeUnits(ctx context.Context, client *kit.Client) error {
	if s.Units == nil { // the file of an earlier version
		s.Units = units()
	}
	if err := s.findUnits(ctx, client); err != nil {
		return err
	}
	for i := range s.Units {
		u := &s.Units[i]
		if u.ID != "" {
			continue
		}
		made, err := kit.Call(ctx, client, contract.CreateUnit, &contract.CreateUnitRequest{
			TenantID: s.tenantID(), Kind: u.Kind, Code: u.Code, Name: u.Name, ParentID: contract.ID(s.unitID(u.In)),
		})
		if err != nil {
			return err
		}
		u.ID = made.ID
	}
	return nil
}

// findUnits fills in the ids of units that are there already.
func (s *State) findUnits(ctx context.Context, client *kit.Client) error {
	request := &contract.SnapshotRequest{}
	for {
		page, err := kit.Call(ctx, client, contract.ListUnits, request)
		if err != nil {
			return err
		}
		for _, there := range page.Items {
			for i := range s.Units {
				if u := &s.Units[i]; there.TenantID == s.Tenant.ID && !there.Removed && there.Kind == u.Kind && there.Name == u.Name {
					u.ID = there.ID
				}
			}
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			return nil
		}
	}
}

func (s *State) unitID(name string) string {
	for _, u := range s.Units {
		if u.Name == name {
			return u.ID
		}
	}
	return ""
}

func (s *State) makeRoles(ctx context.Context, client *kit.Client) error {
	for _, role := range roles {
		role.TenantID = s.tenantID()
		if _, err := kit.Call(ctx, client, contract.CreateRole, &role); err != nil && !errors.Is(err, errExists) {
			return err
		}
	}
	return nil
}

func (s *State) makeGroups(ctx context.Context, client *kit.Client) error {
	for _, group := range groups {
		group.TenantID = s.tenantID()
		id, err := groupID(ctx, client, &group.CreateGroupRequest)
		if err != nil {
			return err
		}
		members := &contract.ChangeGroupMembersRequest{TenantID: group.TenantID, GroupID: contract.ID(id)}
		for _, u := range s.Users {
			if u.Group == group.Name {
				members.Add = append(members.Add, u.ID)
			}
		}
		if _, err := kit.Call(ctx, client, contract.ChangeGroupMembers, members); err != nil {
			return err
		}
		if err := s.bind(ctx, client, &contract.CreateBindingRequest{GroupID: contract.ID(id), Role: group.role}); err != nil {
			return err
		}
	}
	return nil
}

// groupID makes the group, or finds it.
func groupID(ctx context.Context, client *kit.Client, group *contract.CreateGroupRequest) (string, error) {
	made, err := kit.Call(ctx, client, contract.CreateGroup, group)
	if err == nil {
		return made.ID, nil
	}
	if !errors.Is(err, errExists) {
		return "", err
	}
	page, err := kit.Call(ctx, client, contract.ListGroups, &contract.ListGroupsRequest{
		TenantID: group.TenantID, Search: group.Name, Limit: 500,
	})
	if err != nil {
		return "", err
	}
	for _, there := range page.Items {
		if there.Name == group.Name {
			return there.ID, nil
		}
	}
	return "", fmt.Errorf("group %s exists and is not listed", group.Name)
}

func (s *State) makeBindings(ctx context.Context, client *kit.Client) error {
	for _, u := range s.Users {
		if u.Group != "" {
			continue
		}
		for _, role := range u.Roles {
			if err := s.bind(ctx, client, &contract.CreateBindingRequest{
				UserID: contract.ID(u.ID), Role: role, UnitID: contract.ID(s.unitID(u.Unit)),
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *State) bind(ctx context.Context, client *kit.Client, r *contract.CreateBindingRequest) error {
	r.TenantID = s.tenantID()
	_, err := kit.Call(ctx, client, contract.CreateBinding, r)
	if errors.Is(err, errExists) {
		return nil
	}
	return err
}

// awaitPolicy waits until decisions know of everything above: of the modules
// and the org tree rbac learns by event.
func (s *State) awaitPolicy(ctx context.Context, client *kit.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, u := range s.Users {
		if len(u.Roles) == 0 {
			continue
		}
		request := &contract.CheckRequest{
			UserID: contract.ID(u.ID), Permission: module + ":accounts:read", DepartmentID: contract.ID(s.unitID(u.Unit)),
		}
		for {
			answer, err := kit.Call(ctx, client, contract.CheckPermission, request)
			if err != nil {
				return err
			}
			if answer.Allowed {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s was given %v and still may not %s", u.Email, u.Roles, request.Permission)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}
