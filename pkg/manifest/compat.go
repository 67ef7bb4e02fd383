package manifest

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// CompatibleWith returns an error unless the module runs on that version of
// the core. What comes after the release counts for nothing: 1.4.0-rc.1 and
// 1.4.0-7-gabcdef are 1.4.0.
func (m *Manifest) CompatibleWith(core string) error {
	version, err := semver.NewVersion(core)
	if err != nil {
		return fmt.Errorf("%q is no version of the core: %w", core, err)
	}
	wanted, err := semver.NewConstraint(m.Compat.Core)
	if err != nil {
		return fmt.Errorf("compat.core: %q is no range of versions: %w", m.Compat.Core, err)
	}
	if !wanted.Check(semver.New(version.Major(), version.Minor(), version.Patch(), "", "")) {
		return fmt.Errorf("the module runs on core %s, this one is %s", m.Compat.Core, core)
	}
	return nil
}
