package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// administrator is a request of somebody who administers the tenant.
func administrator(t testing.TB, tenant string) context.Context {
	return kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID(), TenantID: tenant}})
}

func platformAdmin(t testing.TB) context.Context {
	return kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID(), Platform: true}})
}

// key makes a key for module crm.
func (w *world) key(t testing.TB, change ...func(*contract.CreateKeyRequest)) *contract.CreateKeyResponse {
	t.Helper()
	r := &contract.CreateKeyRequest{Module: "crm", Environment: "dev"}
	for _, f := range change {
		f(r)
	}
	made, err := w.CreateKey(bounded(t), r)
	require.NoError(t, err)
	return made
}

func (w *world) check(t testing.TB, raw, address string) (*contract.VerifyKeyResponse, error) {
	t.Helper()
	return w.VerifyKey(bounded(t), &contract.VerifyKeyRequest{APIKey: raw, Address: address})
}

func (w *world) shown(t testing.TB, id string) contract.Key {
	t.Helper()
	key, err := w.GetKey(bounded(t), &contract.KeyRequest{ID: id})
	require.NoError(t, err)
	return *key
}

func TestAKeyIsGoodUntilItExpiresOrIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	made := w.key(t, func(r *contract.CreateKeyRequest) { r.ExpiresAt, r.Operations = &soon, []string{"rbac.check"} })
	key, err := contract.ParseAPIKey(made.APIKey)
	require.NoError(t, err)
	require.Equal(t, made.ID, key.ID)
	require.Equal(t, "crm", key.Module())
	verified, err := w.check(t, made.APIKey, "")
	require.NoError(t, err)
	require.Equal(t, &contract.VerifyKeyResponse{
		ID: key.ID, Module: "crm", Operations: []string{"rbac.check"}, Tenants: []string{}, CIDRs: []string{}, RateClass: "standard", ExpiresAt: verified.ExpiresAt,
	}, verified)
	require.True(t, soon.Equal(*verified.ExpiresAt))

	all := w.key(t)
	verified, err = w.check(t, all.APIKey, "")
	require.NoError(t, err)
	require.Equal(t, contract.ModuleOperations(), verified.Operations)

	var stored string
	require.NoError(t, w.DB.QueryRow(bounded(t), "SELECT string_agg(api_keys::text, '') FROM api_keys").Scan(&stored))
	require.NotContains(t, stored, key.Secret)
	require.NotContains(t, stored, key.Secret[:32])

	refused := func(raw, why string) {
		t.Helper()
		_, err := w.check(t, raw, "")
		require.Equal(t, error(errKey), err, why)
	}
	random := strings.Repeat("0", 64)
	refused("nonsense", "malformed")
	refused(contract.NewAPIKey("dev", "crm-abcdefgh", random).Reveal(), "unknown")
	refused(contract.NewAPIKey("dev", key.ID, random).Reveal(), "a known id and another secret")
	refused(contract.NewAPIKey("prod", key.ID, key.Secret[:64]).Reveal(), "another environment")
	w.sql(t, "UPDATE api_keys SET expires_at = now() WHERE id = $1", made.ID)
	refused(made.APIKey, "expired")
	require.Equal(t, "expired", w.shown(t, made.ID).Status)

	_, err = w.RevokeKey(bounded(t), &contract.KeyRequest{ID: all.ID})
	require.NoError(t, err)
	refused(all.APIKey, "revoked")
	require.Equal(t, "revoked", w.shown(t, all.ID).Status)
	require.Equal(t, []string{all.ID}, w.revoked)
	require.Len(t, w.told(t, events.KeyCreated), 2)
	require.Equal(t, []string{`{"id":"` + all.ID + `","module":"crm","reason":"revoked"}`}, w.told(t, events.KeyEnded))
	for _, id := range []string{all.ID, "unknown", "", "%"} {
		_, err = w.RevokeKey(bounded(t), &contract.KeyRequest{ID: id})
		require.ErrorIs(t, err, is(contract.NotFound), id)
	}
	require.Len(t, w.revoked, 1)
}

func TestAKeyIsNotMadeOfNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	past := time.Now().Add(-time.Second)
	for field, change := range map[string]func(*contract.CreateKeyRequest){
		"expires_at":   func(r *contract.CreateKeyRequest) { r.ExpiresAt = &past },
		"operations":   func(r *contract.CreateKeyRequest) { r.Operations = []string{"rbac.check", "auth.create_key"} },
		"tenants[1]":   func(r *contract.CreateKeyRequest) { r.Tenants = []string{w.tenant, "ACME"} },
		"cidrs[0]":     func(r *contract.CreateKeyRequest) { r.CIDRs = []string{"192.0.2.0/33"} },
		"cidrs[1]":     func(r *contract.CreateKeyRequest) { r.CIDRs = []string{"192.0.2.0/24", "*"} },
		"cidrs[2]":     func(r *contract.CreateKeyRequest) { r.CIDRs = []string{"::/0", "10.0.0.1", "::ffff:10.0.0.0/104"} },
		"":             func(r *contract.CreateKeyRequest) { r.Tenants = []string{kit.NewID()} }, // not_found
		"operations ":  func(r *contract.CreateKeyRequest) { r.Operations = []string{"*"} },
		"operations  ": func(r *contract.CreateKeyRequest) { r.Operations = []string{""} },
	} {
		r := &contract.CreateKeyRequest{Module: "crm", Environment: "dev"}
		change(r)
		_, err := w.CreateKey(bounded(t), r)
		var e *contract.Error
		require.ErrorAs(t, err, &e, field)
		require.Equal(t, strings.TrimSpace(field), e.Field)
		if field == "" {
			require.Equal(t, contract.NotFound, e.Code)
		} else {
			require.Equal(t, contract.InvalidArgument, e.Code, field)
		}
	}
	require.Empty(t, w.outbox(t))
}

func TestAKeyBoundToNetworksIsGoodFromThereOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.key(t, func(r *contract.CreateKeyRequest) {
		r.CIDRs = []string{"192.0.2.77/24", "2001:db8::/32", "198.51.100.1", "192.0.2.0/24"}
	})
	require.Equal(t, []string{"192.0.2.0/24", "198.51.100.1/32", "2001:db8::/32"}, w.shown(t, made.ID).CIDRs)
	for _, inside := range []string{"192.0.2.1", "::ffff:192.0.2.1", "198.51.100.1", "2001:db8::1"} {
		_, err := w.check(t, made.APIKey, inside)
		require.NoError(t, err, inside)
	}
	for _, outside := range []string{"192.0.3.1", "198.51.100.2", "2001:db9::1", "", "nonsense", "192.0.2.1:80"} {
		_, err := w.check(t, made.APIKey, outside)
		require.Equal(t, error(errKey), err, outside)
	}
}

