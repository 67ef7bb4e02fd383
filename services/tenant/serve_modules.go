package tenant

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleModules serves the modules that tenants have.
func (s *Service) handleModules() error {
	return errors.Join(
		kit.HandleFast(s.server, contract.GetTenantModule, s.app.Module, nil),
		kit.HandleFast(s.server, contract.ListEnabledModules, s.app.Modules, nil),
		kit.Handle(s.server, contract.SetTenantModule, s.app.SetModule),
		kit.Handle(s.server, contract.ListInstalled, s.registry.ListInstalled),
		kit.Handle(s.server, contract.GetInstalled, s.registry.GetInstalled),
		kit.Handle(s.server, contract.PlanInstall, s.registry.Plan),
		kit.Handle(s.server, contract.InstallModule, s.registry.Install),
		kit.Handle(s.server, contract.EnableModule, s.registry.Enable),
		kit.Handle(s.server, contract.DisableModule, s.registry.Disable),
		kit.Handle(s.server, contract.ChangeModuleVersion, s.registry.ChangeVersion),
		kit.Handle(s.server, contract.ConsentModule, s.registry.Consent),
		kit.Handle(s.server, contract.UninstallModule, s.registry.Uninstall),
		kit.Handle(s.server, contract.ListHooks, s.registry.ListHooks),
		kit.Handle(s.server, contract.AcknowledgeHook, s.registry.AcknowledgeHook),
	)
}

// keepModules has the registry do, in the background, what follows from changes.
func (s *Service) keepModules(ctx context.Context) {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopKeeping = stop
	s.keeping.Go(func() { s.registry.Keep(keeping, s.changed) })
}

// registryChanged wakes the keeper. It never blocks.
func (s *Service) registryChanged() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
