package kit

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

var plainTypes = []reflect.Type{
	reflect.TypeFor[contract.VerifyRequest](), reflect.TypeFor[contract.CheckRequest](),
	reflect.TypeFor[contract.PermissionsRequest](), reflect.TypeFor[contract.GetTenantRequest](),
	reflect.TypeFor[contract.TenantModuleRequest](),
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

// FuzzPlainDecoder holds that what the plain decoder accepts, the decoder
// accepts too, and reads the same.
func FuzzPlainDecoder(f *testing.F) {
	f.Add(1, []byte(`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"a:b","resource_id":"7"}`))
	f.Add(0, []byte(`{"token":"a"}`))
	f.Add(4, []byte(`{"tenant_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","module_name":"crm"}`))
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		request := plainTypes[uint(which)%uint(len(plainTypes))]
		d := newDecoder(request)
		fast, slow := reflect.New(request), reflect.New(request)
		if !d.plain.decode(data, fast.Elem()) {
			return
		}
		d.plain = nil
		require.Nil(t, d.decode(data, slow.Interface()))
		require.Equal(t, slow.Interface(), fast.Interface())
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"user_id":"01a2057f-5caa-7e5e-8250-4be480f755cf","permission":"financial:accounts:read"}`)
	plain := newDecoder(reflect.TypeFor[contract.CheckRequest]())
	full := newDecoder(reflect.TypeFor[contract.CheckRequest]())
	full.plain = nil
	for name, d := range map[string]*decoder{"plain": plain, "full": full} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := d.decode(body, new(contract.CheckRequest)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
