package sealed_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/sealed"
)

var master = []byte(strings.Repeat("m", sealed.MinLength))

func box(t *testing.T, master []byte, purpose string) *sealed.Box {
	t.Helper()
	b, err := sealed.NewBox(master, purpose)
	require.NoError(t, err)
	return b
}

func TestWhatIsSealedOpensInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	b := box(t, master, "letters")
	closed := b.Seal("one", []byte("s3cret"))
	require.NotContains(t, string(closed), "s3cret")
	require.NotEqual(t, closed, b.Seal("one", []byte("s3cret")), "nobody sees that two are the same")
	plain, err := box(t, master, "letters").Unseal("one", closed)
	require.NoError(t, err)
	require.Equal(t, "s3cret", string(plain))
	altered := bytes.Clone(closed)
	altered[len(altered)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another name":    func() ([]byte, error) { return b.Unseal("two", closed) },
		"another purpose": func() ([]byte, error) { return box(t, master, "parcels").Unseal("one", closed) },
		"another secret": func() ([]byte, error) {
			return box(t, bytes.ToUpper(master), "letters").Unseal("one", closed)
		},
		"altered": func() ([]byte, error) { return b.Unseal("one", altered) },
		"cut":     func() ([]byte, error) { return b.Unseal("one", closed[:5]) },
		"empty":   func() ([]byte, error) { return b.Unseal("one", nil) },
	} {
		_, err := open()
		require.ErrorIs(t, err, sealed.ErrSealed, name)
	}
}

func TestAShortSecretIsRefused(t *testing.T) {
	t.Parallel()
	_, err := sealed.NewBox(master[1:], "letters")
	require.ErrorIs(t, err, sealed.ErrShort)
}

// What was sealed by an earlier version opens in all later ones.
func TestTheFormStays(t *testing.T) {
	t.Parallel()
	closed, err := hex.DecodeString("3d7bb247ee468531f838c55ebb58215fa2af2698a41645b50bc2ecc8812903f4443b")
	require.NoError(t, err)
	plain, err := box(t, master, "buildify signing key seal v1").Unseal("a key", closed)
	require.NoError(t, err)
	require.Equal(t, "s3cret", string(plain))
}
