package reading

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// mentions reports whether the event has the text, which is in lower case.
func mentions(e *contract.AuditEvent, text string) bool {
	for _, s := range []string{e.Action, e.ResourceType, e.ResourceID, e.Reason} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(plain(e.Details)), text)
}

// plain is JSON without the escapes that it can do without.
func plain(raw json.RawMessage) string {
	if !bytes.ContainsRune(raw, '\\') {
		return string(raw)
	}
	var v any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil {
		return string(raw)
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return string(raw)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
