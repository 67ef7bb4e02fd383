package app

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errNoKey = contract.Missing("API key")

// keyring is the keys that a caller administers: all of them for a platform
// administrator or a service, and for a tenant's administrator those that are
// good for that tenant alone.
type keyring struct {
	all    bool
	tenant string
}

func keyringOf(ctx context.Context) keyring {
	user := kit.UserFrom(ctx)
	return keyring{all: user.ID == "" || user.Platform, tenant: user.TenantID}
}

func (k keyring) holds(row db.AuthApiKey) bool {
	return k.all || slices.Equal(row.Tenants, []string{k.tenant})
}

// find is a key of the ring; not_found for any other.
func (k keyring) find(row db.AuthApiKey, err error) (db.AuthApiKey, error) {
	if err == nil && !k.holds(row) {
		err = errNoKey
	}
	return row, err
}

// newAPIKey makes up a key: 80 random bits in its id, 256 in its secret.
func newAPIKey(environment, module string) contract.APIKey {
	random := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret.Random(10)))
	return contract.NewAPIKey(environment, module+"-"+random, hex.EncodeToString(secret.Random(32)))
}

// keyEvent is an event of a key, in the audit trail of the one tenant that the
// key is good for, or else in the platform's.
func keyEvent(ctx context.Context, kind events.Kind, tenants []string, change events.KeyChange) (events.Event, error) {
	tenant := ""
	if len(tenants) == 1 {
		tenant = tenants[0]
	}
	return kit.NewEvent(ctx, kind, tenant, 0, change)
}

func keyStatus(row db.AuthApiKey, now time.Time) string {
	switch {
	case row.RevokedAt != nil:
		return "revoked"
	case row.ExpiresAt != nil && !row.ExpiresAt.After(now):
		return "expired"
	}
	return "active"
}

// describe is a key without its secret.
func describe(row db.AuthApiKey) contract.Key {
	return contract.Key{
		ID: row.ID, Module: row.Module, Environment: row.Environment, Name: row.Name, Status: keyStatus(row, time.Now()),
		Operations: append([]string{}, row.Operations...), Tenants: row.Tenants, CIDRs: row.Cidrs, RateClass: row.RateClass,
		RotatedFrom: value(row.RotatedFrom), CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt,
		LastUsedAt: row.LastUsedAt, LastUsedAddress: row.LastUsedAddress,
	}
}

// moment is now, or a time that a caller gave, as the database keeps it.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// end is a key's end that a caller asks for; nil is none.
func end(t *time.Time) (*time.Time, error) {
	if t == nil {
		return nil, nil
	}
	if !t.After(time.Now()) {
		return nil, contract.Invalid("expires_at", "must be in the future")
	}
	at := moment(*t)
	return &at, nil
}

func sorted(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}

func parseOperations(names []string) ([]string, error) {
	for _, name := range names {
		if !slices.Contains(contract.ModuleOperations(), name) {
			return nil, contract.Invalid("operations", "%q is no operation that modules may call", name)
		}
	}
	return sorted(append([]string{}, names...)), nil
}

func parseTenants(ids []string) ([]string, error) {
	tenants := make([]string, len(ids))
	for i, id := range ids {
		parsed, err := uuid.Parse(id)
		if err != nil {
			return nil, contract.Invalid(fmt.Sprintf("tenants[%d]", i), "must be a tenant's id, a UUID")
		}
		tenants[i] = parsed.String()
	}
	return sorted(tenants), nil
}

// parseCIDRs reads networks, and single addresses as networks of one.
func parseCIDRs(texts []string) ([]string, error) {
	networks := make([]string, len(texts))
	for i, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			network, err = address.Unmap().Prefix(address.Unmap().BitLen())
		}
		if err != nil || network.Addr().Is4In6() {
			return nil, contract.Invalid(fmt.Sprintf("cidrs[%d]", i), "must be a network such as 192.0.2.0/24 or 2001:db8::/32")
		}
		networks[i] = network.Masked().String()
	}
	return sorted(networks), nil
}

// usableFrom reports whether the networks hold an address; none hold all.
func usableFrom(networks []string, address string) bool {
	if len(networks) == 0 {
		return true
	}
	at, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(networks, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(at.Unmap())
	})
}

// keyCursor names the last key of a page.
func keyCursor(row db.AuthApiKey) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(row.CreatedAt.UnixMicro(), 10) + "," + row.ID))
}

func parseKeyCursor(cursor string) (before time.Time, id string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, ok := strings.Cut(string(raw), ",")
	micros, numberErr := strconv.ParseInt(at, 10, 64)
	if err != nil || numberErr != nil || !ok || micros < 0 || micros > 1<<53 {
		return time.Time{}, "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	return time.UnixMicro(micros), id, nil
}
