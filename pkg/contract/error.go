package contract

import (
	"errors"
	"fmt"
	"net/http"
)

// Code is a stable error code, the same over the bus and over HTTP.
type Code string

// The codes of the Core API.
const (
	InvalidArgument      Code = "invalid_argument"
	Unauthenticated      Code = "unauthenticated"
	PermissionDenied     Code = "permission_denied"
	NotFound             Code = "not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	AlreadyExists        Code = "already_exists"
	Conflict             Code = "conflict"
	PayloadTooLarge      Code = "payload_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	RateLimited          Code = "rate_limited"
	InternalError        Code = "internal"
	Unavailable          Code = "unavailable"
	DeadlineExceeded     Code = "deadline_exceeded"
)

var statuses = map[Code]int{
	InvalidArgument:      http.StatusBadRequest,
	Unauthenticated:      http.StatusUnauthorized,
	PermissionDenied:     http.StatusForbidden,
	NotFound:             http.StatusNotFound,
	MethodNotAllowed:     http.StatusMethodNotAllowed,
	AlreadyExists:        http.StatusConflict,
	Conflict:             http.StatusConflict,
	PayloadTooLarge:      http.StatusRequestEntityTooLarge,
	UnsupportedMediaType: http.StatusUnsupportedMediaType,
	RateLimited:          http.StatusTooManyRequests,
	InternalError:        http.StatusInternalServerError,
	Unavailable:          http.StatusServiceUnavailable,
	DeadlineExceeded:     http.StatusGatewayTimeout,
}

// Codes returns every code with its HTTP status. The map is a copy.
func Codes() map[Code]int {
	all := make(map[Code]int, len(statuses))
	for code, status := range statuses {
		all[code] = status
	}
	return all
}

// Status is the HTTP status of the code; an unknown code is 500.
func (c Code) Status() int {
	if status, ok := statuses[c]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// Error is the one error that crosses the wire. Over the bus it is the JSON
// body of an error reply; over HTTP it is an RFC 9457 problem with the same
// members. errors.Is compares codes only, so a bare Error{Code: NotFound} is
// a sentinel.
type Error struct {
	Code Code `json:"code" doc:"Stable error code."`
	// Message is one sentence for a developer; it names the fix.
	Message string `json:"message"`
	// Field is the path of the request field at fault, or the header.
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// RetryAfter is how many seconds to wait before trying again; zero says
	// nothing about it.
	RetryAfter int `json:"retry_after,omitempty"`
}

// Error renders the code, the field and the message.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s: %s: %s", e.Code, e.Field, e.Message)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	var other *Error
	return errors.As(target, &other) && other.Code == e.Code
}

// Errorf makes an Error without a field.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an invalid_argument Error about one field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: InvalidArgument, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Missing is the one answer for what does not exist and for what the caller
// may not know to exist: the two cannot be told apart.
func Missing(what string) *Error {
	return Errorf(NotFound, "no such %s", what)
}
