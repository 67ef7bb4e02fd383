package app

import (
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/record"
)

// trailOf is the tenant whose trail the user reads: the one that the token acts
// in, or for a platform administrator the one named.
func trailOf(user kit.User, named string) (string, error) {
	switch {
	case named != "" && named == user.TenantID:
	case named != "" && user.Platform:
		return named, nil
	case named != "" || user.TenantID == "" && !user.Platform:
		return "", &contract.Error{
			Code: contract.PermissionDenied, Field: "tenant_id", Message: "names a tenant that you do not act in: leave it out, or switch to that tenant",
		}
	case user.TenantID == "":
		return record.PlatformTenant, nil
	}
	return user.TenantID, nil
}
