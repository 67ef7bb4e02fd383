package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// keys is a Keys of one key, "k".
type keys struct {
	public ed25519.PublicKey
	err    error
	asked  atomic.Int32
	// dropped keys are trusted no more.
	dropped atomic.Bool
}

func (k *keys) Current(kid string) (ed25519.PublicKey, bool) {
	return k.public, kid == "k" && !k.dropped.Load()
}

func (k *keys) PublicKey(_ context.Context, kid string) (ed25519.PublicKey, error) {
	k.asked.Add(1)
	switch {
	case k.err != nil:
		return nil, k.err
	case kid == "k":
		return k.public, nil
	}
	return nil, contract.Missing("signing key")
}

func newKeys(t testing.TB) (*keys, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return &keys{public: public}, private
}

func claims() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": Issuer, "aud": Audience, "sub": "user", "tid": "tenant", "sid": "session",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header map[string]any) string {
	t.Helper()
	j := jwt.NewWithClaims(method, c)
	j.Header["kid"] = "k"
	for name, value := range header {
		j.Header[name] = value
	}
	raw, err := j.SignedString(key)
	require.NoError(t, err)
	return raw
}

func TestAGoodTokenTellsItsClaims(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	v := NewVerifier(k)
	for name, change := range map[string]func(jwt.MapClaims){
		"plain":                  func(jwt.MapClaims) {},
		"in a list of audiences": func(c jwt.MapClaims) { c["aud"] = []string{Audience} },
		"valid since just now":   func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(-time.Second).Unix() },
		"with more claims":       func(c jwt.MapClaims) { c["more"] = map[string]any{"a": 1} },
	} {
		c := claims()
		change(c)
		raw := sign(t, jwt.SigningMethodEdDSA, private, c, nil)
		got, err := v.Verify(context.Background(), raw)
		require.NoError(t, err, name)
		require.Equal(t, []string{"user", "tenant", "session"}, []string{got.Subject, got.TenantID, got.SessionID})
		cached, ok := v.Cached(raw)
		require.True(t, ok)
		require.Same(t, got, cached)
	}
	asked := k.asked.Load()
	_, err := v.Verify(context.Background(), sign(t, jwt.SigningMethodEdDSA, private, claims(), nil))
	require.NoError(t, err)
	require.LessOrEqual(t, k.asked.Load(), asked+1)
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	other, foreign := newKeys(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := sign(t, jwt.SigningMethodEdDSA, private, claims(), nil)
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	claim := func(name string, value any) string {
		c := claims()
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return sign(t, jwt.SigningMethodEdDSA, private, c, nil)
	}
	header := func(h map[string]any) string { return sign(t, jwt.SigningMethodEdDSA, private, claims(), h) }
	for name, raw := range map[string]string{
		"nothing":                       "",
		"text":                          "token",
		"dots":                          "..",
		"more dots":                     good + ".x",
		"without its signature":         parts[0] + "." + parts[1] + ".",
		"two parts":                     parts[0] + "." + parts[1],
		"another's payload":             parts[0] + "." + encode([]byte(`{"sub":"admin"}`)) + "." + parts[2],
		"a spoiled signature":           parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)),
		"padded":                        good + "=",
		"a trailing bit":                good[:len(good)-1] + string(good[len(good)-1]+1),
		"white space":                   " " + good,
		"a bearer":                      "Bearer " + good,
		"alg none":                      sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(), nil),
		"alg None":                      encode([]byte(`{"alg":"None","kid":"k"}`)) + "." + parts[1] + ".",
		"HS256 with the public key":     sign(t, jwt.SigningMethodHS256, []byte(k.public), claims(), nil),
		"HS256 with its text":           sign(t, jwt.SigningMethodHS256, []byte(encode(k.public)), claims(), nil),
		"HS256 with nothing":            sign(t, jwt.SigningMethodHS256, []byte{}, claims(), nil),
		"RS256":                         sign(t, jwt.SigningMethodRS256, rsaKey, claims(), nil),
		"ES256":                         sign(t, jwt.SigningMethodES256, ecKey, claims(), nil),
		"another key":                   sign(t, jwt.SigningMethodEdDSA, foreign, claims(), nil),
		"another key id":                header(map[string]any{"kid": "other"}),
		"a key id that is a number":     header(map[string]any{"kid": 5}),
		"a key id that is a path":       header(map[string]any{"kid": "../../k"}),
		"no key id":                     header(map[string]any{"kid": nil}),
		"a key of its own":              sign(t, jwt.SigningMethodEdDSA, foreign, claims(), map[string]any{"kid": "mine", "jwk": map[string]string{"kty": "OKP", "x": encode(other.public)}}),
		"another issuer":                claim("iss", "other"),
		"no issuer":                     claim("iss", nil),
		"an issuer that is a list":      claim("iss", []string{Issuer}),
		"another audience":              claim("aud", "other"),
		"audiences, none of them ours":  claim("aud", []string{"a", "b"}),
		"an audience that begins alike": claim("aud", Audience+"-x"),
		"no audience":                   claim("aud", nil),
		"an empty audience":             claim("aud", []string{}),
		"no expiry":                     claim("exp", nil),
		"an expiry in words":            claim("exp", "tomorrow"),
		"expiry 0":                      claim("exp", 0),
		"expired":                       claim("exp", time.Now().Add(-time.Second).Unix()),
		"not valid yet":                 claim("nbf", time.Now().Add(time.Minute).Unix()),
		"issued in the future":          claim("iat", time.Now().Add(time.Minute).Unix()),
		"no subject":                    claim("sub", nil),
		"an empty subject":              claim("sub", ""),
		"a subject that is a number":    claim("sub", 5),
		"no session":                    claim("sid", nil),
		"an empty session":              claim("sid", ""),
		"two audiences":                 claim("aud", []string{Audience, ModuleAudiencePrefix + "crm"}),
		"the same audience twice":       claim("aud", []string{Audience, Audience}),
		"a module's":                    claim("aud", ModuleAudiencePrefix+"crm"),
		"no type":                       header(map[string]any{"typ": nil}),
		"another type":                  header(map[string]any{"typ": "at+jwt"}),
		"a refresh token's type":        header(map[string]any{"typ": "refresh+jwt"}),
		"a type that is a list":         header(map[string]any{"typ": []string{Type}}),
		"a critical header":             header(map[string]any{"crit": []string{"b64"}, "b64": false}),
		"a huge one":                    strings.Repeat("a", 1<<20) + "." + parts[1] + "." + parts[2],
	} {
		v := NewVerifier(k)
		for range 2 { // the second time, too
			got, err := v.Verify(context.Background(), raw)
			require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated}, name)
			require.Nil(t, got, name)
			_, ok := v.Cached(raw)
			require.False(t, ok, name)
		}
	}
}

