package httptransport

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// route puts the fields of an operation's request where HTTP wants them: path,
// query or body.
type route struct {
	spec     *contract.Spec
	segments []segment
	query    map[string]string // JSON name → query parameter
	hasBody  bool
	plain    bool // the request is the body as it is, and the path is fixed
}

// segment is a piece of the path between slashes: literal, or the value of the
// request field with that JSON name.
type segment struct{ literal, field string }

func newRoute(spec *contract.Spec) *route {
	r := &route{spec: spec, query: map[string]string{}}
	fields := map[string]string{} // path parameter → JSON name
	for i := range spec.Request.NumField() {
		tag := spec.Request.Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if path := tag.Get("path"); path != "" {
			fields[path] = name
		}
		if query := tag.Get("query"); query != "" {
			r.query[name] = query
		}
	}
	for piece := range strings.SplitSeq(strings.TrimPrefix(spec.Path, "/"), "/") {
		if parameter, ok := strings.CutPrefix(piece, "{"); ok {
			r.segments = append(r.segments, segment{field: fields[strings.TrimSuffix(parameter, "}")]})
		} else {
			r.segments = append(r.segments, segment{literal: piece})
		}
	}
	r.hasBody = spec.Method != http.MethodGet && spec.Method != http.MethodDelete
	r.plain = r.hasBody && len(fields) == 0 && len(r.query) == 0
	return r
}

// bind returns the path with its query, and the body; nil for none.
func (r *route) bind(request []byte) (target string, body []byte, err error) {
	if r.plain {
		return r.spec.Path, request, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(request, &object); err != nil {
		return "", nil, contract.Invalid("", "the request must be a JSON object")
	}
	var path strings.Builder
	for _, s := range r.segments {
		path.WriteByte('/')
		if s.field == "" {
			path.WriteString(s.literal)
			continue
		}
		value, _, err := r.scalar(object, s.field)
		if err != nil {
			return "", nil, err
		}
		if !segmentSafe(value) {
			return "", nil, contract.Invalid(s.field, "must be one path segment, not empty, \".\" or \"..\"")
		}
		path.WriteString(url.PathEscape(value))
	}
	values := url.Values{}
	for field, parameter := range r.query {
		value, ok, err := r.scalar(object, field)
		if err != nil {
			return "", nil, err
		}
		if ok {
			values.Set(parameter, value)
		}
	}
	if len(values) > 0 {
		path.WriteString("?" + values.Encode())
	}
	switch {
	case r.hasBody:
		body, err = json.Marshal(object)
		return path.String(), body, err
	case len(object) > 0:
		return "", nil, fault.Unreadable(r.spec, "a request field has no place in path or query")
	}
	return path.String(), nil, nil
}

// scalar takes a field out of the object, as text.
func (r *route) scalar(object map[string]json.RawMessage, field string) (value string, ok bool, err error) {
	raw, ok := object[field]
	delete(object, field)
	if !ok || string(raw) == "null" {
		return "", false, nil
	}
	switch raw[0] {
	case '"':
		err = json.Unmarshal(raw, &value)
		return value, true, err
	case '{', '[':
		return "", false, fault.Unreadable(r.spec, "the field %s is no plain value", field)
	}
	return string(raw), true, nil
}

// segmentSafe keeps a value from becoming another path: some proxies decode
// %2F and %2E before they route. The core would refuse such an id as well.
func segmentSafe(value string) bool {
	return value != "" && value != "." && value != ".." && !strings.ContainsFunc(value, func(r rune) bool {
		return r == '/' || r == '\\' || r < ' ' || r == 0x7f
	})
}
