package kit

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

const someUser = "01a2057f-5caa-7e5e-8250-4be480f755cf"

func TestWhatTheDecoderTakesAndWhatItRefuses(t *testing.T) {
	t.Parallel()
	logAudit := func(fields string) string {
		return `{"user_id":"` + someUser + `","action":"a","resource_type":"r"` + fields + `}`
	}
	verify, log := reflect.TypeFor[contract.VerifyRequest](), reflect.TypeFor[contract.LogAuditRequest]()
	check, list := reflect.TypeFor[contract.CheckRequest](), reflect.TypeFor[contract.ListAuditRequest]()
	user, key := reflect.TypeFor[contract.CreateUserRequest](), reflect.TypeFor[contract.CreateKeyRequest]()
	for name, c := range map[string]struct {
		request reflect.Type
		body    string
		field   string        // at fault
		code    contract.Code // "" is accepted
		message string        // part of it
	}{
		"plain":                       {request: verify, body: `{"token":"t"}`},
		"white space":                 {request: verify, body: " \n\t\r{ \"token\" : \"t\" } \n"},
		"escapes":                     {request: verify, body: `{"tok\u0065n":"\u00e9"}`},
		"a lone surrogate":            {request: verify, body: `{"token":"\ud800"}`},
		"unicode":                     {request: verify, body: `{"token":"é😀"}`},
		"nothing, where all may lack": {request: list, body: ``},
		"an empty object, likewise":   {request: list, body: `{}`},
		"a number as an id":           {request: log, body: logAudit(`,"resource_id":42`)},
		"a huge number as an id":      {request: log, body: logAudit(`,"resource_id":123456789012345678901234567890`)},
		"any JSON as details":         {request: log, body: logAudit(`,"details":{"a":[1,2.5e10,null,true,{"b":"c"}]}`)},
		"null as details":             {request: log, body: logAudit(`,"details":null`)},
		"two equal keys":              {request: verify, body: `{"token":"a","token":"b"}`, field: "token", code: contract.InvalidArgument, message: "twice"},
		"a second key that is null":   {request: log, body: logAudit(`,"resource_id":"\u0000","resource_id":null`), field: "resource_id", code: contract.InvalidArgument, message: "twice"},
		"equal keys deep in details":  {request: log, body: logAudit(`,"details":{"a":1,"a":2}`)},
		"a moment":                    {request: key, body: `{"module":"crm","environment":"dev","expires_at":"2030-01-01T00:00:00Z"}`},
		"many levels":                 {request: log, body: logAudit(`,"details":` + strings.Repeat("[", 63) + strings.Repeat("]", 63))},
		"too many levels":             {request: log, body: logAudit(`,"details":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), field: "details", code: contract.InvalidArgument, message: "levels"},
		"levels beyond all":           {request: log, body: logAudit(`,"details":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), code: contract.InvalidArgument, message: "depth"},
		"too many levels, unclosed":   {request: verify, body: strings.Repeat(`{"a":`, 100_000), code: contract.InvalidArgument},
		"too large":                   {request: verify, body: `{"token":"` + strings.Repeat("a", contract.MaxBody) + `"}`, code: contract.PayloadTooLarge},
		"too large, white space":      {request: verify, body: `{"token":"t"}` + strings.Repeat(" ", contract.MaxBody), code: contract.PayloadTooLarge},
		"too large, and no JSON":      {request: verify, body: strings.Repeat("x", contract.MaxBody+1), code: contract.PayloadTooLarge},
		"nothing":                     {request: verify, body: ``, field: "token", code: contract.InvalidArgument, message: "is required"},
		"a missing field":             {request: check, body: `{"user_id":"` + someUser + `"}`, field: "permission", code: contract.InvalidArgument, message: "is required"},
		"null for a required field":   {request: verify, body: `{"token":null}`, field: "token", code: contract.InvalidArgument},
		"an unknown field":            {request: verify, body: `{"token":"t","extra":1}`, field: "extra", code: contract.InvalidArgument, message: "not a known field"},
		"another case":                {request: verify, body: `{"Token":"t"}`, code: contract.InvalidArgument},
		"both cases":                  {request: verify, body: `{"token":"t","TOKEN":"x"}`, field: "TOKEN", code: contract.InvalidArgument},
		"both cases, the other first": {request: verify, body: `{"TOKEN":"x","token":"t"}`, field: "TOKEN", code: contract.InvalidArgument},
		"a number as text":            {request: verify, body: `{"token":1}`, field: "token", code: contract.InvalidArgument},
		"an object as text":           {request: verify, body: `{"token":{}}`, field: "token", code: contract.InvalidArgument},
		"a first key of another type": {request: verify, body: `{"token":1,"token":"t"}`, field: "token", code: contract.InvalidArgument, message: "twice"},
		"text as a number":            {request: list, body: `{"limit":"5"}`, field: "limit", code: contract.InvalidArgument},
		"a broken number":             {request: list, body: `{"limit":1.5}`, field: "limit", code: contract.InvalidArgument},
		"a number below":              {request: list, body: `{"limit":0}`, field: "limit", code: contract.InvalidArgument},
		"a number above":              {request: list, body: `{"limit":501}`, field: "limit", code: contract.InvalidArgument},
		"a number beyond all":         {request: list, body: `{"limit":1e400}`, field: "limit", code: contract.InvalidArgument, message: "too large"},
		"a number beyond all, deep":   {request: log, body: logAudit(`,"details":{"a":[1e400]}`), field: "details", code: contract.InvalidArgument, message: "too large"},
		"an id that is none":          {request: check, body: `{"user_id":"7","permission":"a:b"}`, field: "user_id", code: contract.InvalidArgument},
		"a number as that id":         {request: check, body: `{"user_id":7,"permission":"a:b"}`, field: "user_id", code: contract.InvalidArgument},
		"truth as an id":              {request: log, body: logAudit(`,"resource_id":true`), field: "resource_id", code: contract.InvalidArgument},
		"a list as an id":             {request: log, body: logAudit(`,"resource_id":[1]`), field: "resource_id", code: contract.InvalidArgument},
		"too long":                    {request: log, body: logAudit(`,"resource_id":"` + strings.Repeat("a", 201) + `"`), field: "resource_id", code: contract.InvalidArgument},
		"too long a number":           {request: log, body: logAudit(`,"resource_id":` + strings.Repeat("1", 201)), field: "resource_id", code: contract.InvalidArgument},
		"no permission code":          {request: check, body: `{"user_id":"` + someUser + `","permission":"a:*"}`, field: "permission", code: contract.InvalidArgument},
		"an address that is none":     {request: user, body: `{"tenant_id":"` + someUser + `","email":"x","password":"123456789012"}`, field: "email", code: contract.InvalidArgument},
		"too short":                   {request: reflect.TypeFor[contract.TOTPCodeRequest](), body: `{"code":"1"}`, field: "code", code: contract.InvalidArgument},
		"of an enumeration":           {request: key, body: `{"module":"crm","environment":"production"}`, field: "environment", code: contract.InvalidArgument},
		"a wrong element":             {request: key, body: `{"module":"crm","environment":"dev","operations":["a",1]}`, field: "operations[1]", code: contract.InvalidArgument},
		"too many elements":           {request: key, body: `{"module":"crm","environment":"dev","operations":["a"` + strings.Repeat(`,"a"`, 100) + `]}`, field: "operations", code: contract.InvalidArgument},
		"no moment":                   {request: key, body: `{"module":"crm","environment":"dev","expires_at":"soon"}`, field: "expires_at", code: contract.InvalidArgument},
		"U+0000":                      {request: verify, body: `{"token":"a\u0000"}`, field: "token", code: contract.InvalidArgument, message: "U+0000"},
		"U+0000 deep":                 {request: log, body: logAudit(`,"details":{"a":[{"b":"\u0000"}]}`), field: "details", code: contract.InvalidArgument, message: "U+0000"},
		"U+0000 in a name":            {request: verify, body: `{"token":"t","a\u0000":1}`, field: "a␀", code: contract.InvalidArgument, message: "U+0000"},
		"U+0000 in a name, deep":      {request: log, body: logAudit(`,"details":{"a":{"\u0000":1}}`), field: "details", code: contract.InvalidArgument, message: "U+0000"},
		"U+0000 in an id":             {request: log, body: logAudit(`,"resource_id":"\u0000"`), field: "resource_id", code: contract.InvalidArgument, message: "U+0000"},
		"a raw control character":     {request: verify, body: "{\"token\":\"a\x01\"}", code: contract.InvalidArgument},
		"bad UTF-8":                   {request: verify, body: "{\"token\":\"a\xff\"}", code: contract.InvalidArgument, message: "UTF-8"},
		"an overlong encoding":        {request: verify, body: "{\"token\":\"\xc0\xaf\"}", code: contract.InvalidArgument, message: "UTF-8"},
		"UTF-16":                      {request: verify, body: "\xff\xfe{\x00", code: contract.InvalidArgument},
		"a byte order mark":           {request: verify, body: "\xef\xbb\xbf{\"token\":\"t\"}", code: contract.InvalidArgument},
		"null":                        {request: verify, body: `null`, code: contract.InvalidArgument, message: "JSON object"},
		"a list":                      {request: verify, body: `[{"token":"t"}]`, code: contract.InvalidArgument, message: "JSON object"},
		"text":                        {request: verify, body: `"token"`, code: contract.InvalidArgument, message: "JSON object"},
		"cut":                         {request: verify, body: `{"token":"t"`, code: contract.InvalidArgument, message: "too early"},
		"white space only":            {request: verify, body: ` `, code: contract.InvalidArgument},
		"two objects":                 {request: verify, body: `{"token":"t"}{"token":"u"}`, code: contract.InvalidArgument, message: "follows"},
		"something behind":            {request: verify, body: `{"token":"t"} x`, code: contract.InvalidArgument},
		"a comma too many":            {request: verify, body: `{"token":"t",}`, code: contract.InvalidArgument},
		"a comment":                   {request: verify, body: `{"token":"t" /* x */}`, code: contract.InvalidArgument},
		"single quotes":               {request: verify, body: `{'token':'t'}`, code: contract.InvalidArgument},
		"a form":                      {request: verify, body: `token=t`, code: contract.InvalidArgument},
		"not a number":                {request: list, body: `{"limit":NaN}`, code: contract.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := reflect.New(c.request)
			e := newDecoder(c.request).decode([]byte(c.body), request.Interface())
			if c.code == "" {
				require.Nil(t, e)
				if c.body != "" {
					want := reflect.New(c.request)
					require.NoError(t, json.Unmarshal([]byte(c.body), want.Interface()))
					require.Equal(t, want.Interface(), request.Interface())
				}
				return
			}
			require.NotNil(t, e)
			require.Equal(t, c.code, e.Code, e)
			require.Contains(t, e.Message, c.message)
			if c.field != "" || c.code != contract.InvalidArgument {
				require.Equal(t, c.field, e.Field, e)
			}
			require.Less(t, len(e.Error()), 1000, "a caller cannot have its own megabyte told back")
		})
	}
}

