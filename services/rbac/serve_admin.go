package rbac

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleAdmin serves what administrators do with roles, groups, bindings and
// the catalogue.
func (s *Service) handleAdmin() error {
	return errors.Join(
		kit.Handle(s.server, contract.GetRole, s.app.GetRole),
		kit.Handle(s.server, contract.ListRoles, s.app.ListRoles),
		kit.Handle(s.server, contract.CreateRole, s.app.CreateRole),
		kit.Handle(s.server, contract.UpdateRole, s.app.UpdateRole),
		kit.Handle(s.server, contract.DeleteRole, s.app.DeleteRole),
		kit.Handle(s.server, contract.CloneRole, s.app.CloneRole),
		kit.Handle(s.server, contract.CompareRoles, s.app.CompareRoles),
		kit.Handle(s.server, contract.RoleMatrix, s.app.RoleMatrix),
		kit.Handle(s.server, contract.GetGroup, s.app.GetGroup),
		kit.Handle(s.server, contract.ListGroups, s.app.ListGroups),
		kit.Handle(s.server, contract.CreateGroup, s.app.CreateGroup),
		kit.Handle(s.server, contract.UpdateGroup, s.app.UpdateGroup),
		kit.Handle(s.server, contract.DeleteGroup, s.app.DeleteGroup),
		kit.Handle(s.server, contract.ListGroupMembers, s.app.ListGroupMembers),
		kit.Handle(s.server, contract.ChangeGroupMembers, s.app.ChangeGroupMembers),
		kit.Handle(s.server, contract.GetBinding, s.app.GetBinding),
		kit.Handle(s.server, contract.ListBindings, s.app.ListBindings),
		kit.Handle(s.server, contract.CreateBinding, s.app.CreateBinding),
		kit.Handle(s.server, contract.UpdateBinding, s.app.UpdateBinding),
		kit.Handle(s.server, contract.DeleteBinding, s.app.DeleteBinding),
		kit.Handle(s.server, contract.ChangeBindings, s.app.ChangeBindings),
		kit.Handle(s.server, contract.ListCatalogue, s.app.ListCatalogue),
		kit.Handle(s.server, contract.GroupedCatalogue, s.app.GroupedCatalogue),
		kit.Handle(s.server, contract.DeclarePermissions, s.app.DeclarePermissions),
	)
}
