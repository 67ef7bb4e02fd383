package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/record"
)

func TestWhoseTrailAUserReads(t *testing.T) {
	t.Parallel()
	const own, other = "aaaaaaaa-0000-7000-8000-000000000001", "bbbbbbbb-0000-7000-8000-000000000002"
	const denied = "denied"
	person, platform := kit.User{ID: "u", TenantID: own}, kit.User{ID: "p", Platform: true}
	acting := kit.User{ID: "p", TenantID: own, Platform: true}
	for _, c := range []struct {
		user  kit.User
		named string
		want  string
	}{
		{person, "", own},
		{person, own, own},
		{person, other, denied},
		{person, record.PlatformTenant, denied},
		{kit.User{ID: "u"}, "", denied},
		{kit.User{ID: "u"}, own, denied},
		{kit.User{}, "", denied},
		{platform, "", record.PlatformTenant},
		{platform, record.PlatformTenant, record.PlatformTenant},
		{platform, own, own},
		{acting, "", own},
		{acting, other, other},
		{acting, record.PlatformTenant, record.PlatformTenant},
	} {
		got, err := trailOf(c.user, c.named)
		if c.want == denied {
			var refused *contract.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, contract.PermissionDenied, refused.Code)
			require.Empty(t, got)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v names %q", c.user, c.named)
	}
}
