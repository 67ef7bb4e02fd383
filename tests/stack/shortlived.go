package stack

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// ShortLivedToken logs a person in for a lifetime: by one more replica of auth,
// whose access tokens live no longer and which is gone again when it returns.
func (s *Stack) ShortLivedToken(t testing.TB, u User, lifetime time.Duration) (token string) {
	t.Helper()
	p := &Process{
		t: t, path: Build(t, "github.com/buildify/core/cmd/buildify"), ready: filepath.Join(t.TempDir(), "ready.json"),
		args: []string{
			"serve", "auth", "--secret-file", s.SecretFile, "--public-url", s.PublicURL, "--access-token-lifetime", lifetime.String(),
			"--database-url", s.DatabaseURL, "--nats-url", s.NATSURL, "--credentials", s.Credentials,
		},
	}
	p.Start()
	defer p.Stop()
	require.Eventually(t, func() bool { // either replica may answer
		in := Do(t, s, contract.Login, &contract.LoginRequest{Email: u.Email, Password: u.Password})
		token = in.AccessToken
		return in.ExpiresIn == int(lifetime.Seconds())
	}, Timeout, time.Millisecond)
	return token
}