func TestAnExpiredTokenIsToldSo(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	c := claims()
	c["exp"] = time.Now().Add(-time.Second).Unix()
	_, err := NewVerifier(k).Verify(context.Background(), sign(t, jwt.SigningMethodEdDSA, private, c, nil))
	require.ErrorContains(t, err, "expired")
	// Whoever signs it wrongly learns nothing of that.
	_, foreign := newKeys(t)
	_, err = NewVerifier(k).Verify(context.Background(), sign(t, jwt.SigningMethodEdDSA, foreign, c, nil))
	require.NotContains(t, err.Error(), "expired")
}

// A token must not be called wrong because the keys cannot be asked for.
func TestKeysOutOfReachAreNoRefusal(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	raw := sign(t, jwt.SigningMethodEdDSA, private, claims(), nil)
	for _, away := range []error{contract.Errorf(contract.Unavailable, "away"), errors.New("dial: connection refused"), context.DeadlineExceeded} {
		k.err = away
		_, err := NewVerifier(k).Verify(context.Background(), raw)
		require.ErrorIs(t, err, away)
		require.NotErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated})
	}
}

func TestWhatIsRememberedEndsWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, private := newKeys(t)
		v := NewVerifier(k)
		raw := sign(t, jwt.SigningMethodEdDSA, private, claims(), nil)
		_, err := v.Verify(t.Context(), raw)
		require.NoError(t, err)
		time.Sleep(59 * time.Second) // the bubble's own time
		_, ok := v.Cached(raw)
		require.True(t, ok)
		time.Sleep(time.Second)
		_, ok = v.Cached(raw)
		require.False(t, ok)
		_, err = v.Verify(t.Context(), raw)
		require.ErrorContains(t, err, "expired")
	})
}

