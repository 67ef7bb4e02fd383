package auth

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/app"
)

// handleTokens serves tokens and the keys that sign them.
func (s *Service) handleTokens() error {
	return errors.Join(
		kit.HandleFast(s.server, contract.VerifyToken, s.app.VerifyFast, s.app.Verify),
		kit.Handle(s.server, contract.CheckSession, s.app.CheckSession), // not before who is active is known
		kit.Handle(s.server, contract.Discovery, s.app.Discovery),
		kit.Handle(s.server, contract.ModuleToken, s.app.ModuleToken),
		kit.Handle(s.server, contract.RotateSigningKey, s.app.RotateSigningKey),
	)
}

// handleSnapshots serves what others, and this service's own projections,
// start from.
func (s *Service) handleSnapshots() error {
	return errors.Join(
		kit.Handle(s.server, contract.ListMembers, s.app.ListMembers),
		kit.Handle(s.server, contract.JWKS, s.app.JWKS),
		kit.Handle(s.server, contract.ListRevocations, s.app.ListRevocations),
	)
}

// prepareTokens makes what verifies tokens, and asks the database while it is
// not fresh.
func (s *Service) prepareTokens(signer *app.Signer) {
	s.app.Signer = signer
	s.app.Keys = app.SigningKeys{Signer: signer, KeySet: &token.KeySet{Fetch: func(ctx context.Context) (*contract.JWKSResponse, error) {
		return app.PublicKeys(ctx, s.deps.DB)
	}}}
	s.app.Verifier = token.NewVerifier(s.app.Keys.KeySet)
	s.sessions = revocation.NewList(revocation.Config{
		Service: Name, Source: s.app, Keys: s.app.Keys, Telemetry: s.deps.Telemetry,
	})
	s.app.Sessions = s.sessions
}

// startTokens begins to tell which sessions end, to hear it from the other
// replicas, and to keep the signing keys.
func (s *Service) startTokens(ctx context.Context, js jetstream.JetStream) error {
	if err := s.sessions.Start(ctx, js); err != nil {
		return err
	}
	s.pulse = revocation.StartPulse(revocation.PulseConfig{
		NATS: s.deps.NATS, Oldest: s.app.OldestRevocation, Log: s.deps.Telemetry.Log,
		Sequence: func() uint64 { return max(s.relay.Sequence(revocation.Kinds()...), s.sessions.Handled()) },
	})
	s.app.Announce = s.announce
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopKeeping = stop
	s.keeping.Go(func() { s.app.KeepSigningKeys(keeping, s.cfg.SigningKeyLifetime) })
	s.keeping.Go(func() { s.app.KeepSwept(keeping) })
	s.keeping.Go(func() { s.app.KeepKeys(keeping) })
	return nil
}

// announce has this replica, and every verifier, refuse the sessions that a
// change just ended, ahead of its event.
func (s *Service) announce(e events.Event) {
	var ended events.EndedSessions
	if !events.SessionsEnded.Is(e) || json.Unmarshal(e.Data(), &ended) != nil {
		return
	}
	s.sessions.Put(ended)
	s.pulse.Announce(ended)
}

func (s *Service) stopTokens() {
	if s.stopKeeping != nil {
		s.stopKeeping()
	}
	s.keeping.Wait()
	s.pulse.Stop()
	s.sessions.Stop()
}
