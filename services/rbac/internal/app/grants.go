package app

import (
	"context"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
)

// grant is a binding that is asked for, with ids in their usual spelling.
type grant struct {
	contract.BindingFields
	deny bool
	// prefix stands before the names of fields in answers.
	prefix string
}

// readGrant checks what can be said of a grant by itself.
func readGrant(f contract.BindingFields, prefix string) (grant, error) {
	g := grant{BindingFields: f, deny: f.Effect == "deny", prefix: prefix}
	for _, id := range []struct {
		name string
		text *string
	}{{"user_id", &g.UserID}, {"group_id", &g.GroupID}, {"role_id", &g.RoleID}, {"unit_id", &g.UnitID}} {
		if *id.text == "" {
			continue
		}
		parsed, err := uuid.Parse(*id.text)
		if err != nil {
			return g, contract.Invalid(prefix+id.name, "must be an id, a UUID")
		}
		*id.text = parsed.String()
	}
	var err error
	switch {
	case (g.UserID == "") == (g.GroupID == ""):
		err = contract.Invalid(prefix+"user_id", "name either a user or a group")
	case (g.RoleID == "") == (g.Role == ""):
		err = contract.Invalid(prefix+"role_id", "name the role either by role_id or by role")
	case g.Effect != "" && g.Effect != "allow" && g.Effect != "deny":
		err = contract.Invalid(prefix+"effect", "must be allow or deny")
	case (g.ResourceType == "") != (g.ResourceID == ""):
		err = contract.Invalid(prefix+"resource_id", "resource_type and resource_id go together")
	case g.UnitID != "" && g.ResourceType != "":
		err = contract.Invalid(prefix+"unit_id", "a binding holds in a unit or for a resource, not both")
	default:
		g.ExpiresAt, err = readExpiry(prefix+"expires_at", f.ExpiresAt)
	}
	return g, err
}

func (g *grant) reach() reach {
	return reachOf(optional(g.UnitID), g.ResourceType, g.ResourceID, g.ExpiresAt)
}

// awaitSubjects waits for users and units that were made a moment ago.
func (a *App) awaitSubjects(ctx context.Context, tenant string, all []grant) error {
	for _, g := range all {
		if g.UserID != "" {
			if err := a.awaitMember(ctx, tenant, g.UserID, g.prefix+"user_id"); err != nil {
				return err
			}
		}
	}
	return a.awaitUnits(ctx, tenant, all)
}

// roleField is where the role was named.
func (g *grant) roleField() string {
	if g.Role != "" {
		return g.prefix + "role"
	}
	return g.prefix + "role_id"
}
