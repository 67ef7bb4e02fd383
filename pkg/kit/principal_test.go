package kit

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func TestTheSubjectOrTheBridgeSaysWhoCalls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.who", contract.Internal|contract.Module|contract.Anonymous)
	fast := operation("tenant.whofast", contract.Internal|contract.Module|contract.Anonymous)
	who := func(ctx context.Context, _ *ask) (*told, error) { return &told{describe(PrincipalFrom(ctx))}, nil }
	require.NoError(t, Handle(s.Server, op, who))
	require.NoError(t, HandleFast(s.Server, fast, func(ctx context.Context, r *ask) (*told, bool, error) {
		answer, err := who(ctx, r)
		return answer, true, err
	}, nil))
	bridge, crm := s.bus.user(natsconn.HTTPBridge), s.bus.user(module)
	for _, c := range []struct {
		nc     *nats.Conn
		header []string
		want   string // "" for refused
	}{
		{bridge, nil, "service; "},
		{bridge, []string{"module;crm-abcdefgh"}, "module;crm-abcdefgh crm"},
		{bridge, []string{"module;install-abcdefgh"}, "module;install-abcdefgh install t1,t2"},
		{bridge, []string{"anonymous;"}, "anonymous; "},
		{bridge, []string{"service;"}, "service; "},
		{bridge, []string{""}, ""},
		{bridge, []string{"module"}, ""},
		{bridge, []string{"module;"}, ""},
		{bridge, []string{"module;crm"}, ""},
		{bridge, []string{"module;CRM-abcdefgh"}, ""},
		{bridge, []string{"module;crm.x-abcdefgh"}, ""},
		{bridge, []string{"module;*-abcdefgh"}, ""},
		{bridge, []string{"module;crm-abcdefgh;more"}, ""},
		{bridge, []string{"module;unknown-abcdefgh"}, ""},
		{bridge, []string{"anonymous;crm-abcdefgh"}, ""},
		{bridge, []string{"operator;"}, ""},
		{bridge, []string{"Service;"}, ""},
		{bridge, []string{";"}, ""},
		// A module is whom the server let it be, whatever it says.
		{crm, nil, "module;" + module + " crm"},
		{crm, []string{"service;"}, "module;" + module + " crm"},
		{crm, []string{"module;billing-abcdefgh"}, "module;" + module + " crm"},
		{crm, []string{"nonsense"}, "module;" + module + " crm"},
	} {
		for _, spec := range []*contract.Spec{op.Spec, fast.Spec} {
			subject := spec.Subject()
			if c.nc == crm {
				subject = spec.ModuleSubject(module)
			}
			header := nats.Header{}
			if c.header != nil {
				header[principalHeader] = c.header
			}
			reply, e := raw(t, c.nc, subject, header, ``)
			if c.want == "" {
				require.NotNil(t, e, "%q is believed", c.header)
				require.Equal(t, contract.Unauthenticated, e.Code)
				continue
			}
			require.Nil(t, e, "%q", c.header)
			require.JSONEq(t, `{"text":"`+c.want+`"}`, string(reply.Data), "%q", c.header)
		}
	}
	// Another spelling of the header is no header: NATS keeps the case.
	reply, e := raw(t, bridge, op.Subject(), nats.Header{"buildify-principal": {"module;crm-abcdefgh"}}, ``)
	require.Nil(t, e)
	require.Contains(t, string(reply.Data), "service;")
}

func describe(p Principal) string {
	return strings.TrimSuffix(p.encode()+" "+p.Module+" "+strings.Join(p.Tenants, ","), " ")
}

func TestWhoMayUseAnOperationAtAll(t *testing.T) {
	t.Parallel()
	s := &Server{}
	service, mod, anonymous := Principal{Kind: KindService}, Principal{Kind: KindModule, Module: "crm"}, Principal{Kind: KindAnonymous}
	for _, c := range []struct {
		access    contract.Access
		principal Principal
		bearer    string
		want      contract.Code
	}{
		{contract.Internal, service, "", ""},
		{contract.Internal, mod, "", contract.PermissionDenied},
		{contract.Internal, anonymous, "", contract.PermissionDenied},
		{contract.Internal, anonymous, "token", contract.PermissionDenied},
		{contract.Module, mod, "", ""},
		{contract.Module, service, "", contract.PermissionDenied},
		{contract.Module, anonymous, "", contract.Unauthenticated},
		{contract.Module | contract.Internal, service, "", ""},
		{contract.Anonymous, anonymous, "", ""},
		{contract.Anonymous, mod, "", ""},
		{contract.User, anonymous, "token", ""},
		{contract.User, anonymous, "", contract.Unauthenticated},
		{contract.User, mod, "", contract.Unauthenticated},
		{contract.User, service, "", contract.Unauthenticated},
		{contract.Self, anonymous, "token", ""},
		{contract.Self, anonymous, "", contract.Unauthenticated},
		{contract.Self, mod, "", contract.Unauthenticated},
		{contract.User | contract.Internal, service, "", ""},
		{contract.User | contract.Internal, service, "token", ""},
		{contract.User | contract.Internal, anonymous, "", contract.Unauthenticated},
		{contract.User | contract.Internal, mod, "", contract.Unauthenticated},
		{contract.Internal, service, "token", ""},
		{0, service, "token", contract.PermissionDenied},
	} {
		e := s.admit(&contract.Spec{Name: "x.y", Access: c.access}, &call{principal: c.principal, bearer: c.bearer})
		got := contract.Code("")
		if e != nil {
			got = e.Code
		}
		require.Equal(t, c.want, got, "%+v", c)
	}
}

