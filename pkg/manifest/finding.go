package manifest

import (
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// Finding is something that is wrong with a manifest, or that its author should
// know. Line and Column count from 1, columns in characters; they point at the
// value, at the key of an unknown field, and at the object that lacks one.
type Finding = contract.Finding

// Findings of one manifest, in the order of their lines.
type Findings []Finding

// The severities: a manifest with an error is refused.
const (
	Error   = "error"
	Warning = "warning"
	Info    = "info"
)

// HasErrors reports whether any of them is an error.
func (f Findings) HasErrors() bool {
	return slices.ContainsFunc(f, func(one Finding) bool { return one.Severity == Error })
}
