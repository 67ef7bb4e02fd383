package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

func (w *world) policy(t testing.TB, tenant string) contract.SignInPolicy {
	t.Helper()
	policy, err := w.signInPolicy(bounded(t), tenant)
	require.NoError(t, err)
	return policy
}

func TestASignInPolicyHoldsFromNowOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	got, err := w.GetSignInPolicy(p.ctx(t), &contract.GetSignInPolicyRequest{})
	require.NoError(t, err)
	require.Equal(t, &contract.SignInPolicy{SecondFactor: "optional", AcceptAccessTokens: true}, got)
	cached, ok := w.cachedSignInPolicy(w.tenant)
	require.True(t, ok)
	require.Equal(t, *got, cached)

	strict := contract.SignInPolicy{SecondFactor: "required"}
	set, err := w.SetSignInPolicy(p.ctx(t), &contract.SetSignInPolicyRequest{SecondFactor: "required"})
	require.NoError(t, err)
	require.Equal(t, &strict, set)
	_, ok = w.cachedSignInPolicy(w.tenant)
	require.False(t, ok, "what was remembered is forgotten")
	require.Equal(t, strict, w.policy(t, w.tenant))
	require.Equal(t, []string{"enrol_totp"}, w.challenge(t, p).Methods)
	told := w.told(t, events.AuthPolicyChanged)
	require.Len(t, told, 1)
	require.JSONEq(t, `{"tenant_id":"`+w.tenant+`","policy":"sign_in",
		"before":{"second_factor":"optional","accept_access_tokens":true},
		"after":{"second_factor":"required","accept_access_tokens":false}}`, told[0])

	_, err = w.SetSignInPolicy(p.ctx(t), &contract.SetSignInPolicyRequest{SecondFactor: "optional", AcceptAccessTokens: true})
	require.NoError(t, err)
	w.loggedIn(t, p.email, "192.0.2.1")
}

func TestATenantSetsItsOwnPolicyOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(t, "ada@example.com")
	other := kit.NewID()
	w.Directory.PutTenant(contract.Tenant{ID: other, Code: "OTHER", IsActive: true, Revision: 1})
	request := &contract.SetSignInPolicyRequest{TenantID: contract.ID(other), SecondFactor: "required"}
	_, err := w.SetSignInPolicy(p.ctx(t), request)
	require.ErrorIs(t, err, is(contract.NotFound))
	require.Equal(t, defaultSignInPolicy, w.policy(t, other))
	_, err = w.SetSignInPolicy(bounded(t), request) // a service, on behalf of nobody
	require.NoError(t, err)
	require.Equal(t, "required", w.policy(t, other).SecondFactor)
	require.Equal(t, defaultSignInPolicy, w.policy(t, w.tenant))
	request.TenantID = contract.ID(kit.NewID())
	_, err = w.SetSignInPolicy(bounded(t), request)
	require.ErrorIs(t, err, is(contract.NotFound))
	request.TenantID = ""
	_, err = w.SetSignInPolicy(bounded(t), request)
	require.ErrorIs(t, err, is(contract.InvalidArgument), "whose?")
	require.Equal(t, defaultSignInPolicy, w.policy(t, ""), "who is in no tenant")
}

func TestWhatAPolicyDoesNotSayIsThePlatformsDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, "INSERT INTO policies (tenant_id) VALUES ($1)", w.tenant) // as a password policy's row
	require.Equal(t, defaultSignInPolicy, w.policy(t, w.tenant))
	w.exec(t, `UPDATE policies SET sign_in = '{"second_factor": "required"}'`)
	require.Equal(t, "optional", w.policy(t, w.tenant).SecondFactor, "it is remembered")
	w.SignInPolicyChanged(w.tenant) // as another replica's event tells
	require.Equal(t, contract.SignInPolicy{SecondFactor: "required", AcceptAccessTokens: true}, w.policy(t, w.tenant))
	_, err := w.SetSignInPolicy(bounded(t), &contract.SetSignInPolicyRequest{TenantID: contract.ID(w.tenant), SecondFactor: "optional"})
	require.NoError(t, err)
	w.exec(t, `UPDATE policies SET password = '{"min_length": 20}'`)
	_, err = w.SetSignInPolicy(bounded(t), &contract.SetSignInPolicyRequest{TenantID: contract.ID(w.tenant), SecondFactor: "required"})
	require.NoError(t, err)
	require.Contains(t, w.stored(t, "policies"), "20", "the password policy stays")
}

// A policy that cannot be read lets nobody in.
func TestAPolicyThatCannotBeReadIsNoDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.DB.Close()
	_, err := w.signInPolicy(bounded(t), w.tenant)
	require.Error(t, err)
	_, ok := w.cachedSignInPolicy(w.tenant)
	require.False(t, ok)
}
