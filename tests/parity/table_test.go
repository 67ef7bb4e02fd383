package parity

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

// sample is what the table needs to know of one operation; all else follows
// from the contract.
type sample struct {
	// request prepares what one call needs, and returns a call that succeeds.
	// It is asked for a new one each time: calls use things up.
	request func(*testing.T, *fixture) request
	// foreign names what another tenant, or another person, owns, and absent
	// the same of what does not exist: nobody can tell the two apart. Nil where
	// a request names nothing, or whoever may call may name everything.
	foreign, absent func(*testing.T, *fixture) request
	// elsewhere is what it tells who names a tenant that they do not act in;
	// nil is not_found.
	elsewhere *contract.Error
	// want looks at an answer beyond its form.
	want func(*testing.T, *fixture, map[string]any)
	// own says that modules are told of what is theirs, and name nothing: another
	// one is told of its own.
	own bool
	// byModule is request for modules, where theirs are others' things than those
	// of people; nil is the same.
	byModule func(*testing.T, *fixture) request
	// regardless says that a module may where a tenant has disabled it, too.
	regardless bool
	// varies names a member of answers that depends on who calls.
	varies string
}

// request is a body, and for operations about oneself the caller's token.
type request struct{ body, bearer string }

// samples of every operation, by name.
func samples() map[string]sample {
	all := map[string]sample{}
	for _, area := range []map[string]sample{
		coreSamples(), orgSamples(), rbacSamples(), peopleSamples(), sessionSamples(), factorSamples(), keySamples(), tokenSamples(), moduleSamples(),
		menuSamples(), settingsSamples(), registrySamples(), lifecycleSamples(), webhookSamples(), deadLetterSamples(), proofSamples(), watchSamples(),
		readingSamples(), subscriptionSamples(),
	} {
		maps.Copy(all, area)
	}
	return all
}

func TestEveryOperationHasASample(t *testing.T) {
	t.Parallel()
	all := samples()
	for _, spec := range contract.Operations() {
		require.NotNil(t, all[spec.Name].request, "%s has no sample", spec.Name)
		delete(all, spec.Name)
	}
	require.Empty(t, slices.Collect(maps.Keys(all)), "samples of no operation")
}

// testTable holds every operation to what its Spec says about who may call it.
func testTable(t *testing.T, s *stack.Stack) {
	t.Parallel()
	f := newFixture(t, s)
	all := samples()
	t.Run("every credential that is refused is refused at the door", func(t *testing.T) { testBusDoor(t, f) })
	t.Run("no module is told that a bad token is good", func(t *testing.T) { testVerify(t, f) })
	t.Run("nobody is told of another module's hooks", func(t *testing.T) { testHooksAreOnesOwn(t, f) })
	for _, spec := range contract.Streams() {
		t.Run(spec.Name, func(t *testing.T) {
			t.Parallel()
			if spec.Access.Has(contract.User) {
				testTailDenials(t, f, spec)
				return
			}
			testStreamDenials(t, f, spec)
		})
	}
	for _, spec := range contract.Operations() {
		t.Run(spec.Name, func(t *testing.T) {
			t.Parallel()
			op := &operation{f: f, spec: spec, sample: all[spec.Name]}
			require.NotNil(t, op.sample.request, "no sample")
			first := op.sample.request(t, f)
			op.testDenials(t, first)
			op.testForeign(t)
			op.testOtherTenant(t, first)
			op.testUnknownField(t, first)
			op.testValid(t, first)
		})
	}
}

// operation is one row of the table.
type operation struct {
	f      *fixture
	spec   *contract.Spec
	sample sample
}

// caller is somebody who calls.
type caller struct {
	name string
	stack.Caller
	// tenant is to be named in requests that can name one.
	tenant string
}

// isModule reports whether it shows an API key.
func (c caller) isModule() bool {
	switch c := c.Caller.(type) {
	case stack.HTTPCaller:
		return c.APIKey != ""
	case stack.BusCaller:
		return c.KeyID != ""
	}
	return false
}

func (o *operation) has(access contract.Access) bool { return o.spec.Access.Has(access) }

// forPeople reports whether a person's token is asked for.
func (o *operation) forPeople() bool { return o.has(contract.User) || o.has(contract.Self) }

