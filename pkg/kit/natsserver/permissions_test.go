package natsserver

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/deploy"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func mayPublish(t *testing.T, nc *nats.Conn, subject string) bool {
	t.Helper()
	require.NoError(t, nc.Publish(subject, nil))
	require.NoError(t, nc.Flush())
	err := nc.LastError()
	return err == nil || !strings.Contains(err.Error(), `Publish to "`+subject+`"`)
}

func maySubscribe(t *testing.T, nc *nats.Conn, subject string) bool {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	err = nc.LastError()
	if err == nil || !strings.Contains(err.Error(), `Subscription to "`+subject+`"`) {
		require.NoError(t, sub.Unsubscribe())
		return true
	}
	return false
}

var coreUsers = []string{
	natsconn.Auth, natsconn.RBAC, natsconn.Tenant, natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator,
}

// Who may publish and subscribe what in CORE.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	services := []string{natsconn.Auth, natsconn.RBAC, natsconn.Tenant, natsconn.Audit}
	everybody := coreUsers
	none := []string{}

	publish := map[string][]string{
		"core.rbac.check":                         everybody,
		"core.audit.log":                          everybody,
		"core.nobody.x":                           none,
		"core.rbac.check.x":                       none,
		"core.events.t1.auth.key.revoked":         {natsconn.Auth},
		"core.beat.auth":                          {natsconn.Auth},
		"core.beat.rbac":                          {natsconn.RBAC},
		"core.beat.tenant":                        none,
		"core.feed.financial.t1":                  {natsconn.RBAC},
		"core.feed.financial.beat":                {natsconn.RBAC},
		"core.feed.financial":                     none,
		"core.feed.financial.t1.x":                none,
		"core.news.financial.t1":                  {natsconn.Tenant},
		"core.news.financial.all":                 {natsconn.Tenant},
		"core.news.financial":                     none,
		"core.news.financial.t1.x":                none,
		"core.trail.t1":                           {natsconn.Audit},
		"core.trail.t1.x":                         none,
		"core.dead.rbac.rbac_lifecycle":           {natsconn.RBAC},
		"core.dead.financial.x":                   none,
		"$JS.API.STREAM.MSG.DELETE.DEAD":          {natsconn.Audit, natsconn.Operator},
		"core.events.t1.rbac.policy.changed":      {natsconn.RBAC},
		"core.events.t1.tenant.tenant.changed":    {natsconn.Tenant},
		"core.events.t1.audit.checkpoint.signed":  {natsconn.Audit},
		"core.events.t1.httpbridge.x.y":           {natsconn.HTTPBridge},
		"core.audit.events.t1.tenant.created":     {natsconn.Audit},
		"m.evil.core.rbac.check":                  none,
		"m.x":                                     none,
		"_R_.abc.def":                             services,
		"_INBOX_rbac.x":                           services,
		"_INBOX_httpbridge.x":                     append([]string{natsconn.HTTPBridge}, services...),
		"_INBOX.x":                                none,
		"anything":                                none,
		"$JS.API.STREAM.INFO.EVENTS":              everybody,
		"$JS.API.STREAM.INFO.AUDIT":               {natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator},
		"$JS.API.STREAM.UPDATE.EVENTS":            append([]string{natsconn.Operator}, services...),
		"$JS.API.STREAM.CREATE.AUDIT":             {natsconn.Audit, natsconn.Operator},
		"$JS.API.STREAM.CREATE.OTHER":             {natsconn.Audit, natsconn.Operator},
		"$JS.API.STREAM.DELETE.EVENTS":            {natsconn.Operator},
		"$JS.API.STREAM.PURGE.AUDIT":              {natsconn.Operator},
		"$JS.API.STREAM.MSG.DELETE.AUDIT":         {natsconn.Operator},
		"$JS.API.CONSUMER.CREATE.EVENTS.c.core.x": everybody,
		"$JS.API.CONSUMER.MSG.NEXT.EVENTS.c":      everybody,
		"$JS.API.CONSUMER.MSG.NEXT.AUDIT.c":       {natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator},
		"$JS.API.CONSUMER.CREATE.AUDIT.c":         {natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator},
		"$JS.ACK.EVENTS.c.1.1.1.1.1":              everybody,
		"$JS.ACK.AUDIT.c.1.1.1.1.1":               {natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator},
		"$SRV.PING":                               {natsconn.HTTPBridge, natsconn.Operator},
		// Nobody takes, hides or drops what audit has still to read.
		"$JS.API.CONSUMER.DELETE.EVENTS.audit_ingest":         {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.PAUSE.EVENTS.audit_ingest":          {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.CREATE.EVENTS.audit_ingest.core.x":  {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.MSG.NEXT.EVENTS.audit_ingest":       {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.audit_ingest": {natsconn.Audit, natsconn.Operator},
		"$JS.ACK.EVENTS.audit_ingest.1.1.1.1.1":               {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.DELETE.EVENTS.audit_webhooks":       {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.MSG.NEXT.EVENTS.audit_webhooks":     {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.CREATE.EVENTS.audit_webhooks.x":     {natsconn.Audit, natsconn.Operator},
		"$JS.ACK.EVENTS.audit_webhooks.1.1.1.1.1":             {natsconn.Audit, natsconn.Operator},
		"$JS.API.CONSUMER.DELETE.AUDIT.audit_ingest":          {natsconn.Audit, natsconn.Operator},
		"$JS.ACK.AUDIT.audit_ingest.1.1.1.1.1":                {natsconn.Audit, natsconn.Operator},
		"$SYS.REQ.SERVER.PING":                                none,
		"$SYS.REQ.USER.AUTH":                                  none,
		"$SYS.REQ.SERVER.N.KICK":                              none,
		"$SYS.REQ.ACCOUNT.CORE.CONNZ":                         none,
		"$JS.API.STREAM.SNAPSHOT.AUDIT":                       {natsconn.Operator},
		"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.dur":          everybody,
	}
	subscribe := map[string][]string{
		"core.rbac.check":        {natsconn.RBAC},
		"core.rbac.*":            {natsconn.RBAC},
		"m.*.core.rbac.check":    {natsconn.RBAC},
		"m.evil.core.rbac.check": {natsconn.RBAC},
		"core.auth.*":            {natsconn.Auth},
		"m.*.core.audit.*":       {natsconn.Audit},
		"core.*.*":               none,
		"core.>":                 none,
		"m.>":                    none,
		">":                      none,
		"_INBOX.>":               none,
		"_INBOX_rbac.>":          {natsconn.RBAC},
		"_INBOX_httpbridge.>":    {natsconn.HTTPBridge},
		"_R_.>":                  none,
		"core.events.>":          everybody,
		"core.beat.auth":         append([]string{natsconn.HTTPBridge}, services...),
		"core.beat.rbac":         {natsconn.RBAC},
		"core.beat.*":            none,
		"core.feed.*.*":          {natsconn.HTTPBridge},
		"core.feed.financial.*":  {natsconn.HTTPBridge},
		"core.feed.>":            none,
		"core.news.*.*":          {natsconn.HTTPBridge},
		"core.news.financial.*":  {natsconn.HTTPBridge},
		"core.news.>":            none,
		"core.trail.*":           {natsconn.HTTPBridge},
		"core.trail.t1":          {natsconn.HTTPBridge},
		"core.audit.events.>":    {natsconn.Audit},
		"$SRV.PING":              append([]string{natsconn.HTTPBridge}, services...),
		"$SRV.PING.rbac.id":      {natsconn.RBAC},
		"$SRV.>":                 none,
		"$SRV.*":                 none,
		"$JS.>":                  none,
		"$SYS.>":                 none,
	}
	for _, user := range coreUsers {
		nc := connect(t, s, dir, user)
		for subject, allowed := range publish {
			assert.Equal(t, slices.Contains(allowed, user), mayPublish(t, nc, subject), "%s publishes %s", user, subject)
		}
		for subject, allowed := range subscribe {
			assert.Equal(t, slices.Contains(allowed, user), maySubscribe(t, nc, subject), "%s subscribes %s", user, subject)
		}
	}
}

func TestSystemAndCalloutUsersDoTheirOneThing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	system, callout := connect(t, s, dir, natsconn.System), connect(t, s, dir, natsconn.Callout)
	for subject, allowed := range map[string]*nats.Conn{
		"$SYS.REQ.SERVER.PING.CONNZ": system, "$SYS.REQ.SERVER.N.KICK": system, "$SYS._INBOX.a.b": callout,
		"$SYS.REQ.SERVER.N.RELOAD": nil, "$SYS.REQ.SERVER.PING.CONFIG": nil, "$SYS.REQ.ACCOUNT.CORE.CONNZ": nil,
		"$SYS.REQ.USER.AUTH": nil, "core.rbac.check": nil, "$JS.API.INFO": nil,
	} {
		for _, nc := range []*nats.Conn{system, callout} {
			assert.Equal(t, nc == allowed, mayPublish(t, nc, subject), "%s publishes %s", nc.Opts.Name, subject)
		}
	}
	for subject, allowed := range map[string]*nats.Conn{
		"_INBOX_system.>": system, "$SYS.REQ.USER.AUTH": callout, "$SYS.>": nil, ">": nil, "$SYS._INBOX.>": nil,
		"$SYS.ACCOUNT.MODULES.DISCONNECT": system, "$SYS.ACCOUNT.$G.DISCONNECT": system, "$SYS.ACCOUNT.CLIENT.AUTH.ERR": callout,
		"$SYS.ACCOUNT.CORE.DISCONNECT": nil, "$SYS.ACCOUNT.>": nil, "$SYS.SERVER.>": nil,
	} {
		for _, nc := range []*nats.Conn{system, callout} {
			assert.Equal(t, nc == allowed, maySubscribe(t, nc, subject), "%s subscribes %s", nc.Opts.Name, subject)
		}
	}
}

// The permissions are enough for what each user has to do with JetStream.
func TestUsersReadAndWriteTheirStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	streams := func(user string, names ...string) jetstream.JetStream {
		js, err := jetstream.New(connect(t, s, dir, user))
		require.NoError(t, err)
		for _, name := range names {
			subject := map[string]string{"EVENTS": "core.events.>", "AUDIT": "core.audit.events.>"}[name]
			_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}})
			require.NoError(t, err, user)
		}
		return js
	}
	audit := streams(natsconn.Audit, "EVENTS", "AUDIT")
	for _, user := range []string{natsconn.Auth, natsconn.RBAC, natsconn.Tenant, natsconn.Audit} {
		_, err := streams(user, "EVENTS").Publish(ctx, "core.events.t1."+user+".x.changed", []byte(user))
		require.NoError(t, err, user)
	}
	_, err := audit.Publish(ctx, "core.audit.events.t1.tenant.created", []byte("audit"))
	require.NoError(t, err)

	for _, user := range coreUsers {
		js := streams(user)
		read(ctx, t, js, "EVENTS", user)
		if user == natsconn.Audit || user == natsconn.HTTPBridge {
			read(ctx, t, js, "AUDIT", user)
		}
	}
}

