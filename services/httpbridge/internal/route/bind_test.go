package route

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// everything has a field of each kind in each place.
type everything struct {
	ID    contract.ID `json:"id" path:"thing_id"`
	Name  string      `json:"name" path:"name"`
	Limit int         `json:"limit,omitempty" query:"limit"`
	Big   int64       `json:"big,omitempty" query:"big"`
	Deep  bool        `json:"deep,omitempty" query:"deep"`
	Text  string      `json:"text,omitempty" query:"q"`
	Body  string      `json:"body,omitempty"`
}

func spec(method string) *contract.Spec {
	return &contract.Spec{Name: "x.y", Method: method, Path: "/things/{thing_id}/{name}", Request: reflect.TypeFor[everything]()}
}

// bound is what the binder makes of a request to the route of method.
func bound(method string, r *http.Request) (body []byte, err error) {
	mux := http.NewServeMux()
	b := newBinder(spec(method))
	err = errors.New("no route")
	mux.HandleFunc(method+" /things/{thing_id}/{name}", func(w http.ResponseWriter, r *http.Request) { body, err = b.bind(w, r) })
	mux.ServeHTTP(httptest.NewRecorder(), r)
	return body, err
}

func TestARequestBecomesOneJSONObject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, target, body string
		want                 string
		code                 contract.Code
		field                string
	}{
		"path only":                     {target: "/things/7/a", want: `{"id":"7","name":"a"}`},
		"path, escaped":                 {target: "/things/a%2Fb/%22%3C%C3%A9%20", want: `{"id":"a/b","name":"\"<é "}`},
		"query":                         {target: "/things/7/a?limit=5&big=9007199254740993&deep=true&q=x%20y%2Bz", want: `{"id":"7","name":"a","limit":5,"big":9007199254740993,"deep":true,"text":"x y+z"}`},
		"an empty text":                 {target: "/things/7/a?q=", want: `{"id":"7","name":"a","text":""}`},
		"a negative number":             {target: "/things/7/a?limit=-5", want: `{"id":"7","name":"a","limit":-5}`},
		"a number with zeroes":          {target: "/things/7/a?limit=007", want: `{"id":"7","name":"a","limit":7}`},
		"a number with a sign":          {target: "/things/7/a?limit=%2B5", want: `{"id":"7","name":"a","limit":5}`},
		"minus zero":                    {target: "/things/7/a?limit=-0", want: `{"id":"7","name":"a","limit":0}`},
		"body and path":                 {method: "POST", target: "/things/7/a", body: `{"body":"x"}`, want: `{"id":"7","name":"a","body":"x"}`},
		"the path wins over the body":   {method: "POST", target: "/things/7/a", body: `{"id":"8","body":"x"}`, want: `{"id":"7","name":"a","body":"x"}`},
		"an empty body":                 {method: "POST", target: "/things/7/a", want: `{"id":"7","name":"a"}`},
		"a body of a GET":               {target: "/things/7/a", body: `{"body":"x"}`, want: `{"id":"7","name":"a"}`},
		"a body of a DELETE":            {method: "DELETE", target: "/things/7/a", body: `{"body":"x"}`, want: `{"id":"7","name":"a"}`},
		"an unknown body field goes on": {method: "POST", target: "/things/7/a", body: `{"x":[1e30]}`, want: `{"id":"7","name":"a","x":[1e30]}`},

		"a number that is none":       {target: "/things/7/a?limit=five", code: contract.InvalidArgument, field: "limit"},
		"an empty number":             {target: "/things/7/a?limit=", code: contract.InvalidArgument, field: "limit"},
		"a broken number":             {target: "/things/7/a?limit=1.5", code: contract.InvalidArgument, field: "limit"},
		"a hexadecimal number":        {target: "/things/7/a?limit=0x10", code: contract.InvalidArgument, field: "limit"},
		"a number beyond all":         {target: "/things/7/a?big=9223372036854775808", code: contract.InvalidArgument, field: "big"},
		"JSON as a number":            {target: "/things/7/a?limit=5,%22id%22:%228%22", code: contract.InvalidArgument, field: "limit"},
		"truth in another spelling":   {target: "/things/7/a?deep=T", code: contract.InvalidArgument, field: "deep"},
		"truth as a number":           {target: "/things/7/a?deep=1", code: contract.InvalidArgument, field: "deep"},
		"an unknown parameter":        {target: "/things/7/a?x=1", code: contract.InvalidArgument, field: "x"},
		"a path field in the query":   {target: "/things/7/a?thing_id=8", code: contract.InvalidArgument, field: "thing_id"},
		"a body field in the query":   {target: "/things/7/a?body=8", code: contract.InvalidArgument, field: "body"},
		"a parameter by its JSON":     {target: "/things/7/a?text=8", code: contract.InvalidArgument, field: "text"},
		"a parameter twice":           {target: "/things/7/a?limit=1&limit=2", code: contract.InvalidArgument, field: "limit"},
		"a semicolon":                 {target: "/things/7/a?limit=1;q=2", code: contract.InvalidArgument},
		"an escape that is none":      {target: "/things/7/a?q=%zz", code: contract.InvalidArgument},
		"a query not in UTF-8":        {target: "/things/7/a?q=%ff", code: contract.InvalidArgument, field: "q"},
		"a path not in UTF-8":         {target: "/things/7/%ff", code: contract.InvalidArgument, field: "name"},
		"null as the body":            {method: "POST", target: "/things/7/a", body: `null`, code: contract.InvalidArgument},
		"a list as the body":          {method: "POST", target: "/things/7/a", body: `[]`, code: contract.InvalidArgument},
		"text as the body":            {method: "POST", target: "/things/7/a", body: `"x"`, code: contract.InvalidArgument},
		"no JSON":                     {method: "POST", target: "/things/7/a", body: `{`, code: contract.InvalidArgument},
		"a body that is too large":    {method: "POST", target: "/things/7/a", body: `{"body":"` + strings.Repeat("x", contract.MaxBody) + `"}`, code: contract.PayloadTooLarge},
		"a parameter's name, a novel": {target: "/things/7/a?" + strings.Repeat("x", 5000), code: contract.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequestWithContext(t.Context(), method, c.target, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			body, err := bound(method, r)
			if c.code == "" {
				require.NoError(t, err)
				require.JSONEq(t, c.want, string(body))
				return
			}
			var e *contract.Error
			require.ErrorAs(t, err, &e, "%s", body)
			require.Equal(t, c.code, e.Code)
			require.Less(t, len(e.Field), 300)
			if c.field != "" {
				require.Equal(t, c.field, e.Field)
			}
		})
	}
}

