package decision

import "time"

// Question asks whether a user holds a permission, somewhere.
type Question struct {
	// User is the id of the user asked about.
	User string
	// Permission is a concrete code; nothing else is ever allowed.
	Permission string
	// Unit is the lowest of department, branch and company that it is about.
	// Without one, and with one that the tenant does not have, no binding to a
	// unit applies.
	Unit string
	// ResourceType and ResourceID name the resource it is about. Without a type
	// no binding to a resource applies.
	ResourceType, ResourceID string
}

// Clock tells the time in seconds since 1970. It is asked only when a binding
// that expires could decide. Nil means [Now].
type Clock func() int64

// Now is the clock of this machine.
func Now() int64 { return time.Now().Unix() }
