package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func reviewsCommand() *cobra.Command {
	var op operator
	var p printer
	cmd := &cobra.Command{
		Use: "reviews", Short: "List what waits for a reviewer, the longest waiting first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				list, err := kit.Call(ctx, client, contract.ListReviews, &contract.ListReviewsRequest{Limit: 500})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), list.Items, versionList(list.Items))
			})
		},
	}
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func reviewCommand() *cobra.Command {
	var op operator
	var p printer
	var request contract.ReviewVersionRequest
	var approve, reject bool
	cmd := &cobra.Command{
		Use: "review MODULE VERSION --approve|--reject", Short: "Decide about a submitted version; the audit trail keeps who did", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.ModuleName, request.Version, request.Decision = args[0], args[1], "approve"
			if reject {
				if request.Decision = "reject"; request.Comment == "" {
					return errors.New("--comment is required to reject: say what the publisher is to mend")
				}
			}
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				v, err := kit.Call(ctx, client, contract.ReviewVersion, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), v, versionText(v))
			})
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&approve, "approve", false, "it may be published")
	fs.BoolVar(&reject, "reject", false, "it goes back to its publisher")
	fs.StringVar(&request.Comment, "comment", "", "for the publisher")
	fs.Int64Var(&request.Revision, "revision", 0, "the revision that was looked at, as show and fetch print it: another one is a conflict")
	cmd.MarkFlagsOneRequired("approve", "reject")
	cmd.MarkFlagsMutuallyExclusive("approve", "reject")
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func fetchCommand() *cobra.Command {
	var op operator
	cmd := &cobra.Command{
		Use: "fetch MODULE VERSION DIRECTORY", Short: "Write a version's manifest and the files of its bundle into a directory, to look at them", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return op.within(cmd.Context(), 10*time.Minute, func(ctx context.Context, client *kit.Client) error {
				v, err := kit.Call(ctx, client, contract.GetVersion, &contract.VersionRequest{ModuleName: args[0], Version: args[1]})
				if err != nil {
					return err
				}
				if err := fetch(ctx, client, v, args[2]); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s, which is %s, at revision %d: %d files in %s\n", v.Module, v.Version, v.State, v.Revision, len(v.Files), args[2])
				return err
			})
		},
	}
	op.flags(cmd)
	return cmd
}

// fetch writes a version into a new directory. The paths of files are the
// publisher's: none leaves the directory.
func fetch(ctx context.Context, client *kit.Client, v *contract.ModuleVersion, directory string) error {
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return err
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return err
	}
	defer root.Close()
	write := func(path string, content []byte) error {
		if err := root.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		file, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		return errors.Join(err, file.Close())
	}
	if err := write("manifest.json", v.Manifest); err != nil {
		return err
	}
	for _, f := range v.Files {
		content, err := fetchFile(ctx, client, v, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if err := write(filepath.Join("bundle", filepath.FromSlash(f.Path)), content); err != nil {
			return err
		}
	}
	return nil
}

func fetchFile(ctx context.Context, client *kit.Client, v *contract.ModuleVersion, f contract.VersionFile) ([]byte, error) {
	content := make([]byte, 0, f.Size)
	for int64(len(content)) < f.Size {
		part, err := kit.Call(ctx, client, contract.GetAsset, &contract.GetAssetRequest{
			ModuleName: v.Module, Version: v.Version, Path: f.Path, Offset: int64(len(content)), Review: true,
		})
		if err != nil {
			return nil, err
		}
		if len(part.Data) == 0 || part.File != f {
			return nil, errors.New("it was changed meanwhile; fetch again")
		}
		content = append(content, part.Data...)
	}
	if digestOf(content) != f.SHA384 {
		return nil, errors.New("its bytes are not of its digest")
	}
	return content, nil
}

func suspendCommand() *cobra.Command {
	var reason string
	return killSwitch("suspend", "Stop a module, or one version of it, everywhere and at once", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
		_ = cmd.MarkFlagRequired("reason") // it is there
	}, &reason)
}

func resumeCommand() *cobra.Command {
	return killSwitch("resume", "End the suspension of a module, or of one version", nil, new(string))
}

func killSwitch(use, short string, flags func(*cobra.Command), reason *string) *cobra.Command {
	var op operator
	var p printer
	var version string
	cmd := &cobra.Command{
		Use: use + " MODULE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				if version == "" {
					m, err := kit.Call(ctx, client, contract.SuspendModule, &contract.SuspendModuleRequest{ModuleName: args[0], Reason: *reason})
					if err != nil {
						return err
					}
					return p.print(cmd.OutOrStdout(), m, moduleText(m))
				}
				v, err := kit.Call(ctx, client, contract.SuspendVersion, &contract.SuspendVersionRequest{ModuleName: args[0], Version: version, Reason: *reason})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), v, versionText(v))
			})
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "only this version")
	if flags != nil {
		flags(cmd)
	}
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}
