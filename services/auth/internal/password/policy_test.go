package password

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func TestGoodPasswordsAreTaken(t *testing.T) {
	t.Parallel()
	own := []string{"anna.schmidt@example.com", "annas", "Anna Schmidt"}
	for _, plain := range []string{
		"correct horse battery", "correcthorsebattery", "vx7Kq2mPz0aW", "7TQZ6XW2A4MK5NJB3CDEFGHIJK", "ключ от старого сарая",
		"密码很长但是没有人会猜到它吧", "a b c d e f g 1", "😀🐎🔋📎🎈🧨🎉🎎🎏🎐🎑🧧", strings.Repeat("x", 5) + "Qm4!pe7ZkT", strings.Repeat("ab1cd2ef", 15) + "ZZZZZZZZ",
		"dragonfly over the lake", "2024 was a good year", "ann goes planning",
	} {
		require.NoError(t, DefaultPolicy.Check("password", plain, own...), plain)
	}
}

func TestBadPasswordsAreRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	own := []string{"anna.schmidt+x@example.com", "Nickname", "Anna-Lena Schmidt"}
	for plain, why := range map[string]string{
		"":                                   "at least 12 characters",
		"elevenchars":                        "at least 12 characters",
		"éééééé":                             "at least 12 characters", // 12 bytes
		"e\u0301e\u0301e\u0301xyzpqr":        "at least 12 characters", // 12 code points, but 9 letters
		strings.Repeat("ab1cd2ef", 16) + "x": "at most 128 characters",
		"aaaaaaaaaaaaaaaa":                   "repeat",
		"abababababab":                       "repeat",
		"qm4z!qm4z!qm4z!":                    "repeat",
		"passwordpassword":                   "repeat",
		"112233112233":                       "repeat",
		"abcdefghijkl":                       "alphabet",
		"LKJIHGFEDCBA":                       "alphabet",
		"123456789012":                       "alphabet",
		"098765432109":                       "alphabet",
		"qwertyuiop12":                       "alphabet",
		"QWERTYasdf1234":                     "alphabet",
		"йцукенгшщзхъ":                       "alphabet",
		"1qaz2wsx3edc":                       "most common",
		"MotherFucker":                       "most common",
		"password2024":                       "most common",
		"Password123!":                       "most common",
		"P@ssw0rd2024":                       "most common",
		"!!sunshine!!99":                     "most common",
		"5unshine20242":                      "most common",
		"ｐａｓｓｗｏｒｄ２０２４":                       "most common", // full width
		"schmidt has a cat":                  "your name",
		"we like anna-lena":                  "your name",
		"annalena likes us":                  "your name",
		"my own nickname it is":              "your name",
		"welcome to Buildify":                "your name",
	} {
		err := DefaultPolicy.Check("new_password", plain, own...)
		require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, plain)
		require.ErrorContains(t, err, why, plain)
		require.ErrorContains(t, err, "new_password", plain)
		if plain != "" {
			require.NotContains(t, err.Error(), plain)
		}
	}
}

func TestATenantAsksForMoreButNeverForLess(t *testing.T) {
	t.Parallel()
	long := Policy{MinLength: 20, RefuseCommon: false}
	require.ErrorContains(t, long.Check("password", "correct horse batte"), "at least 20 characters")
	require.NoError(t, long.Check("password", "correct horse batter"))
	require.NoError(t, Policy{MinLength: 12}.Check("password", "motherfucker"), "the tenant allows common ones")
	require.ErrorContains(t, Policy{}.Check("password", "vx7Kq2mPz0a"), "at least 12", "a policy that is empty is not none")
}

func TestTheListIsLong(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(common()), 40_000)
	for _, known := range []string{"password", "123456", "letmein", "qwerty123456"} {
		require.True(t, inList(known), known)
	}
}

// What looks the same is the same, however a keyboard writes it.
func TestAPasswordIsNormalised(t *testing.T) {
	t.Parallel()
	h := NewHasher(1, Default)
	hash, err := h.Hash(context.Background(), "café au lait \u212b ﬁne")
	require.NoError(t, err)
	require.True(t, verify(t, h, hash, "cafe\u0301 au lait A\u030a fine"))
	require.False(t, verify(t, h, hash, "cafe au lait A fine"))
}

func TestAHashOfAnotherCostIsToBeRenewed(t *testing.T) {
	t.Parallel()
	h := NewHasher(1, Default)
	hash, err := h.Hash(context.Background(), "x")
	require.NoError(t, err)
	require.False(t, h.NeedsRehash(hash))
	require.False(t, h.NeedsRehash(""), "there is none")
	for _, other := range []string{"m=8192,t=2,p=1", "m=19456,t=3,p=1", "m=19456,t=2,p=2", "m=65536,t=1,p=1"} {
		require.True(t, h.NeedsRehash(strings.Replace(hash, "m=19456,t=2,p=1", other, 1)), other)
	}
	require.True(t, h.NeedsRehash("nonsense"))
}

func TestTheLoadIsTold(t *testing.T) {
	t.Parallel()
	h := NewHasher(2, Default)
	ctx, cancel := context.WithCancel(context.Background())
	h.queue <- struct{}{}
	h.queue <- struct{}{}
	h.slots <- struct{}{}
	h.slots <- struct{}{}
	done := make(chan error)
	go func() { done <- h.acquire(ctx) }()
	require.Eventually(t, func() bool { return len(h.queue) == 3 }, 10*time.Second, time.Millisecond)
	working, waiting := h.Load()
	require.Equal(t, "2 1", fmt.Sprint(working, waiting))
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func BenchmarkCheck(b *testing.B) {
	common()
	for b.Loop() {
		_ = DefaultPolicy.Check("password", "correct horse battery staple", "anna@example.com", "Anna Schmidt")
	}
}
