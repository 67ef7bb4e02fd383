package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func signingKeysCommand() *cobra.Command {
	cmd := group("signing-keys", "The keys that sign people's access tokens")
	cmd.AddCommand(rotateSigningKeyCommand())
	return cmd
}

func rotateSigningKeyCommand() *cobra.Command {
	var op operator
	var request contract.RotateSigningKeyRequest
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make a new signing key now; tokens of the old one stay valid until they expire", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.RotateSigningKey, &request)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), made.KeyID)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&request.Compromised, "compromised", false, "refuse every token of the old keys at once; people's clients refresh")
	op.flags(cmd)
	return cmd
}
