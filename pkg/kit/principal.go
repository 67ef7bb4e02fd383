package kit

import (
	"context"
	"errors"
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
	// Module and KeyID are set for KindModule; KeyID only through the bridge.
	Module, KeyID string
}

// principalHeader carries the bridge's principal inside account CORE. It is
// read on core.> only, where no module can publish.
const principalHeader = "Buildify-Principal"

func (p Principal) encode() string {
	return strings.Join([]string{string(p.Kind), p.Module, p.KeyID}, ";")
}

var errPrincipal = errors.New("malformed principal header")

func decodePrincipal(value string) (Principal, error) {
	parts := strings.Split(value, ";")
	if len(parts) != 3 {
		return Principal{}, errPrincipal
	}
	p := Principal{Kind: Kind(parts[0]), Module: parts[1], KeyID: parts[2]}
	switch p.Kind {
	case KindService, KindAnonymous:
		return p, nil
	case KindModule:
		if contract.ValidModule(p.Module) {
			return p, nil
		}
	}
	return Principal{}, errPrincipal
}

// principalOf tells who sent a request. On m.<module>.core.… it is the module
// of the subject and no header counts; on core.… it is whom the header says,
// or a service when there is none.
func principalOf(subject string, header map[string][]string) (Principal, error) {
	if rest, ok := strings.CutPrefix(subject, "m."); ok {
		module, _, _ := strings.Cut(rest, ".")
		if !contract.ValidModule(module) {
			return Principal{}, errPrincipal
		}
		return Principal{Kind: KindModule, Module: module}, nil
	}
	if values := header[principalHeader]; len(values) > 0 {
		return decodePrincipal(values[0])
	}
	return Principal{Kind: KindService}, nil
}

// User is a person whose access token was verified.
type User struct {
	ID, TenantID, SessionID string
}

// call is what a handler's context knows about the request.
type call struct {
	principal Principal
	user      User
	bearer    string

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

// UserFrom returns the verified user of a User operation; empty otherwise.
func UserFrom(ctx context.Context) User { return callFrom(ctx).user }

// RequestID returns the id that logs, errors and audit events of this request
// share; empty outside a handler.
func RequestID(ctx context.Context) string {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.requestID()
	}
	return ""
}
