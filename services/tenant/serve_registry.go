package tenant

import (
	"context"
	"errors"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleRegistry serves the versions of modules on their way to tenants.
func (s *Service) handleRegistry() error {
	return errors.Join(
		kit.Handle(s.server, contract.PutVersion, s.registry.PutVersion),
		kit.Handle(s.server, contract.PutAsset, s.registry.PutAsset),
		kit.Handle(s.server, contract.SubmitVersion, s.registry.SubmitVersion),
		kit.Handle(s.server, contract.ReviewVersion, s.registry.ReviewVersion),
		kit.Handle(s.server, contract.PublishVersion, s.registry.PublishVersion),
		kit.Handle(s.server, contract.DeprecateVersion, s.registry.DeprecateVersion),
		kit.Handle(s.server, contract.DeleteVersion, s.registry.DeleteVersion),
		kit.Handle(s.server, contract.SuspendVersion, s.registry.SuspendVersion),
		kit.Handle(s.server, contract.SuspendModule, s.registry.SuspendModule),
		kit.Handle(s.server, contract.SetVisibility, s.registry.SetVisibility),
		kit.Handle(s.server, contract.SearchModules, s.registry.SearchModules),
		kit.Handle(s.server, contract.GetRegisteredModule, s.registry.GetRegisteredModule),
		kit.Handle(s.server, contract.ListVersions, s.registry.ListVersions),
		kit.Handle(s.server, contract.ListReviews, s.registry.ListReviews),
		kit.Handle(s.server, contract.GetVersion, s.registry.GetVersion),
		kit.Handle(s.server, contract.GetAsset, s.registry.GetAsset),
	)
}

// releasedCore is the version that modules must be compatible with; a
// development build has none, and takes all.
func releasedCore(version string) string {
	if version == "" || strings.Contains(version, "dev") {
		return ""
	}
	return version
}

// hasKeys asks service auth whether a module has API keys.
func hasKeys(client *kit.Client) func(context.Context, string) (bool, error) {
	return func(ctx context.Context, module string) (bool, error) {
		keys, err := kit.Call(ctx, client, contract.ListKeys, &contract.ListKeysRequest{Module: module, Limit: 1})
		return err == nil && len(keys.Items) > 0, err
	}
}
