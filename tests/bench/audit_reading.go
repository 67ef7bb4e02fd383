package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/trail"
)

const (
	ofOne       = 1_000_000 // events of the tenant whose trail is exported
	ofEach      = 10_000    // of each other one
	pagesAsked  = 2000
	atATime     = 100_000
	placeOfSeq  = 987_654_321 // stands for a sequence in the entry that all are made of
	perActor    = 100         // events of one person
	readingHead = "| asked for | events in the table | p50 ms | p99 ms |\n|---|--:|--:|--:|"
)

// auditReadingOnly measures reading in a table of so many events: one tenant's
// newest page, one person's, and memory while a million are exported.
func auditReadingOnly(total int) error {
	ctx := context.Background()
	f := &fixture{tenant: uuid.NewString(), email: "admin@bench.example"}
	defer f.stop()
	for _, step := range []func(context.Context) error{f.startCore, f.prepareModule} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	tenants, err := f.fillTrails(ctx, total)
	if err != nil {
		return err
	}
	fmt.Println(readingHead)
	for _, c := range []struct {
		name string
		ask  func(random *rand.Rand, tenant string) *contract.ListAuditRequest
	}{
		{"the last 50 of a tenant", func(_ *rand.Rand, tenant string) *contract.ListAuditRequest {
			return &contract.ListAuditRequest{TenantID: contract.ID(tenant), Limit: 50}
		}},
		{"the last 50 of a person", func(random *rand.Rand, tenant string) *contract.ListAuditRequest {
			return &contract.ListAuditRequest{TenantID: contract.ID(tenant), UserID: contract.ID(actor(random.IntN(ofEach / perActor))), Limit: 50}
		}},
	} {
		var took []time.Duration
		random := rand.New(rand.NewPCG(1, 6))
		for range pagesAsked {
			request := c.ask(random, tenants[random.IntN(len(tenants))])
			begin := time.Now()
			page, err := kit.Call(ctx, f.core.Client, contract.ListAudit, request)
			if err != nil {
				return err
			}
			took = append(took, time.Since(begin))
			if len(page.Items) != 50 {
				return fmt.Errorf("%s: %d events", c.name, len(page.Items))
			}
		}
		slices.Sort(took)
		fmt.Printf("| %s | %d | %.2f | %.2f |\n", c.name, total, ms(took[len(took)/2]), ms(took[len(took)*99/100]))
	}
	return f.export(ctx)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func actor(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }

// fillTrails writes events straight into the table, over three months: one tenant
// has a million, the others 10,000 each.
func (f *fixture) fillTrails(ctx context.Context, total int) ([]string, error) {
	conn, err := pgx.Connect(ctx, f.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	const place = "00000000-0000-7000-8000-000000000001"
	template := trail.Entry{
		TenantID: place, Sequence: placeOfSeq, Stream: "AUDIT", ID: "placeofid", Source: "/modules/bench", Type: "dev.buildify.audit.event.logged.v2",
		Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Data: []byte(`{"actor":{"user_id":"placeofactor","module":"bench"},"source":"bench","action":"invoice.created","target":{"type":"invoice","id":"1"},"details":{"note":"` + strings.Repeat("x", 100) + `"}}`),
	}
	if _, err := conn.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		return nil, err
	}
	for month := range 3 {
		if _, err := conn.Exec(ctx, "SELECT audit.ensure_month((now() - make_interval(months => $1))::date)", month); err != nil {
			return nil, err
		}
	}
	tenants := []string{f.tenant}
	for left := total - ofOne; left > 0; left -= ofEach {
		tenants = append(tenants, uuid.NewString())
	}
	begin, written := time.Now(), 0
	write := func(of []string, first, last int) error {
		tag, err := conn.Exec(ctx, `
			INSERT INTO audit.events (tenant_id, tenant_seq, occurred_at, id, message_id, stream, type, source, action, outcome, reason, user_id, module,
				key_id, resource_type, resource_id, request_id, operation, address, agent, entry, leaf)
			SELECT t, n, date_trunc('month', now()) - interval '2 months' + n * (interval '60 days' / $5), id, id::text, 'AUDIT', $6, 'bench', 'invoice.created',
				'success', '', who::uuid, 'bench', '', 'invoice', n::text, '', 'audit.log', '', '',
				convert_to(replace(replace(replace(replace($4, $7, t::text), $8, n::text), 'placeofid', id::text), 'placeofactor', who), 'UTF8'), '\x00'
			FROM unnest($1::uuid[]) AS t, generate_series($2::bigint, $3::bigint) AS n,
				LATERAL (SELECT md5(t::text || n)::uuid AS id, '01900000-0000-7000-8000-' || lpad((n % $9)::text, 12, '0') AS who) AS made`,
			of, first, last, string(template.Encode()), max(last, ofEach), template.Type, place, strconv.Itoa(placeOfSeq), ofEach/perActor)
		written += int(tag.RowsAffected())
		fmt.Fprintf(os.Stderr, "%d of %d events written, %.0f s\n", written, total, time.Since(begin).Seconds())
		return err
	}
	for first := 1; first <= ofOne; first += atATime {
		if err := write(tenants[:1], first, first+atATime-1); err != nil {
			return nil, err
		}
	}
	for others := tenants[1:]; len(others) > 0; {
		n := min(len(others), atATime/ofEach)
		if err := write(others[:n], 1, ofEach); err != nil {
			return nil, err
		}
		others = others[n:]
	}
	_, err = conn.Exec(ctx, "INSERT INTO audit.heads (tenant_id, last_seq) SELECT tenant_id, max(tenant_seq) FROM audit.events GROUP BY 1 ON CONFLICT (tenant_id) DO UPDATE SET last_seq = EXCLUDED.last_seq")
	if err == nil {
		_, err = conn.Exec(ctx, "ANALYZE audit.events")
	}
	return tenants, err
}

// export reads the trail of a million as a person does, over HTTP, and looks at the
// memory of the process, which is the whole core and the reader.
func (f *fixture) export(ctx context.Context) error {
	const email = "operator@bench.example"
	if _, err := kit.Call(ctx, f.core.Client, contract.CreateUser, &contract.CreateUserRequest{Platform: true, Email: email, Password: passwordOfTheAdmin}); err != nil {
		return err
	}
	login, err := kit.Call(ctx, f.core.Client, contract.Login, &contract.LoginRequest{Email: email, Password: passwordOfTheAdmin})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.core.HTTPURL+contract.ExportAudit.Path+".jsonl?tenant_id="+f.tenant, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+login.AccessToken)
	begin := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		problem, _ := io.ReadAll(response.Body) // it says why
		return fmt.Errorf("export: %s", problem)
	}
	fmt.Println("\n| events exported | RSS of the core MB |\n|--:|--:|")
	in, lines := bufio.NewReaderSize(response.Body, 1<<20), 0
	for {
		_, err := in.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if lines++; lines == 1000 || lines%200_000 == 0 {
			fmt.Printf("| %d | %.0f |\n", lines, resident())
		}
	}
	fmt.Printf("\n%d events in %.1f s\n", lines, time.Since(begin).Seconds())
	return nil
}