// A refused name comes back in the answer: it must not be a megabyte.
func TestARefusalIsShort(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("a", 100_000), strings.Repeat("é", 100_000), strings.Repeat("a", 100_000) + `\u0000`} {
		for _, body := range []string{`{"token":"t","` + name + `":1}`, `{"token":"t","` + name + `":1e999}`} {
			e := newDecoder(reflect.TypeFor[contract.VerifyRequest]()).decode([]byte(body), new(contract.VerifyRequest))
			require.NotNil(t, e)
			require.Less(t, len(e.Error()), 1000)
			raw, err := json.Marshal(e)
			require.NoError(t, err)
			require.Less(t, len(raw), 2000)
		}
	}
}

func TestEveryRequestOfTheContractHasADecoder(t *testing.T) {
	t.Parallel()
	for _, spec := range contract.Operations() {
		d := newDecoder(spec.Request)
		for _, body := range []string{`[]`, `{"no such field":1}`, "\xff"} {
			require.NotNil(t, d.decode([]byte(body), reflect.New(spec.Request).Interface()), "%s %s", spec.Name, body)
		}
		for i := range spec.Request.NumField() {
			name, _, _ := strings.Cut(spec.Request.Field(i).Tag.Get("json"), ",")
			require.NotNil(t, d.schema.Properties[name], "%s: %s is not in the schema", spec.Name, name)
		}
	}
}

