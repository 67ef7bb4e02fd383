package callout

import (
	"cmp"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/buildify/core/pkg/contract"
)

// Limits of a module's connection. A server that runs from a configuration
// file ignores them in the JWT: nats.conf repeats them for account MODULES.
const (
	maxSubscriptions = 100
	maxPayload       = contract.MaxBody + 64<<10
)

var operationName = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)

// user makes the claims of a module's connection: all that the module may do
// on the bus. Everything that becomes part of a subject is checked here, for a
// wildcard or a dot in a name would be somebody else's subject.
func (r *Responder) user(nkey string, key contract.APIKey, grant Grant, now time.Time) (*jwt.UserClaims, error) {
	module, ok := contract.KeyModule(grant.KeyID)
	if !ok || grant.KeyID != key.ID || grant.Module != module {
		return nil, fmt.Errorf("the grant is for key %q of module %q", grant.KeyID, grant.Module)
	}
	expires := now.Add(r.cfg.TTL)
	// The server counts whole seconds and ends a connection up to one late.
	if last := grant.Expires.Add(-time.Second); !grant.Expires.IsZero() && last.Before(expires) {
		expires = last
	}
	if expires.Unix() <= now.Unix() {
		return nil, ErrRefused
	}
	u := jwt.NewUserClaims(nkey)
	u.Name = grant.KeyID // by which Kick finds the connection
	u.Audience = cmp.Or(grant.Account, r.cfg.Account)
	u.Expires = expires.Unix()
	u.Tags.Add("module:"+grant.Module, "key:"+grant.KeyID)
	u.Limits.Subs, u.Limits.Payload = maxSubscriptions, maxPayload
	u.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeInProcess)
	for _, operation := range grant.Operations {
		if !operationName.MatchString(operation) {
			return nil, fmt.Errorf("the grant has no operation name: %q", operation)
		}
		u.Pub.Allow.Add("m." + grant.KeyID + ".core." + operation)
	}
	if len(grant.Operations) == 0 {
		u.Pub.Deny.Add(">") // an empty allow list would allow everything
	}
	u.Sub.Allow.Add("_INBOX_" + grant.KeyID + ".>")
	return u, nil
}
