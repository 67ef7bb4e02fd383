package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
)

// SecretFile is the flag of the file with the installation's secret, which is
// the same for all services that ask for it, and their replicas.
type SecretFile struct{ path string }

// Flag declares --secret-file.
func (f *SecretFile) Flag(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "secret-file", "", "file with the installation's secret, at least 32 bytes; the same for auth, tenant and audit")
}

// Read returns the secret.
func (f *SecretFile) Read() ([]byte, error) {
	if f.path == "" {
		return nil, errors.New("--secret-file is required; make one with: head -c 32 /dev/urandom | base64 > secret")
	}
	secret, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	return bytes.TrimSpace(secret), nil
}
