package sdk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/buildify/core/pkg/contract"
)

func TestOnlyTheModulesConcreteCodesAreItsOwn(t *testing.T) {
	t.Parallel()
	c := newCodes("financial")
	for range 2 {
		assert.True(t, c.own("financial:accounts:read"))
		assert.True(t, c.own("financial:a"))
		for _, code := range []string{"", "financial", "financial:", "financial:*", "financial:a:**", "financial:A", "financials:a", "users:read:tenant"} {
			assert.False(t, c.own(code), code)
		}
	}
	for i := range 3 * maxCodes {
		assert.True(t, c.own(fmt.Sprintf("financial:made-up:%d", i)))
	}
	assert.Len(t, *c.known.Load(), maxCodes)
}

func FuzzPermissionCode(f *testing.F) {
	for _, seed := range []string{"", ":", "a", "a:b", "a:b:", ":a:b", "a::b", "a:b:c:d:e", "a:b:c:d:e:f", "a:*", "A:b", "a:é", "a:" + strings.Repeat("b", 198), "a:" + strings.Repeat("b", 199)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		assert.Equal(t, contract.ValidPermission(code), permissionCode(code), "%q", code)
	})
}