// FuzzDecoder holds that nothing panics, that what is refused names a code, and
// that what is accepted holds no U+0000.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(`{"user_id":"` + someUser + `","action":"a","resource_type":"r","resource_id":1e5,"details":{"a":[1,"b"]}}`))
	f.Add([]byte(`{"user_id":"` + someUser + `","user_id":5,"details":"\u0000"}`))
	d := newDecoder(reflect.TypeFor[contract.LogAuditRequest]())
	f.Fuzz(func(t *testing.T, body []byte) {
		r := new(contract.LogAuditRequest)
		if e := d.decode(body, r); e != nil {
			require.Contains(t, contract.Codes(), e.Code)
			return
		}
		require.NotContains(t, string(r.UserID)+r.Action+r.ResourceType+string(r.ResourceID), "\x00")
		require.NotEmpty(t, r.Action)
	})
}

func TestAHandlerNeverSeesWhatIsInvalid(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := contract.Operation[contract.VerifyRequest, told]{Spec: &contract.Spec{Name: "tenant.checked", Access: contract.Internal, Timeout: limit}}
	require.NoError(t, Handle(s.Server, op, func(_ context.Context, r *contract.VerifyRequest) (*told, error) {
		require.NotEmpty(t, r.Token)
		return &told{r.Token}, nil
	}))
	for body, want := range map[string]contract.Code{`{"token":"t"}`: "", `{"token":""}`: contract.InvalidArgument, ``: contract.InvalidArgument} {
		_, err := s.client.Do(bounded(t), op.Spec, Outgoing{Body: []byte(body)})
		require.Equal(t, want, code(t, err), body)
	}
}
