package app

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/buildify/core/pkg/contract"
)

// patterns are what ILIKE finds text by, anywhere in a field; none for an empty
// text. The database may know the case of ASCII letters only, so others are
// looked for as they are usually written.
func patterns(text string) []string {
	all := []string{}
	text = norm.NFC.String(strings.TrimSpace(text))
	for _, spelt := range []string{text, strings.ToLower(text), strings.ToUpper(text), cases.Title(language.Und).String(text)} {
		p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(spelt) + "%"
		if text != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// cursorOf is the cursor after a row; name is empty where rows come by id.
func cursorOf(id, name string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id + name))
}

// readCursor takes apart what cursorOf made. Without a cursor it is the place
// before all rows.
func readCursor(cursor string) (id, name string, err error) {
	if cursor == "" {
		return uuid.Nil.String(), "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	const length = 36
	if err == nil && len(raw) >= length && utf8.Valid(raw) && !bytes.ContainsRune(raw, 0) {
		if parsed, parseErr := uuid.ParseBytes(raw[:length]); parseErr == nil {
			return parsed.String(), string(raw[length:]), nil
		}
	}
	return "", "", errCursor
}

var errCursor = contract.Invalid("cursor", "is not a cursor that this operation gave out")

// readIDs reads a list of ids, each in any spelling and named once.
func readIDs(field string, raw []string) ([]string, error) {
	ids := make([]string, len(raw))
	seen := make(map[string]bool, len(raw))
	for i, text := range raw {
		id, err := uuid.Parse(text)
		switch ids[i] = id.String(); {
		case err != nil:
			return nil, contract.Invalid(indexed(field, i), "must be an id, a UUID")
		case seen[ids[i]]:
			return nil, contract.Invalid(indexed(field, i), "is named twice")
		}
		seen[ids[i]] = true
	}
	return ids, nil
}

// optional is text as a nullable parameter, NULL for none.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