// bearers are callers of one token over both transports; modules have no way
// to call on behalf of a person.
func (o *operation) bearers(name, token, tenant string) []caller {
	return []caller{
		{name + " over http", stack.HTTPCaller{URL: o.f.s.HTTPURL, Bearer: token}, tenant},
		{name + " over nats", stack.BusCaller{Conn: o.f.s.Operator, Bearer: token}, tenant},
	}
}

// modules are callers of one key over both transports.
func (o *operation) modules(name string, m *module) []caller {
	return []caller{
		{name + " over http", stack.HTTPCaller{URL: o.f.s.HTTPURL, APIKey: m.key}, ""},
		{name + " over nats", stack.BusCaller{Conn: m.bus, KeyID: m.id}, ""},
	}
}

// valid are all who may call; token is that of an operation about oneself.
func (o *operation) valid(token string) (all []caller) {
	f, door := o.f, o.f.s.HTTPURL
	if o.has(contract.Module) {
		all = append(all, o.modules("the module", f.module)...)
		all = append(all, o.modules("the module's key for this tenant, address and operation", f.narrow[o.spec.Name])...)
	}
	if o.has(contract.Anonymous) {
		all = append(all,
			caller{"anybody over http", stack.HTTPCaller{URL: door}, ""},
			caller{"anybody with worthless credentials over http", stack.HTTPCaller{URL: door, APIKey: "x", Bearer: "x"}, ""},
			caller{"anybody over nats", stack.BusCaller{Conn: f.s.Operator}, ""},
			caller{"anybody with a worthless token over nats", stack.BusCaller{Conn: f.s.Operator, Bearer: "x"}, ""})
	}
	switch {
	case o.has(contract.User):
		if !strings.HasSuffix(o.spec.Permission, ":platform") {
			all = append(all, o.bearers("the tenant's administrator", f.tokens.master, "")...)
		}
		if o.namesTenant() {
			all = append(all, o.bearers("a platform administrator who names the tenant", f.tokens.platform, f.ours.Tenant.ID)...)
		}
		all = append(all, o.bearers("a platform administrator in the tenant", f.tokens.platformInOurs, "")...)
	case o.has(contract.Self):
		all = append(all, o.bearers("oneself", token, "")...)
	}
	if o.has(contract.Internal) {
		all = append(all, caller{"a service", stack.BusCaller{Conn: f.s.Operator}, f.ours.Tenant.ID})
	}
	return all
}

// namesTenant reports whether a request may name the tenant that it acts in.
func (o *operation) namesTenant() bool {
	for i := range o.spec.Request.NumField() {
		f := o.spec.Request.Field(i)
		if f.Tag.Get("json") == "tenant_id,omitempty" && f.Tag.Get("path") == "" {
			return true
		}
	}
	return false
}

// refusal is what those are told who may not call.
type refusal struct {
	caller
	code  contract.Code
	field string
}

// refused are those who may not call. What modules may not publish is another
// matter: see testViolations.
func (o *operation) refused() (all []refusal) {
	add := func(code contract.Code, field string, callers ...caller) {
		for _, c := range callers {
			all = append(all, refusal{c, code, field})
		}
	}
	f, door := o.f, o.f.s.HTTPURL
	if o.has(contract.Module) {
		add(contract.Unauthenticated, contract.HeaderAPIKey, caller{"no key over http", stack.HTTPCaller{URL: door}, ""})
		if !o.forPeople() {
			add(contract.Unauthenticated, contract.HeaderAPIKey,
				caller{"a person's token and no key over http", stack.HTTPCaller{URL: door, Bearer: f.tokens.master}, ""})
		}
		for name, key := range f.badKeys {
			add(contract.Unauthenticated, contract.HeaderAPIKey, caller{name + " over http", stack.HTTPCaller{URL: door, APIKey: key}, ""})
		}
		without := f.without(o.spec.Name).key
		add(contract.PermissionDenied, "", caller{"a key without this operation over http", stack.HTTPCaller{URL: door, APIKey: without}, ""})
		if !o.sample.own {
			add(contract.NotFound, "", o.modules("another module", f.stranger)...)
			add(contract.NotFound, "", o.modules("the module's key for another tenant", f.elsewhere)...)
		}
	}
	if o.forPeople() {
		const field = "Authorization"
		if !o.has(contract.Module) {
			add(contract.Unauthenticated, field, caller{"no token over http", stack.HTTPCaller{URL: door}, ""},
				caller{"a module's key and no token over http", stack.HTTPCaller{URL: door, APIKey: f.module.key}, ""})
		}
		if !o.has(contract.Internal) { // else it is the service itself that calls
			add(contract.Unauthenticated, field, caller{"no token over nats", stack.BusCaller{Conn: f.s.Operator}, ""})
		}
		for name, token := range f.badTokens {
			add(contract.Unauthenticated, field, o.bearers(name, token, "")...)
		}
	}
	if o.has(contract.User) {
		add(contract.PermissionDenied, "", o.bearers("a person without the permission", f.tokens.nobody, "")...)
		if strings.HasSuffix(o.spec.Permission, ":platform") {
			add(contract.PermissionDenied, "", o.bearers("whoever holds all that a tenant can give", f.tokens.master, "")...)
		}
	}
	return all
}

