package kit

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

var plainTypes = []reflect.Type{
	reflect.TypeFor[contract.VerifyRequest](), reflect.TypeFor[contract.CheckRequest](),
	reflect.TypeFor[contract.PermissionsRequest](), reflect.TypeFor[contract.GetTenantRequest](),
	reflect.TypeFor[contract.TenantModuleRequest](), reflect.TypeFor[contract.CheckBatchRequest](),
	reflect.TypeFor[contract.WhoCanRequest](),
}

func TestTheHotPathsRequestsArePlain(t *testing.T) {
	t.Parallel()
	for _, request := range plainTypes {
		require.NotNil(t, newDecoder(request).plain, request)
	}
	d := newDecoder(reflect.TypeFor[contract.CheckRequest]())
	body := `{ "user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf", "permission":"a:b" } `
	require.True(t, d.plain.decode([]byte(body), reflect.ValueOf(new(contract.CheckRequest)).Elem()))
	for _, declined := range []string{
		``, `{`, `{}`, `{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf"}`, body + `{}`, `{,}`,
		`{"user_id":"x","permission":"a:b"}`, `{"user_id":"01A2057F-5CAA-7E5E-8250-4BE480F755CF","permission":"a:b"}`,
		`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"a:\u0062"}`,
		`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"a:b","permission":"a:c"}`,
		`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"a:b","x":"y"}`,
		`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf" "permission":"a:b"}`,
	} {
		require.False(t, d.plain.decode([]byte(declined), reflect.ValueOf(new(contract.CheckRequest)).Elem()), declined)
	}
}

// What the decoder reads of each body, and whether the plain one does so itself.
func TestIntegersAndListsArePlainWhereNothingIsUnusual(t *testing.T) {
	t.Parallel()
	const user = `"user_id":"` + someUser + `"`
	check := func(more string) string { return `{` + user + `,"permission":"a:b"` + more + `}` }
	batch := func(checks string) string { return `{` + user + `,"checks":` + checks + `,"permission":"a:b"}` }
	many := func(n int) string { return "[{}" + strings.Repeat(",{}", n-1) + "]" }
	for body, plain := range map[string]bool{
		check(`,"at_least":0`):                   true,
		check(`,"at_least":17`):                  true,
		check(`,"at_least": 17 `):                true,
		check(`,"at_least":999999999999999`):     true,
		check(`,"at_least":1000000000000000`):    false,
		check(`,"at_least":9223372036854775807`): false,
		check(`,"at_least":9223372036854775808`): false,
		check(`,"at_least":-1`):                  false,
		check(`,"at_least":-0`):                  false,
		check(`,"at_least":017`):                 false,
		check(`,"at_least":1.0`):                 false,
		check(`,"at_least":1e2`):                 false,
		check(`,"at_least":"1"`):                 false,
		check(`,"at_least":null`):                false,
		check(`,"at_least":`):                    false,
		check(`,"at_least":1,"at_least":1`):      false,
		check(`,"resource_id":7`):                false,
		batch(`[{}]`):                            true,
		batch(`[{"user_id":"` + someUser + `","permission":"c:d","unit_id":"` + someUser + `","resource_type":"x","resource_id":"y"},{}]`): true,
		batch(" [ { \"permission\" : \"c:d\" } , { } ] "): true,
		batch(`[{"resource_id":"}{"}]`):                   true,
		batch(many(1000)):                                 true,
		batch(many(1001)):                                 false,
		batch(`[]`):                                       false,
		batch(`null`):                                     false,
		batch(`{}`):                                       false,
		batch(`[null]`):                                   false,
		batch(`[[]]`):                                     false,
		batch(`[{},]`):                                    false,
		batch(`[{} {}]`):                                  false,
		batch(`[{}`):                                      false,
		batch(`[{"permission":"c"}]`):                     false,
		batch(`[{"permission":"c:d","permission":"c:d"}]`): false,
		batch(`[{"user_id":"x"}]`):                         false,
		batch(`[{"resource_id":7}]`):                       false,
		batch(`[{"other":"x"}]`):                           false,
		batch(`[{"resource_id":"ä"}]`):                     false,
		batch(`[{}],"checks":[{}]`):                        false,
	} {
		request := reflect.TypeFor[contract.CheckRequest]()
		if strings.Contains(body, "checks") {
			request = reflect.TypeFor[contract.CheckBatchRequest]()
		}
		d := newDecoder(request)
		require.Equal(t, plain, d.plain.decode([]byte(body), reflect.New(request).Elem()), body)
		requireSame(t, request, []byte(body))
	}
}

func TestPermissionCodesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(permissionPattern)
	for _, code := range []string{"", "a", ":", "a:", ":a", "a:b", "a::b", "a:b:c:d:e", "a:b:c:d:e:f", "a_-9:b", "A:b", "a:*", "a:b ", "a:b\n", "ä:b"} {
		taken, ok := (&scanner{data: []byte(`"` + code + `"`)}).code()
		require.Equal(t, pattern.MatchString(code), ok, code)
		require.Equal(t, contract.ValidPermission(code), ok, code)
		if ok {
			require.Equal(t, code, string(taken))
		}
	}
	registry := NewRegistry()
	require.Equal(t, permissionPattern, registry.Schema(reflect.TypeFor[contract.CheckRequest](), false, "").Properties["permission"].Pattern)
}

func TestCanonicalUUIDsAreWhatIsWrittenSo(t *testing.T) {
	t.Parallel()
	require.True(t, canonicalUUID(someUser))
	for at := range someUser {
		for c := range 256 {
			text := []byte(someUser)
			text[at] = byte(c)
			parsed, err := uuid.ParseBytes(text)
			require.Equal(t, err == nil && parsed.String() == string(text), canonicalUUID(text), "%q", text)
			require.Equal(t, canonicalUUID(text), canonicalUUID(string(text)))
		}
	}
	require.False(t, canonicalUUID(someUser[1:]))
	require.False(t, canonicalUUID(someUser+"0"))
	require.False(t, canonicalUUID("{"+someUser+"}"))
}

// requireSame requires that the decoder accepts what the plain one does, and
// reads the same.
func requireSame(t *testing.T, request reflect.Type, data []byte) {
	t.Helper()
	d := newDecoder(request)
	fast, slow := reflect.New(request), reflect.New(request)
	if d.plain == nil || !d.plain.decode(data, fast.Elem()) {
		return
	}
	d.plain = nil
	require.Nil(t, d.decode(data, slow.Interface()))
	require.Equal(t, slow.Interface(), fast.Interface())
}

// FuzzPlainDecoder holds that what the plain decoder accepts, the decoder
// accepts too, and reads the same: in the hot path's requests and after them in
// all of the contract.
func FuzzPlainDecoder(f *testing.F) {
	f.Add(1, []byte(`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"a:b","resource_id":"7","at_least":12}`))
	f.Add(0, []byte(`{"token":"a"}`))
	f.Add(4, []byte(`{"tenant_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","module_name":"crm"}`))
	f.Add(5, []byte(`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","checks":[{"permission":"a:b","resource_id":"{"},{}],"at_least":1}`))
	f.Add(6, []byte(`{"permission":"a:b","limit":500,"cursor":""}`))
	all := slices.Clone(plainTypes)
	for _, spec := range contract.Operations() {
		all = append(all, spec.Request)
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) { requireSame(t, all[uint(which)%uint(len(all))], data) })
}

func BenchmarkDecode(b *testing.B) {
	check := []byte(`{"user_id":"` + someUser + `","permission":"financial:accounts:read"}`)
	item := `{"user_id":"` + someUser + `","permission":"financial:accounts:read"}`
	batch := []byte(`{"checks":[` + item + strings.Repeat(","+item, 99) + `]}`)
	for _, c := range []struct {
		name    string
		body    []byte
		request reflect.Type
	}{
		{"check", check, reflect.TypeFor[contract.CheckRequest]()},
		{"check_batch of 100", batch, reflect.TypeFor[contract.CheckBatchRequest]()},
	} {
		plain, full := newDecoder(c.request), newDecoder(c.request)
		full.plain = nil
		for name, d := range map[string]*decoder{"plain": plain, "full": full} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := d.decode(c.body, reflect.New(c.request).Interface()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, response := range map[string]any{
		"check":              &contract.CheckResponse{Allowed: true, Revision: 12345},
		"check_batch of 100": &contract.CheckBatchResponse{Allowed: make([]bool, 100), Revision: 12345},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(response); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
