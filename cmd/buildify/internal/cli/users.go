package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func usersCommand() *cobra.Command {
	cmd := group("users", "Make people's accounts, the first platform administrator's above all")
	cmd.AddCommand(createUserCommand())
	return cmd
}

func createUserCommand() *cobra.Command {
	var op operator
	var request contract.CreateUserRequest
	var tenant string
	var passwordFromStdin bool
	cmd := &cobra.Command{
		Use: "create", Short: "Create a user; without a password they are invited by e-mail to set one", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID = contract.ID(tenant)
			if passwordFromStdin {
				line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if request.Password = strings.TrimRight(line, "\r\n"); request.Password == "" {
					return fmt.Errorf("--password-stdin: no password on standard input (%w)", err)
				}
			}
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				user, err := kit.Call(ctx, client, contract.CreateUser, &request)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s (%s)\n", user.ID, user.Email, user.Status)
				return nil
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Email, "email", "", "the person's e-mail address")
	fs.StringVar(&request.Name, "name", "", "the person's name")
	fs.StringVar(&tenant, "tenant", "", "id of the home tenant")
	fs.BoolVar(&request.Platform, "platform", false, "make a platform administrator, who has no home tenant and may do everything")
	fs.BoolVar(&passwordFromStdin, "password-stdin", false, "read the password from the first line of standard input")
	_ = cmd.MarkFlagRequired("email") // it is there
	cmd.MarkFlagsOneRequired("tenant", "platform")
	cmd.MarkFlagsMutuallyExclusive("tenant", "platform")
	op.flags(cmd)
	return cmd
}