func TestATokenIsGoodForItsAudienceAlone(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	with := func(audience any) string {
		c := claims()
		c["aud"], c["scope"] = audience, "crm:accounts:read"
		return sign(t, jwt.SigningMethodEdDSA, private, c, nil)
	}
	access, crm := with(Audience), with(ModuleAudiencePrefix+"crm")
	for _, c := range []struct {
		name, raw, module string
		good              bool
	}{
		{"an access token at the core", access, "", true},
		{"an access token at a module", access, "crm", true},
		{"a module's token at the module", crm, "crm", true},
		{"a module's token at the core", crm, "", false},
		{"a module's token at another", crm, "billing", false},
		{"a module's token where the name begins alike", crm, "cr", false},
		{"a module's token where the name goes on", crm, "crm2", false},
		{"a token for no module", with(ModuleAudiencePrefix), "", false},
		{"a token for two modules", with([]string{ModuleAudiencePrefix + "crm", ModuleAudiencePrefix + "billing"}), "crm", false},
		{"a token for a module and the core", with([]string{ModuleAudiencePrefix + "crm", Audience}), "crm", false},
		{"a token for somebody else", with("crm"), "crm", false},
	} {
		v := NewVerifier(k)
		_, _ = v.VerifyFor(t.Context(), c.raw, "crm") // remembered for one audience, it is not good for another
		for range 2 {
			got, err := v.VerifyFor(t.Context(), c.raw, c.module)
			cached, ok := v.CachedFor(c.raw, c.module)
			require.Equal(t, c.good, err == nil, c.name)
			require.Equal(t, c.good, ok, c.name)
			if c.good {
				require.Same(t, got, cached)
				continue
			}
			require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated}, c.name)
			require.Nil(t, cached, c.name)
		}
	}
	v := NewVerifier(k)
	_, err := v.Verify(t.Context(), crm)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated})
	_, ok := v.Cached(crm)
	require.False(t, ok)
	got, err := v.VerifyFor(t.Context(), crm, "crm")
	require.NoError(t, err)
	require.Equal(t, []string{"crm", "crm:accounts:read"}, []string{got.Module(), got.Scope})
	got, err = v.VerifyFor(t.Context(), access, "crm")
	require.NoError(t, err)
	require.Empty(t, got.Module())
}

func TestATokenOfADroppedKeyIsForgotten(t *testing.T) {
	t.Parallel()
	k, private := newKeys(t)
	v := NewVerifier(k)
	raw := sign(t, jwt.SigningMethodEdDSA, private, claims(), nil)
	_, err := v.Verify(t.Context(), raw)
	require.NoError(t, err)
	k.dropped.Store(true)
	_, ok := v.Cached(raw)
	require.False(t, ok)
	k.err = contract.Missing("signing key")
	_, err = v.Verify(t.Context(), raw)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated})
	// Another key under the same id does not vouch for it either.
	k.dropped.Store(false)
	k.public = make(ed25519.PublicKey, ed25519.PublicKeySize)
	_, ok = v.Cached(raw)
	require.False(t, ok)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	v := NewVerifier(&keys{})
	until := func(d time.Duration) verified {
		return verified{kid: "k", claims: &Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Now().Add(d))}}}
	}
	fill := func(d time.Duration) {
		token := until(d)
		for i := range maxKnown {
			v.known[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = token
		}
	}
	fill(time.Minute)
	v.remember("a", until(time.Minute))
	require.LessOrEqual(t, len(v.known), maxKnown)
	require.Greater(t, len(v.known), maxKnown/2, "those who are logged in are not all verified anew")
	clear(v.known)
	fill(-time.Minute)
	v.known[[32]byte{255, 255, 255}] = until(time.Minute)
	v.remember("b", until(time.Minute))
	require.Len(t, v.known, 2, "what expired goes first")
}

// Whatever is accepted is the very token that was signed.
func FuzzVerify(f *testing.F) {
	k, private := newKeys(f)
	c := claims()
	c["exp"] = time.Now().Add(time.Hour).Unix()
	access := sign(f, jwt.SigningMethodEdDSA, private, c, nil)
	c["aud"] = ModuleAudiencePrefix + "crm"
	module := sign(f, jwt.SigningMethodEdDSA, private, c, nil)
	for _, raw := range []string{access, module, "..", access + "=", "\n" + access, access[:len(access)-1], strings.Repeat(".", 1000), "bfr_x", "{}"} {
		f.Add(raw, "crm")
	}
	f.Add(module, "")
	f.Fuzz(func(t *testing.T, raw, name string) {
		v := NewVerifier(k)
		got, err := v.VerifyFor(context.Background(), raw, name)
		switch {
		case err == nil && (raw != access || !got.isAccess()) && (raw != module || name != "crm"):
			t.Errorf("accepted: %q for %q", raw, name)
		case err != nil && !errors.Is(err, &contract.Error{Code: contract.Unauthenticated}):
			t.Errorf("%q: %v", raw, err)
		}
		if _, err := v.Verify(context.Background(), raw); err == nil && raw != access {
			t.Errorf("accepted as an access token: %q", raw)
		}
	})
}

func BenchmarkCached(b *testing.B) {
	k, private := newKeys(b)
	v := NewVerifier(k)
	raw := sign(b, jwt.SigningMethodEdDSA, private, claims(), nil)
	_, err := v.Verify(b.Context(), raw)
	require.NoError(b, err)
	for b.Loop() {
		if _, ok := v.Cached(raw); !ok {
			b.Fatal("forgotten")
		}
	}
}
