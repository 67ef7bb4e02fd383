package manifest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Text is for people: one string, or one for each of several languages. Keys
// are language tags; the key "" is the plain string.
type Text map[string]string

// Plain is a text without a language.
func Plain(s string) Text { return Text{"": s} }

// In returns the text in the first of the languages that it has, trying "de"
// for "de-CH" too; else the plain string, else English, else the first by tag.
func (t Text) In(languages ...string) string {
	for _, language := range languages {
		for language != "" {
			if s, ok := t[language]; ok {
				return s
			}
			cut := max(strings.LastIndexByte(language, '-'), 0)
			language = language[:cut]
		}
	}
	for _, language := range []string{"", "en"} {
		if s, ok := t[language]; ok {
			return s
		}
	}
	for _, language := range slices.Sorted(maps.Keys(t)) {
		return t[language]
	}
	return ""
}

// MarshalJSON writes a string, or an object of languages.
func (t Text) MarshalJSON() ([]byte, error) {
	if plain, ok := t[""]; len(t) == 0 || ok && len(t) == 1 {
		return json.Marshal(plain)
	}
	return json.Marshal(map[string]string(t))
}

// UnmarshalJSON reads a string or an object of strings. Anything else reads as
// no text: the schema has found it.
func (t *Text) UnmarshalJSON(data []byte) error {
	var plain string
	if json.Unmarshal(data, &plain) == nil && len(data) > 0 && data[0] == '"' {
		*t = Plain(plain)
		return nil
	}
	var languages map[string]string
	if json.Unmarshal(data, &languages) == nil {
		*t = languages
	}
	return nil
}

// Say returns a text of the manifest in the first of the languages that it
// has, after them in the default language. A text of the form %key% is the
// message of that key.
func (m *Manifest) Say(t Text, languages ...string) string {
	languages = append(slices.Clone(languages), m.language())
	said := t.In(languages...)
	key, ok := messageKey(said)
	if !ok {
		return said
	}
	message := Text{}
	for language, messages := range m.I18n {
		if s, ok := messages[key]; ok {
			message[language] = s
		}
	}
	if len(message) == 0 {
		return said
	}
	return message.In(languages...)
}

// language is the default one.
func (m *Manifest) language() string {
	if m.DefaultLanguage == "" {
		return "en"
	}
	return m.DefaultLanguage
}

// messageKey reports whether a text stands for a message of i18n, and which.
func messageKey(s string) (string, bool) {
	if len(s) < 3 || s[0] != '%' || s[len(s)-1] != '%' || strings.ContainsAny(s[1:len(s)-1], "% ") {
		return "", false
	}
	return s[1 : len(s)-1], true
}
