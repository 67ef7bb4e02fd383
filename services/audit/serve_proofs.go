package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/proofs"
)

// ProofsConfig says how the trails are made provable.
type ProofsConfig struct {
	// Origin names the installation in checkpoints and keys; empty is
	// "buildify/audit".
	Origin string
	// Interval is the pause between checkpoints; 0 is ten seconds.
	Interval time.Duration
	// PublishTo are directories, and base URLs that take HTTP PUT.
	PublishTo []string
	// Witnesses are "URL KEY": a witness' submission prefix and its verifier key.
	Witnesses []string
}

// Flags declares the flags.
func (c *ProofsConfig) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.Origin, "audit-origin", "buildify/audit", "name of this installation in checkpoints of audit trails, such as core.example.com/audit")
	fs.DurationVar(&c.Interval, "checkpoint-interval", 10*time.Second, "pause between checkpoints of audit trails")
	fs.StringArrayVar(&c.PublishTo, "publish-checkpoints", nil, "directory, or https URL that takes PUT, where checkpoints go; may be given again")
	fs.StringArrayVar(&c.Witnesses, "witness", nil, `"URL KEY" of a witness that cosigns checkpoints; may be given again`)
}

// publishers makes them of the configuration.
func (c *ProofsConfig) publishers() (all []proofs.Publisher, err error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	// Witnesses first: what is published elsewhere has their cosignatures.
	for _, w := range c.Witnesses {
		where, key, _ := strings.Cut(w, " ")
		base, err := url.Parse(where)
		if err != nil || base.Host == "" {
			return nil, fmt.Errorf("--witness %q: not a URL and a key", w)
		}
		verifier, err := trail.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("--witness %q: %w", w, err)
		}
		all = append(all, proofs.Witness(base, verifier, client))
	}
	for _, to := range c.PublishTo {
		switch base, err := url.Parse(to); {
		case err == nil && base.Host != "":
			all = append(all, proofs.Put(base, client))
		case filepath.IsAbs(to):
			all = append(all, proofs.Directory(to))
		default:
			return nil, fmt.Errorf("--publish-checkpoints %q: neither a URL nor an absolute path", to)
		}
	}
	return all, nil
}

// startProofs signs checkpoints and serves proofs.
func (s *Service) startProofs(ctx context.Context) error {
	publishers, err := s.cfg.Proofs.publishers()
	if err != nil {
		return err
	}
	p, err := proofs.New(ctx, proofs.Config{
		DB: s.deps.DB, Secret: s.cfg.Secret, Origin: cmp.Or(s.cfg.Proofs.Origin, "buildify/audit"), Publishers: publishers,
		TrailOf: app.TrailOf, Log: s.deps.Telemetry.Log, Metrics: s.deps.Telemetry.Metrics,
	})
	if err != nil {
		return err
	}
	s.days.Go(func() { p.Every(s.running, cmp.Or(s.cfg.Proofs.Interval, 10*time.Second)) })
	return errors.Join(
		kit.Handle(s.server, contract.GetCheckpoint, p.Get),
		kit.Handle(s.server, contract.ListCheckpoints, p.List),
		kit.Handle(s.server, contract.ProveInclusion, p.Inclusion),
		kit.Handle(s.server, contract.ProveConsistency, p.Consistency),
		kit.Handle(s.server, contract.ProveRange, p.Range),
		kit.Handle(s.server, contract.ListLeaves, p.Leaves),
		kit.Handle(s.server, contract.AuditKeys, p.Keys),
		kit.Handle(s.server, contract.RotateAuditKey, p.RotateKey),
	)
}