// read reads the stream's first message by an ordered and by a durable
// consumer, which it removes.
func read(ctx context.Context, t *testing.T, js jetstream.JetStream, name, user string) {
	t.Helper()
	stream, err := js.Stream(ctx, name)
	require.NoError(t, err, user)
	ordered, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err, user)
	_, err = ordered.Next(jetstream.FetchContext(ctx))
	require.NoError(t, err, user)

	durable, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: user, AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err, user)
	msg, err := durable.Next(jetstream.FetchContext(ctx))
	require.NoError(t, err, user)
	require.NoError(t, msg.DoubleAck(ctx), user)
	require.NoError(t, stream.DeleteConsumer(ctx, user), user)
}

// A literal service import, or one more export, lets a chosen reply subject lead
// further than the callout's hostile tests go.
func TestModulesImportTheirOperationsStreamsAndSubscriptionsAndNothingElse(t *testing.T) {
	t.Parallel()
	conf := string(deploy.NATSConfig)
	_, modules, found := strings.Cut(conf, "\n  MODULES {")
	require.True(t, found)
	assert.Equal(t, 6, strings.Count(modules, "account:"))
	assert.Contains(t, modules, `{ service: { account: CORE, subject: "m.*.core.>" } }`)
	assert.Contains(t, modules, `{ stream: { account: CORE, subject: "core.feed.*.*" } }`)
	assert.Contains(t, modules, `{ stream: { account: CORE, subject: "core.news.*.*" } }`)
	for _, call := range []string{"CONSUMER.INFO", "CONSUMER.MSG.NEXT"} {
		assert.Contains(t, modules, `{ service: { account: CORE, subject: "$JS.API.`+call+`.GRANTED.*" }, to: "CORE.API.`+call+`.GRANTED.*" }`)
	}
	assert.Contains(t, modules, `{ service: { account: CORE, subject: "$JS.ACK.GRANTED.>" } }`)
	assert.Equal(t, 1, strings.Count(conf, "exports:"))
	assert.Equal(t, 6, strings.Count(conf, "accounts: [MODULES]"))
	for line := range strings.Lines(conf) {
		code, _, _ := strings.Cut(line, "# ")
		if !strings.HasPrefix(strings.TrimSpace(code), "#") {
			assert.NotContains(t, code, "allow_responses")
		}
	}
}
