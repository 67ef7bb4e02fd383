package directory

import (
	"maps"
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// Activations returns the modules that a tenant ever enabled, as they are in
// effect: one that the platform suspended is not enabled.
func (d *Directory) Activations(tenant string) []contract.Activation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]contract.Activation, 0, len(d.activations[tenant]))
	for _, a := range d.activations[tenant] {
		all = append(all, d.effective(a))
	}
	return all
}

// effective is an activation as the state of its module leaves it.
func (d *Directory) effective(a contract.Activation) contract.Activation {
	if state, ok := d.modules[a.Module]; ok {
		a.Enabled = a.Enabled && !state.Withdrawn(a.Version)
		a.Revision = max(a.Revision, state.Revision)
	}
	return a
}

// Activation returns a module of an active tenant as it is in effect.
func (d *Directory) Activation(tenant, module string) contract.Activation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.tenants[tenant].IsActive {
		return contract.Activation{}
	}
	return d.effective(d.activations[tenant][module])
}

// Suspended reports whether the platform suspended the whole module.
func (d *Directory) Suspended(module string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.modules[module].Suspended
}

// Withdrawn reports whether the platform suspended this version of a module, or
// all of it.
func (d *Directory) Withdrawn(module, version string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.modules[module].Withdrawn(version)
}

// SuspendedModules returns the names of the modules that the platform suspended
// as a whole.
func (d *Directory) SuspendedModules() (names []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for name, state := range d.modules {
		if state.Suspended {
			names = append(names, name)
		}
	}
	return names
}

// Modules returns the names of the modules that some active tenant has enabled.
func (d *Directory) Modules() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	modules := map[string]struct{}{}
	for tenant, of := range d.activations {
		for name, a := range of {
			if d.tenants[tenant].IsActive && d.effective(a).Enabled {
				modules[name] = struct{}{}
			}
		}
	}
	return slices.Collect(maps.Keys(modules))
}

// Enabled reports whether an active tenant has the module enabled, and the
// platform has not suspended it.
func (d *Directory) Enabled(tenant, module string) bool { return d.Activation(tenant, module).Enabled }
