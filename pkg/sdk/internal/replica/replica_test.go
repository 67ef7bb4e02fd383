package replica

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

const (
	read  = "financial:accounts:read"
	stale = 2 * time.Second
)

var one, two = coretest.Tenant(1), coretest.Tenant(2)

// stage is a core with two tenants, in the first of which user 1 may read, and a
// replica of it, in a bubble of its own time.
type stage struct {
	*testing.T
	core *coretest.Core
	link *link
	log  *bytes.Buffer
	*Replica
	beating context.CancelFunc
}

func onStage(t *testing.T, play func(s *stage)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t, core: coretest.New("financial"), log: &bytes.Buffer{}}
		s.core.Skew = -1000 * time.Hour
		s.link = newLink(s.core)
		s.core.Commit(one, append(s.core.Basics("financial:**"), coretest.Grant(1))...)
		s.core.Commit(two, s.core.Basics("financial:**")...)
		s.beat()
		synctest.Wait() // the first beat is before the replica listens
		s.Replica = Start(Config{Core: s.link, MaxStaleness: stale, Log: slog.New(slog.NewTextHandler(s.log, nil))})
		defer func() {
			s.beating()
			s.Close()
			assert.Nil(t, s.Policy(one, 0), "closed")
			assert.Zero(t, s.core.Listeners())
		}()
		play(s)
	})
}

func (s *stage) beat() {
	ctx, cancel := context.WithCancel(context.Background())
	s.beating = cancel
	go s.core.BeatEvery(ctx, 250*time.Millisecond)
}

func (s *stage) await() {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(s, s.Await(ctx), "%s", s.log)
}

// may asks locally: "yes", "no", or "ask".
func (s *stage) may(tenant string, user int) string {
	synctest.Wait()
	p := s.Policy(tenant, 0)
	switch {
	case p == nil:
		return "ask"
	case p.Check(decision.Question{User: coretest.User(user), Permission: read}, s.Now):
		return "yes"
	}
	return "no"
}

func TestDecidesOnceEverythingIsInAndAsNewAsAsked(t *testing.T) {
	onStage(t, func(s *stage) {
		assert.Equal(t, "ask", s.may(one, 1))
		state := s.State()
		assert.False(t, state.Fresh)
		assert.Error(t, state.Trouble)
		s.await()
		assert.Equal(t, "yes", s.may(one, 1))
		assert.Equal(t, "no", s.may(one, 2))
		assert.Equal(t, "no", s.may(two, 1))
		assert.Equal(t, "ask", s.may(coretest.Tenant(3), 1))
		assert.NotNil(t, s.Policy(one, 1))
		assert.Nil(t, s.Policy(one, 2))
		state = s.State()
		assert.True(t, state.Fresh)
		assert.Equal(t, 2, state.Tenants)
		assert.Less(t, state.Age, 300*time.Millisecond)
		assert.Equal(t, 1, strings.Count(s.log.String(), "local decisions are on"))
	})
}

func TestStepsAreTakenAtOnceOnceAndInTheirOrder(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.core.Change(one, coretest.Grant(2))
		assert.Equal(t, "yes", s.may(one, 2))
		s.core.Step(one, 2, coretest.Grant(2)) // the other replica's
		s.core.Step(one, 1, coretest.Revoke(2))
		assert.Equal(t, "yes", s.may(one, 2))

		third, fourth := s.core.Commit(one, coretest.Revoke(2)), s.core.Commit(one, coretest.Grant(3))
		s.core.Step(one, fourth, coretest.Grant(3))
		assert.Equal(t, "ask", s.may(one, 2), "a step is missing")
		assert.Equal(t, "ask", s.may(one, 1))
		assert.Equal(t, "no", s.may(two, 1), "not this tenant's")
		s.core.Step(one, third, coretest.Revoke(2))
		assert.Equal(t, "no", s.may(one, 2))
		assert.Equal(t, "yes", s.may(one, 3))
		assert.EqualValues(t, fourth, s.Policy(one, 0).Revision())
	})
}

func TestWhoMissedAStepAsksUntilTheTenantIsTakenAnew(t *testing.T) {
	for name, reveal := range map[string]func(*stage){
		"the next step": func(s *stage) { s.core.Change(one, coretest.Grant(3)) },
		"a repeat":      func(s *stage) { s.core.Repeat(one) },
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.await()
				s.core.Commit(one, coretest.Revoke(1))
				assert.Equal(t, "yes", s.may(one, 1), "nobody knows, for less than MaxStaleness")
				reveal(s)
				assert.Equal(t, "ask", s.may(one, 1))
				assert.Equal(t, "no", s.may(two, 1))
				asked := len(s.core.Asked())
				time.Sleep(time.Second)
				assert.Equal(t, "no", s.may(one, 1))
				again := s.core.Asked()[asked:]
				require.Len(t, again, 1)
				assert.Equal(t, contract.PolicySnapshotRequest{TenantID: contract.ID(one), AtLeast: s.core.Revision(one)}, again[0])
				assert.True(t, s.State().Fresh)
			})
		})
	}
}

