package cli

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
)

func pushCommand() *cobra.Command {
	var p publishing
	var hash bool
	cmd := &cobra.Command{
		Use: "push <directory|manifest.json>", Short: "Put a version into the registry as a draft, with the files of its bundle", Args: cobra.ExactArgs(1),
		Long: `Put a version into the registry as a draft, with the files of its bundle, which
stand beside the manifest. What is uploaded already is not uploaded again.

With --hash the manifest's bundle.files are first made anew from the files that
are there, all but manifest.json and those whose names begin with a dot.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := manifestFile(args[0])
			if err != nil {
				return err
			}
			if hash {
				if err := hashFiles(name); err != nil {
					return err
				}
			}
			data, err := readManifest(cmd.InOrStdin(), name)
			if err != nil {
				return err
			}
			m, found := manifest.Parse(data)
			if m == nil {
				return errors.Join(printFindings(cmd.ErrOrStderr(), "text", name, found), errFindings)
			}
			return p.within(cmd.Context(), 10*time.Minute, func(ctx context.Context, client *kit.Client) error {
				v, err := push(ctx, client, p.tenantID(), m, data, filepath.Dir(name), cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), v, versionText(v))
			})
		},
	}
	cmd.Flags().BoolVar(&hash, "hash", false, "write the bundle's files, sizes and digests into the manifest first")
	p.flags(cmd, "id of the tenant that publishes the module; needed for its first version")
	return cmd
}

// manifestFile is the manifest that a directory, or the file itself, stands for.
func manifestFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return filepath.Join(name, "manifest.json"), nil
	}
	return name, err
}

// push puts the draft, and uploads what the registry misses.
func push(ctx context.Context, client *kit.Client, tenant contract.ID, m *manifest.Manifest, data []byte, directory string, progress io.Writer) (*contract.ModuleVersion, error) {
	v, err := kit.Call(ctx, client, contract.PutVersion, &contract.PutVersionRequest{
		TenantID: tenant, ModuleName: m.ID, Version: m.Version, Manifest: string(data),
	})
	if err != nil {
		return nil, err
	}
	missing := map[string]bool{}
	for _, digest := range v.Missing {
		missing[digest] = true
	}
	for i, f := range v.Files {
		content, err := os.ReadFile(filepath.Join(directory, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, err
		}
		if digestOf(content) != f.SHA384 {
			return nil, fmt.Errorf("%s is not the file that the manifest means: push with --hash, if it should be", f.Path)
		}
		sum := sha512.Sum384(content)
		if digest := hex.EncodeToString(sum[:]); missing[digest] {
			fmt.Fprintf(progress, "%d/%d %s, %d bytes\n", i+1, len(v.Files), f.Path, f.Size)
			if err := upload(ctx, client, tenant, digest, content); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
			delete(missing, digest)
		}
	}
	return kit.Call(ctx, client, contract.GetVersion, &contract.VersionRequest{TenantID: tenant, ModuleName: v.Module, Version: v.Version})
}

// partSize is the size of the parts of an upload.
const partSize = 524_288

func upload(ctx context.Context, client *kit.Client, tenant contract.ID, digest string, content []byte) error {
	request := &contract.PutAssetRequest{TenantID: tenant, Digest: digest, Size: int64(len(content))}
	for offset := 0; offset < len(content); offset += partSize {
		request.Offset, request.Data = int64(offset), content[offset:min(offset+partSize, len(content))]
		if _, err := kit.Call(ctx, client, contract.PutAsset, request); err != nil {
			return err
		}
	}
	return nil
}

func digestOf(content []byte) string {
	sum := sha512.Sum384(content)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// hashFiles writes into a manifest what files its bundle has: those beside it.
// All else of the text stays as it is.
func hashFiles(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	m, _ := manifest.Parse(data)
	if m == nil || m.Bundle == nil {
		return fmt.Errorf(`%s has no bundle: add "bundle": {"entry": "main.js", "files": []}`, name)
	}
	files, err := bundleFiles(filepath.Dir(name), filepath.Base(name))
	if err != nil {
		return err
	}
	list, err := json.MarshalIndent(files, "    ", "  ")
	if err != nil {
		return err
	}
	line, column := manifest.Locate(data, "/bundle/files")
	at := offset(data, line, column)
	if at >= len(data) || data[at] != '[' {
		return fmt.Errorf(`%s: its bundle has no "files": add "files": []`, name)
	}
	in := json.NewDecoder(bytes.NewReader(data[at:]))
	var before json.RawMessage
	if err := in.Decode(&before); err != nil {
		return err
	}
	changed := bytes.Join([][]byte{data[:at], list, data[at+int(in.InputOffset()):]}, nil)
	if bytes.Equal(changed, data) {
		return nil
	}
	return os.WriteFile(name, changed, 0o644) //nolint:gosec // as a manifest is, in a developer's project
}

// bundleFiles are the files in a directory, by their paths.
func bundleFiles(directory, except string) ([]manifest.File, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := []manifest.File{}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(entry.Name(), ".") && path != "."; {
		case err != nil:
			return err
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir() || path == except:
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no plain file", path)
		}
		content, err := fs.ReadFile(root.FS(), path)
		files = append(files, manifest.File{Path: path, SHA384: digestOf(content), Size: int64(len(content))})
		return err
	})
	if err == nil && len(files) == 0 {
		err = errors.New("there are no files beside the manifest")
	}
	return files, err
}

// offset is where a line and a column, in characters, are in a text.
func offset(data []byte, line, column int) int {
	at := 0
	for range line - 1 {
		at += bytes.IndexByte(data[at:], '\n') + 1
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(data[at:])
		at += size
	}
	return at
}
