package totp

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rfc is the secret of the test vectors of RFC 4226 and RFC 6238.
var rfc = []byte("12345678901234567890")

func TestTheVectorsOfRFC4226(t *testing.T) {
	t.Parallel()
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		require.Equal(t, want, At(rfc, int64(counter)), counter)
	}
}

// RFC 6238, appendix B, SHA-1; of its eight digits the last six are the code of
// six.
func TestTheVectorsOfRFC6238(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471",
		1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		counter, ok := Match(rfc, want[2:], time.Unix(seconds, 0), 0)
		require.True(t, ok, seconds)
		require.Equal(t, seconds/30, counter)
	}
}

func TestACodeIsGoodOneStepEarlyOrLate(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_010, 0)
	current := now.Unix() / 30
	for offset, good := range map[int64]bool{-3: false, -2: false, -1: true, 0: true, 1: true, 2: false, 3: false} {
		counter, ok := Match(rfc, At(rfc, current+offset), now, 0)
		require.Equal(t, good, ok, offset)
		if good {
			require.Equal(t, current+offset, counter)
		}
	}
}

func TestACodeThatWasUsedDoesNotMatch(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_010, 0)
	current := now.Unix() / 30
	for _, used := range []int64{current, current + 1, current + 100} {
		_, ok := Match(rfc, At(rfc, current), now, used)
		require.False(t, ok, used-current)
	}
	_, ok := Match(rfc, At(rfc, current), now, current-1)
	require.True(t, ok)
	_, ok = Match(rfc, At(rfc, current-1), now, current)
	require.False(t, ok, "an earlier one that was not used")
	_, ok = Match(rfc, At(rfc, current+1), now, current)
	require.True(t, ok)
}

func TestWhatIsNoCodeDoesNotMatch(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_010, 0)
	right := At(rfc, now.Unix()/30)
	for _, code := range []string{
		"", " ", "0", right[:5], right + "0", "0" + right, "-" + right[1:], "+" + right[1:], strings.Repeat("9", 64),
		"１２３４５６", right[:5] + "x", "\x00" + right[1:],
	} {
		_, ok := Match(rfc, code, now, 0)
		require.False(t, ok, "%q", code)
	}
	for _, code := range []string{right[:3] + " " + right[3:], " " + right + "\n"} {
		_, ok := Match(rfc, code, now, 0)
		require.True(t, ok, "%q, as apps show it", code)
	}
	_, ok := Match([]byte("another secret of twenty"), right, now, 0)
	require.False(t, ok)
}

func TestASecretIsRandomAndReadable(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, NewSecret(), NewSecret())
	require.Len(t, NewSecret(), 20)
	require.Equal(t, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Text(rfc))
	uri, err := url.Parse(URI(rfc, "Buildify: Core", "ada+1@example.com"))
	require.NoError(t, err)
	require.Equal(t, "otpauth", uri.Scheme)
	require.Equal(t, "totp", uri.Host)
	require.Equal(t, "/Buildify Core:ada+1@example.com", uri.Path)
	require.Equal(t, url.Values{
		"secret": {Text(rfc)}, "issuer": {"Buildify: Core"}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
	}, uri.Query())
}

func TestRecoveryCodesAreRandomAndReadable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		codes := NewRecoveryCodes()
		require.Len(t, codes, 10)
		for _, code := range codes {
			require.Regexp(t, `^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$`, code)
			require.False(t, seen[code])
			seen[code] = true
			same, ok := NormaliseRecoveryCode(code)
			require.True(t, ok)
			require.Equal(t, code, same)
		}
	}
}

func TestARecoveryCodeIsReadAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	const code = "0123-4567-89AB-1100"
	for _, typed := range []string{
		code, strings.ToLower(code), "0123456789AB1100", " 0123 4567 89ab 1100 ", "o123-4567-89AB-IlOo", "0-1-2-3-4567-89AB-1100-",
	} {
		got, ok := NormaliseRecoveryCode(typed)
		require.True(t, ok, typed)
		require.Equal(t, code, got)
	}
	for _, typed := range []string{
		"", "-", "0123-4567-89AB-110", code + "0", "0123-4567-89AB-110U", "0123-4567-89AB-110!", "0123_4567_89AB_1100",
		"ÀÀÀÀÀÀÀÀ", strings.Repeat("0", 64), "0123-4567-89AB-110\x00",
	} {
		_, ok := NormaliseRecoveryCode(typed)
		require.False(t, ok, "%q", typed)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("287082", int64(59))
	f.Fuzz(func(t *testing.T, code string, seconds int64) {
		counter, ok := Match(rfc, code, time.Unix(seconds, 0), 0)
		if ok {
			require.Equal(t, At(rfc, counter), strings.Join(strings.Fields(code), ""))
			require.Positive(t, counter)
		}
	})
}

func FuzzNormaliseRecoveryCode(f *testing.F) {
	f.Add("0123-4567-89ab-1100")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := NormaliseRecoveryCode(typed)
		if ok {
			again, ok := NormaliseRecoveryCode(code)
			require.True(t, ok)
			require.Equal(t, code, again)
		}
	})
}
