// Package totp is the second factor of authenticator apps: the time-based
// one-time passwords of RFC 6238, and the recovery codes that stand in for a
// lost app.
package totp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238's default, and all that common apps know; as an HMAC it is sound
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What every authenticator app takes: six digits, a new code each thirty
// seconds. A code is good one step early or late, for clocks that differ.
const (
	digits     = 6
	step       = 30
	skew       = 1
	modulus    = 1_000_000
	secretSize = 20 // as RFC 4226 recommends: the hash's own length
)

// NewSecret returns a random secret.
func NewSecret() []byte {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return secret
}

// Match reports whether code is the one of now, or of a step beside it, and of
// which counter. Codes of counters up to after, those that were used, do not
// match: who stores the counter, under a condition that it grows, accepts each
// code once. Spaces within the code are ignored.
func Match(secret []byte, code string, now time.Time, after int64) (counter int64, ok bool) {
	code = strings.Join(strings.Fields(code), "")
	current := now.Unix() / step
	for c := current - skew; c <= current+skew; c++ {
		// Every counter is compared, so that the time does not tell which it was.
		if subtle.ConstantTimeCompare([]byte(At(secret, c)), []byte(code)) == 1 && c > after && !ok {
			counter, ok = c, true
		}
	}
	return counter, ok
}

// At is the code of a counter (HOTP, RFC 4226).
func At(secret []byte, counter int64) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, counter) // a hash takes everything
	sum := mac.Sum(nil)
	truncated := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, truncated%modulus)
}

// Text is the secret as people type it into an app.
func Text(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// URI is the otpauth:// URI of a secret, which apps read from a QR code. The
// issuer and the account are what the app shows.
func URI(secret []byte, issuer, account string) string {
	label := url.PathEscape(strings.ReplaceAll(issuer, ":", "")) + ":" + url.PathEscape(account)
	return fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		label, Text(secret), url.PathEscape(issuer), digits, step)
}
