// Package revision speaks of the revisions of entities, and of answers that
// carry a tag of their own, as HTTP does: ETag, If-Match and If-None-Match.
package revision

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Of returns what finds the ETag of an operation's answers, empty where one has
// none; nil where none has one.
func Of(spec *contract.Spec) func(body []byte) string {
	if name := ContentTag(spec); name != "" {
		return func(body []byte) string { return contentTag(body, name) }
	}
	if Tagged(spec) {
		return ofEntity
	}
	return nil
}

func ofEntity(body []byte) string {
	var entity struct {
		Revision int64 `json:"revision"`
	}
	if json.Unmarshal(body, &entity) != nil || entity.Revision < 1 {
		return ""
	}
	return ETag(entity.Revision)
}

func contentTag(body []byte, name string) string {
	var members map[string]json.RawMessage
	var tag string
	if json.Unmarshal(body, &members) != nil || json.Unmarshal(members[name], &tag) != nil || !opaque.MatchString(tag) {
		return ""
	}
	return `"` + tag + `"`
}

// opaque is what a content tag may be of what an ETag may: no character that
// JSON, HTTP or a shell gives a meaning.
var opaque = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// ContentTag is the JSON name of the member of the answers that changes with
// all else they hold, empty where there is none. Answers to changes have none:
// to read again is another operation.
func ContentTag(spec *contract.Spec) string {
	if spec.Method != http.MethodGet || spec.Response.Kind() != reflect.Struct {
		return ""
	}
	for i := range spec.Response.NumField() {
		if f := spec.Response.Field(i); f.Tag.Get("etag") == "true" {
			return jsonName(f)
		}
	}
	return ""
}

// ETag is the tag of an entity at a revision.
func ETag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// Match is the JSON name of the request field that If-Match gives as well,
// empty where there is none.
func Match(spec *contract.Spec) string {
	for i := range spec.Request.NumField() {
		if f := spec.Request.Field(i); f.Tag.Get("match") == "true" {
			return jsonName(f)
		}
	}
	return ""
}

// Tagged reports whether the answers are an entity whose revision some
// operation takes in If-Match. Of others the revision need not tell of every
// change, so that it is no ETag.
func Tagged(spec *contract.Spec) bool {
	if !isEntity(spec.Response) {
		return false
	}
	for _, other := range contract.Operations() {
		if other.Response == spec.Response && Match(other) != "" {
			return true
		}
	}
	return false
}

func isEntity(t reflect.Type) bool {
	var id, revision bool
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			id = id || jsonName(f) == "id"
			revision = revision || jsonName(f) == "revision" && f.Type.Kind() == reflect.Int64
		}
	}
	return id && revision
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// FromIfMatch reads the revision that the header names, 0 when there is none.
func FromIfMatch(h http.Header) (int64, error) {
	values := h.Values("If-Match")
	if len(values) == 0 {
		return 0, nil
	}
	revision, err := strconv.ParseInt(strings.Trim(values[0], `"`), 10, 64)
	if err != nil || revision < 1 || values[0] != ETag(revision) {
		return 0, contract.Invalid("If-Match", `must be one revision in quotes, such as "7"`)
	}
	for _, other := range values[1:] {
		if other != values[0] {
			return 0, contract.Invalid("If-Match", "is given more than once")
		}
	}
	return revision, nil
}

// Known reports whether If-None-Match names the tag, or any.
func Known(h http.Header, tag string) bool {
	for value := range strings.SplitSeq(strings.Join(h.Values("If-None-Match"), ","), ",") {
		if value = strings.TrimSpace(value); value == "*" || strings.TrimPrefix(value, "W/") == tag {
			return true
		}
	}
	return false
}
