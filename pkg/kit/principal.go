package kit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
)

// Kind says what a principal is.
type Kind string

// The kinds of principal.
const (
	// KindService is a service or the operator inside account CORE.
	KindService Kind = "service"
	// KindModule is a module, by its API key.
	KindModule Kind = "module"
	// KindAnonymous is a caller of the bridge without an API key.
	KindAnonymous Kind = "anonymous"
)

// Principal is the verified caller of an operation. It comes from the subject
// that the NATS server let the caller publish on, or from the bridge, which
// verified an API key: never from a word of the request.
type Principal struct {
	Kind Kind
	// KeyID is the API key that a KindModule showed, Module whom it speaks for.
	KeyID, Module string
	// Tenants are the only ones that the key may ask about; empty is every
	// tenant that enabled the module.
	Tenants []string
	// Operation is what it called: tenants consent to a module's use of each.
	Operation string
}

// May reports whether the principal's key is good for the tenant.
func (p Principal) May(tenant string) bool {
	return len(p.Tenants) == 0 || slices.Contains(p.Tenants, tenant)
}

// principalHeader carries the bridge's principal inside account CORE. It is
// read on core.> only, where no module can publish.
const principalHeader = "Buildify-Principal"

func (p Principal) encode() string { return string(p.Kind) + ";" + p.KeyID }

var errPrincipal = errors.New("malformed principal header")

func decodePrincipal(value string) (Principal, error) {
	kind, key, ok := strings.Cut(value, ";")
	switch Kind(kind) {
	case KindService, KindAnonymous:
		if ok && key == "" {
			return Principal{Kind: Kind(kind)}, nil
		}
	case KindModule:
		return keyPrincipal(key)
	}
	return Principal{}, errPrincipal
}

func keyPrincipal(id string) (Principal, error) {
	module, ok := contract.KeyModule(id)
	if !ok {
		return Principal{}, errPrincipal
	}
	return Principal{Kind: KindModule, KeyID: id, Module: module}, nil
}

// principalOf tells who sent a request. On m.<key id>.core.… it is the key of
// the subject and no header counts; on core.… it is whom the header says, or a
// service when there is none.
func principalOf(subject string, header map[string][]string) (Principal, error) {
	if rest, ok := strings.CutPrefix(subject, "m."); ok {
		id, _, _ := strings.Cut(rest, ".")
		return keyPrincipal(id)
	}
	if values := header[principalHeader]; len(values) > 0 {
		return decodePrincipal(values[0])
	}
	return Principal{Kind: KindService}, nil
}

// User is a person whose access token was verified.
type User struct {
	ID string
	// TenantID is the tenant that the token acts in; empty only for a platform
	// administrator who is in none.
	TenantID, SessionID string
	// Platform says that it is a platform administrator, who holds every
	// permission in every tenant.
	Platform bool
}

// call is what a handler's context knows about the request.
type call struct {
	principal Principal
	client    ClientInfo
	user      User
	bearer    string
	about     about

	idOnce sync.Once
	id     string
}

// requestID makes the id when it is first needed and the caller gave none.
func (c *call) requestID() string {
	c.idOnce.Do(func() {
		if c.id == "" {
			c.id = uuid.NewString()
		}
	})
	return c.id
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{principal: Principal{Kind: KindAnonymous}}
}

// PrincipalFrom returns the verified caller; KindAnonymous outside a handler.
func PrincipalFrom(ctx context.Context) Principal { return callFrom(ctx).principal }

// ClientFrom returns where the request reached the bridge from; zero for what
// came over the bus.
func ClientFrom(ctx context.Context) ClientInfo { return callFrom(ctx).client }

// UserFrom returns the verified user of a User or Self operation; empty
// otherwise.
func UserFrom(ctx context.Context) User { return callFrom(ctx).user }

// RequestID returns the id that logs, errors and audit events of this request
// share; empty outside a handler.
func RequestID(ctx context.Context) string {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.requestID()
	}
	return ""
}
