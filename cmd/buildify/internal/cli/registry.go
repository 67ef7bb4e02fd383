package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// registryCommands are about the versions of modules on their way to tenants.
func registryCommands() []*cobra.Command {
	return []*cobra.Command{
		pushCommand(), submitCommand(), reviewsCommand(), fetchCommand(), reviewCommand(), publishCommand(), deprecateCommand(),
		deleteVersionCommand(), visibilityCommand(), suspendCommand(), resumeCommand(), catalogueCommand(), versionsCommand(), showModuleCommand(),
	}
}

// publishing is a policy whose tenant need not be named: without one the
// operator acts for the module's publisher.
type publishing struct{ policy }

func (p *publishing) flags(cmd *cobra.Command, tenant string) {
	cmd.Flags().StringVar(&p.tenant, "tenant", "", tenant)
	p.printer.flags(cmd)
	p.operator.flags(cmd)
}

const publisher = "id of the tenant that publishes the module (default whoever does)"

// ofVersion is a command about one version that answers with what it is then.
func ofVersion(use, short string, flags func(*cobra.Command),
	call func(context.Context, *kit.Client, contract.VersionRequest) (*contract.ModuleVersion, error),
) *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use: use + " MODULE VERSION", Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				v, err := call(ctx, client, contract.VersionRequest{TenantID: p.tenantID(), ModuleName: args[0], Version: args[1]})
				if v == nil {
					return err
				}
				return errors.Join(p.print(cmd.OutOrStdout(), v, versionText(v)), err)
			})
		},
	}
	if flags != nil {
		flags(cmd)
	}
	p.flags(cmd, publisher)
	return cmd
}

func versionText(v *contract.ModuleVersion) func(io.Writer) {
	return func(out io.Writer) {
		by := ""
		if v.Automatic {
			by = "nobody: it asks for nothing new"
		}
		for _, row := range [][2]string{
			{"module", v.Module}, {"version", v.Version}, {"state", v.State}, {"suspended", v.Suspended}, {"rollout", rolloutText(v.Rollout)},
			{"asks for", strings.Join(v.Asks, "\n\t")}, {"submitted", at(v.SubmittedBy, when(v.SubmittedAt, ""))},
			{"decided", at(cmp.Or(by, v.DecidedBy), when(v.DecidedAt, ""))}, {"comment", v.Comment}, {"published", when(v.PublishedAt, "")},
			{"files", filesText(v)}, {"revision", fmt.Sprint(v.Revision)},
		} {
			if row[1] != "" {
				fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
			}
		}
		findingsText(out, v.Findings)
	}
}

func at(who, when string) string {
	if when == "" {
		return ""
	}
	return when + ", by " + who
}

func rolloutText(r *contract.Rollout) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%d%% of the tenants, and %d by name", r.Percent, len(r.TenantIDs))
}

func filesText(v *contract.ModuleVersion) string {
	if len(v.Files) == 0 {
		return ""
	}
	var size int64
	for _, f := range v.Files {
		size += f.Size
	}
	text := fmt.Sprintf("%d, %d bytes", len(v.Files), size)
	if len(v.Missing) > 0 {
		text += fmt.Sprintf("; %d not uploaded yet", len(v.Missing))
	}
	return text
}

func findingsText(out io.Writer, findings []contract.Finding) {
	for _, f := range findings {
		place := f.Path
		if f.Line > 0 {
			place = strings.TrimPrefix(fmt.Sprintf("%s:%d:%d", f.Path, f.Line, f.Column), ":")
		}
		fmt.Fprintf(out, "%s\t%s [%s]\n\t%s\n", f.Severity, place, f.Code, f.Message)
	}
}

func submitCommand() *cobra.Command {
	var request contract.ChangeVersionRequest
	return ofVersion("submit", "Have a draft checked and submit it for review", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&request.Comment, "comment", "", "for the reviewer")
	}, func(ctx context.Context, client *kit.Client, which contract.VersionRequest) (*contract.ModuleVersion, error) {
		request.TenantID, request.ModuleName, request.Version = which.TenantID, which.ModuleName, which.Version
		v, err := kit.Call(ctx, client, contract.SubmitVersion, &request)
		if err == nil && v.State == "draft" {
			err = errors.New("it has errors, and stays a draft")
		}
		return v, err
	})
}

func publishCommand() *cobra.Command {
	var percent int
	var tenants []string
	return ofVersion("publish", "Publish an approved version, or change who gets a published one", func(cmd *cobra.Command) {
		cmd.Flags().IntVar(&percent, "percent", -1, "of the tenants that get it; raising it takes nobody out (default all, or with --to none)")
		cmd.Flags().StringSliceVar(&tenants, "to", nil, "ids of tenants that get it in any case")
		cmd.Flags().Lookup("percent").DefValue = "0" // so that help shows none
	}, func(ctx context.Context, client *kit.Client, which contract.VersionRequest) (*contract.ModuleVersion, error) {
		request := contract.PublishVersionRequest{TenantID: which.TenantID, ModuleName: which.ModuleName, Version: which.Version}
		if percent >= 0 || len(tenants) > 0 {
			request.Rollout = &contract.Rollout{Percent: max(percent, 0), TenantIDs: tenants}
		}
		return kit.Call(ctx, client, contract.PublishVersion, &request)
	})
}

func deprecateCommand() *cobra.Command {
	var request contract.ChangeVersionRequest
	return ofVersion("deprecate", "Have nobody install a version anew; who has it keeps it", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&request.Comment, "comment", "", "why, for who has it")
	}, func(ctx context.Context, client *kit.Client, which contract.VersionRequest) (*contract.ModuleVersion, error) {
		request.TenantID, request.ModuleName, request.Version = which.TenantID, which.ModuleName, which.Version
		return kit.Call(ctx, client, contract.DeprecateVersion, &request)
	})
}

