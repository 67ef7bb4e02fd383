package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/tenant/internal/store"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// schemas of modules, by their names.
type schemas map[string]string

func (s schemas) Schema(_ context.Context, _, module string) ([]byte, string, error) {
	schema, ok := s[module]
	if !ok {
		return nil, "", contract.Missing("settings of this name")
	}
	return []byte(schema), fmt.Sprint(len(schema)), nil
}

// Say knows the message hello.
func (s schemas) Say(_ context.Context, _, _, text string, languages ...string) string {
	if text == "%hello%" {
		return strings.Join(append(languages, "hello"), " ")
	}
	return text
}

const crm = `{"type": "object", "title": "CRM", "properties": {
	"color":  {"type": "string", "default": "blue", "x-scope": "user", "enum": ["blue", "red", "green"]},
	"limit":  {"type": "integer", "minimum": 1, "maximum": 10},
	"region": {"type": "string", "x-scope": "platform"},
	"token":  {"type": "string", "x-secret": true, "minLength": 3},
	"mail":   {"type": "object", "properties": {"ports": {"type": "array", "items": {"type": "integer"}}}}
}}`

// world is settings on a database of their own.
type world struct {
	*App
	t      testing.TB
	known  schemas
	tenant contract.ID
	url    string
}

var master = []byte(strings.Repeat("m", sealed.MinLength))

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, known: schemas{"crm": crm}, tenant: contract.ID(kit.NewID())}
	w.url = kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	pool, err := database.Open(bounded(t), w.url, "tenant", 0)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	box, err := sealed.NewBox(master, "test")
	require.NoError(t, err)
	w.App = &App{
		Store: &store.Store{DB: pool, Committed: func() {}}, Directory: directory.New(slog.New(slog.DiscardHandler)),
		Schemas: w.known, Box: box,
	}
	w.exec("INSERT INTO tenant.tenants (id, code, name) VALUES ($1, 'T1', 'A tenant')", string(w.tenant))
	w.Directory.PutTenant(contract.Tenant{ID: string(w.tenant), IsActive: true, Revision: 1})
	w.Directory.PutActivation(contract.Activation{TenantID: string(w.tenant), Module: "crm", Enabled: true, Version: "1.0.0", Revision: 1})
	return w
}

func (w *world) exec(sql string, arguments ...any) {
	w.t.Helper()
	require.NoError(w.t, w.Store.DB.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(w.t), sql, arguments...)
		return err
	}))
}

func (w *world) person() (kit.User, context.Context) {
	user := kit.User{ID: kit.NewID(), TenantID: string(w.tenant)}
	w.Directory.PutMember(contract.Member{UserID: user.ID, TenantID: user.TenantID, Active: true, Revision: 1})
	return user, kit.WithCaller(bounded(w.t), kit.Caller{User: user})
}

func (w *world) set(layer, values string) (*contract.Settings, error) {
	return w.Update(bounded(w.t), &contract.UpdateSettingsRequest{
		TenantID: w.tenant, Namespace: "crm", Layer: layer, Values: json.RawMessage(values),
	})
}

func (w *world) mustSet(layer, values string) *contract.Settings {
	w.t.Helper()
	got, err := w.set(layer, values)
	require.NoError(w.t, err)
	return got
}

// told is what holds, as "value source" by key.
func told(s *contract.Settings) map[string]string {
	all := map[string]string{}
	for _, v := range s.Items {
		all[v.Key] = strings.TrimSpace(string(v.Value) + " " + v.Source)
	}
	return all
}

func (w *world) module(user string) (map[string]any, error) {
	ctx := kit.WithCaller(bounded(w.t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "crm", Operation: "tenant.module_settings"}})
	got, err := w.Module(ctx, &contract.ModuleSettingsRequest{TenantID: w.tenant, UserID: contract.ID(user)})
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	require.NoError(w.t, json.Unmarshal(got.Values, &values))
	return values, nil
}

func TestTheNarrowestLayerHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, ctx := w.person()
	require.Equal(t, map[string]string{"color": `"blue" default`, "limit": "none", "region": "none", "token": "none", "mail": "none"}, told(w.mustSet("tenant", `{}`)))
	w.mustSet("platform", `{"color":"red","limit":7,"region":"eu"}`)
	require.Equal(t, map[string]string{"color": `"red" platform`, "limit": "7 platform", "region": `"eu" platform`, "token": "none", "mail": "none"}, told(w.mustSet("tenant", `{}`)))
	w.mustSet("tenant", `{"color":"green","limit":3,"token":"s3cret"}`)
	mine, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(`{"color":"blue"}`)})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"color": `"blue" user`}, told(mine), "the others are not for everybody")
	all, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"color": `"green" tenant`, "limit": "3 tenant", "region": `"eu" platform`, "token": "tenant", "mail": "none"}, told(all))
	back, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(`{"color":null}`)})
	require.NoError(t, err)
	require.Equal(t, `"green" tenant`, told(back)["color"])
	only, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm", Layer: "platform"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"color": `"red" platform`, "limit": "7 platform", "region": `"eu" platform`, "token": "none", "mail": "none"}, told(only))
}

func TestWhatIsNoSettingIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, ctx := w.person()
	for name, c := range map[string]struct{ layer, values, field string }{
		"no object":                    {"tenant", `[]`, "values"},
		"null":                         {"tenant", `null`, "values"},
		"unknown":                      {"tenant", `{"colour":"red"}`, "values.colour"},
		"unknown, to be reset":         {"tenant", `{"colour":null}`, "values.colour"},
		"of another type":              {"tenant", `{"limit":"3"}`, "values.limit"},
		"out of range":                 {"tenant", `{"limit":11}`, "values.limit"},
		"not one of them":              {"tenant", `{"color":"pink"}`, "values.color"},
		"the platform's, by a tenant":  {"tenant", `{"region":"eu"}`, "values.region"},
		"a short secret":               {"tenant", `{"token":"s3"}`, "values.token"},
		"too long":                     {"tenant", `{"token":"` + strings.Repeat("s", maxValue) + `"}`, "values.token"},
		"a member of another type":     {"tenant", `{"mail":{"ports":[25,"x"]}}`, "values.mail.ports.1"},
		"a character not kept":         {"tenant", `{"mail":{"host\u0000":"a"}}`, "values.mail"},
		"a secret not kept":            {"tenant", `{"token":"s3\u0000cret"}`, "values.token"},
		"a number not kept":            {"tenant", `{"limit":1e999999}`, "values.limit"},
		"the tenant's, by a person":    {"user", `{"limit":3}`, "values.limit"},
		"a secret of all, by a person": {"user", `{"token":"s3cret"}`, "values.token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.set(c.layer, c.values)
			if c.layer == "user" {
				_, err = w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(c.values)})
			}
			var refused *contract.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, []any{contract.InvalidArgument, c.field}, []any{refused.Code, refused.Field})
			require.NotContains(t, refused.Message, "s3")
		})
	}
	_, err := w.Update(ctx, &contract.UpdateSettingsRequest{Namespace: "crm", Layer: "platform", Values: json.RawMessage(`{"color":"red"}`)})
	require.ErrorIs(t, err, &contract.Error{Code: contract.PermissionDenied})
	_, err = w.Get(ctx, &contract.GetSettingsRequest{Namespace: "billing"})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
}

func TestSecretsAreWrittenAndReadByTheModuleAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, _ := w.person()
	w.mustSet("platform", `{"token":"of the platform"}`)
	values, err := w.module("")
	require.NoError(t, err)
	require.Equal(t, "of the platform", values["token"])
	w.mustSet("tenant", `{"token":"s3cret","limit":2}`)
	values, err = w.module(user.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"color": "blue", "limit": 2., "token": "s3cret"}, values)
	_, err = w.module(kit.NewID())
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})

	for _, layer := range []string{"effective", "tenant", "platform"} {
		got, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm", Layer: layer})
		require.NoError(t, err)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		require.NotContains(t, string(text), "s3cret")
	}
	var stored string
	require.NoError(t, w.Store.DB.Read(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), `SELECT (SELECT string_agg(s::text, '') FROM tenant.settings s)
			|| (SELECT string_agg(h::text, '') FROM tenant.settings_history h) || (SELECT coalesce(string_agg(o::text, ''), '') FROM tenant.outbox o)`).Scan(&stored)
	}))
	require.Contains(t, stored, "token")
	require.NotContains(t, stored, "s3cret")

	other, err := sealed.NewBox([]byte(strings.Repeat("x", sealed.MinLength)), "test")
	require.NoError(t, err)
	require.NoError(t, w.CheckSecret(bounded(t)))
	w.Box = other
	_, err = w.module("")
	require.ErrorIs(t, err, sealed.ErrSealed)
	require.ErrorIs(t, w.CheckSecret(bounded(t)), sealed.ErrSealed)
	require.ErrorContains(t, w.CheckSecret(bounded(t)), "--secret-file")
	got, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Equal(t, "tenant", told(got)["token"], "it is set")
	w.mustSet("tenant", `{"token":null}`)
	w.mustSet("platform", `{"token":null}`)
	require.NoError(t, w.CheckSecret(bounded(t)))
}

