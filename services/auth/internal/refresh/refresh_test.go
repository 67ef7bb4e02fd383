package refresh

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/services/auth/internal/secret"
)

const session = "0190f3a2-7c1e-7b3a-9f00-112233445566"

func key(t testing.TB, letter string) Key {
	t.Helper()
	box, err := secret.NewBox([]byte(strings.Repeat(letter, secret.MinLength)))
	require.NoError(t, err)
	return box
}

func fresh(t testing.TB) Token {
	t.Helper()
	token, err := New(key(t, "a"), session, secret.Random(secretSize))
	require.NoError(t, err)
	return token
}

func TestATokenComesBackAsItWas(t *testing.T) {
	t.Parallel()
	token := fresh(t)
	parsed, err := Parse(token.Reveal())
	require.NoError(t, err)
	require.Equal(t, token, parsed)
	require.Equal(t, session, parsed.Session())
	require.True(t, parsed.Genuine(key(t, "a")))
	require.False(t, parsed.Genuine(key(t, "b")), "of another installation")
	require.NotEqual(t, token.Reveal(), fresh(t).Reveal())
}

func TestEveryReplicaDerivesTheSameSuccessor(t *testing.T) {
	t.Parallel()
	token := fresh(t)
	next := token.Successor(key(t, "a"))
	require.Equal(t, next, token.Successor(key(t, "a")))
	require.Equal(t, session, next.Session())
	require.True(t, next.Genuine(key(t, "a")))
	require.NotEqual(t, token.Reveal(), next.Reveal())
	require.NotEqual(t, next.Reveal(), token.Successor(key(t, "b")).Reveal())
	require.NotEqual(t, next.Reveal(), next.Successor(key(t, "a")).Reveal())
	require.NotEqual(t, next.Reveal(), fresh(t).Successor(key(t, "a")).Reveal())
}

func TestWhatIsStoredIsNoToken(t *testing.T) {
	t.Parallel()
	token := fresh(t)
	stored := token.Stored(key(t, "a"))
	require.Len(t, stored, 32)
	require.Equal(t, stored, token.Stored(key(t, "a")))
	require.NotEqual(t, stored, token.Stored(key(t, "b")))
	next := token.Successor(key(t, "a"))
	require.NotEqual(t, stored, next.secret[:], "the store holds successors' secrets")
}

func TestATokenIsNotPrinted(t *testing.T) {
	t.Parallel()
	token := fresh(t)
	raw, err := json.Marshal(map[string]any{"token": token})
	require.NoError(t, err)
	secret := fmt.Sprintf("%x", token.secret)
	for _, printed := range []string{fmt.Sprint(token), fmt.Sprintf("%#v %+v %s %q", token, token, token, token), string(raw)} {
		require.NotContains(t, printed, secret[:8])
		require.Contains(t, printed, session)
	}
}

func TestWhatIsNoTokenIsMalformed(t *testing.T) {
	t.Parallel()
	good := fresh(t).Reveal()
	flipped := []byte(good)
	flipped[20] ^= 1
	for name, s := range map[string]string{
		"nothing": "", "a word": "token", "cut": good[:len(good)-1], "longer": good + "0", "in capitals": strings.ToUpper(good),
		"capitals within": prefix + strings.ToUpper(good[len(prefix):]), "altered": string(flipped), "an API key": "bfy" + good[3:],
		"blanks": " " + good[1:], "a line": good[:len(good)-1] + "\n", "not hex": prefix + strings.Repeat("z", len(good)-len(prefix)),
	} {
		_, err := Parse(s)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestATokenNeedsASessionAndRandomness(t *testing.T) {
	t.Parallel()
	_, err := New(key(t, "a"), "no session", secret.Random(secretSize))
	require.Error(t, err)
	_, err = New(key(t, "a"), session, secret.Random(secretSize-1))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	k := key(f, "a")
	token, err := New(k, session, []byte(strings.Repeat("s", secretSize))) // the same in every worker
	require.NoError(f, err)
	good := token.Reveal()
	for _, s := range []string{"", "bfr_", good, good[:len(good)-8] + "00000000", strings.Repeat("bfr_", 35), good + "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := Parse(s)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, s, token.Reveal(), "a token has two spellings")
		if s != good {
			require.False(t, token.Genuine(k), "a token was forged")
		}
	})
}
