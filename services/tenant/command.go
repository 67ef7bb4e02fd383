package tenant

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// Command runs the service as a process of its own.
func Command() *cobra.Command {
	var secret process.SecretFile
	return process.Command(process.Spec{
		Name: Name, Short: "Run service tenant: it owns tenants, their organisation, modules, menus and settings", Database: true,
		Flags: secret.Flag,
		New: func(_ context.Context, env *process.Env) (kit.Service, error) {
			read, err := secret.Read()
			if err != nil {
				return nil, err
			}
			return New(env.Deps, Config{Secret: read}), nil
		},
	})
}
