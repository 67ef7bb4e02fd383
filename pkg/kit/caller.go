package kit

import "context"

// Caller is who a handler answers, as far as it may ask.
type Caller struct {
	Principal Principal
	User      User
	Client    ClientInfo
}

// WithCaller returns the context that a Server gives to the handler of a
// caller's request. It is for those who call a handler themselves and vouch for
// the caller, tests above all: nothing is verified here.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callKey{}, &call{principal: c.Principal, user: c.User, client: c.Client})
}
