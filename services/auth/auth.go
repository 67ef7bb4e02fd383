// Package auth is the service that knows people and keys: it logs people in,
// issues and verifies tokens, and says who connects to the bus.
package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/app"
	"github.com/buildify/core/services/auth/internal/callout"
	"github.com/buildify/core/services/auth/internal/mail"
	"github.com/buildify/core/services/auth/internal/passkey"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/secret"
)

// Name of the service and of its schema.
const Name = "auth"

// hashers bounds the passwords hashed at once: memory, and the cores that
// decisions need.
const hashers = 2

// waiting bounds the requests of one operation in work at once: so many people
// who log in together are served within a login's time, one after the other.
const waiting = 256

// DefaultSigningKeyLifetime is how long a key signs access tokens.
const DefaultSigningKeyLifetime = 30 * 24 * time.Hour

// Config is what auth needs beside what every service does.
type Config struct {
	// Secret is the installation's secret, at least 32 bytes: it peppers API
	// keys and seals signing keys. Losing it ends every key and token.
	Secret []byte
	// Callout and System are connections as the users of those names.
	Callout, System *nats.Conn
	// Issuer signs modules into the bus; XKey decrypts the server's requests.
	Issuer, XKey nkeys.KeyPair
	// PublicURL is where people and their browsers reach the platform: links in
	// e-mails and passkeys are made for it.
	PublicURL *url.URL
	// AccessTokenLifetime of people's tokens, from a second to token.Lifetime,
	// which it is when zero.
	AccessTokenLifetime time.Duration
	// SigningKeyLifetime is how long a key signs tokens before a new one takes
	// over, an hour at least; DefaultSigningKeyLifetime when zero.
	SigningKeyLifetime time.Duration
	// SMTPServer takes e-mails, smtp://user:password@host:587 (with STARTTLS) or
	// smtps://…; MailFrom is whom they are from. Without a server they wait for
	// one, a day at most.
	SMTPServer, MailFrom string
	// Outbox keeps e-mails in memory, to be seen by Service.Outbox, where there
	// is no SMTPServer: for development.
	Outbox bool
}

// Service serves auth operations and the bus's auth callout.
type Service struct {
	deps      kit.Deps
	cfg       Config
	directory *directory.Directory
	app       *app.App
	server    *kit.Server
	relay     *outbox.Relay
	follower  *events.Follower
	tenants   *events.Consumer
	callout   *callout.Responder
	// suspensions hears of modules that the platform suspends.
	suspensions *events.Follower
	outbox      *mail.Outbox // of development; nil otherwise

	sessions    *revocation.List
	pulse       *revocation.Pulse
	stopKeeping context.CancelFunc
	keeping     sync.WaitGroup
}

// New returns the service, not started.
func New(deps kit.Deps, cfg Config) *Service {
	s := &Service{deps: deps, cfg: cfg, directory: directory.New(deps.Telemetry.Log)}
	if cfg.Outbox && cfg.SMTPServer == "" {
		s.outbox = mail.NewOutbox(deps.Telemetry.Log)
	}
	return s
}

// Start implements kit.Service.
func (s *Service) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	js, err := s.deps.JetStream()
	if err != nil {
		return err
	}
	if err := events.Ensure(ctx, js, events.EventsStream, s.deps.Replicas); err != nil {
		return err
	}
	s.relay = outbox.Start(s.deps.DB, js, Name, s.deps.Telemetry.Log, s.deps.Telemetry.Metrics)
	s.app.Committed = func() {
		s.relay.Notify()
		s.app.Mail.Notify()
	}
	client := s.app.Core
	users := directory.UserVerifierOf(s.app.Verifier, s.sessions, s.directory)
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
		Users: users, Permissions: kit.RemotePermissions{Client: client}, Keys: s.app, Concurrency: waiting,
	})
	if err != nil {
		return err
	}
	s.follower, err = events.Follow(ctx, js, events.EventsStream, []string{events.UserChanged.Subject("*"), events.AuthPolicyChanged.Subject("*")}, s.apply,
		func(err error) { s.deps.Telemetry.Log.Warn("auth: reading events", "error", err) })
	if err != nil {
		return err
	}
	// What others, and this service's own projection, start from comes first.
	if err := s.handleSnapshots(); err != nil {
		return err
	}
	if err := s.directory.Start(ctx, client, js, directory.Tenants|directory.Members); err != nil {
		return err
	}
	if err := s.startTokens(ctx, js); err != nil {
		return err
	}
	if err := s.answerCallout(); err != nil {
		return err
	}
	if err := s.followSuspensions(ctx, js); err != nil {
		return err
	}
	s.app.Mail.Start()
	if err := s.followTenants(ctx, js); err != nil {
		return err
	}
	return errors.Join(s.handlePeople(), s.handleSessions(), s.handleFactors(), s.handleTokens(), s.handleKeys())
}

