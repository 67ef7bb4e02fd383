package app

import (
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/token"
)

// maxScope bounds a module token, in bytes: it travels in headers.
const maxScope = 4096

// ModuleToken answers auth.module_token. A module that the tenant did not
// enable does not exist.
func (a *App) ModuleToken(ctx context.Context, r *contract.ModuleTokenRequest) (*contract.AccessTokenResponse, error) {
	user := kit.UserFrom(ctx)
	if user.TenantID == "" {
		return nil, contract.Errorf(contract.Conflict, "you act in no tenant; auth.switch_tenant takes you into one")
	}
	if !a.Directory.Enabled(user.TenantID, r.Module) {
		return nil, contract.Missing("module")
	}
	held, err := kit.Call(ctx, a.Core, contract.ListPermissions, &contract.PermissionsRequest{
		UserID: contract.ID(user.ID), TenantID: contract.ID(user.TenantID),
	})
	if err != nil {
		return nil, err
	}
	scope := strings.Join(within(r.Module, held.Permissions), " ")
	if len(scope) > maxScope {
		return nil, contract.Errorf(contract.Conflict,
			"the permissions in %s do not fit a token (%d of %d bytes); grant them by wildcards such as %s:**", r.Module, len(scope), maxScope, r.Module)
	}
	signed, err := a.Signer.SignFor(r.Module, user.ID, user.TenantID, user.SessionID, scope)
	if err != nil {
		return nil, err
	}
	return &contract.AccessTokenResponse{
		AccessToken: signed, TokenType: "Bearer", ExpiresIn: int(token.ModuleLifetime.Seconds()),
		TenantID: user.TenantID, Scope: scope,
	}, nil
}

// within narrows granted codes to those of one module, sorted. A wildcard for
// the first segment becomes the module's name.
func within(module string, codes []string) (narrowed []string) {
	all := module + ":**"
	for _, code := range codes {
		switch first, rest, ok := strings.Cut(code, ":"); {
		case first == "**" && !ok:
			narrowed = append(narrowed, all)
		case ok && (first == module || first == "*"):
			narrowed = append(narrowed, module+":"+rest)
		}
	}
	if slices.Contains(narrowed, all) {
		return []string{all}
	}
	slices.Sort(narrowed)
	return slices.Compact(narrowed)
}