func TestAResetIsFollowedByASnapshot(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.link.set(func() { s.link.delay = func() time.Duration { return time.Millisecond } })
		reset := contract.PolicyFeedMessage{TenantID: one, Revision: s.core.Commit(one, coretest.Revoke(1)), Reset: true}
		asked := len(s.core.Asked())
		s.core.Tell(reset)
		s.core.Tell(reset)
		time.Sleep(2 * time.Millisecond)
		assert.Equal(t, "ask", s.may(one, 1))
		s.core.Change(one, coretest.Grant(2)) // while the snapshot is on its way
		time.Sleep(20 * time.Millisecond)
		assert.Equal(t, "no", s.may(one, 1))
		assert.Equal(t, "yes", s.may(one, 2))
		s.core.Tell(reset) // a slower replica's
		time.Sleep(2 * time.Millisecond)
		assert.Equal(t, "yes", s.may(one, 2))
		assert.Len(t, s.core.Asked(), asked+1)
	})
}

func TestATenantThatLeavesIsNotDecidedAboutUntilItIsBack(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.core.Show(one, false)
		left := s.core.Revision(one)
		assert.Equal(t, "ask", s.may(one, 1))
		time.Sleep(time.Minute)
		assert.Equal(t, "ask", s.may(one, 1))
		assert.Equal(t, 1, s.State().Tenants)
		s.core.Show(one, true)
		time.Sleep(time.Millisecond)
		assert.Equal(t, "yes", s.may(one, 1))
		s.core.Tell(contract.PolicyFeedMessage{TenantID: one, Revision: left, Gone: true}) // a slower replica's
		assert.Equal(t, "yes", s.may(one, 1))
		s.core.Commit(coretest.Tenant(3), append(s.core.Basics(read), coretest.Grant(1))...)
		s.core.Show(coretest.Tenant(3), true)
		time.Sleep(time.Millisecond)
		assert.Equal(t, "yes", s.may(coretest.Tenant(3), 1), "a new one")
	})
}

func TestPagesOfDifferentRevisionsBecomeOnePolicy(t *testing.T) {
	onStage(t, func(s *stage) {
		s.link.sever(true)
		for user := 2; user < 60; user++ {
			s.core.Commit(one, coretest.Grant(user))
		}
		s.core.SetPageSize(7)
		s.link.set(func() { s.link.delay = func() time.Duration { return 10 * time.Millisecond } })
		s.link.sever(false)
		for user := 60; !s.State().Fresh; user++ { // while the pages are taken
			s.core.Change(one, coretest.Grant(user), coretest.Revoke(user-58))
			time.Sleep(3 * time.Millisecond)
			require.Less(t, user, 100_000)
		}
		time.Sleep(time.Second)
		p := s.Policy(one, s.core.Revision(one))
		require.NotNil(t, p)
		same(t, s.core.At(one, p.Revision()), p)
	})
}

func TestItsAgeNeverExceedsTheBound(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.beating()
		synctest.Wait()
		age := s.State().Age
		time.Sleep(stale - age - 10*time.Millisecond)
		assert.Equal(t, "yes", s.may(one, 1))
		time.Sleep(11 * time.Millisecond)
		assert.Equal(t, "ask", s.may(one, 1))
		time.Sleep(time.Second)
		assert.Equal(t, 1, strings.Count(s.log.String(), "local decisions are off"))
		s.core.Beat(s.core.Now().Add(-stale - time.Millisecond)) // on its way for too long
		assert.Equal(t, "ask", s.may(one, 1))
		s.core.Beat(s.core.Now().Add(-stale + 100*time.Millisecond))
		assert.Equal(t, "yes", s.may(one, 1))
		time.Sleep(101 * time.Millisecond)
		assert.Equal(t, "ask", s.may(one, 1))
	})
}

// A bus that was parted for some seconds brings beats again, and nothing of what
// it lost.
func TestWhenBeatsWereMissedEverythingIsTakenAnew(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.link.set(func() { s.link.drop = func(string, []byte) bool { return true } })
		s.core.Change(one, coretest.Revoke(1))
		time.Sleep(5 * time.Second)
		s.link.set(func() { s.link.drop = nil })
		for s.may(one, 1) == "ask" {
			time.Sleep(10 * time.Millisecond)
		}
		assert.Equal(t, "no", s.may(one, 1))
	})
}

// A link that delays everything makes the replica stale, not wrong: also when
// the core's clock is asked for over it.
func TestADelayedLinkMakesItStale(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.link.set(func() { s.link.delay = func() time.Duration { return 3 * time.Second } })
		for range 100 {
			time.Sleep(time.Second)
			if revision := s.core.CommittedBefore(one, time.Now().Add(-stale)); s.Policy(one, 0) != nil {
				require.GreaterOrEqual(t, s.Policy(one, 0).Revision(), revision)
			}
			s.core.Change(one)
		}
		assert.Equal(t, "ask", s.may(one, 1))
		s.link.set(func() { s.link.delay = nil })
		time.Sleep(10 * time.Second)
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

func TestACutLinkIsNoticedAtOnceAndMended(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.link.sever(true)
		assert.Equal(t, "ask", s.may(one, 1))
		require.ErrorIs(t, s.State().Trouble, errCut)
		s.core.Change(one, coretest.Revoke(1))
		time.Sleep(time.Minute)
		assert.Equal(t, "ask", s.may(one, 1))
		s.link.sever(false)
		s.await()
		assert.Equal(t, "no", s.may(one, 1))
		assert.Equal(t, 1, strings.Count(s.log.String(), "local decisions are off"))
	})
}

