// Package contract is the table of the Core API: every operation is one typed
// value here. Its bus subject, HTTP route, OpenAPI entry, SDK call, bus
// permission and audit level follow from that value and are written nowhere
// else. The package imports the standard library only.
package contract

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Access says who may call an operation. Values combine with |.
type Access uint8

const (
	// Internal operations are for services and the operator inside account
	// CORE. They have no HTTP route and no module may publish on them.
	Internal Access = 1 << iota
	// Anonymous operations need no credential at all.
	Anonymous
	// Module operations are for modules that show an API key.
	Module
	// User operations are for people: the serving service verifies the
	// caller's access token and asks rbac for Spec.Permission.
	User
	// Self operations are for any person, about themself: the serving service
	// verifies the caller's access token; no permission is asked for.
	Self
)

// Has reports whether a includes all of b.
func (a Access) Has(b Access) bool { return a&b == b }

// AuditLevel says what trace a call leaves in the audit trail. Every call
// leaves a call record at least.
type AuditLevel uint8

const (
	// AuditRead is a read: a call record.
	AuditRead AuditLevel = iota + 1
	// AuditDecision is a decision about a person: a call record.
	AuditDecision
	// AuditMutation changes state: an event of its own.
	AuditMutation
	// AuditLogin is a login attempt: an event of its own.
	AuditLogin
)

// DefaultTimeout bounds an operation whose Spec names no other.
const DefaultTimeout = 5 * time.Second

// Spec is what an operation says about itself.
type Spec struct {
	// Name is "<service>.<operation>"; the bus subject is "core." + Name.
	Name string
	// Method and Path are the HTTP route; both empty for Internal operations.
	Method, Path string
	Access       Access
	// Permission is what a calling user must hold; required with User.
	Permission string
	// Audit is filled in by Register, which asks for it: what has no level does
	// not compile.
	Audit AuditLevel
	// Errors lists the codes the operation itself answers with, beyond those
	// every operation may (invalid_argument, unavailable, …).
	Errors []Code
	// Summary is one sentence for the reference documentation.
	Summary string
	// Timeout bounds the work; zero means DefaultTimeout.
	Timeout time.Duration

	// Request and Response are filled in by Register.
	Request, Response reflect.Type
}

// Subject is where services inside CORE answer the operation.
func (s *Spec) Subject() string { return "core." + s.Name }

// ModuleSubject is where a module publishes to call the operation with the API
// key of that id. The NATS server lets a connection publish under its own
// key's id only, so this subject is the caller's identity.
func (s *Spec) ModuleSubject(keyID string) string { return "m." + keyID + "." + s.Subject() }

// Service is the name of the service that answers the operation.
func (s *Spec) Service() string {
	service, _, _ := strings.Cut(s.Name, ".")
	return service
}

// Operation ties a Spec to its request and response types.
type Operation[Req, Resp any] struct{ *Spec }

var (
	table       []*Spec
	streams     []*Spec
	namePattern = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
)

// Register adds an operation to the table. It is called while the package
// initialises and panics on a mistake in the table: a duplicate name or route,
// a route without a method, a user operation without a permission.
func Register[Req, Resp any](level AuditLevel, spec Spec) Operation[Req, Resp] {
	spec.Audit = level
	spec.Request, spec.Response = reflect.TypeFor[Req](), reflect.TypeFor[Resp]()
	if spec.Timeout == 0 {
		spec.Timeout = DefaultTimeout
	}
	if err := cmp.Or(spec.check(), spec.checkPath()); err != nil {
		panic(err)
	}
	table = append(table, &spec)
	return Operation[Req, Resp]{&spec}
}

func (s *Spec) check() error {
	public := s.Access &^ Internal
	switch {
	case !namePattern.MatchString(s.Name):
		return fmt.Errorf("contract: %q is not <service>.<operation>", s.Name)
	case s.Access == 0 || s.Audit == 0 || s.Summary == "":
		return fmt.Errorf("contract: %s needs access, audit level and summary", s.Name)
	case (public == 0) != (s.Path == "") || (s.Path == "") != (s.Method == ""):
		return fmt.Errorf("contract: %s: exactly the operations beyond Internal have a route", s.Name)
	case s.Access.Has(User) != (s.Permission != ""):
		return fmt.Errorf("contract: %s: exactly the User operations name a permission", s.Name)
	}
	for _, other := range slices.Concat(table, streams) {
		if other.Name == s.Name || (s.Path != "" && other.Method == s.Method && other.Path == s.Path) {
			return fmt.Errorf("contract: %s and %s collide", s.Name, other.Name)
		}
	}
	return nil
}

// checkPath holds the path's placeholders against the request's path tags.
func (s *Spec) checkPath() error {
	tagged := map[string]bool{}
	for i := range s.Request.NumField() {
		if name := s.Request.Field(i).Tag.Get("path"); name != "" {
			tagged["{"+name+"}"] = true
		}
	}
	for _, segment := range strings.Split(s.Path, "/") {
		if strings.HasPrefix(segment, "{") && !tagged[segment] {
			return fmt.Errorf("contract: %s: no request field has the path tag of %s", s.Name, segment)
		}
		delete(tagged, segment)
	}
	for name := range tagged {
		return fmt.Errorf("contract: %s: the path has no %s", s.Name, name)
	}
	return nil
}

// RegisterStream adds a stream to the table: what a caller reads message by
// message, over HTTP as server-sent events whose data is the JSON of Message.
// It may be granted to an API key like an operation.
func RegisterStream[Message any](level AuditLevel, spec Spec) Stream[Message] {
	spec.Audit = level
	spec.Response = reflect.TypeFor[Message]()
	if err := spec.check(); err != nil {
		panic(err)
	}
	streams = append(streams, &spec)
	return Stream[Message]{&spec}
}

// Stream ties the Spec of a stream to the type of its messages.
type Stream[Message any] struct{ *Spec }

// Streams returns the table of streams, ordered by name. The slice is a copy,
// the Specs are shared and must not be changed.
func Streams() []*Spec { return sorted(streams) }

// Operations returns the whole table, ordered by name. The slice is a copy,
// the Specs are shared and must not be changed.
func Operations() []*Spec { return sorted(table) }

func sorted(specs []*Spec) []*Spec {
	return slices.SortedFunc(slices.Values(specs), func(a, b *Spec) int { return cmp.Compare(a.Name, b.Name) })
}

// ModuleOperations returns the names of the operations and streams that a
// module may be granted.
func ModuleOperations() []string {
	var names []string
	for _, spec := range sorted(slices.Concat(table, streams)) {
		if spec.Access.Has(Module) {
			names = append(names, spec.Name)
		}
	}
	return names
}