func TestATenantsAdministratorHasKeysOfThatTenantOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enable("crm")
	other := kit.NewID()
	w.Directory.PutTenant(contract.Tenant{ID: other, Code: "OTHER", IsActive: true, Revision: 1})
	admin := administrator(t, w.tenant)
	request := func(change func(*contract.CreateKeyRequest)) *contract.CreateKeyRequest {
		r := &contract.CreateKeyRequest{Module: "crm", Environment: "prod", Tenants: []string{w.tenant}}
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		code   contract.Code
		change func(*contract.CreateKeyRequest)
	}{
		"for every tenant":         {contract.PermissionDenied, func(r *contract.CreateKeyRequest) { r.Tenants = nil }},
		"for another":              {contract.PermissionDenied, func(r *contract.CreateKeyRequest) { r.Tenants = []string{other} }},
		"for one that is not":      {contract.PermissionDenied, func(r *contract.CreateKeyRequest) { r.Tenants = []string{kit.NewID()} }},
		"for two":                  {contract.PermissionDenied, func(r *contract.CreateKeyRequest) { r.Tenants = []string{w.tenant, other} }},
		"faster than others":       {contract.PermissionDenied, func(r *contract.CreateKeyRequest) { r.RateClass = "bulk" }},
		"of a module not enabled":  {contract.NotFound, func(r *contract.CreateKeyRequest) { r.Module = "billing" }},
		"of an operation for core": {contract.InvalidArgument, func(r *contract.CreateKeyRequest) { r.Operations = []string{"rbac.create_role"} }},
	} {
		_, err := w.CreateKey(admin, request(c.change))
		require.ErrorIs(t, err, is(c.code), name)
	}
	own, err := w.CreateKey(admin, request(func(r *contract.CreateKeyRequest) { r.Tenants = []string{strings.ToUpper(w.tenant), w.tenant} }))
	require.NoError(t, err)
	verified, err := w.check(t, own.APIKey, "")
	require.NoError(t, err)
	require.Equal(t, []string{w.tenant}, verified.Tenants)
	created := w.outbox(t)
	require.Len(t, created, 1)
	require.Equal(t, w.tenant, events.Extension(created[0], events.TenantID), "in the tenant's audit trail")

	mine := []string{own.ID}
	foreign := []string{
		w.key(t).ID,
		w.key(t, func(r *contract.CreateKeyRequest) { r.Tenants = []string{other} }).ID,
		w.key(t, func(r *contract.CreateKeyRequest) { r.Tenants = []string{w.tenant, other} }).ID,
	}
	listed := func(ctx context.Context) (ids []string) {
		page, err := w.ListKeys(ctx, &contract.ListKeysRequest{})
		require.NoError(t, err)
		for _, key := range page.Items {
			ids = append(ids, key.ID)
		}
		return ids
	}
	require.Equal(t, mine, listed(admin))
	require.Empty(t, listed(administrator(t, kit.NewID())))
	require.Empty(t, listed(kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID()}})), "in no tenant and no platform administrator")
	require.ElementsMatch(t, append(mine, foreign...), listed(platformAdmin(t)))
	for _, id := range append(foreign, "unknown-00000000") {
		_, err := w.GetKey(admin, &contract.KeyRequest{ID: id})
		require.Equal(t, error(errNoKey), err)
		_, err = w.RotateKey(admin, &contract.RotateKeyRequest{ID: id})
		require.Equal(t, error(errNoKey), err)
		_, err = w.RevokeKey(admin, &contract.KeyRequest{ID: id})
		require.Equal(t, error(errNoKey), err)
	}
	for _, key := range foreign {
		require.Equal(t, "active", w.shown(t, key).Status)
	}
	_, err = w.GetKey(admin, &contract.KeyRequest{ID: own.ID})
	require.NoError(t, err)
	rotated, err := w.RotateKey(admin, &contract.RotateKeyRequest{ID: own.ID})
	require.NoError(t, err)
	_, err = w.RevokeKey(admin, &contract.KeyRequest{ID: rotated.ID})
	require.NoError(t, err)
}

func TestKeysAreListedNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range 7 {
		ids = append(ids, w.key(t, func(r *contract.CreateKeyRequest) { r.Name = fmt.Sprint(i) }).ID)
	}
	slices.Reverse(ids)
	other := w.key(t, func(r *contract.CreateKeyRequest) { r.Module = "billing" })
	_, err := w.RevokeKey(bounded(t), &contract.KeyRequest{ID: ids[0]})
	require.NoError(t, err)
	w.sql(t, "UPDATE api_keys SET expires_at = now() WHERE id = $1", ids[1])
	list := func(r contract.ListKeysRequest) (got []string) {
		for {
			page, err := w.ListKeys(bounded(t), &r)
			require.NoError(t, err)
			for _, key := range page.Items {
				got = append(got, key.ID)
			}
			if r.Cursor = page.NextCursor; r.Cursor == "" {
				return got
			}
			require.Len(t, page.Items, r.Limit)
		}
	}
	for limit := 1; limit < 9; limit++ {
		require.Equal(t, append([]string{other.ID}, ids...), list(contract.ListKeysRequest{Limit: limit}))
	}
	require.Equal(t, ids, list(contract.ListKeysRequest{Limit: 3, Module: "crm"}))
	require.Equal(t, ids[:1], list(contract.ListKeysRequest{Limit: 3, Status: "revoked"}))
	require.Equal(t, ids[1:2], list(contract.ListKeysRequest{Limit: 3, Status: "expired"}))
	require.Equal(t, ids[2:], list(contract.ListKeysRequest{Limit: 3, Status: "active", Module: "crm"}))
	require.Empty(t, list(contract.ListKeysRequest{Limit: 3, Module: "%"}))
	for _, cursor := range []string{"nonsense!", "MQ", "LTEsYQ", "OTk5OTk5OTk5OTk5OTk5OTk5OSxh"} {
		_, err := w.ListKeys(bounded(t), &contract.ListKeysRequest{Cursor: cursor})
		require.ErrorIs(t, err, is(contract.InvalidArgument), cursor)
	}
	raw, err := json.Marshal(w.shown(t, other.ID))
	require.NoError(t, err)
	require.NotContains(t, string(raw), strings.Split(other.APIKey, "_")[3])
}

func TestARotatedKeyOverlapsWithItsSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Microsecond)
	old := w.key(t, func(r *contract.CreateKeyRequest) {
		r.Name, r.Operations, r.Tenants, r.CIDRs = "n", []string{"rbac.check"}, []string{w.tenant}, []string{"192.0.2.0/24"}
		r.RateClass, r.ExpiresAt, r.Environment = "high", &end, "prod"
	})
	made, err := w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: old.ID})
	require.NoError(t, err)
	require.NotEqual(t, old.ID, made.ID)
	before, after := w.shown(t, old.ID), w.shown(t, made.ID)
	require.Equal(t, "active", before.Status)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), *before.ExpiresAt, time.Minute)
	require.Equal(t, old.ID, after.RotatedFrom)
	require.WithinDuration(t, end, *after.ExpiresAt, time.Minute)
	before.ID, before.RotatedFrom, before.CreatedAt, before.ExpiresAt = after.ID, after.RotatedFrom, after.CreatedAt, after.ExpiresAt
	require.Equal(t, before, after, "the same rights")
	for _, key := range []string{old.APIKey, made.APIKey} {
		_, err = w.check(t, key, "192.0.2.1")
		require.NoError(t, err)
	}
	require.Empty(t, w.revoked)
	require.Empty(t, w.told(t, events.KeyEnded))
	require.Contains(t, w.told(t, events.KeyCreated)[1], `"rotated_from":"`+old.ID+`"`)

	_, err = w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: old.ID})
	require.ErrorIs(t, err, is(contract.Conflict))
	require.ErrorContains(t, err, made.ID, "says which one to rotate")

	minute, never := 60, 0
	next, err := w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: made.ID, OverlapSeconds: &minute})
	require.NoError(t, err)
	require.Equal(t, []string{made.ID}, w.revoked, "its connections come back, for a minute")
	require.Equal(t, "active", w.shown(t, made.ID).Status)
	last, err := w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: next.ID, OverlapSeconds: &never})
	require.NoError(t, err)
	require.Equal(t, "revoked", w.shown(t, next.ID).Status)
	require.Equal(t, []string{made.ID, next.ID}, w.revoked)
	require.Len(t, w.told(t, events.KeyEnded), 1)
	for _, id := range []string{next.ID, "unknown-00000000"} {
		_, err = w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: id})
		require.Error(t, err)
	}
	past := time.Now()
	_, err = w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: last.ID, ExpiresAt: &past})
	require.ErrorIs(t, err, is(contract.InvalidArgument))
	require.Equal(t, "active", w.shown(t, last.ID).Status)
}

func TestRotationNeverLengthensAKeysLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	old := w.key(t, func(r *contract.CreateKeyRequest) { r.ExpiresAt = &end })
	_, err := w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: old.ID})
	require.NoError(t, err)
	require.True(t, end.Equal(*w.shown(t, old.ID).ExpiresAt))
}

func TestOfManyWhoRotateAtOnceOneDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Committed = func() {}
	old := w.key(t)
	results := make(chan error, 8)
	var all sync.WaitGroup
	for range cap(results) {
		all.Go(func() {
			_, err := w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: old.ID})
			results <- err
		})
	}
	all.Wait()
	made := 0
	for range cap(results) {
		if err := <-results; err == nil {
			made++
		} else {
			require.ErrorIs(t, err, is(contract.Conflict))
		}
	}
	require.Equal(t, 1, made)
}