func (o *operation) testDenials(t *testing.T, valid request) {
	for _, c := range o.refused() {
		t.Run(c.name, func(t *testing.T) {
			_, refused := c.Call(t, o.spec, valid.body)
			requireCode(t, c.code, c.field, refused)
		})
	}
	o.testViolations(t, valid.body)
	if !o.has(contract.Internal) || o.spec.Path != "" {
		return
	}
	t.Run("no route over http", func(t *testing.T) {
		guess := *o.spec
		guess.Method, guess.Path = "POST", "/api/v1/core/"+strings.ReplaceAll(o.spec.Name, ".", "/")
		_, refused := stack.HTTPCaller{URL: o.f.s.HTTPURL, APIKey: o.f.module.key, Bearer: o.f.tokens.platform}.Call(t, &guess, valid.body)
		requireCode(t, contract.NotFound, "", refused)
	})
}

// testViolations holds that the server lets a module publish nowhere but on its
// own key's subject of what its key grants.
func (o *operation) testViolations(t *testing.T, body string) {
	m, others := o.f.module, []string{o.spec.Subject(), o.spec.ModuleSubject(o.f.stranger.id), o.spec.ModuleSubject("*")}
	if !o.has(contract.Module) {
		others = append(others, o.spec.ModuleSubject(m.id))
	}
	for _, subject := range others {
		t.Run("a module on "+subject, func(t *testing.T) { m.requireViolation(t, subject, body) })
	}
	if o.has(contract.Module) {
		t.Run("a key without this operation over nats", func(t *testing.T) {
			without := o.f.without(o.spec.Name)
			without.requireViolation(t, o.spec.ModuleSubject(without.id), body)
		})
	}
}

// testForeign holds that what belongs to others looks like what does not exist.
func (o *operation) testForeign(t *testing.T) {
	if o.sample.foreign == nil {
		return
	}
	foreign, absent := o.sample.foreign(t, o.f), o.sample.absent(t, o.f)
	for _, c := range o.within(foreign.bearer) {
		t.Run("what another owns, by "+c.name, func(t *testing.T) {
			_, theirs := c.Call(t, o.spec, foreign.body)
			requireCode(t, contract.NotFound, "", theirs)
			_, nobodys := c.Call(t, o.spec, absent.body)
			requireCode(t, contract.NotFound, "", nobodys)
			require.Equal(t, nobodys.Message, theirs.Message)
		})
	}
}

// testOtherTenant holds that only platform administrators name another tenant.
func (o *operation) testOtherTenant(t *testing.T, valid request) {
	if !o.has(contract.User) || !o.namesTenant() {
		return
	}
	want := &contract.Error{Code: contract.NotFound}
	if o.sample.elsewhere != nil {
		want = o.sample.elsewhere
	}
	for _, c := range o.bearers("the tenant's administrator", o.f.tokens.master, "") {
		t.Run("in another tenant, by "+c.name, func(t *testing.T) {
			_, theirs := c.Call(t, o.spec, with(valid.body, "tenant_id", o.f.theirs.Tenant.ID))
			requireCode(t, want.Code, want.Field, theirs)
			_, nobodys := c.Call(t, o.spec, with(valid.body, "tenant_id", uuid.NewString()))
			requireCode(t, want.Code, want.Field, nobodys)
			require.Equal(t, nobodys.Message, theirs.Message)
		})
	}
}

