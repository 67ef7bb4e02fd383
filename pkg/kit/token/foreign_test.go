package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// Others verify our tokens with a library of their own, from the JWK set
// alone; and a token that such a library signs with our key is one of ours.
func TestALibraryThatIsNotOursVerifiesOurTokens(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	published, err := json.Marshal(contract.JWKSResponse{Keys: []contract.JWK{
		{KeyType: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig", KeyID: "k", X: base64.RawURLEncoding.EncodeToString(k.public)},
	}})
	require.NoError(t, err)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(published, &set))
	require.True(t, set.Keys[0].Valid())

	raw := sign(t, jwt.SigningMethodEdDSA, private, claims(), nil)
	parsed, err := josejwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.EdDSA})
	require.NoError(t, err)
	var standard josejwt.Claims
	var ours Claims
	require.NoError(t, parsed.Claims(set, &standard, &ours))
	require.NoError(t, standard.ValidateWithLeeway(josejwt.Expected{Issuer: Issuer, AnyAudience: josejwt.Audience{Audience}, Time: time.Now()}, 0))
	require.Error(t, standard.ValidateWithLeeway(josejwt.Expected{AnyAudience: josejwt.Audience{"other"}}, 0))
	require.Equal(t, []string{"user", "tenant", "session"}, []string{standard.Subject, ours.TenantID, ours.SessionID})

	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	set.Keys[0].Key = other
	require.Error(t, parsed.Claims(set, &standard))

	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "k"}},
		(&jose.SignerOptions{}).WithType(Type))
	require.NoError(t, err)
	theirs, err := josejwt.Signed(signer).Claims(map[string]any(claims())).Serialize()
	require.NoError(t, err)
	_, err = NewVerifier(k).Verify(t.Context(), theirs)
	require.NoError(t, err)
}