func deleteVersionCommand() *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use: "delete MODULE VERSION", Short: "Delete a version that was never approved", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				_, err := kit.Call(ctx, client, contract.DeleteVersion, &contract.VersionRequest{TenantID: p.tenantID(), ModuleName: args[0], Version: args[1]})
				return err
			})
		},
	}
	p.flags(cmd, publisher)
	return cmd
}

func visibilityCommand() *cobra.Command {
	var p publishing
	var request contract.SetVisibilityRequest
	cmd := &cobra.Command{
		Use: "visibility MODULE all|hidden|allow_list", Short: "Say which tenants may install a module", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.ModuleName, request.Visibility = p.tenantID(), args[0], args[1]
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				m, err := kit.Call(ctx, client, contract.SetVisibility, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), m, moduleText(m))
			})
		},
	}
	cmd.Flags().StringSliceVar(&request.TenantIDs, "to", nil, "with allow_list, ids of the tenants that may")
	p.flags(cmd, publisher)
	return cmd
}

func moduleText(m *contract.RegisteredModule) func(io.Writer) {
	return func(out io.Writer) {
		for _, row := range [][2]string{
			{"module", m.ID}, {"name", m.Name}, {"category", cmp.Or(m.Category, "-")}, {"publisher", m.OwnerID}, {"visibility", m.Visibility},
			{"tenants", strings.Join(m.TenantIDs, ", ")}, {"suspended", m.Suspended}, {"latest", cmp.Or(m.Latest, "-")}, {"revision", fmt.Sprint(m.Revision)},
		} {
			if row[1] != "" {
				fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
			}
		}
	}
}

func catalogueCommand() *cobra.Command {
	var p publishing
	var request contract.SearchModulesRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List the modules of the registry; with --tenant what that tenant may install, has or owns", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID, request.Limit = p.tenantID(), 500
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				modules := []contract.RegisteredModule{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.SearchModules, &request)
					if err != nil {
						return err
					}
					modules, request.Cursor = append(modules, page.Items...), page.NextCursor
				}
				return p.print(cmd.OutOrStdout(), modules, func(out io.Writer) {
					fmt.Fprintln(out, "MODULE\tNAME\tCATEGORY\tLATEST\tVISIBILITY\tSUSPENDED\tPUBLISHER")
					for _, m := range modules {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Name, cmp.Or(m.Category, "-"), cmp.Or(m.Latest, "-"),
							m.Visibility, cmp.Or(m.Suspended, "-"), m.OwnerID)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Search, "search", "", "part of an id or name")
	cmd.Flags().StringVar(&request.Category, "category", "", "only modules of this category")
	cmd.Flags().BoolVar(&request.Owned, "owned", false, "only those that the tenant publishes")
	p.flags(cmd, "id of the tenant that looks (default the platform, which sees all)")
	return cmd
}

func versionsCommand() *cobra.Command {
	var p publishing
	var request contract.ListVersionsRequest
	cmd := &cobra.Command{
		Use: "versions MODULE", Short: "List the versions of a module, the highest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.ModuleName = p.tenantID(), args[0]
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				list, err := kit.Call(ctx, client, contract.ListVersions, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), list.Items, versionList(list.Items))
			})
		},
	}
	cmd.Flags().StringVar(&request.State, "state", "", "only those that are draft, submitted, approved, rejected, published or deprecated")
	p.flags(cmd, "id of the tenant that looks (default the platform, which sees all)")
	return cmd
}

func versionList(versions []contract.ModuleVersion) func(io.Writer) {
	return func(out io.Writer) {
		fmt.Fprintln(out, "MODULE\tVERSION\tSTATE\tSUSPENDED\tSUBMITTED\tFINDINGS\tASKS FOR\tREVISION")
		for _, v := range versions {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", v.Module, v.Version, v.State, cmp.Or(v.Suspended, "-"), when(v.SubmittedAt, "-"),
				severities(v.Findings), cmp.Or(strings.Join(v.Asks, ", "), "-"), v.Revision)
		}
	}
}

// severities counts findings.
func severities(findings []contract.Finding) string {
	counts := map[string]int{}
	for _, f := range findings {
		counts[f.Severity]++
	}
	var all []string
	for _, severity := range []string{"error", "warning", "info"} {
		if counts[severity] > 0 {
			all = append(all, fmt.Sprintf("%d %s", counts[severity], severity))
		}
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

func showModuleCommand() *cobra.Command {
	var p publishing
	var files bool
	cmd := &cobra.Command{
		Use: "show MODULE [VERSION]", Short: "Show a module, or one of its versions with its findings", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				if len(args) == 1 {
					m, err := kit.Call(ctx, client, contract.GetRegisteredModule, &contract.ModuleRequest{TenantID: p.tenantID(), ModuleName: args[0]})
					if err != nil {
						return err
					}
					return p.print(cmd.OutOrStdout(), m, moduleText(m))
				}
				v, err := kit.Call(ctx, client, contract.GetVersion, &contract.VersionRequest{TenantID: p.tenantID(), ModuleName: args[0], Version: args[1]})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), v, func(out io.Writer) {
					versionText(v)(out)
					for _, f := range v.Files {
						if files {
							fmt.Fprintf(out, "%s\t%d\t%s\t%s\n", f.Path, f.Size, f.Type, f.SHA384)
						}
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&files, "files", false, "list the files of the bundle too")
	p.flags(cmd, "id of the tenant that looks (default the platform, which sees all)")
	return cmd
}
