// Package sdk connects a module to Buildify Core: it verifies users, decides
// permissions, reads tenants and records audit events.
//
// Set CORE_API_KEY and either CORE_API_URL (HTTP) or CORE_NATS_URL (bus), then:
//
//	client, err := sdk.NewFromEnv(ctx)
//	if err != nil {
//		return err // names the variable to set
//	}
//	defer client.Close()
//
//	user := sdk.RequireUser(client)
//	read := sdk.RequirePermission("financial:accounts:read")
//	mux.Handle("GET /accounts", user(read(http.HandlerFunc(listAccounts))))
//
// A handler behind them knows who asks, and does everything in the name of
// that user's tenant:
//
//	user, _ := sdk.UserFrom(r.Context())
//	accounts := store.Accounts(user.TenantID)
//
// What a user changed is recorded with [Client.LogAudit].
//
// Both transports behave alike. Errors have kinds, told apart with errors.Is
// ([ErrNotFound], [ErrUnavailable], …), and details for errors.As ([Error]).
// Calls stop when their context ends; without a deadline they have the
// operation's own. Reads and decisions are repeated when the core is away for
// a moment, mutations never.
//
// A trace in the context (OpenTelemetry) is continued by the core.
package sdk