func TestAReportedKeyIsRevokedAndTheAnswerTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made, other := w.key(t), w.key(t)
	key, err := contract.ParseAPIKey(made.APIKey)
	require.NoError(t, err)
	_, err = w.RevokeKey(bounded(t), &contract.KeyRequest{ID: other.ID})
	require.NoError(t, err)
	for _, raw := range []string{
		"nonsense", made.ID, made.APIKey + "0", other.APIKey,
		contract.NewAPIKey("dev", "crm-abcdefgh", strings.Repeat("0", 64)).Reveal(),
		contract.NewAPIKey("dev", key.ID, strings.Repeat("0", 64)).Reveal(),
		contract.NewAPIKey("prod", key.ID, key.Secret[:64]).Reveal(),
	} {
		answer, err := w.ReportLeak(from(t, "192.0.2.9"), &contract.ReportLeakRequest{APIKey: raw})
		require.NoError(t, err, raw)
		require.Equal(t, &contract.Empty{}, answer)
	}
	require.Equal(t, "active", w.shown(t, made.ID).Status, "shown, not guessed")
	require.Len(t, w.told(t, events.KeyEnded), 1)
	for range 2 {
		answer, err := w.ReportLeak(from(t, "192.0.2.9"), &contract.ReportLeakRequest{APIKey: made.APIKey, Where: "a gist"})
		require.NoError(t, err)
		require.Equal(t, &contract.Empty{}, answer)
	}
	require.Equal(t, "revoked", w.shown(t, made.ID).Status)
	require.Equal(t, []string{other.ID, made.ID}, w.revoked)
	require.Equal(t, `{"id":"`+made.ID+`","module":"crm","reason":"leaked","address":"192.0.2.9","where":"a gist"}`, w.told(t, events.KeyEnded)[1])
}

func TestWhatNeverChangesOfAKeyIsToldOfEndedOnesToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.key(t, func(r *contract.CreateKeyRequest) { r.Tenants = []string{w.tenant} })
	_, err := w.RevokeKey(bounded(t), &contract.KeyRequest{ID: made.ID})
	require.NoError(t, err)
	info, err := w.AnswerKeyInfo(bounded(t), &contract.KeyInfoRequest{ID: made.ID})
	require.NoError(t, err)
	require.Equal(t, &contract.KeyInfoResponse{ID: made.ID, Module: "crm", Tenants: []string{w.tenant}}, info)
	_, err = w.KeyInfo(bounded(t), "crm-00000000")
	require.ErrorIs(t, err, is(contract.NotFound))
}

func TestTheLastUseOfAKeyIsWrittenDownLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two, unused := w.key(t), w.key(t), w.key(t)
	for range 3 {
		_, err := w.check(t, one.APIKey, "192.0.2.1")
		require.NoError(t, err)
	}
	_, err := w.check(t, two.APIKey, "")
	require.NoError(t, err)
	require.Nil(t, w.shown(t, one.ID).LastUsedAt)
	stopped, stop := context.WithCancel(bounded(t))
	stop()
	w.KeepKeys(stopped) // writes once more when it ends
	for _, id := range []string{one.ID, two.ID} {
		require.WithinDuration(t, time.Now(), *w.shown(t, id).LastUsedAt, time.Minute)
	}
	require.Equal(t, "192.0.2.1", w.shown(t, one.ID).LastUsedAddress)
	require.Empty(t, w.shown(t, two.ID).LastUsedAddress)
	require.Nil(t, w.shown(t, unused.ID).LastUsedAt)

	// Another replica wrote a later one meanwhile.
	at := *w.shown(t, one.ID).LastUsedAt
	w.keyUses.record(one.ID, keyUse{at.Add(-time.Hour), "198.51.100.1"})
	require.NoError(t, w.writeKeyUses(bounded(t)))
	require.Equal(t, "192.0.2.1", w.shown(t, one.ID).LastUsedAddress)

	w.keyUses.record(one.ID, keyUse{at.Add(time.Hour), "198.51.100.2"})
	require.Error(t, w.writeKeyUses(stopped))
	require.NoError(t, w.writeKeyUses(bounded(t)), "what could not be written is not lost")
	require.Equal(t, "198.51.100.2", w.shown(t, one.ID).LastUsedAddress)
}

