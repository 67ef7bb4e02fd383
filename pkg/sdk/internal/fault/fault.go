// Package fault holds the errors that are made on the caller's side, so that
// every transport tells the same trouble in the same words.
package fault

import (
	"context"
	"errors"
	"fmt"

	"github.com/buildify/core/pkg/contract"
)

// Context is the error of a call whose ctx ended; nil while it has not.
func Context(ctx context.Context, spec *contract.Spec) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout(spec)
	default:
		return fmt.Errorf("%s: %w", spec.Name, err)
	}
}

// Timeout is both deadline_exceeded and context.DeadlineExceeded.
func Timeout(spec *contract.Spec) error {
	return Deadline(contract.Errorf(contract.DeadlineExceeded, "%s did not answer in time", spec.Name))
}

// Deadline makes a deadline_exceeded that the core answered match
// context.DeadlineExceeded too, as one that passed here does.
func Deadline(e error) error {
	return fmt.Errorf("%w (%w)", e, context.DeadlineExceeded)
}

// Unreachable says that the request or its answer got lost on the way.
func Unreachable(spec *contract.Spec, cause error) error {
	return fmt.Errorf("%w (%w)", contract.Errorf(contract.Unavailable, "%s: the core cannot be reached", spec.Name), cause)
}

// NoResponders says that the bus is there and the service is not.
func NoResponders(spec *contract.Spec) error {
	return contract.Errorf(contract.Unavailable, "service %s is not available; try again", spec.Service())
}

// Denied says that the core did not let this module's request through.
func Denied(spec *contract.Spec) error {
	return contract.Errorf(contract.PermissionDenied, "this module may not use %s; the API key must grant it", spec.Name)
}

// KeyRefused says that the core does not accept the module's API key. Field
// tells it from a refused user token, over both transports.
func KeyRefused() error {
	return &contract.Error{
		Code: contract.Unauthenticated, Field: contract.HeaderAPIKey,
		Message: "the API key was refused: unknown, revoked or expired",
	}
}

// Unreadable says that something else than the Core API answered.
func Unreadable(spec *contract.Spec, format string, args ...any) error {
	return contract.Errorf(contract.InternalError, "%s: %s", spec.Name, fmt.Sprintf(format, args...))
}

// TooLarge says that the request does not fit.
func TooLarge() error {
	return contract.Errorf(contract.PayloadTooLarge, "the request body exceeds %d bytes", contract.MaxBody)
}

// Closed says that the transport was closed.
func Closed(spec *contract.Spec) error {
	return contract.Errorf(contract.Unavailable, "%s: the client is closed", spec.Name)
}
