// Package route turns HTTP requests into bus requests and back, the same way
// for every operation of the contract.
package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/httpbridge/internal/revision"
)

// binder makes the bus request of one operation from path, query and body. It
// translates; whether the values are right, the service decides.
type binder struct {
	path, query map[string]field // by name in the path or query
	match       string           // the JSON name of the revision that If-Match gives as well, if there is one
	hasBody     bool             // whether there may be one
	needsBody   bool             // whether something must be said that only a body can hold
}

type field struct {
	json string
	kind reflect.Kind
}

func newBinder(spec *contract.Spec) *binder {
	b := &binder{path: map[string]field{}, query: map[string]field{}, match: revision.Match(spec)}
	for i := range spec.Request.NumField() {
		f := spec.Request.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		path, query := f.Tag.Get("path"), f.Tag.Get("query")
		if path != "" {
			b.path[path] = field{name, f.Type.Kind()}
		}
		if query != "" {
			b.query[query] = field{name, kindOf(f.Type)}
		}
		b.needsBody = b.needsBody || path == "" && query == "" && options != "omitempty"
	}
	b.hasBody = spec.Method != http.MethodGet && spec.Method != http.MethodDelete
	return b
}

// bind reads the request. Its errors are contract errors.
func (b *binder) bind(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body []byte
	if b.hasBody && (b.needsBody || r.ContentLength != 0) {
		var err error
		if body, err = readBody(w, r); err != nil {
			return nil, err
		}
	}
	expected, err := b.ifMatch(r)
	if err != nil {
		return nil, err
	}
	if len(b.path) == 0 && r.URL.RawQuery == "" && expected == nil {
		return body, nil
	}
	object := map[string]json.RawMessage{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &object); err != nil || object == nil {
			return nil, contract.Invalid("", "the request body must be a JSON object")
		}
	}
	for name, f := range b.path {
		value := r.PathValue(name)
		if !utf8.ValidString(value) {
			return nil, contract.Invalid(name, "is not valid UTF-8")
		}
		object[f.json] = quote(value)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, contract.Invalid("", "the query cannot be read")
	}
	for name, values := range query {
		f, ok := b.query[name]
		if !ok {
			return nil, contract.Invalid(clip(name), "is not a known query parameter")
		}
		if len(values) != 1 {
			return nil, contract.Invalid(name, "is given more than once")
		}
		if object[f.json], err = f.value(name, values[0]); err != nil {
			return nil, err
		}
	}
	if expected != nil {
		if said, twice := object[b.match]; twice && !bytes.Equal(said, expected) {
			return nil, contract.Invalid("If-Match", "says another revision than %s does", b.match)
		}
		object[b.match] = expected
	}
	return json.Marshal(object)
}

// ifMatch is the revision that the entity must still have, nil when none is
// named. Where there is none to be had, a change that asks for one is refused:
// done all the same, it might be the lost update that the caller fears.
func (b *binder) ifMatch(r *http.Request) (json.RawMessage, error) {
	if b.match == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return nil, nil
	}
	expected, err := revision.FromIfMatch(r.Header)
	switch {
	case err != nil:
		return nil, err
	case expected == 0:
		return nil, nil
	case b.match == "":
		return nil, contract.Invalid("If-Match", "is not known here: nothing that changes has a revision")
	}
	return strconv.AppendInt(nil, expected, 10), nil
}

func (f field) value(name, raw string) (json.RawMessage, error) {
	switch f.kind {
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return nil, contract.Invalid(name, "must be an integer")
		}
		return strconv.AppendInt(nil, n, 10), nil
	case reflect.Bool:
		if raw != "true" && raw != "false" {
			return nil, contract.Invalid(name, "must be true or false")
		}
		return json.RawMessage(raw), nil
	}
	if !utf8.ValidString(raw) {
		return nil, contract.Invalid(name, "is not valid UTF-8")
	}
	return quote(raw), nil
}

func quote(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // a string always marshals
	return raw
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, &contract.Error{
			Code: contract.UnsupportedMediaType, Field: "Content-Type", Message: "must be application/json",
		}
	}
	if r.ContentLength > contract.MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, contract.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge()
	case err != nil:
		return nil, contract.Invalid("", "the request body cannot be read")
	}
	return body, nil
}

func tooLarge() error {
	return contract.Errorf(contract.PayloadTooLarge, "the request body exceeds %d bytes", contract.MaxBody)
}

// clip keeps what a caller sent short enough to be told back.
func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// kindOf is what a field's value is; a pointer only says that it may be absent.
func kindOf(t reflect.Type) reflect.Kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind()
}
