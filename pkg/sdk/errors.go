package sdk

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/buildify/core/pkg/contract"
)

// Error is an error of the Core API. Get at it with errors.As:
//
//	var e *sdk.Error
//	if errors.As(err, &e) { log.Print(e.Code, e.Field, e.RequestID) }
type Error = contract.Error

// The kinds of error, for errors.Is. They mean the same over both transports.
var (
	// ErrInvalidArgument: the request is at fault; Error.Field says where.
	ErrInvalidArgument = sentinel(contract.InvalidArgument, "invalid argument")
	// ErrUnauthenticated: the token, or with Field "X-API-Key" the module's own
	// key, is missing, wrong, expired or revoked.
	ErrUnauthenticated = sentinel(contract.Unauthenticated, "unauthenticated")
	// ErrPermissionDenied: the caller is known and may not do this.
	ErrPermissionDenied = sentinel(contract.PermissionDenied, "permission denied")
	// ErrNotFound: it does not exist, or this module may not know of it.
	ErrNotFound = sentinel(contract.NotFound, "not found")
	// ErrAlreadyExists: something with the same identity exists.
	ErrAlreadyExists = sentinel(contract.AlreadyExists, "already exists")
	// ErrConflict: the state changed meanwhile; read again and retry.
	ErrConflict = sentinel(contract.Conflict, "conflict")
	// ErrPayloadTooLarge: the request exceeds 1 MiB.
	ErrPayloadTooLarge = sentinel(contract.PayloadTooLarge, "payload too large")
	// ErrUnsupportedMediaType: the content type of an HTTP request is wrong.
	ErrUnsupportedMediaType = sentinel(contract.UnsupportedMediaType, "unsupported media type")
	// ErrMethodNotAllowed: the HTTP method is wrong for the path.
	ErrMethodNotAllowed = sentinel(contract.MethodNotAllowed, "method not allowed")
	// ErrRateLimited: too many requests; slow down.
	ErrRateLimited = sentinel(contract.RateLimited, "rate limited")
	// ErrUnavailable: the core, or the way to it, is down; try again later. A
	// mutation that ended so may have happened.
	ErrUnavailable = sentinel(contract.Unavailable, "unavailable")
	// ErrDeadlineExceeded: no answer in time; also context.DeadlineExceeded. A
	// mutation that ended so may have happened.
	ErrDeadlineExceeded = sentinel(contract.DeadlineExceeded, "deadline exceeded")
	// ErrInternal: a mistake of the core's, or an answer that is none of its.
	ErrInternal = sentinel(contract.InternalError, "internal error")
)

func sentinel(code contract.Code, message string) *Error {
	return &Error{Code: code, Message: message}
}

// Errorf makes an error of the same kind as one of the sentinels, for a
// module's own answers:
//
//	sdk.Errorf(sdk.ErrNotFound, "no invoice %s", id)
func Errorf(kind *Error, format string, args ...any) *Error {
	return &Error{Code: kind.Code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an [ErrInvalidArgument] about one field of a request; field is
// its path, such as "lines[0].amount".
func Invalid(field, format string, args ...any) *Error {
	return contract.Invalid(field, format, args...)
}

// WriteProblem answers an HTTP request with err as application/problem+json
// (RFC 9457). What is no *Error is told as an internal error, without its text.
func WriteProblem(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = contract.Errorf(contract.InternalError, "internal error")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	contract.WriteProblem(w, e)
}
