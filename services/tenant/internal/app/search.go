package app

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
)

// patterns are what ILIKE finds text by, anywhere in a field; none for an empty
// text. The database may know the case of ASCII letters only, so others are
// looked for as they are usually written.
func patterns(text string) []string {
	all := []string{}
	text = strings.TrimSpace(text)
	for _, spelt := range []string{text, strings.ToLower(text), strings.ToUpper(text)} {
		p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(spelt) + "%"
		if text != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// cursorOf is the cursor after a row of this id and key.
func cursorOf(id, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id + key))
}

// readCursor takes apart what cursorOf made. Without a cursor it is the place
// before all rows.
func readCursor(cursor string) (id, key string, err error) {
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
	return "", "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
}