func TestKeysThatEndSoonAreWarnedOfOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Committed = func() {}
	// How old a key is, and how long it has yet.
	made := func(age, left time.Duration) string {
		id := w.key(t).ID
		w.sql(t, "UPDATE api_keys SET created_at = $2, expires_at = $3 WHERE id = $1", id, time.Now().Add(-age), time.Now().Add(left))
		return id
	}
	const day = 24 * time.Hour
	week, tomorrow := made(30*day, 6*day), made(30*day, day/2)
	made(30*day, 8*day)    // not soon
	made(30*day, -day)     // too late
	made(time.Hour, 2*day) // lives no longer
	made(time.Hour, day/2)
	revoked, rotated := made(30*day, 6*day), made(30*day, 6*day)
	_, err := w.RevokeKey(bounded(t), &contract.KeyRequest{ID: revoked})
	require.NoError(t, err)
	_, err = w.RotateKey(bounded(t), &contract.RotateKeyRequest{ID: rotated})
	require.NoError(t, err)

	warned := func() (ids []string) {
		for _, data := range w.told(t, events.KeyExpiring) {
			var change events.KeyChange
			require.NoError(t, json.Unmarshal([]byte(data), &change))
			require.NotNil(t, change.ExpiresAt)
			ids = append(ids, change.ID)
		}
		return ids
	}
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			if err := w.warnOfKeys(bounded(t)); err != nil {
				t.Error(err)
			}
		})
	}
	replicas.Wait()
	require.ElementsMatch(t, []string{week, tomorrow}, warned())
	w.sql(t, "UPDATE api_keys SET expires_at = now() + interval '20 hours' WHERE id = $1", week)
	for range 2 {
		require.NoError(t, w.warnOfKeys(bounded(t)))
	}
	require.ElementsMatch(t, []string{week, tomorrow, week}, warned())
}

func TestAFloodOfRefusalsBecomesAFewEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for range 500 {
		w.BusRefused(one, "crm-00000000", "key not accepted")
		w.BusRefused(v6, "", "key not accepted")
		v6 = v6.Next() // any address of its network is its own
	}
	w.BusRefused(one, "", "Parse Error")
	require.NoError(t, w.writeRefusals(bounded(t)))
	require.ElementsMatch(t, []string{
		`{"address":"192.0.2.1","key_id":"crm-00000000","reason":"key not accepted","count":500}`,
		`{"address":"2001:db8::1","reason":"key not accepted","count":500}`,
		`{"address":"192.0.2.1","reason":"Parse Error","count":1}`,
	}, w.told(t, events.BusRefused))
	for _, e := range w.outbox(t) {
		require.Equal(t, "failure", events.Extension(e, events.Outcome))
	}
	w.BusRefused(one, "crm-00000000", "key not accepted")
	w.BusRefused(one, "crm-11111111", "key not accepted")
	require.NoError(t, w.writeRefusals(bounded(t)))
	require.Len(t, w.told(t, events.BusRefused), 3, "told of a moment ago")
	require.Equal(t, []events.BusRefusal{{Address: "192.0.2.1", Reason: "key not accepted", Count: 2}},
		w.refusals.due(time.Now().Add(quiet)), "of several keys none is named")
	require.Empty(t, w.refusals.due(time.Now().Add(3*quiet)))
	require.Empty(t, w.refusals.counts, "forgotten")
}

func TestAFloodFromEverywhereIsBounded(t *testing.T) {
	t.Parallel()
	r := &refusals{}
	at := netip.MustParseAddr("10.0.0.0")
	for range 100_000 {
		r.add(at, "crm-00000000", "key not accepted", 1)
		at = at.Next()
	}
	require.LessOrEqual(t, len(r.counts), maxSources+1)
	total, now := 0, time.Now()
	for i := range 100 {
		told := r.due(now.Add(time.Duration(i) * time.Millisecond))
		require.LessOrEqual(t, len(told), maxTold)
		for _, one := range told {
			total += one.Count
		}
	}
	require.Equal(t, 100_000, total)
}

// What a database could not take is counted with what comes next.
func TestRefusalsOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.BusRefused(netip.MustParseAddr("192.0.2.1"), "", "x")
	stopped, stop := context.WithCancel(bounded(t))
	stop()
	require.Error(t, w.writeRefusals(stopped))
	require.Equal(t, 1, w.refusals.counts[refused{netip.MustParseAddr("192.0.2.1"), "x"}].Count)
}

func FuzzKeyCursor(f *testing.F) {
	f.Add(keyCursor(db.AuthApiKey{ID: "crm-00000000", CreatedAt: time.UnixMicro(1)}))
	f.Add("LTEsYQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		at, id, err := parseKeyCursor(cursor)
		if err == nil && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("%q is %v %q", cursor, at, id)
		}
	})
}
