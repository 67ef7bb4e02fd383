// Package token verifies people's tokens where they arrive: JWTs (RFC 7519)
// signed with Ed25519 (RFC 8037), algorithm, type, issuer and audience pinned.
//
// There are two kinds, and neither passes for the other. An access token is
// for the core itself and carries Audience; a module token is for one module
// and carries that module's audience. Each token has exactly one audience.
package token

import (
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/buildify/core/pkg/contract"
)

const (
	// Issuer is what every token of the platform carries.
	Issuer = "buildify"
	// Audience is what an access token carries.
	Audience = "buildify-core"
	// ModuleAudiencePrefix and a module's name are what a token for that module
	// carries.
	ModuleAudiencePrefix = "buildify-module:"
	// Type is the header's typ. RFC 9068 would have at+jwt, which widespread
	// verifiers (Nimbus, hence Spring) refuse unless they are told otherwise;
	// the audiences keep the kinds apart.
	Type = "JWT"

	// Lifetime of an access token.
	Lifetime = 15 * time.Minute
	// ModuleLifetime is that of a module token.
	ModuleLifetime = 5 * time.Minute
)

// Claims of a token: sub is the user, tid the tenant that the token acts in,
// sid the session.
type Claims struct {
	jwt.RegisteredClaims
	// TenantID is empty for a platform administrator who acts in no tenant; it
	// is the verifier's to hold that against what it knows of the user.
	TenantID  string `json:"tid,omitempty"`
	SessionID string `json:"sid"`
	// Scope is a module token's: permission codes, separated by spaces.
	Scope string `json:"scope,omitempty"`
}

// Module is the module that the token was made for, empty for an access token.
func (c *Claims) Module() string {
	for _, audience := range c.Audience {
		if module, ok := strings.CutPrefix(audience, ModuleAudiencePrefix); ok {
			return module
		}
	}
	return ""
}

// isAccess reports whether it is an access token's claims.
func (c *Claims) isAccess() bool { return len(c.Audience) == 1 && c.Audience[0] == Audience }

// isFor reports whether it is the claims of a token for the module.
func (c *Claims) isFor(module string) bool {
	return module != "" && len(c.Audience) == 1 && c.Audience[0] == ModuleAudiencePrefix+module
}

func invalid(message string) error {
	return &contract.Error{Code: contract.Unauthenticated, Field: "token", Message: message}
}
