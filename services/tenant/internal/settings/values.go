package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Bounds in bytes: of a value, and of all in one layer. Three layers together
// are what a message can carry.
const (
	maxValue = 16 << 10
	maxLayer = 256 << 10
)

// wanted are checked values by key; null stands for what is to be no longer set,
// of keys that the schema need not know.
type wanted struct {
	field  string // that they came in
	values map[string]json.RawMessage
}

// read checks values for a layer.
func (s *set) read(values json.RawMessage, layer, field string) (wanted, error) {
	w := wanted{field: field}
	if err := json.Unmarshal(values, &w.values); err != nil || w.values == nil {
		return w, contract.Invalid(field, "must be an object of settings by their keys")
	}
	for _, key := range slices.Sorted(maps.Keys(w.values)) {
		value, at := w.values[key], field+"."+key
		if isNull(value) {
			continue
		}
		setting := s.schema.Find(key)
		switch {
		case len(value) > maxValue:
			return w, contract.Invalid(at, "has %d bytes, more than %d", len(value), maxValue)
		case setting != nil && !holds(setting, layer):
			return w, contract.Invalid(at, "is set %s, not in the layer %s", who(setting.Scope), layer)
		}
		if err := s.check(key, value, field); err != nil {
			return w, err
		}
		var err error
		if w.values[key], err = storable(value); err != nil {
			return w, contract.Invalid(at, "%s", err)
		}
	}
	return w, nil
}

// check holds a value against the schema.
func (s *set) check(key string, value json.RawMessage, field string) error {
	if found := s.schema.ValidateValue(key, value); found.HasErrors() {
		return contract.Invalid(fieldOf(field, found[0].Path), "%s", found[0].Message)
	}
	return nil
}

func isNull(value json.RawMessage) bool { return bytes.Equal(value, []byte("null")) }

// storable is a value as the database takes it: of valid Unicode without
// U+0000.
func storable(value json.RawMessage) (json.RawMessage, error) {
	read := decoded(value)
	if hasNUL(read) {
		return nil, errors.New("holds the character U+0000; leave it out")
	}
	return json.Marshal(read)
}

func decoded(value json.RawMessage) (read any) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	_ = d.Decode(&read) // it is JSON
	return read
}

func hasNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, hasNUL)
	case map[string]any:
		for key, member := range v {
			if hasNUL(key) || hasNUL(member) {
				return true
			}
		}
	}
	return false
}

func who(scope string) string {
	if scope == platform {
		return "for the whole platform, by its administrators"
	}
	return "for the tenant as a whole"
}

// fieldOf turns a JSON pointer into the path of a field.
func fieldOf(field, pointer string) string {
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		field += "." + strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return field
}

// same reports whether two JSON values are equal.
func same(a, b json.RawMessage) bool { return reflect.DeepEqual(decoded(a), decoded(b)) }
