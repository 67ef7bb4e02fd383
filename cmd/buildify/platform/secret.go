package platform

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"

	"github.com/buildify/core/pkg/kit/process"
)

// secret reads the installation's secret, making it at the first start.
func (p *Platform) secret() ([]byte, error) {
	path := p.path("secret")
	secret, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails since Go 1.24
	secret = []byte(base64.StdEncoding.EncodeToString(random))
	return secret, process.WriteFile(path, secret)
}
