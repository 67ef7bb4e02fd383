package events

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageIDDiffersForEveryPart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, parts := range map[string][4]string{
		"as it is":              {"tenant", "source", "id", "data"},
		"another tenant":        {"tenanu", "source", "id", "data"},
		"another source":        {"tenant", "sourcf", "id", "data"},
		"another id":            {"tenant", "source", "ie", "data"},
		"another byte":          {"tenant", "source", "id", "datb"},
		"a part moved up":       {"tenants", "ource", "id", "data"},
		"a part moved down":     {"tenan", "tsource", "id", "data"},
		"id moved into data":    {"tenant", "source", "", "iddata"},
		"data moved into id":    {"tenant", "source", "iddata", ""},
		"a forged length":       {"tenant", "source2:id", "", "data"},
		"tenant takes it all":   {"tenant6:source2:iddata", "", "", ""},
		"nothing":               {"", "", "", ""},
		"capitals":              {"TENANT", "source", "id", "data"},
		"data with a line more": {"tenant", "source", "id", "data\n"},
	} {
		id := MessageID(parts[0], parts[1], parts[2], []byte(parts[3]))
		require.Equal(t, id, MessageID(parts[0], parts[1], parts[2], []byte(parts[3])), "not a function of its parts")
		require.Regexp(t, "^[0-9a-f]{64}$", id)
		require.NotContains(t, seen, id, "%s and %s", name, seen[id])
		seen[id] = name
	}
}

func TestAuditSubjectCannotBeEscaped(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		"", "a.b", "*", ">", "a.>", ".", "..", " ", "a b", "\t", "\r\n", "a\r\nPUB x 0", "é", "\x00", "\xff", "$JS.API", "_INBOX.x",
		strings.Repeat(".", 100), "ok",
	} {
		for at := range 3 {
			parts := [3]string{"tenant", "crm", "created"}
			parts[at] = hostile
			subject := AuditSubject(parts[0], parts[1], parts[2])
			require.Regexp(t, `^core\.audit\.events(\.[A-Za-z0-9_-]+){3}$`, subject, "%q", hostile)
			tokens := strings.Split(subject, ".")
			for i, want := range []string{"tenant", "crm", "created"} {
				if i != at {
					require.Equal(t, want, tokens[3+i], "%q moved its neighbour", hostile)
				}
			}
		}
	}
}

func TestAnUndeclaredStreamIsNotMade(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Ensure(context.Background(), nil, "OTHER", 1), "not declared")
}

// A stream's declared limits are what keeps a disk from filling.
func TestEveryStreamIsBounded(t *testing.T) {
	t.Parallel()
	for name, cfg := range streams {
		require.Positive(t, cfg.MaxBytes, name)
		require.Positive(t, cfg.MaxAge, name)
		require.NotEmpty(t, cfg.Subjects, name)
	}
	for _, kind := range []Kind{TenantChanged, ModuleChanged, UserChanged, KeyEnded, PolicyChanged} {
		require.Regexp(t, `^core\.events\.t\.[a-z]+\.[a-z]+\.[a-z]+$`, kind.Subject("t"))
	}
}