func TestABodyIsJSONAndSaysSo(t *testing.T) {
	t.Parallel()
	for kind, accepted := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON": true,
		"": false, "text/plain": false, "application/x-www-form-urlencoded": false, "application/jsonx": false,
		"application/problem+json": false, "multipart/form-data; boundary=x": false, ";": false, "application/json; charset": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things/7/a", strings.NewReader(`{}`))
		r.Header.Set("Content-Type", kind)
		_, err := bound(http.MethodPost, r)
		if accepted {
			require.NoError(t, err, "%q", kind)
			continue
		}
		require.ErrorIs(t, err, &contract.Error{Code: contract.UnsupportedMediaType}, "%q", kind)
	}
}

// Without a length, too, and without reading it all.
func TestABodyWithoutALengthIsBounded(t *testing.T) {
	t.Parallel()
	endless := &endless{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things/7/a", endless)
	r.ContentLength = -1
	r.Header.Set("Content-Type", "application/json")
	_, err := bound(http.MethodPost, r)
	require.ErrorIs(t, err, &contract.Error{Code: contract.PayloadTooLarge})
	require.LessOrEqual(t, endless.read, 2*contract.MaxBody)

	broken := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things/7/a", io.MultiReader(strings.NewReader("{"), failing{}))
	broken.Header.Set("Content-Type", "application/json")
	_, err = bound(http.MethodPost, broken)
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument})
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("reset by peer") }

// A body of the plain operations reaches the service as it came: what is in it
// is the service's to judge.
func TestABodyAloneIsPassedOnByteForByte(t *testing.T) {
	t.Parallel()
	b := newBinder(contract.LogAudit.Spec)
	for _, body := range []string{"", "{", " { \"a\" : 1.50 , \"a\":2}\n", "\xff", "null"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, contract.LogAudit.Path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		got, err := b.bind(httptest.NewRecorder(), r)
		require.NoError(t, err)
		require.Equal(t, body, string(got))
	}
}
