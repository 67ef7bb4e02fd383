package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/buildify/core/pkg/contract"
)

// MaxLength is how many characters a password has at most.
const MaxLength = 128

// Policy is what a tenant asks of passwords.
type Policy contract.PasswordPolicy

// DefaultPolicy is the platform's policy. As NIST SP 800-63B wants it, there are no
// classes of characters to mix and no expiry: both make passwords worse.
var DefaultPolicy = Policy{MinLength: 12, RefuseCommon: true}

// Check refuses a password that is too short or long, among the most common,
// easily foreseen, or made of what everybody knows of its owner: name, username,
// e-mail address. Its error names the request's field and says the fix. What
// the owner used before is for the caller to compare, by Hasher.
func (p Policy) Check(field, plain string, own ...string) error {
	normal := norm.NFKC.String(plain)
	folded := strings.ToLower(normal)
	runes, shortest := []rune(folded), max(p.MinLength, DefaultPolicy.MinLength)
	switch length := utf8.RuneCountInString(normal); {
	case length < shortest:
		return contract.Invalid(field, "must have at least %d characters; several words that nobody else puts together are easy to remember", shortest)
	case length > MaxLength:
		return contract.Invalid(field, "must have at most %d characters", MaxLength)
	case repeats(runes, shortest):
		return contract.Invalid(field, "must not repeat a few characters or a short piece; use several words that nobody else puts together")
	case sequential(runes):
		return contract.Invalid(field, "must not follow the alphabet, the digits or the keyboard; use several words that nobody else puts together")
	case p.RefuseCommon && isCommon(folded):
		return contract.Invalid(field, "is among the most common passwords, or one of them with digits around it; use several words that nobody else puts together")
	}
	for _, word := range words(own) {
		if strings.Contains(folded, word) {
			return contract.Invalid(field, "must not contain your name, username or e-mail address, nor the name of this platform")
		}
	}
	return nil
}

// shortestWord is how many characters a word has that is no accident.
const shortestWord = 4

// words are what a password must not contain: each of own whole, and its words.
func words(own []string) (all []string) {
	for _, text := range append([]string{"buildify"}, own...) {
		text, _, _ = strings.Cut(text, "@")
		text = strings.ToLower(norm.NFKC.String(text))
		parts := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, word := range append(parts, text, strings.Join(parts, "")) {
			if utf8.RuneCountInString(word) >= shortestWord {
				all = append(all, word)
			}
		}
	}
	return all
}
