package decision

import (
	"encoding/hex"
	"strings"
	"testing"
)

// FuzzIDs compares with reading it digit by digit.
func FuzzIDs(f *testing.F) {
	for _, seed := range []string{
		"00000000-0000-7000-8000-000000000001", "FFffAAaa-9999-7000-8000-0123456789aB", "0000000g-0000-7000-8000-000000000001",
		"00000000-0000-7000-8000-00000000000:", "00000000-0000-7000-8000-00000000000\xb0", "00000000-0000-7000-8000-00000000000\x10",
		"00000000-0000-7000-8000-0000000000`0", "00000000-0000-7000-8000-00000000 000", "{0000000-0000-7000-8000-00000000000}",
		"000000000000-7000-8000-0000000000010", "", "-",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, ok := parseID(s)
		parts := strings.Split(s, "-")
		want, err := hex.DecodeString(strings.Join(parts, ""))
		valid := err == nil && len(parts) == 5 && len(s) == 36 &&
			len(parts[0]) == 8 && len(parts[1]) == 4 && len(parts[2]) == 4 && len(parts[3]) == 4
		if ok != valid || ok && (string(u[:]) != string(want) || u.String() != strings.ToLower(s)) {
			t.Errorf("%q is read as %s, %v", s, u, ok)
		}
	})
}

func TestEveryByteIsADigitOrRefused(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 36 {
			s := []byte("00000000-0000-7000-8000-000000000000")
			s[at] = byte(c)
			_, ok := parseID(string(s))
			want := strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) && c < 128
			if at == 8 || at == 13 || at == 18 || at == 23 {
				want = c == '-'
			}
			if ok != want {
				t.Fatalf("%q: %v", s, ok)
			}
		}
	}
}
