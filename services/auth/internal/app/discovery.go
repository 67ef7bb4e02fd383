package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/token"
)

// Discovery answers auth.discovery. The issuer is what tokens carry in iss, a
// name and no address: an installation may have several addresses.
func (a *App) Discovery(context.Context, *contract.DiscoveryRequest) (*contract.DiscoveryResponse, error) {
	at := func(spec *contract.Spec) string { return a.PublicURL.JoinPath(spec.Path).String() }
	return &contract.DiscoveryResponse{
		Issuer:               token.Issuer,
		JWKSURI:              at(contract.JWKS.Spec),
		TokenEndpoint:        at(contract.Refresh.Spec),
		UserinfoEndpoint:     at(contract.Me.Spec),
		EndSessionEndpoint:   at(contract.Logout.Spec),
		SigningAlgorithms:    []string{"EdDSA"},
		SubjectTypes:         []string{"public"},
		ResponseTypes:        []string{"token"},
		ClaimsSupported:      []string{"iss", "aud", "sub", "tid", "sid", "jti", "iat", "exp", "scope"},
		AccessTokenAudience:  token.Audience,
		ModuleAudiencePrefix: token.ModuleAudiencePrefix,
		AccessTokenLifetime:  int(a.Signer.Lifetime.Seconds()),
	}, nil
}
