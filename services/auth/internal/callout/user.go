package callout

import (
	"cmp"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// Limits of a module's connection. A server that runs from a configuration
// file ignores them in the JWT: nats.conf repeats them for account MODULES.
const (
	maxSubscriptions = 300
	maxPayload       = contract.MaxBody + 64<<10
)

var (
	operationName = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	tenantID      = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

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
	u.Sub.Allow.Add("_INBOX_" + grant.KeyID + ".>")
	for _, operation := range grant.Operations {
		switch {
		case !operationName.MatchString(operation):
			return nil, fmt.Errorf("the grant has no operation name: %q", operation)
		case operation == contract.GrantedEvents.Name:
			subjects, err := subscription(grant)
			if err != nil {
				return nil, err
			}
			u.Pub.Allow.Add(subjects...)
		case streams[operation] != nil:
			subjects, err := heard(streams[operation], grant)
			if err != nil {
				return nil, err
			}
			u.Sub.Allow.Add(subjects...)
		default:
			u.Pub.Allow.Add("m." + grant.KeyID + ".core." + operation)
		}
	}
	if len(u.Pub.Allow) == 0 {
		u.Pub.Deny.Add(">") // an empty allow list would allow everything
	}
	return u, nil
}

// streams are those of the contract, by name.
var streams = func() map[string]*contract.Spec {
	byName := map[string]*contract.Spec{}
	for _, spec := range contract.Streams() {
		byName[spec.Name] = spec
	}
	return byName
}()

// heard are the subjects on which the module hears a stream: of all tenants that
// enabled it, or of those that the key is restricted to.
func heard(stream *contract.Spec, grant Grant) ([]string, error) {
	if err := tenantIDs(grant); err != nil {
		return nil, err
	}
	return contract.StreamSubjects(stream, grant.Module, grant.Tenants), nil
}

func tenantIDs(grant Grant) error {
	for _, tenant := range grant.Tenants {
		if !tenantID.MatchString(tenant) {
			return fmt.Errorf("the grant has no tenant id: %q", tenant)
		}
	}
	return nil
}

// subscription is where the module reads its own durable consumer. That one is
// for the tenants that the key is good for: keys that are good for others have
// another one.
func subscription(grant Grant) ([]string, error) {
	if err := tenantIDs(grant); err != nil {
		return nil, err
	}
	consumer := events.GrantedStream + "." + events.GrantedConsumer(grant.Module, grant.Tenants)
	return []string{
		contract.BusAPI + ".CONSUMER.INFO." + consumer,
		contract.BusAPI + ".CONSUMER.MSG.NEXT." + consumer,
		"$JS.ACK." + consumer + ".>",
	}, nil
}
