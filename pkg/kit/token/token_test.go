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
	"sync"
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
		"plain":                 func(jwt.MapClaims) {},
		"for several audiences": func(c jwt.MapClaims) { c["aud"] = []string{"other", Audience} },
		"valid since just now":  func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(-time.Second).Unix() },
		"with more claims":      func(c jwt.MapClaims) { c["more"] = map[string]any{"a": 1} },
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
		"no tenant":                     claim("tid", nil),
		"an empty tenant":               claim("tid", ""),
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

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	v := NewVerifier(&keys{})
	soon, past := jwt.NewNumericDate(time.Now().Add(time.Minute)), jwt.NewNumericDate(time.Now().Add(-time.Minute))
	fill := func(expires *jwt.NumericDate) {
		for i := range maxKnown {
			v.known[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = &Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: expires}}
		}
	}
	fill(soon)
	v.remember("a", &Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: soon}})
	require.LessOrEqual(t, len(v.known), maxKnown)
	clear(v.known)
	fill(past)
	v.known[[32]byte{255, 255, 255}] = &Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: soon}}
	v.remember("b", &Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: soon}})
	require.Len(t, v.known, 2, "what expired goes first")
}

func TestAKeySetAsksAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeys(t)
		fetched := 0
		set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) {
			fetched++
			return &contract.JWKSResponse{Keys: []contract.JWK{{KeyID: "k", X: base64.RawURLEncoding.EncodeToString(k.public)}}}, nil
		}}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := set.PublicKey(t.Context(), "hostile")
				require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
				key, err := set.PublicKey(t.Context(), "k")
				require.NoError(t, err)
				require.Equal(t, k.public, key)
			})
		}
		all.Wait()
		require.Equal(t, 1, fetched)
		time.Sleep(time.Second)
		for range 5 {
			_, err := set.PublicKey(t.Context(), "hostile")
			require.Error(t, err)
			_, err = set.PublicKey(t.Context(), "k")
			require.NoError(t, err)
		}
		require.Equal(t, 2, fetched)
	})
}

// A key that was made a moment ago is found; one that was taken away is not.
func TestAKeySetFollowsItsSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeys(t)
		good := contract.JWK{KeyID: "new", X: base64.RawURLEncoding.EncodeToString(k.public)}
		answer, failure := []contract.JWK{}, errors.New("away")
		set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) {
			if failure != nil {
				return nil, failure
			}
			return &contract.JWKSResponse{Keys: answer}, nil
		}}
		_, err := set.PublicKey(t.Context(), "new")
		require.ErrorIs(t, err, failure)
		failure = nil
		_, err = set.PublicKey(t.Context(), "new")
		require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
		answer = []contract.JWK{good}
		time.Sleep(time.Second)
		_, err = set.PublicKey(t.Context(), "new")
		require.NoError(t, err)
		answer = []contract.JWK{{KeyID: "other", X: good.X}}
		time.Sleep(time.Second)
		_, err = set.PublicKey(t.Context(), "other")
		require.NoError(t, err)
		_, err = set.PublicKey(t.Context(), "new")
		require.Error(t, err)
		for _, x := range []string{"", "!!", "AAAA", good.X + "AA"} {
			answer = []contract.JWK{{KeyID: "odd", X: x}}
			time.Sleep(time.Second)
			_, err = set.PublicKey(t.Context(), "odd")
			require.ErrorContains(t, err, "malformed", "%q", x)
		}
	})
}

func FuzzVerify(f *testing.F) {
	k, private := newKeys(f)
	good := sign(f, jwt.SigningMethodEdDSA, private, claims(), nil)
	f.Add(good)
	f.Add("..")
	v := NewVerifier(k)
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := v.Verify(context.Background(), raw); err == nil && raw != good {
			t.Errorf("accepted: %q", raw)
		}
	})
}