func TestABeatSaysNothingOfWhatWasToldBeforeTheFeedWasOpen(t *testing.T) {
	onStage(t, func(s *stage) {
		s.beating()
		synctest.Wait()
		time.Sleep(time.Second)
		s.core.Beat(s.core.Now().Add(-1100 * time.Millisecond))
		time.Sleep(time.Millisecond)
		assert.Equal(t, "ask", s.may(one, 1))
		s.core.Beat(time.Time{})
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

func TestTheCoresClockMayBeSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 3 * time.Second, -3 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.await()
				s.beating()
				synctest.Wait()
				s.core.Skew += by
				s.core.Beat(time.Time{})
				if by < 0 { // else it is told from a beat of the future, and asked for at once
					assert.Equal(t, "ask", s.may(one, 1))
				}
				s.beat()
				time.Sleep(5 * time.Second)
				assert.Equal(t, "yes", s.may(one, 1))
				s.beating()
				time.Sleep(stale + time.Millisecond)
				assert.Equal(t, "ask", s.may(one, 1))
			})
		})
	}
}

func TestBindingsExpireByTheCoresClock(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		end := s.core.Now().Truncate(time.Second).Add(10 * time.Second)
		s.core.Change(one, coretest.GrantUntil(2, end))
		time.Sleep(end.Sub(s.core.Now()) - 50*time.Millisecond)
		assert.Equal(t, "yes", s.may(one, 2))
		time.Sleep(50 * time.Millisecond)
		assert.Equal(t, "no", s.may(one, 2))
	})
}

func TestWhoIsRefusedAsksAndSaysSoOnce(t *testing.T) {
	onStage(t, func(s *stage) {
		s.core.Refuse(contract.Errorf(contract.PermissionDenied, "not granted"))
		s.link.sever(false)
		time.Sleep(20 * time.Minute)
		assert.Equal(t, "ask", s.may(one, 1))
		assert.Equal(t, 1, strings.Count(s.log.String(), "level=WARN"), s.log)
		assert.Less(t, len(s.core.Asked()), 12)
		s.core.Refuse(nil)
		time.Sleep(6 * time.Minute)
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

// A bus that was restarted refuses every key until the service that knows keys
// is back on it.
func TestAKeyThatIsRefusedForAMomentIsTriedAgainSoon(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.core.Refuse(contract.Errorf(contract.Unauthenticated, "the API key was refused"))
		s.link.sever(false)
		time.Sleep(time.Minute)
		assert.Equal(t, "ask", s.may(one, 1))
		s.core.Refuse(nil)
		time.Sleep(2 * longestPause)
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

func TestWhatCannotBeReadIsNotPassedOver(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.core.TellRaw(one, []byte("<html>"))
		assert.Equal(t, "ask", s.may(one, 1))
		s.await()
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

func TestASilentFeedIsOpenedAnew(t *testing.T) {
	onStage(t, func(s *stage) {
		s.await()
		s.beating()
		time.Sleep(silence + 10*time.Second)
		require.ErrorIs(t, s.State().Trouble, errSilent)
		pages := len(s.core.Asked())
		time.Sleep(5 * time.Minute)
		assert.Less(t, len(s.core.Asked()), pages+40, "a core that tells no beats is not asked for everything")
		s.beat()
		time.Sleep(20 * time.Second)
		assert.Equal(t, "yes", s.may(one, 1))
	})
}

func TestManyTenantsThatMissedStepsAreTakenTogether(t *testing.T) {
	onStage(t, func(s *stage) {
		for n := 3; n < 200; n++ {
			s.core.Commit(coretest.Tenant(n), append(s.core.Basics(read), coretest.Grant(1))...)
		}
		s.link.sever(false)
		s.await()
		asked := len(s.core.Asked())
		for n := 3; n < 200; n++ {
			s.core.Commit(coretest.Tenant(n), coretest.Revoke(1))
			s.core.Repeat(coretest.Tenant(n))
		}
		time.Sleep(5 * time.Second)
		for n := 3; n < 200; n++ {
			require.Equal(t, "no", s.may(coretest.Tenant(n), 1))
		}
		assert.Less(t, len(s.core.Asked()), asked+10)
	})
}

// same compares what two policies decide.
func same(t require.TestingT, want, got *decision.Policy) {
	for user := range 200 {
		q := decision.Question{User: coretest.User(user), Permission: read}
		require.Equal(t, want.Check(q, decision.Now), got.Check(q, decision.Now), "user %d", user)
		require.Equal(t, want.Knows(q.User), got.Knows(q.User), "user %d", user)
	}
}