// prepare loads what operations need.
func (s *Service) prepare(ctx context.Context) error {
	if s.cfg.PublicURL == nil {
		s.cfg.PublicURL = &url.URL{Scheme: "http", Host: "localhost:8080"}
	}
	s.cfg.SigningKeyLifetime = cmp.Or(s.cfg.SigningKeyLifetime, DefaultSigningKeyLifetime)
	s.cfg.AccessTokenLifetime = cmp.Or(s.cfg.AccessTokenLifetime, token.Lifetime)
	if s.cfg.AccessTokenLifetime < time.Second || s.cfg.AccessTokenLifetime > token.Lifetime {
		return fmt.Errorf("--access-token-lifetime: from 1s to %s: verifiers remember ended sessions for that long", token.Lifetime)
	}
	if s.cfg.SigningKeyLifetime < time.Hour {
		return errors.New("--signing-key-lifetime: an hour at least")
	}
	passkeys, err := passkey.New(s.cfg.PublicURL)
	if err != nil {
		return err
	}
	box, err := secret.NewBox(s.cfg.Secret)
	if err != nil {
		return err
	}
	signer, err := app.NewSigner(ctx, s.deps.DB, box)
	if err != nil {
		return err
	}
	signer.Lifetime = s.cfg.AccessTokenLifetime
	s.app = &app.App{
		DB: s.deps.DB, Directory: s.directory, Box: box, Log: s.deps.Telemetry.Log,
		Core: kit.NewClient(s.deps.NATS, s.deps.Telemetry), PublicURL: s.cfg.PublicURL, Passkeys: passkeys,
		Authority: s.authority,
		Hasher:    password.NewHasher(hashers, password.Default), KeyRevoked: s.disconnect,
	}
	tellHashing(s.deps.Telemetry.Metrics, s.app.Hasher)
	s.prepareTokens(signer)
	return s.prepareMail()
}

func (s *Service) authority(ctx context.Context, r *contract.MayAdministerRequest) error {
	_, err := kit.Call(ctx, s.app.Core, contract.MayAdminister, r)
	return err
}

func (s *Service) answerCallout() (err error) {
	s.callout, err = callout.Start(s.cfg.Callout, s.cfg.System, authenticator{s.app}, callout.Config{
		Issuer: s.cfg.Issuer, XKey: s.cfg.XKey, Log: s.deps.Telemetry.Log,
		Refused: func(r callout.Refusal) { s.app.BusRefused(r.Address, r.KeyID, r.Reason) },
	})
	if err == nil {
		s.deps.Telemetry.Metrics.MustRegister(s.callout.Metrics()...)
	}
	return err
}

// apply hears of changed users and policies, by this replica or another.
func (s *Service) apply(e events.Event) {
	var changed struct {
		UserID   string `json:"user_id"`
		TenantID string `json:"tenant_id"`
	}
	if err := json.Unmarshal(e.Data(), &changed); err != nil {
		s.deps.Telemetry.Log.Error("auth: event not understood", "id", e.ID(), "error", err)
		return
	}
	if events.AuthPolicyChanged.Is(e) {
		s.app.SignInPolicyChanged(changed.TenantID)
		return
	}
	s.app.Changed(changed.UserID)
}

// disconnect closes a revoked key's connections to the bus. It is refused when
// it comes back; should the kick fail, its connections end with their short
// bus credential.
func (s *Service) disconnect(ctx context.Context, key string) {
	n, err := s.callout.Kick(ctx, key)
	log := s.deps.Telemetry.Log.With("key_id", key, "connections", n)
	if err != nil {
		log.Error("connections of a revoked key not closed", "error", err)
		return
	}
	log.Info("connections of a revoked key closed")
}

// authenticator lets the callout ask VerifyKey.
type authenticator struct{ app *app.App }

// AuthenticateKey implements callout.Authenticator.
func (a authenticator) AuthenticateKey(ctx context.Context, key string, remote netip.Addr) (callout.Grant, error) {
	request := &contract.VerifyKeyRequest{APIKey: key}
	if remote.IsValid() {
		request.Address = remote.String()
	}
	verified, err := a.app.VerifyKey(ctx, request)
	switch {
	case errors.Is(err, &contract.Error{Code: contract.Unauthenticated}):
		return callout.Grant{}, callout.ErrRefused
	case err != nil:
		return callout.Grant{}, fmt.Errorf("verify key: %w", err)
	}
	expires := time.Time{}
	if verified.ExpiresAt != nil {
		expires = *verified.ExpiresAt
	}
	return callout.Grant{
		KeyID: verified.ID, Module: verified.Module, Operations: verified.Operations, Tenants: verified.Tenants, Expires: expires,
	}, nil
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	s.suspensions.Stop() // it uses the callout
	s.tenants.Stop(ctx)  // and so does this
	if s.callout != nil {
		err = s.callout.Stop(ctx)
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Stop(ctx))
	}
	if s.app != nil {
		s.app.Finish()
		s.app.Mail.Stop()
	}
	s.stopTokens()
	s.follower.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
