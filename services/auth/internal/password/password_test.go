package password

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
)

func verify(t testing.TB, h *Hasher, hash, password string) bool {
	t.Helper()
	match, err := h.Verify(context.Background(), hash, password)
	require.NoError(t, err)
	return match
}

func TestAPasswordIsFoundAgain(t *testing.T) {
	t.Parallel()
	h := NewHasher(4, Default)
	for _, password := range []string{"correct horse", "", "пароль 😀", "with\x00zero", strings.Repeat("a", 128)} {
		hash, err := h.Hash(context.Background(), password)
		require.NoError(t, err)
		require.NotContains(t, hash, "correct")
		require.True(t, verify(t, h, hash, password), "%q", password)
		require.False(t, verify(t, h, hash, password+"x"), "%q", password)
	}
	first, err := h.Hash(context.Background(), "same")
	require.NoError(t, err)
	second, err := h.Hash(context.Background(), "same")
	require.NoError(t, err)
	require.NotEqual(t, first, second, "salted")
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, first)
}

// When the cost is raised one day, those who have not logged in since must
// still be able to.
func TestHashesOfAnotherCostAreVerified(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789abcdef")
	for _, c := range []struct {
		m, t uint32
		p    uint8
		text string
	}{
		{8 * 1024, 1, 1, "m=8192,t=1,p=1"},
		{16 * 1024, 3, 2, "m=16384,t=3,p=2"},
	} {
		hash := Default.encode(salt, argon2.IDKey([]byte("password"), salt, c.t, c.m, c.p, keySize))
		hash = strings.Replace(hash, "m=19456,t=2,p=1", c.text, 1)
		require.Contains(t, hash, c.text)
		h := NewHasher(1, Default)
		require.True(t, verify(t, h, hash, "password"))
		require.False(t, verify(t, h, hash, "Password"))
	}
}

// An account that does not exist goes the very same way: a hash of the same
// parameters is derived, behind the same semaphore.
func TestAnUnknownAccountCostsTheSame(t *testing.T) {
	t.Parallel()
	h := NewHasher(1, Default)
	known, err := h.Hash(context.Background(), "password")
	require.NoError(t, err)
	parameters := func(hash string) []string { return strings.Split(hash, "$")[:4] }
	require.Equal(t, parameters(known), parameters(h.dummy))
	require.Len(t, h.dummy, len(known))
	for _, password := range []string{"", "password"} {
		require.False(t, verify(t, h, "", password), "%q matches no account", password)
	}
	fastest := func(hash string) time.Duration {
		best := time.Hour
		for range 5 {
			begin := time.Now()
			verify(t, h, hash, "other")
			best = min(best, time.Since(begin))
		}
		return best
	}
	with, without := fastest(known), fastest("")
	require.Greater(t, without, with/4, "%v and %v", without, with)

	h.slots <- struct{}{} // the one place is taken
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = h.Verify(ctx, "", "x")
	require.ErrorIs(t, err, context.Canceled, "it waits for a place like any other")
}

func TestAStormIsRefusedAndAPlaceIsGivenBack(t *testing.T) {
	t.Parallel()
	h := NewHasher(1, Default)
	h.slots <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	failures := make(chan error, queued+1)
	for range cap(failures) {
		go func() {
			_, err := h.Verify(ctx, "", "x")
			failures <- err
		}()
	}
	require.Eventually(t, func() bool { return len(h.queue) == cap(h.queue) }, 10*time.Second, time.Millisecond)
	_, err := h.Verify(context.Background(), "", "x")
	require.ErrorIs(t, err, ErrBusy)
	_, err = h.Hash(context.Background(), "x")
	require.ErrorIs(t, err, ErrBusy)
	cancel()
	for range cap(failures) {
		require.ErrorIs(t, <-failures, context.Canceled)
	}
	<-h.slots
	require.Empty(t, h.queue)
	_, err = h.Verify(context.Background(), "", "x")
	require.NoError(t, err)
	require.Empty(t, h.queue)
	require.Empty(t, h.slots)
}

func TestAHashThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	h := NewHasher(1, Default)
	good, err := h.Hash(context.Background(), "x")
	require.NoError(t, err)
	for _, hash := range []string{
		"x", "$", "$$$$$", "plain text",
		strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=19456", "m=", 1),
		strings.Replace(good, "t=2", "t=0", 1),
		strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "p=1", "p=256", 1),
		strings.Replace(good, "t=2", "t=-1", 1),
		good + "!", good + "$", "$2b$12$" + strings.Repeat("a", 53),
	} {
		match, err := h.Verify(context.Background(), hash, "x")
		require.ErrorIs(t, err, errFormat, hash)
		require.False(t, match)
	}
	require.Empty(t, h.slots, "a place is kept")
}
