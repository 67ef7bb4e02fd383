package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/process"
	"github.com/buildify/core/pkg/kit/token"
)

// Command runs the service as a process of its own.
func Command() *cobra.Command {
	var secretFile process.SecretFile
	var publicURL, smtpServer, mailFrom string
	var tokenLifetime, keyLifetime time.Duration
	return process.Command(process.Spec{
		Name: Name, Short: "Run service auth: it knows people and keys, and admits to the bus", Database: true,
		Flags: func(fs *pflag.FlagSet) {
			secretFile.Flag(fs)
			fs.StringVar(&publicURL, "public-url", "http://localhost:8080", "where people's browsers reach the platform: links in e-mails and passkeys are made for it")
			fs.StringVar(&smtpServer, "smtp-server", "", "where e-mails go, such as smtps://user:password@mail.example.com; without it they wait, a day at most")
			fs.DurationVar(&tokenLifetime, "access-token-lifetime", token.Lifetime, "how long people's access tokens live, 15 minutes at most")
			fs.DurationVar(&keyLifetime, "signing-key-lifetime", DefaultSigningKeyLifetime, "how long a key signs access tokens before a new one takes over")
			fs.StringVar(&mailFrom, "mail-from", "", "whom e-mails are from, such as \"Buildify <noreply@example.com>\"")
		},
		New: func(ctx context.Context, env *process.Env) (kit.Service, error) {
			secret, err := secretFile.Read()
			if err != nil {
				return nil, err
			}
			cfg, err := configFrom(ctx, env)
			cfg.Secret = secret
			cfg.SMTPServer, cfg.MailFrom = smtpServer, mailFrom
			cfg.AccessTokenLifetime, cfg.SigningKeyLifetime = tokenLifetime, keyLifetime
			var urlErr error
			cfg.PublicURL, urlErr = parsePublicURL(publicURL)
			return New(env.Deps, cfg), errors.Join(err, urlErr)
		},
	})
}

func parsePublicURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--public-url: %q is not a URL such as https://platform.example.com", raw)
	}
	return u, nil
}

func configFrom(ctx context.Context, env *process.Env) (Config, error) {
	callout, err := env.Connect(ctx, natsconn.Callout)
	if err != nil {
		return Config{}, err
	}
	system, err := env.Connect(ctx, natsconn.System)
	if err != nil {
		return Config{}, err
	}
	issuer, issuerErr := readSeed(env.Credential("callout_issuer"))
	xkey, xkeyErr := readSeed(env.Credential("callout_xkey"))
	return Config{Callout: callout.NATS, System: system.NATS, Issuer: issuer, XKey: xkey}, errors.Join(issuerErr, xkeyErr)
}

func readSeed(path string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seed made by `buildify nats init`: %w", err)
	}
	return nkeys.FromSeed(bytes.TrimSpace(seed))
}
