package httpbridge

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// Command runs the bridge as a process of its own.
func Command() *cobra.Command {
	var cfg Config
	return process.Command(process.Spec{
		Name: Name, Short: "Run the bridge: it serves the REST Core API, the only thing the outside reaches",
		Flags: func(fs *pflag.FlagSet) {
			fs.StringVar(&cfg.Address, "http", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
			fs.StringSliceVar(&cfg.TrustedProxies, "trusted-proxies", nil, "networks of the proxies in front, such as 10.0.0.0/8, comma-separated: what they say in X-Forwarded-For or Forwarded is believed")
		},
		New: func(_ context.Context, env *process.Env) (kit.Service, error) { return New(env.Deps, cfg), nil },
	})
}