// A secret that is moved to another place in the database opens nowhere else.
func TestASecretBelongsToItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustSet("platform", `{"token":"of the platform"}`)
	w.exec(`INSERT INTO tenant.settings (tenant_id, user_id, namespace, sealed)
		SELECT $1, user_id, namespace, sealed FROM tenant.settings WHERE tenant_id = $2`, string(w.tenant), nobody)
	_, err := w.module("")
	require.ErrorIs(t, err, sealed.ErrSealed)
}

func TestHistorySaysWhoChangedWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, ctx := w.person()
	w.mustSet("platform", `{"color":"red"}`)
	_, err := w.Update(ctx, &contract.UpdateSettingsRequest{Namespace: "crm", Values: json.RawMessage(`{"limit":3,"token":"s3cret"}`)})
	require.NoError(t, err)
	w.mustSet("tenant", `{"limit":null,"token":"s3cret again","color":null}`)
	w.mustSet("tenant", `{}`)
	_, err = w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(`{"color":"red"}`)})
	require.NoError(t, err)
	var lines []string
	request := &contract.SettingsHistoryRequest{TenantID: w.tenant, Namespace: "crm", Limit: 2}
	for more := true; more; more = request.Cursor != "" {
		page, err := w.History(bounded(t), request)
		require.NoError(t, err)
		for _, c := range page.Items {
			lines = append(lines, fmt.Sprintf("%s %s %s>%s %v %v", c.Layer, c.Key, c.Before, c.After, c.Secret, c.By == user.ID))
		}
		request.Cursor = page.NextCursor
	}
	require.Equal(t, []string{
		"tenant token > true false", "tenant limit 3> false false",
		"tenant token > true true", "tenant limit >3 false true", `platform color >"red" false false`,
	}, lines)
	one, err := w.History(bounded(t), &contract.SettingsHistoryRequest{TenantID: w.tenant, Namespace: "crm", Key: "limit"})
	require.NoError(t, err)
	require.Len(t, one.Items, 2)
}

func TestALostUpdateIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	at := func(layer, values string, revision int64) (*contract.Settings, error) {
		return w.Update(bounded(t), &contract.UpdateSettingsRequest{
			TenantID: w.tenant, Namespace: "crm", Layer: layer, Values: json.RawMessage(values), Revision: revision,
		})
	}
	first, err := at("tenant", `{"limit":1}`, before.Revision)
	require.NoError(t, err, "nothing was set before")
	_, err = at("tenant", `{"limit":2}`, before.Revision)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Conflict})
	_, err = at("tenant", `{"limit":2}`, first.Revision)
	require.NoError(t, err)
	ofAll, err := at("platform", `{"limit":2}`, before.Revision)
	require.NoError(t, err)
	require.Equal(t, "platform", ofAll.Layer)
	_, err = at("platform", `{"limit":3}`, ofAll.Revision)
	require.NoError(t, err, "the answer tells the revision of the layer")
}

// Of those who know the same revision one wins; who knows none loses nothing of
// what others set.
func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	properties := make([]string, 8)
	for i := range properties {
		properties[i] = fmt.Sprintf(`"k%d":{"type":"integer"}`, i)
	}
	w.known["crm"] = `{"type":"object","properties":{` + strings.Join(properties, ",") + `}}`
	at := w.mustSet("tenant", `{"k0":0}`).Revision
	for round := range 5 {
		outcomes := make(chan error, 2*len(properties))
		for i := range properties {
			go func() {
				_, err := w.set("tenant", fmt.Sprintf(`{"k%d":%d}`, i, 100*round+i))
				outcomes <- err
			}()
		}
		for range properties {
			require.NoError(t, <-outcomes)
		}
		for i := range properties {
			require.Equal(t, fmt.Sprintf("%d tenant", 100*round+i), told(w.mustSet("tenant", `{}`))[fmt.Sprintf("k%d", i)])
		}
		at = w.mustSet("tenant", `{}`).Revision
		for i := range properties {
			go func() {
				_, err := w.Update(bounded(t), &contract.UpdateSettingsRequest{
					TenantID: w.tenant, Namespace: "crm", Values: json.RawMessage(fmt.Sprintf(`{"k0":%d}`, 1000+100*round+i)), Revision: at,
				})
				outcomes <- err
			}()
		}
		won := 0
		for range properties {
			if err := <-outcomes; err == nil {
				won++
			} else {
				require.ErrorIs(t, err, &contract.Error{Code: contract.Conflict})
			}
		}
		require.Equal(t, 1, won)
	}
}

func TestOneLayerIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	properties := make([]string, 40)
	for i := range properties {
		properties[i] = fmt.Sprintf(`"k%d":{"type":"string"}`, i)
	}
	w.known["crm"] = `{"type":"object","properties":{` + strings.Join(properties, ",") + `}}`
	var err error
	set := 0
	for ; err == nil; set++ {
		_, err = w.set("tenant", fmt.Sprintf(`{"k%d":%q}`, set, strings.Repeat("x", maxValue-2)))
	}
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument})
	require.Equal(t, maxLayer/maxValue, set)
	var request contract.SettingsHistoryRequest
	request.TenantID, request.Namespace, request.Limit = w.tenant, "crm", 500
	w.mustSet("tenant", `{"k0":null,"k1":null,"k2":null}`)
	seen := 0
	for more := true; more; more = request.Cursor != "" {
		page, err := w.History(bounded(t), &request)
		require.NoError(t, err)
		text, err := json.Marshal(page)
		require.NoError(t, err)
		require.Less(t, len(text), 2*maxLayer, "a message can carry it")
		seen += len(page.Items)
		request.Cursor = page.NextCursor
	}
	require.Equal(t, set-1+3, seen)
}

func TestAChangeIsToldWithoutValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, ctx := w.person()
	got := w.mustSet("tenant", `{"limit":3,"token":"s3cret","color":null}`)
	w.mustSet("tenant", `{"limit":3}`) // as before
	w.mustSet("platform", `{"region":"eu"}`)
	_, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(`{"color":"red"}`)})
	require.NoError(t, err)
	rows, err := w.Store.DB.Query(bounded(t), "SELECT event FROM tenant.outbox ORDER BY id")
	require.NoError(t, err)
	waiting, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	var told []events.SettingsChange
	for _, raw := range waiting {
		var e events.Event
		require.NoError(t, e.UnmarshalJSON(raw))
		require.True(t, events.SettingsChanged.Is(e))
		require.NotContains(t, string(e.Data()), "s3cret")
		var change events.SettingsChange
		require.NoError(t, json.Unmarshal(e.Data(), &change))
		told = append(told, change)
	}
	require.Len(t, told, 3)
	require.Equal(t, events.SettingsChange{
		TenantID: string(w.tenant), Namespace: "crm", Layer: "tenant", Keys: []string{"limit", "token"}, Revision: got.Revision,
	}, told[0])
	require.Equal(t, []string{"", "platform"}, []string{told[1].TenantID, told[1].Layer})
	require.Equal(t, []string{string(w.tenant), user.ID, "user"}, []string{told[2].TenantID, told[2].UserID, told[2].Layer})
}

// The operator and platform administrators, who act in no tenant, set what holds
// for all, and nothing else.
func TestTheCoresSettingsOfAllNeedNoTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID(), Platform: true}})
	got, err := w.Update(ctx, &contract.UpdateSettingsRequest{
		Namespace: "platform", Layer: "platform", Values: json.RawMessage(`{"language":"de","announcement":"tonight"}`),
	})
	require.NoError(t, err)
	require.Equal(t, `"de" platform`, told(got)["language"])
	got, err = w.Get(ctx, &contract.GetSettingsRequest{Namespace: "platform"})
	require.NoError(t, err)
	require.Equal(t, `"tonight" platform`, told(got)["announcement"])
	_, err = w.GetSchema(ctx, &contract.SettingsRequest{Namespace: "platform"})
	require.NoError(t, err)
	history, err := w.History(ctx, &contract.SettingsHistoryRequest{Namespace: "platform"})
	require.NoError(t, err)
	require.Len(t, history.Items, 2)
	_, err = w.Update(ctx, &contract.UpdateSettingsRequest{Namespace: "platform", Values: json.RawMessage(`{"currency":"CHF"}`)})
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, "in which tenant?")
	_, err = w.Get(ctx, &contract.GetSettingsRequest{Namespace: "crm"})
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument})

	_, mine := w.person()
	shown, err := w.GetMine(mine, &contract.MySettingsRequest{Namespace: "platform"})
	require.NoError(t, err)
	require.Equal(t, `"tonight" platform`, told(shown)["announcement"], "of the core's everybody sees all")
}

func TestWhatPeopleSetGoesWithThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone, theirs := w.person()
	_, others := w.person()
	red := json.RawMessage(`{"color":"red"}`)
	w.mustSet("tenant", `{"color":"green"}`)
	for _, ctx := range []context.Context{theirs, others} {
		_, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: red})
		require.NoError(t, err)
	}
	rows := func() (left []string) {
		require.NoError(t, w.Store.DB.Read(bounded(t), database.Everything, func(tx pgx.Tx) error {
			rows, err := tx.Query(bounded(t), "SELECT user_id::text FROM tenant.settings UNION ALL SELECT user_id::text FROM tenant.settings_history")
			if err != nil {
				return err
			}
			left, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		}))
		return left
	}
	for _, deleted := range []bool{false, true} {
		require.Len(t, rows(), 6)
		e, err := events.New(events.UserChanged, gone.TenantID, 9, contract.Member{UserID: gone.ID, Deleted: deleted})
		require.NoError(t, err)
		require.NoError(t, w.MemberChanged(bounded(t), e))
	}
	require.Len(t, rows(), 4)
	require.NotContains(t, rows(), gone.ID)
}

func TestTitlesAreInThePersonsLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.known["crm"] = `{"type":"object","title":"%hello%","properties":{
		"zeta":{"type":"string","title":"%hello%","default":"%hello%"},"alpha":{"type":"string","title":"A","description":"%hello%"}}}`
	_, ctx := w.person()
	_, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "platform", Values: json.RawMessage(`{"language":"de"}`)})
	require.NoError(t, err)
	list, err := w.List(ctx, &contract.ListSettingsRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"Platform", "de hello"}, []string{list.Items[0].Title, list.Items[1].Title})
	got, err := w.GetSchema(ctx, &contract.SettingsRequest{Namespace: "crm"})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"object","title":"de hello","properties":{
		"zeta":{"type":"string","title":"de hello","default":"%hello%"},"alpha":{"type":"string","title":"A","description":"de hello"}}}`, string(got.Schema))
	require.Less(t, strings.Index(string(got.Schema), "zeta"), strings.Index(string(got.Schema), "alpha"), "in their order")
}

func TestWhatANewSchemaDoesNotKnowIsStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustSet("tenant", `{"limit":9,"color":"red","token":"s3cret"}`)
	w.known["crm"] = `{"type":"object","properties":{"limit":{"type":"integer","maximum":5,"default":1},"color":{"type":"string"}}}`
	got, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"limit": "1 default", "color": `"red" tenant`}, told(got))
	require.Equal(t, []string{"limit", "token"}, got.Stale)
	w.known["crm"] = crm
	got, err = w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Equal(t, "9 tenant", told(got)["limit"], "nothing was lost")

	w.known["crm"] = `{"type":"object","properties":{"token":{"type":"string","x-secret":true,"minLength":10}}}`
	got, err = w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"token": "none"}, told(got), "too short now")
	require.Equal(t, []string{"color", "limit", "token"}, got.Stale)
	values, err := w.module("")
	require.NoError(t, err)
	require.Empty(t, values)
	got = w.mustSet("tenant", `{"color":null,"limit":null,"token":null}`)
	require.Empty(t, got.Stale)
	_, err = w.set("tenant", `{"color":null}`)
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, "it is not there any more")
}

// A setting that becomes a secret, or ends to be one, is never told by what it
// was before.
func TestASettingMayBecomeASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := `{"type":"object","properties":{"limit":{"type":"string","x-secret":true}}}`
	plain := `{"type":"object","properties":{"limit":{"type":"string"}}}`
	for _, step := range []struct{ schema, value, want string }{
		{plain, `{"limit":"open"}`, `"open" tenant`}, {secret, `{}`, "none"}, {secret, `{"limit":"hidden"}`, "tenant"},
		{plain, `{}`, "none"}, {plain, `{"limit":"open"}`, `"open" tenant`}, {secret, `{"limit":null}`, "none"}, {plain, `{}`, "none"},
	} {
		w.known["crm"] = step.schema
		require.Equal(t, map[string]string{"limit": step.want}, told(w.mustSet("tenant", step.value)), "%+v", step)
	}
	history, err := w.History(bounded(t), &contract.SettingsHistoryRequest{TenantID: w.tenant, Namespace: "crm"})
	require.NoError(t, err)
	require.Len(t, history.Items, 4)
	for _, c := range history.Items {
		require.NotContains(t, string(c.Before)+string(c.After), "hidden")
	}
}

func TestMenusAreToldFromMemoryThatChangesReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, ctx := w.person()
	tenant := string(w.tenant)
	setting := func() string {
		value, _ := w.Setting(bounded(t), tenant, "crm", "color")
		return value
	}
	require.Equal(t, "blue", setting())
	w.mustSet("tenant", `{"color":"red","token":"s3cret"}`)
	require.Equal(t, "red", setting())
	w.mustSet("tenant", `{"color":null}`)
	require.Equal(t, "blue", setting())
	w.mustSet("platform", `{"color":"green"}`)
	require.Equal(t, "green", setting())
	_, ok := w.Setting(bounded(t), tenant, "crm", "token")
	require.False(t, ok)
	require.Empty(t, w.Languages(bounded(t), tenant, user.ID))
	_, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "platform", Values: json.RawMessage(`{"language":"de-CH"}`)})
	require.NoError(t, err)
	_, err = w.Update(bounded(t), &contract.UpdateSettingsRequest{TenantID: w.tenant, Namespace: "platform", Values: json.RawMessage(`{"language":"fr"}`)})
	require.NoError(t, err)
	require.Equal(t, []string{"de-CH", "fr"}, w.Languages(bounded(t), tenant, user.ID))
}

// Whatever is set and reset in whatever layer, what holds is what a map of
// layers says.
func TestLayersAreAsANaiveModelSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, ctx := w.person()
	model := map[string]map[string]string{"platform": {}, "tenant": {}, "user": {}}
	names := []string{"platform", "tenant", "user"}
	for i := range 120 {
		layer := names[rand.IntN(3)]
		key, value := "color", []string{`"blue"`, `"red"`, `"green"`, "null"}[rand.IntN(4)]
		if layer != "user" && rand.IntN(2) == 0 {
			key, value = "limit", []string{"1", "5", "null"}[rand.IntN(3)]
		}
		values := fmt.Sprintf(`{%q:%s}`, key, value)
		if layer == "user" {
			_, err := w.UpdateMine(ctx, &contract.UpdateMySettingsRequest{Namespace: "crm", Values: json.RawMessage(values)})
			require.NoError(t, err)
		} else {
			w.mustSet(layer, values)
		}
		if model[layer][key] = value; value == "null" {
			delete(model[layer], key)
		}
		// by is what holds where these layers do.
		by := func(layers ...string) map[string]string {
			want := map[string]string{"color": `"blue" default`, "limit": "none", "region": "none", "token": "none", "mail": "none"}
			for _, layer := range layers {
				for key, value := range model[layer] {
					want[key] = value + " " + layer
				}
			}
			return want
		}
		got, err := w.Get(bounded(t), &contract.GetSettingsRequest{TenantID: w.tenant, Namespace: "crm"})
		require.NoError(t, err)
		require.Equal(t, by("platform", "tenant"), told(got), "step %d", i)
		got, err = w.GetMine(ctx, &contract.MySettingsRequest{Namespace: "crm"})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"color": by(names...)["color"]}, told(got), "step %d", i)
		held, err := w.module(user.ID)
		require.NoError(t, err)
		want := map[string]any{}
		for key, value := range by(names...) {
			if raw, source, _ := strings.Cut(value, " "); source != "" {
				var v any
				require.NoError(t, json.Unmarshal([]byte(raw), &v))
				want[key] = v
			}
		}
		require.Equal(t, want, held, "step %d", i)
	}
}

func TestTheCoresOwnSettingsCanBeRead(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, core().Properties)
	for _, p := range core().Properties {
		require.NotEmpty(t, p.Title, p.Key)
	}
}
