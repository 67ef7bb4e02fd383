package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
)

// NewRegistry returns the schema registry that both validation and the OpenAPI
// document use, so that what is documented is what is checked.
func NewRegistry() huma.Registry {
	strictOnce.Do(func() {
		huma.ValidateStrictCasing = true
		huma.DefaultArrayNullable = false
	})
	return huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
}

var strictOnce sync.Once

// decoder reads, validates and decodes the requests of one operation.
type decoder struct {
	registry huma.Registry
	schema   *huma.Schema
	ids      []string      // fields of type contract.ID
	plain    *plainDecoder // nil where it cannot serve
}

// Decoder returns what reads requests as a Server does, for who answers them
// otherwise. Its errors are contract errors that name the field.
func Decoder[Req any]() func(data []byte) (*Req, error) {
	d := newDecoder(reflect.TypeFor[Req]())
	return func(data []byte) (*Req, error) {
		request := new(Req)
		if err := d.decode(data, request); err != nil {
			return nil, err
		}
		return request, nil
	}
}

func newDecoder(request reflect.Type) *decoder {
	registry := NewRegistry()
	d := &decoder{registry: registry, schema: registry.Schema(request, false, "")}
	for i := range request.NumField() {
		if f := request.Field(i); f.Type == reflect.TypeFor[contract.ID]() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			d.ids = append(d.ids, name)
		}
	}
	d.plain = newPlainDecoder(request, d.schema, registry)
	return d
}

// decode checks data against the schema and decodes it into request. Its
// errors are contract errors that name the field.
func (d *decoder) decode(data []byte, request any) *contract.Error {
	if len(data) == 0 {
		data = []byte("{}")
	}
	if len(data) > contract.MaxBody {
		return contract.Errorf(contract.PayloadTooLarge, "the request body exceeds %d bytes", contract.MaxBody)
	}
	if d.plain != nil && d.plain.decode(data, reflect.ValueOf(request).Elem()) {
		return nil
	}
	if !utf8.Valid(data) {
		return contract.Invalid("", "the request body is not valid UTF-8")
	}
	raw, err := parse(data)
	if err != nil {
		return contract.Invalid("", "the request body is not valid JSON: %v", err)
	}
	object, ok := raw.(map[string]any)
	if !ok {
		return contract.Invalid("", "the request body must be a JSON object")
	}
	// What is checked is the last of two members of one name; what would be
	// read, where that is null, is the first.
	if name, twice := repeated(data); twice {
		return contract.Invalid(clip(name, 200), "is given twice")
	}
	for _, name := range d.ids {
		if number, ok := object[name].(json.Number); ok {
			object[name] = string(number)
		}
	}
	if field, wrong := normalise(object); wrong != "" {
		return contract.Invalid(clip(field, 200), "%s", wrong)
	}
	if e := d.validate(object); e != nil {
		return e
	}
	reflect.ValueOf(request).Elem().SetZero() // the plain decoder may have begun
	if err := json.Unmarshal(data, request); err != nil {
		var typeError *json.UnmarshalTypeError
		if errors.As(err, &typeError) {
			return contract.Invalid(typeError.Field, "cannot be read as %s", typeError.Type)
		}
		return contract.Invalid("", "the request body cannot be read: %v", err)
	}
	return nil
}

func parse(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var raw any
	if err := dec.Decode(&raw); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("it ends too early")
		}
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the first value")
	}
	return raw, nil
}

// repeated names a member that a JSON object, known to be well-formed, has
// twice.
func repeated(data []byte) (name string, twice bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	seen := map[string]bool{}
	for _, err := dec.Token(); err == nil && dec.More(); { // the brace, then members
		key, _ := dec.Token()
		name, _ = key.(string)
		if seen[name] {
			return name, true
		}
		seen[name] = true
		var value json.RawMessage
		err = dec.Decode(&value)
	}
	return "", false
}

// normalise turns numbers into float64, as the validator wants them, and
// refuses U+0000, which PostgreSQL cannot store. It names the field at fault
// and what is wrong with it.
func normalise(object map[string]any) (field, wrong string) {
	return normaliseAt(object, maxDepth)
}

// maxDepth of a request's JSON: readers of our answers stop at some depth too.
const maxDepth = 64

func normaliseAt(object map[string]any, depth int) (field, wrong string) {
	for name, value := range object {
		clean, wrong := normaliseValue(value, depth-1)
		if strings.ContainsRune(name, 0) {
			wrong = hasNull
		}
		if wrong != "" {
			return strings.ReplaceAll(name, "\x00", "␀"), wrong
		}
		object[name] = clean
	}
	return "", ""
}

const hasNull = "must not contain the character U+0000"

func normaliseValue(value any, depth int) (clean any, wrong string) {
	if depth < 0 {
		return nil, fmt.Sprintf("is nested more than %d levels deep", maxDepth)
	}
	switch v := value.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return nil, "holds a number that is too large"
		}
		return f, ""
	case string:
		if strings.ContainsRune(v, 0) {
			return nil, hasNull
		}
	case map[string]any:
		_, wrong = normaliseAt(v, depth)
		return v, wrong
	case []any:
		for i := range v {
			if v[i], wrong = normaliseValue(v[i], depth-1); wrong != "" {
				return nil, wrong
			}
		}
	}
	return value, ""
}

func (d *decoder) validate(object map[string]any) *contract.Error {
	var result huma.ValidateResult
	path := huma.NewPathBuffer(nil, 0)
	huma.Validate(d.registry, d.schema, path, huma.ModeWriteToServer, object, &result)
	if len(result.Errors) == 0 {
		return nil
	}
	var detail *huma.ErrorDetail
	if !errors.As(result.Errors[0], &detail) {
		return contract.Invalid("", "%v", result.Errors[0])
	}
	field, message := detail.Location, detail.Message
	// The validator reports a missing property at its parent.
	var missing string
	if n, _ := fmt.Sscanf(message, "expected required property %s to be present", &missing); n == 1 {
		field, message = strings.TrimPrefix(field+"."+missing, "."), "is required"
	}
	if message == "unexpected property" {
		message = "is not a known field"
	}
	return contract.Invalid(clip(field, 200), "%s", clip(message, 500))
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
