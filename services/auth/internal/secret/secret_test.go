package secret

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func box(t testing.TB, master string) *Box {
	t.Helper()
	b, err := NewBox([]byte(master))
	require.NoError(t, err)
	return b
}

var (
	master = strings.Repeat("a", MinLength)
	other  = strings.Repeat("b", MinLength)
)

func TestAShortSecretIsNone(t *testing.T) {
	t.Parallel()
	for _, short := range []string{"", "x", strings.Repeat("a", MinLength-1)} {
		_, err := NewBox([]byte(short))
		require.ErrorIs(t, err, ErrShort)
	}
}

func TestWhatWasSealedComesBackUnderTheSameSecretAndNameOnly(t *testing.T) {
	t.Parallel()
	plain := []byte("a private key")
	sealed := box(t, master).Seal("kid", plain)
	require.NotContains(t, string(sealed), "private")
	got, err := box(t, master).Unseal("kid", sealed)
	require.NoError(t, err)
	require.Equal(t, plain, got)
	require.NotEqual(t, sealed, box(t, master).Seal("kid", plain), "a nonce is used twice")
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		master, name string
		sealed       []byte
	}{
		"another secret": {other, "kid", sealed},
		"a longer one":   {master + "a", "kid", sealed},
		"another name":   {master, "kid2", sealed},
		"no name":        {master, "", sealed},
		"altered":        {master, "kid", flipped},
		"cut":            {master, "kid", sealed[:len(sealed)-1]},
		"longer":         {master, "kid", append(bytes.Clone(sealed), 0)},
		"short":          {master, "kid", sealed[:5]},
		"nothing":        {master, "kid", nil},
		"not sealed":     {master, "kid", plain},
	} {
		got, err := box(t, c.master).Unseal(c.name, c.sealed)
		require.ErrorIs(t, err, ErrSealed, name)
		require.Nil(t, got, name)
	}
}

func TestAKeyMatchesItsMACOnly(t *testing.T) {
	t.Parallel()
	b := box(t, master)
	mac := b.MAC("secret")
	require.Len(t, mac, 32)
	require.True(t, b.Matches("secret", mac))
	require.True(t, box(t, master).Matches("secret", mac), "another replica")
	for name, m := range map[string][]byte{
		"another secret's":        b.MAC("Secret"),
		"another installation's":  box(t, other).MAC("secret"),
		"nothing, an unknown key": nil,
		"a part":                  mac[:16],
		"zeroes":                  make([]byte, 32),
	} {
		require.False(t, b.Matches("secret", m), name)
	}
}

func TestRandomIsRandom(t *testing.T) {
	t.Parallel()
	require.Len(t, Random(10), 10)
	require.NotEqual(t, Random(32), Random(32))
}
