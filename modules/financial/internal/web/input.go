package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buildify/core/pkg/sdk"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

var (
	code     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// decode reads one JSON object. Its errors name what is wrong.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &sdk.Error{Code: sdk.ErrUnsupportedMediaType.Code, Field: "Content-Type", Message: "must be application/json"}
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err = dec.Decode(into); err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the first value")
		}
	}
	return explain(err)
}

// explain turns an error of the decoder into one for the caller.
func explain(err error) error {
	var large *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return sdk.Errorf(sdk.ErrPayloadTooLarge, "the request body exceeds %d bytes", large.Limit)
	case errors.As(err, &kind):
		return sdk.Invalid(kind.Field, "a %s cannot be read as %s", kind.Value, kind.Type)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return sdk.Invalid("", "the request body ends too early")
	}
	// encoding/json has no type for this one.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, unquoteErr := strconv.Unquote(quoted)
		if unquoteErr != nil || len(name) > 100 {
			name = "?"
		}
		return sdk.Invalid(name, "is not a known field")
	}
	return sdk.Invalid("", "the request body is not valid JSON: %v", err)
}

// text checks what people wrote: 1 to limit characters, not blank, nothing
// that a terminal or a log would act on.
func text(field, value string, limit int) error {
	switch {
	case strings.TrimSpace(value) == "":
		return sdk.Invalid(field, "is required")
	case utf8.RuneCountInString(value) > limit:
		return sdk.Invalid(field, "exceeds %d characters", limit)
	case strings.ContainsFunc(value, unicode.IsControl):
		return sdk.Invalid(field, "must not contain control characters")
	}
	return nil
}

func match(field, value string, pattern *regexp.Regexp, example string) error {
	if value == "" {
		return sdk.Invalid(field, "is required")
	}
	if !pattern.MatchString(value) {
		return sdk.Invalid(field, "must look like %s", example)
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// page is what a list returns.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// list answers with the page that the query asks for.
func list[T any](r *http.Request, tenant string,
	read func(tenant, cursor string, limit int) ([]T, string, error),
) (int, any, error) {
	limit, cursor := defaultLimit, ""
	for name, values := range r.URL.Query() {
		if len(values) != 1 {
			return 0, nil, sdk.Invalid(name, "is given more than once")
		}
		switch name {
		case "cursor":
			cursor = values[0]
		case "limit":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 1 || n > maxLimit {
				return 0, nil, sdk.Invalid("limit", "must be between 1 and %d", maxLimit)
			}
			limit = n
		default:
			return 0, nil, sdk.Invalid("query", "only cursor and limit are known")
		}
	}
	items, next, err := read(tenant, cursor, limit)
	if err != nil {
		return 0, nil, sdk.Invalid("cursor", "is none that a page before returned")
	}
	if items == nil {
		items = []T{}
	}
	return http.StatusOK, page[T]{items, next}, nil
}