// within are those who may call, but not about everything.
func (o *operation) within(token string) (all []caller) {
	if o.has(contract.Module) {
		all = o.modules("the module", o.f.module)
	}
	switch {
	case strings.HasSuffix(o.spec.Permission, ":platform"):
		return append(all, o.bearers("a platform administrator", o.f.tokens.platform, "")...)
	case o.has(contract.User):
		return append(all, o.bearers("the tenant's administrator", o.f.tokens.master, "")...)
	case o.has(contract.Self):
		return append(all, o.bearers("oneself", token, "")...)
	}
	return all
}

// testUnknownField holds that a mistake is told by its field's name, before
// anything is done.
func (o *operation) testUnknownField(t *testing.T, valid request) {
	for _, c := range o.valid(valid.bearer) {
		t.Run("an unknown field, by "+c.name, func(t *testing.T) {
			_, refused := c.Call(t, o.spec, with(o.addressed(valid.body, c), "unheard_of", "x"))
			requireCode(t, contract.InvalidArgument, "unheard_of", refused)
		})
	}
}

// testValid calls as everyone who may. All get the same.
func (o *operation) testValid(t *testing.T, next request) {
	var before any
	for i, c := range o.valid(next.bearer) {
		t.Run(c.name, func(t *testing.T) {
			switch {
			case o.sample.byModule != nil && c.isModule():
				next = o.sample.byModule(t, o.f)
			case i > 0:
				next = o.sample.request(t, o.f)
				c.Caller = o.valid(next.bearer)[i].Caller
			}
			out, refused := c.Call(t, o.spec, o.addressed(next.body, c))
			require.Nil(t, refused)
			var got any
			require.NoError(t, json.Unmarshal(out, &got))
			requireValid(t, o.spec.Response, got)
			if o.sample.want != nil {
				o.sample.want(t, o.f, got.(map[string]any)) //nolint:errcheck // valid, so an object
			}
			if before != nil {
				requireSameShape(t, "answer", o.sample.varies, before, got)
			}
			before = got
		})
	}
}

// addressed names the tenant where the caller has to.
func (o *operation) addressed(body string, c caller) string {
	if c.tenant == "" || !o.namesTenant() {
		return body
	}
	if o.has(contract.User) {
		return with(body, "tenant_id", c.tenant)
	}
	return body
}

// requireValid holds an answer against the schema that the reference shows.
func requireValid(t *testing.T, response reflect.Type, got any) {
	t.Helper()
	registry := kit.NewRegistry()
	var result huma.ValidateResult
	huma.Validate(registry, registry.Schema(response, false, ""), huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, got, &result)
	require.Empty(t, result.Errors, "%v", got)
}

// requireSameShape holds that two answers have the same members of the same
// kinds, but for those called varies.
func requireSameShape(t *testing.T, at, varies string, a, b any) {
	t.Helper()
	require.Equal(t, fmt.Sprintf("%T", a), fmt.Sprintf("%T", b), at)
	switch a := a.(type) {
	case map[string]any:
		b, _ := b.(map[string]any)
		names := func(members map[string]any) []string {
			return slices.DeleteFunc(slices.Collect(maps.Keys(members)), func(name string) bool { return name == varies })
		}
		require.ElementsMatch(t, names(a), names(b), at)
		for _, name := range names(a) {
			requireSameShape(t, at+"."+name, varies, a[name], b[name])
		}
	case []any:
		if b, _ := b.([]any); len(a) > 0 && len(b) > 0 {
			requireSameShape(t, at+"[0]", varies, a[0], b[0])
		}
	}
}

// fields of a request.
type fields map[string]any

func (f fields) request() request { return request{body: f.body()} }

func (f fields) body() string {
	raw, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// with is the body with one member more, or another value of it.
func with(body, name string, value any) string {
	all := fields{}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		panic(err)
	}
	all[name] = value
	return all.body()
}

// nothing is the request of an operation without parameters.
func nothing(*testing.T, *fixture) request { return request{body: "{}"} }