func TestInternalOperationsHaveNoSubjectForModules(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.internal", contract.Internal)
	require.NoError(t, Handle(s.Server, op, echo))
	_, err := s.bus.user(module).RequestWithContext(bounded(t), op.ModuleSubject(module), nil)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	_, e := raw(t, s.bus.user(natsconn.HTTPBridge), op.Subject(), nats.Header{principalHeader: {"module;crm-abcdefgh"}}, ``)
	require.Equal(t, contract.PermissionDenied, e.Code)
}

// people verifies tokens of the form "user:<id>" and lets "user:admin" do
// everything.
type people struct{ broken error }

func (p people) VerifyUser(_ context.Context, token string) (User, error) {
	if id, ok := strings.CutPrefix(token, "user:"); ok {
		return User{ID: id, TenantID: "t", SessionID: "s"}, nil
	}
	return User{}, &contract.Error{Code: contract.Unauthenticated, Field: "Authorization", Message: "no"}
}

func (p people) Allowed(_ context.Context, user User, permission string) (bool, error) {
	return user.ID == "admin" && permission == "things:read", p.broken
}

func TestAUserIsVerifiedAndHoldsThePermission(t *testing.T) {
	t.Parallel()
	op := operation("tenant.things", contract.User)
	op.Permission = "things:read"
	who := func(ctx context.Context, _ *ask) (*told, error) { return &told{UserFrom(ctx).ID}, nil }
	for name, c := range map[string]struct {
		cfg           func(*ServerConfig)
		authorization string
		want          contract.Code
	}{
		"allowed":                  {authorization: "Bearer user:admin"},
		"any case of the scheme":   {authorization: "bearer user:admin"},
		"spaces around":            {authorization: "Bearer   user:admin "},
		"without the permission":   {authorization: "Bearer user:other", want: contract.PermissionDenied},
		"a token that is none":     {authorization: "Bearer nonsense", want: contract.Unauthenticated},
		"another scheme":           {authorization: "Basic user:admin", want: contract.Unauthenticated},
		"the token alone":          {authorization: "user:admin", want: contract.Unauthenticated},
		"no token":                 {want: contract.Unauthenticated},
		"an empty token":           {authorization: "Bearer ", want: contract.Unauthenticated},
		"rbac is away":             {cfg: func(c *ServerConfig) { c.Permissions = people{nats.ErrNoResponders} }, authorization: "Bearer user:admin", want: contract.Unavailable},
		"nobody verifies users":    {cfg: func(c *ServerConfig) { c.Users = nil }, authorization: "Bearer user:admin", want: contract.PermissionDenied},
		"nobody knows permissions": {cfg: func(c *ServerConfig) { c.Permissions = nil }, authorization: "Bearer user:admin", want: contract.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(cfg *ServerConfig) {
				cfg.Users, cfg.Permissions = people{}, people{}
				if c.cfg != nil {
					c.cfg(cfg)
				}
			})
			require.NoError(t, Handle(s.Server, op, who))
			out, err := s.client.Do(bounded(t), op.Spec, Outgoing{Authorization: c.authorization, Principal: Principal{Kind: KindAnonymous}})
			require.Equal(t, c.want, code(t, err))
			if err == nil {
				require.JSONEq(t, `{"text":"admin"}`, string(out))
			}
		})
	}
}

func TestAFastHandlerCannotServeUsers(t *testing.T) {
	t.Parallel()
	s := serve(t, func(cfg *ServerConfig) { cfg.Users, cfg.Permissions = people{}, people{} })
	op := operation("tenant.things", contract.User)
	require.Error(t, HandleFast(s.Server, op, fastEcho, nil), "it would answer before the user is verified")
	require.Error(t, Handle(s.Server, operation("audit.things", contract.Internal), echo), "another service's operation")
}
