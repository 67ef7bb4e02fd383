package route

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// versioned is a change of something that has a revision.
type versioned struct {
	ID       string `json:"id,omitempty" query:"id"`
	Revision int64  `json:"revision,omitempty" query:"at" match:"true"`
}

func TestIfMatchNamesTheRevision(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, target, body string
		match                []string
		want                 string
		code                 contract.Code
	}{
		"alone":                        {match: []string{`"7"`}, want: `{"revision":7}`},
		"of a DELETE":                  {method: "DELETE", match: []string{`"7"`}, want: `{"revision":7}`},
		"largest":                      {match: []string{`"9223372036854775807"`}, want: `{"revision":9223372036854775807}`},
		"beside a body":                {body: `{"id":"a"}`, match: []string{`"7"`}, want: `{"id":"a","revision":7}`},
		"beside a query":               {method: "DELETE", target: "?id=a", match: []string{`"7"`}, want: `{"id":"a","revision":7}`},
		"as the body says":             {body: `{"revision":7}`, match: []string{`"7"`}, want: `{"revision":7}`},
		"as the query says":            {method: "DELETE", target: "?at=7", match: []string{`"7"`}, want: `{"revision":7}`},
		"twice the same":               {match: []string{`"7"`, `"7"`}, want: `{"revision":7}`},
		"none":                         {body: `{"revision":7}`, want: `{"revision":7}`},
		"other than the body says":     {body: `{"revision":8}`, match: []string{`"7"`}, code: contract.InvalidArgument},
		"other than the query says":    {method: "DELETE", target: "?at=8", match: []string{`"7"`}, code: contract.InvalidArgument},
		"than a body that says null":   {body: `{"revision":null}`, match: []string{`"7"`}, code: contract.InvalidArgument},
		"twice":                        {match: []string{`"7"`, `"8"`}, code: contract.InvalidArgument},
		"a list":                       {match: []string{`"7", "8"`}, code: contract.InvalidArgument},
		"any":                          {match: []string{`*`}, code: contract.InvalidArgument},
		"weak":                         {match: []string{`W/"7"`}, code: contract.InvalidArgument},
		"without quotes":               {match: []string{`7`}, code: contract.InvalidArgument},
		"half quoted":                  {match: []string{`"7`}, code: contract.InvalidArgument},
		"empty":                        {match: []string{``}, code: contract.InvalidArgument},
		"an empty tag":                 {match: []string{`""`}, code: contract.InvalidArgument},
		"zero, which would be none":    {match: []string{`"0"`}, code: contract.InvalidArgument},
		"negative":                     {match: []string{`"-7"`}, code: contract.InvalidArgument},
		"with a sign":                  {match: []string{`"+7"`}, code: contract.InvalidArgument},
		"with zeroes":                  {match: []string{`"007"`}, code: contract.InvalidArgument},
		"beyond all":                   {match: []string{`"9223372036854775808"`}, code: contract.InvalidArgument},
		"JSON":                         {match: []string{`"7,"id":"b"`}, code: contract.InvalidArgument},
		"with a body that is no JSON":  {body: `{`, match: []string{`"7"`}, code: contract.InvalidArgument},
		"with a body that is no value": {body: `[]`, match: []string{`"7"`}, code: contract.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := c.method
			if method == "" {
				method = http.MethodPatch
			}
			b := newBinder(&contract.Spec{Name: "x.y", Method: method, Path: "/x", Request: reflect.TypeFor[versioned]()})
			r := httptest.NewRequestWithContext(t.Context(), method, "/x"+c.target, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header["If-Match"] = c.match
			body, err := b.bind(httptest.NewRecorder(), r)
			if c.code != "" {
				require.ErrorIs(t, err, &contract.Error{Code: c.code}, "%s", body)
				if c.body == "" {
					require.ErrorContains(t, err, "If-Match")
				}
				return
			}
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(body))
		})
	}
}

// Where nothing has a revision, a change must not be made as if the caller had
// not asked for one; a read changes nothing.
func TestIfMatchIsRefusedWhereItCannotBeKept(t *testing.T) {
	t.Parallel()
	for method, refused := range map[string]bool{"POST": true, "PUT": true, "PATCH": true, "DELETE": true, "GET": false} {
		r := httptest.NewRequestWithContext(t.Context(), method, "/things/7/a", nil)
		r.Header.Set("If-Match", `"7"`)
		r.Header.Set("Content-Type", "application/json")
		_, err := bound(method, r)
		require.Equal(t, refused, err != nil, method)
	}
}

