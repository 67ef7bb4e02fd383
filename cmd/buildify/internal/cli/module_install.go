package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// installCommands are about the modules that a tenant has.
func installCommands() []*cobra.Command {
	return []*cobra.Command{
		installedCommand(), planCommand(), installCommand(), versionCommand(), consentCommand(), uninstallCommand(),
		switchCommand("enable", "Enable an installed module", contract.EnableModule),
		switchCommand("disable", "Disable an installed module; nothing of it is lost", contract.DisableModule),
	}
}

func installedCommand() *cobra.Command {
	var p policy
	cmd := &cobra.Command{
		Use: "installed", Short: "List the modules that a tenant has", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				list, err := kit.Call(ctx, client, contract.ListInstalled, &contract.ListInstalledRequest{TenantID: p.tenantID()})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), list.Items, func(out io.Writer) {
					fmt.Fprintln(out, "MODULE\tVERSION\tFOLLOWS\tSTATE\tUPDATE\tDORMANT SCOPES")
					for _, m := range list.Items {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Module, m.Version, cmp.Or(m.Range, "-"), m.State, cmp.Or(m.Update, "-"), scopeNames(m.Dormant))
					}
				})
			})
		},
	}
	p.flags(cmd)
	return cmd
}

func scopeNames(asked []contract.Asked) string {
	names := make([]string, len(asked))
	for i, a := range asked {
		names[i] = a.Scope
	}
	return cmp.Or(strings.Join(names, ", "), "-")
}

func planCommand() *cobra.Command {
	var p policy
	var request contract.PlanInstallRequest
	cmd := &cobra.Command{
		Use: "plan MODULE", Short: "Show what installing a module, or changing its version, would mean", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.ModuleName = p.tenantID(), args[0]
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				plan, err := kit.Call(ctx, client, contract.PlanInstall, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), plan, func(out io.Writer) { planText(out, plan) })
			})
		},
	}
	cmd.Flags().StringVar(&request.Version, "version", "", "a version, or a range such as ^1.2; the latest without")
	p.flags(cmd)
	return cmd
}

func planText(out io.Writer, plan *contract.InstallPlan) {
	fmt.Fprintf(out, "%s\t%s\t%s\n", plan.Module, plan.Version, plan.Name)
	for _, d := range plan.Requires {
		fmt.Fprintf(out, "needs\t%s %s\t%s %s\n", d.Module, d.Range, d.Action, d.Version)
		scopesText(out, d.New)
	}
	scopesText(out, plan.New)
	for _, p := range plan.Permissions {
		fmt.Fprintf(out, "permission\t%s\t%s (%s)\n", p.Code, p.Title, cmp.Or(p.Risk, "low"))
	}
	for _, host := range plan.Egress {
		fmt.Fprintf(out, "talks to\t%s\t\n", host)
	}
}

func scopesText(out io.Writer, asked []contract.Asked) {
	for _, a := range asked {
		kind := "asks for"
		if a.Optional {
			kind = "would like"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", kind, a.Scope, a.Reason)
	}
}

func installCommand() *cobra.Command {
	var p policy
	var request contract.InstallModuleRequest
	var roles []string
	var settings string
	cmd := &cobra.Command{
		Use: "install MODULE", Short: "Install a module in a tenant and enable it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.ModuleName = p.tenantID(), args[0]
			if request.Consent == nil {
				request.Consent = []string{}
			}
			if settings != "" {
				text, err := os.ReadFile(settings)
				if err != nil {
					return err
				}
				if request.Settings = text; !json.Valid(text) {
					return fmt.Errorf("--settings %s: is not JSON", settings)
				}
			}
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				for _, name := range roles {
					id, err := p.role(ctx, client, name)
					if err != nil {
						return err
					}
					request.Roles = append(request.Roles, contract.RoleGrant{RoleID: string(id)})
				}
				made, err := kit.Call(ctx, client, contract.InstallModule, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, installedText(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Version, "version", "", "a version to be pinned to, or a range to follow; without, the latest and what is compatible with it")
	fs.StringSliceVar(&request.Consent, "consent", nil, "scopes that the tenant consents to; `buildify module plan` lists them")
	fs.StringSliceVar(&roles, "role", nil, "roles, by name or id, that get the module's permissions")
	fs.StringVar(&settings, "settings", "", "JSON file with the module's settings")
	fs.BoolVar(&request.Dependencies, "dependencies", false, "install, upgrade and enable what it needs too")
	p.flags(cmd)
	return cmd
}

func installedText(m *contract.InstalledModule) func(io.Writer) {
	return func(out io.Writer) {
		for _, row := range [][2]string{
			{"module", m.Module}, {"version", m.Version}, {"follows", cmp.Or(m.Range, "-")}, {"state", m.State},
			{"scopes", cmp.Or(strings.Join(m.Scopes, ", "), "-")}, {"dormant", scopeNames(m.Dormant)}, {"revision", fmt.Sprint(m.Revision)},
		} {
			fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
		}
	}
}

// changed is a command that changes an installed module.
func changed(use, short string, flags func(*cobra.Command),
	call func(context.Context, *kit.Client, contract.ID, string) (*contract.InstalledModule, error),
) *cobra.Command {
	var p policy
	cmd := &cobra.Command{
		Use: use + " MODULE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				m, err := call(ctx, client, p.tenantID(), args[0])
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), m, installedText(m))
			})
		},
	}
	if flags != nil {
		flags(cmd)
	}
	p.flags(cmd)
	return cmd
}

func switchCommand(use, short string, op contract.Operation[contract.ChangeModule, contract.InstalledModule]) *cobra.Command {
	return changed(use, short, nil, func(ctx context.Context, client *kit.Client, tenant contract.ID, module string) (*contract.InstalledModule, error) {
		return kit.Call(ctx, client, op, &contract.ChangeModule{TenantID: tenant, ModuleName: module})
	})
}

func versionCommand() *cobra.Command {
	var request contract.ChangeModuleVersionRequest
	return changed("version", "Change the version of an installed module, up or down", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&request.Version, "to", "", "a version to be pinned to, or a range to follow such as ^1.2")
		cmd.Flags().StringSliceVar(&request.Consent, "consent", nil, "further scopes that the tenant consents to")
		_ = cmd.MarkFlagRequired("to") // it is there
	}, func(ctx context.Context, client *kit.Client, tenant contract.ID, module string) (*contract.InstalledModule, error) {
		request.TenantID, request.ModuleName = tenant, module
		return kit.Call(ctx, client, contract.ChangeModuleVersion, &request)
	})
}

func consentCommand() *cobra.Command {
	request := contract.ConsentModuleRequest{Scopes: []string{}}
	return changed("consent", "Say which scopes of an installed module the tenant consents to", func(cmd *cobra.Command) {
		cmd.Flags().StringSliceVar(&request.Scopes, "scopes", []string{}, "all scopes consented to from now on")
	}, func(ctx context.Context, client *kit.Client, tenant contract.ID, module string) (*contract.InstalledModule, error) {
		request.TenantID, request.ModuleName = tenant, module
		return kit.Call(ctx, client, contract.ConsentModule, &request)
	})
}

func uninstallCommand() *cobra.Command {
	var p policy
	var request contract.UninstallModuleRequest
	cmd := &cobra.Command{
		Use: "uninstall MODULE", Short: "Uninstall a module from a tenant; its data is kept unless asked otherwise", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.ModuleName = p.tenantID(), args[0]
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				_, err := kit.Call(ctx, client, contract.UninstallModule, &request)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&request.EraseData, "erase-data", false, "erase its settings, and tell it to erase its data of the tenant")
	p.flags(cmd)
	return cmd
}
