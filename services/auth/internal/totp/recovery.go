package totp

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// RecoveryCodes is how many a person has at a time.
const RecoveryCodes = 10

// The length of a recovery code: 80 random bits, as many characters of five
// bits, in groups that people can read out.
const (
	recoveryBits = 80
	recoverySize = recoveryBits / 5
	group        = 4
)

// Crockford's alphabet leaves out the letters that are taken for digits.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// NewRecoveryCodes returns a person's new codes, such as "7Q4M-0ZKD-W3TR-H9XA".
func NewRecoveryCodes() []string {
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		var random [recoveryBits / 8]byte
		_, _ = rand.Read(random[:]) // never fails since Go 1.24
		codes[i] = grouped(crockford.EncodeToString(random[:]))
	}
	return codes
}

func grouped(code string) string {
	var b strings.Builder
	for i, r := range code {
		if i > 0 && i%group == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lookalikes are read as what they look like, as Crockford has it.
var lookalikes = strings.NewReplacer("O", "0", "I", "1", "L", "1")

// NormaliseRecoveryCode is the one spelling of a code that a person typed: in
// any case, with groups or without, with O for 0 and I or L for 1. It is false
// for what cannot be a code.
func NormaliseRecoveryCode(typed string) (code string, ok bool) {
	bare := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, typed)
	bare = lookalikes.Replace(strings.ToUpper(bare))
	if len(bare) != recoverySize || strings.Trim(bare, alphabet) != "" {
		return "", false
	}
	return grouped(bare), true
}