// roles stands for service rbac with one role, at revision 7.
func (s *stage) roles() {
	s.t.Helper()
	rbac, err := kit.NewServer(kit.ServerConfig{
		Service: "rbac", NATS: s.rbac, Telemetry: s.router.Telemetry, Users: everybody{}, Permissions: everybody{}, Keys: everybody{},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, kit.Handle(rbac, contract.GetRole, func(context.Context, *contract.RoleRequest) (*contract.Role, error) {
		return &contract.Role{ID: "r", Name: "clerk", Revision: 7}, nil
	}))
	require.NoError(s.t, kit.Handle(rbac, contract.ListRoles, func(context.Context, *contract.ListRolesRequest) (*contract.ListRolesResponse, error) {
		return &contract.ListRolesResponse{}, nil
	}))
	require.NoError(s.t, kit.Handle(rbac, contract.UpdateRole, func(_ context.Context, r *contract.UpdateRoleRequest) (*contract.Role, error) {
		if r.Revision != 0 && r.Revision != 7 {
			return nil, contract.Errorf(contract.Conflict, "it is at revision 7 by now")
		}
		return &contract.Role{ID: "r", Name: "clerk", Title: *r.Title, Revision: 8}, nil
	}))
	require.NoError(s.t, kit.Handle(rbac, contract.WhoCan, func(ctx context.Context, _ *contract.WhoCanRequest) (*contract.WhoCanResponse, error) {
		return &contract.WhoCanResponse{UserIDs: []string{kit.PrincipalFrom(ctx).Module, kit.UserFrom(ctx).ID}}, nil
	}))
	s.t.Cleanup(func() { require.NoError(s.t, rbac.Stop(context.Background())) })
}

// everybody is one person who may do all, and every key.
type everybody struct{}

func (everybody) VerifyUser(_ context.Context, token string) (kit.User, error) {
	if token != "good" {
		return kit.User{}, contract.Errorf(contract.Unauthenticated, "no")
	}
	return kit.User{ID: "somebody"}, nil
}

func (everybody) KeyInfo(_ context.Context, id string) (*contract.KeyInfoResponse, error) {
	module, _ := contract.KeyModule(id)
	return &contract.KeyInfoResponse{ID: id, Module: module}, nil
}

func (everybody) Allowed(context.Context, kit.User, string) (bool, error) { return true, nil }

// call makes one request and returns what came of it.
func (s *stage) call(method, target, body string, header map[string]string) (*http.Response, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+target, strings.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := s.server.Client().Do(r)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if response.StatusCode != http.StatusNotModified {
		require.NoError(s.t, json.NewDecoder(response.Body).Decode(&answer))
	}
	return response, answer
}

func TestAnEntityIsTaggedWithItsRevision(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.roles()
	const role = "/api/v1/rbac/roles/0197f2aa-0000-7000-8000-000000000001"
	for header, want := range map[string]int{
		"": http.StatusOK, `"6"`: http.StatusOK, `7`: http.StatusOK, `"77"`: http.StatusOK,
		`"7"`: http.StatusNotModified, `W/"7"`: http.StatusNotModified, `"1", "7"`: http.StatusNotModified, `*`: http.StatusNotModified,
	} {
		response, answer := s.call(http.MethodGet, role, "", map[string]string{"Authorization": "Bearer good", "If-None-Match": header})
		require.Equal(t, want, response.StatusCode, header)
		require.Equal(t, `"7"`, response.Header.Get("ETag"))
		require.NotEmpty(t, response.Header.Get("X-Request-Id"))
		if want == http.StatusOK {
			require.Equal(t, "clerk", answer["name"])
		}
	}
	for match, want := range map[string]int{`"7"`: http.StatusOK, `"6"`: http.StatusConflict, `*`: http.StatusBadRequest} {
		// If-None-Match means nothing to a change.
		response, answer := s.call(http.MethodPatch, role, `{"title":"Clerk"}`, map[string]string{
			"Authorization": "Bearer good", "If-Match": match, "If-None-Match": `"8"`,
		})
		require.Equal(t, want, response.StatusCode, "%v", answer)
		if want == http.StatusOK {
			require.Equal(t, `"8"`, response.Header.Get("ETag"))
		} else {
			require.Empty(t, response.Header.Get("ETag"))
		}
	}
	response, _ := s.call(http.MethodGet, "/api/v1/rbac/roles", "", map[string]string{"Authorization": "Bearer good", "If-None-Match": "*"})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Empty(t, response.Header.Get("ETag"), "a list has none")
}

func TestWhoShowsAKeyIsTheModuleAndElseThePerson(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.roles()
	key := s.issue("crm-aaaaaaaa", func(k *contract.VerifyKeyResponse) { k.Operations = []string{contract.WhoCan.Name} })
	poor := s.issue("crm-bbbbbbbb")
	const target = "/api/v1/core/rbac/who-can?permission=crm:deals:read"
	for name, c := range map[string]struct {
		key, bearer string
		status      int
		caller      []any
	}{
		"key":                {key, "", http.StatusOK, []any{"crm", ""}},
		"key and token":      {key, "Bearer good", http.StatusOK, []any{"crm", ""}},
		"key and bad token":  {key, "Bearer bad", http.StatusOK, []any{"crm", ""}},
		"token":              {"", "Bearer good", http.StatusOK, []any{"", "somebody"}},
		"bad token":          {"", "Bearer bad", http.StatusUnauthorized, nil},
		"bad key, token":     {"bfy_dev_crm-x_0", "Bearer good", http.StatusUnauthorized, nil},
		"poor key and token": {poor, "Bearer good", http.StatusForbidden, nil},
		"neither":            {"", "", http.StatusUnauthorized, nil},
	} {
		header := map[string]string{}
		if c.key != "" {
			header[contract.HeaderAPIKey] = c.key
		}
		if c.bearer != "" {
			header["Authorization"] = c.bearer
		}
		response, answer := s.call(http.MethodGet, target, "", header)
		require.Equal(t, c.status, response.StatusCode, "%s: %v", name, answer)
		if c.caller != nil {
			require.Equal(t, c.caller, answer["user_ids"], name)
		}
	}
}
