package audit

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// Command runs the service as a process of its own.
func Command() *cobra.Command {
	var secret process.SecretFile
	var webhooks WebhooksConfig
	var retention Days
	var proofs ProofsConfig
	return process.Command(process.Spec{
		Name: Name, Short: "Run service audit: it records what happened and gives it out", Database: true,
		Flags: func(fs *pflag.FlagSet) {
			secret.Flag(fs)
			webhooks.Flags(fs)
			proofs.Flags(fs)
			retention.RetentionFlag(fs)
		},
		New: func(_ context.Context, env *process.Env) (kit.Service, error) {
			read, err := secret.Read()
			if err != nil {
				return nil, err
			}
			return New(env.Deps, Config{Secret: read, Webhooks: webhooks, Proofs: proofs, Retention: retention}), nil
		},
	})
}
