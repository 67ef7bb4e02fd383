package rbac

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// Command runs the service as a process of its own.
func Command() *cobra.Command {
	var cfg Config
	return process.Command(process.Spec{
		Name: Name, Short: "Run service rbac: it owns roles, groups and bindings, and decides", Database: true,
		Flags: func(fs *pflag.FlagSet) {
			fs.IntVar(&cfg.CacheTenants, "policy-cache-tenants", 0, "how many tenants' policies stay in memory while nobody asks about them; 0 is all")
		},
		New: func(_ context.Context, env *process.Env) (kit.Service, error) { return New(env.Deps, cfg), nil },
	})
}
