package tenant

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// Command runs the service as a process of its own.
func Command() *cobra.Command {
	return process.Command(process.Spec{
		Name: Name, Short: "Run service tenant: it owns tenants and the modules they enable", Database: true,
		New: func(_ context.Context, env *process.Env) (kit.Service, error) { return New(env.Deps), nil },
	})
}
