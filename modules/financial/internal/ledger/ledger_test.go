package ledger

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func addAccount(t *testing.T, l *Ledger, tenant, code, kind, currency string) Account {
	t.Helper()
	a := &Account{TenantID: tenant, Code: code, Name: code, Type: kind, Currency: currency}
	pending, err := l.AddAccount(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := pending.Commit(); err != nil {
		t.Fatal(err)
	}
	return *a
}

func codes(t *testing.T, l *Ledger, tenant string) string {
	t.Helper()
	page, _, err := l.Accounts(tenant, "", 500)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range page {
		all = append(all, a.Code)
	}
	return strings.Join(all, " ")
}

func TestCommittedRecordsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	l := open(t, dir)
	receivable := addAccount(t, l, "t1", "1200", "asset", "EUR")
	revenue := addAccount(t, l, "t1", "8400", "revenue", "EUR")
	i := &Invoice{
		TenantID: "t1", Number: "1", Currency: "EUR", ReceivableAccountID: receivable.ID,
		Lines: []Line{{revenue.ID, "a", 100}, {revenue.ID, "b", 19}},
	}
	pending, err := l.AddInvoice(i)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(pending.Commit(), l.Close()); err != nil {
		t.Fatal(err)
	}

	l = open(t, dir)
	if got := codes(t, l, "t1"); got != "1200 8400" {
		t.Errorf("accounts %q", got)
	}
	found, err := l.Invoice("t1", i.ID)
	if err != nil || found.Total != 119 || !found.CreatedAt.Equal(i.CreatedAt) {
		t.Errorf("invoice %+v, %v", found, err)
	}
	var debit, credit int64
	for _, p := range found.Postings() {
		debit, credit = debit+p.Debit, credit+p.Credit
	}
	if debit != 119 || credit != 119 {
		t.Errorf("debit %d, credit %d", debit, credit)
	}
}

func TestPendingRecordsAreUnseenAndReserveTheirCode(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	account := func(tenant string) *Account { return &Account{TenantID: tenant, Code: "1"} }
	pending, err := l.AddAccount(account("t1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := codes(t, l, "t1"); got != "" {
		t.Errorf("seen before commit: %q", got)
	}
	if _, err := l.AddAccount(account("t1")); !errors.Is(err, ErrTaken) {
		t.Errorf("the same code: %v", err)
	}
	if other, err := l.AddAccount(account("t2")); err != nil {
		t.Errorf("the same code in another tenant: %v", err)
	} else {
		other.Rollback()
	}
	pending.Rollback()
	pending.Rollback()
	if err := pending.Commit(); err == nil {
		t.Error("committed after rollback")
	}
	pending, err = l.AddAccount(account("t1"))
	if err != nil {
		t.Fatalf("after rollback: %v", err)
	}
	if err := pending.Commit(); err != nil {
		t.Fatal(err)
	}
	pending.Rollback() // deferred, as callers do
	if _, err := l.AddAccount(account("t1")); !errors.Is(err, ErrTaken) {
		t.Errorf("after commit: %v", err)
	}
}

func TestTenantsSeeOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	mine := addAccount(t, l, "t1", "1", "asset", "EUR")
	theirs := addAccount(t, l, "t2", "2", "revenue", "EUR")
	if _, err := l.Account("t1", theirs.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("another's account: %v", err)
	}
	if _, _, err := l.Accounts("t1", theirs.ID, 10); !errors.Is(err, ErrNotFound) {
		t.Errorf("another's cursor: %v", err)
	}
	if got := codes(t, l, "t1"); got != "1" {
		t.Errorf("accounts %q", got)
	}
	if got := codes(t, l, ""); got != "" {
		t.Errorf("accounts of nobody %q", got)
	}
	_, err := l.AddInvoice(&Invoice{TenantID: "t1", Currency: "EUR", ReceivableAccountID: mine.ID, Lines: []Line{{theirs.ID, "x", 1}}})
	var field *FieldError
	if !errors.As(err, &field) || field.Field != "lines[0].account_id" {
		t.Errorf("a line on another's account: %v", err)
	}
}

func TestInvoicesMustBalance(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	eur := addAccount(t, l, "t", "1", "asset", "EUR").ID
	revenue := addAccount(t, l, "t", "2", "revenue", "EUR").ID
	usd := addAccount(t, l, "t", "3", "revenue", "USD").ID
	for field, i := range map[string]Invoice{
		"receivable_account_id": {Currency: "EUR", ReceivableAccountID: revenue},
		"currency":              {Currency: "USD", ReceivableAccountID: eur},
		"lines[0].account_id":   {Currency: "EUR", ReceivableAccountID: eur, Lines: []Line{{usd, "x", 1}}},
		"lines[1].account_id":   {Currency: "EUR", ReceivableAccountID: eur, Lines: []Line{{revenue, "x", 1}, {eur, "x", 1}}},
		"lines[0].amount":       {Currency: "EUR", ReceivableAccountID: eur, Lines: []Line{{revenue, "x", -1}}},
		"lines[1].amount":       {Currency: "EUR", ReceivableAccountID: eur, Lines: []Line{{revenue, "x", math.MaxInt64}, {revenue, "x", 1}}},
	} {
		i.TenantID, i.Number = "t", field
		_, err := l.AddInvoice(&i)
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	for n := range 5 {
		addAccount(t, l, "t", fmt.Sprint(n), "asset", "EUR")
	}
	var got []string
	for cursor, pages := "", 1; ; pages++ {
		page, next, err := l.Accounts("t", cursor, 2)
		if err != nil || pages > 5 {
			t.Fatal(pages, err)
		}
		for _, a := range page {
			got = append(got, a.Code)
		}
		if next == "" {
			break
		}
		if cursor = next; pages == 1 {
			addAccount(t, l, "t", "late", "asset", "EUR") // shifts nothing
		}
	}
	if strings.Join(got, " ") != "0 1 2 3 4 late" {
		t.Errorf("pages %v", got)
	}
}

func TestOneOfManyWritersOfACodeWins(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			pending, err := l.AddAccount(&Account{TenantID: "t", Code: fmt.Sprint(n % 4)})
			if errors.Is(err, ErrTaken) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer pending.Rollback()
			if err := pending.Commit(); err != nil {
				t.Error(err)
			}
			_, _, _ = l.Accounts("t", "", 10)
		})
	}
	wg.Wait()
	if got := len(strings.Fields(codes(t, l, "t"))); got != 4 {
		t.Errorf("%d accounts", got)
	}
}

func TestTornLastLineIsCutOffAndDamageIsNot(t *testing.T) {
	t.Parallel()
	whole := `{"account":{"id":"a","tenant_id":"t","code":"1"}}` + "\n"
	for name, c := range map[string]struct{ content, want string }{
		"empty":                {"", ""},
		"torn":                 {whole + `{"account":{"id":"b","ten`, "1"},
		"torn first":           {`{"acc`, ""},
		"zeros after a crash":  {whole + "\x00\x00\x00\x00", "1"},
		"whole without an end": {whole + strings.TrimSuffix(whole, "\n"), "1"},
		"garbage in between":   {"{garbage}\n" + whole, "error"},
		"neither":              {"{}\n", "error"},
		"no tenant":            {`{"account":{"id":"b","code":"2"}}` + "\n", "error"},
		"twice":                {whole + whole, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := Open(dir)
			if c.want == "error" {
				if err == nil || !strings.Contains(err.Error(), "line ") {
					t.Fatalf("opened: %v", err)
				}
				if after, _ := os.ReadFile(path); string(after) != c.content {
					t.Error("a damaged file was changed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			addAccount(t, l, "t", "9", "asset", "EUR")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got := codes(t, open(t, dir), "t"); got != strings.TrimSpace(c.want+" 9") {
				t.Errorf("accounts %q", got)
			}
		})
	}
}

func TestTwoProcessesCannotShareTheBooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("opened twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// badDisk fails on demand, after writing half of the line.
type badDisk struct {
	*os.File
	write, sync, truncate error
}

func (d *badDisk) Write(p []byte) (int, error) {
	if d.write != nil {
		n, _ := d.File.Write(p[:len(p)/2])
		return n, d.write
	}
	return d.File.Write(p)
}

func (d *badDisk) Sync() error {
	if d.sync != nil {
		return d.sync
	}
	return d.File.Sync()
}

func (d *badDisk) Truncate(size int64) error {
	if d.truncate != nil {
		return d.truncate
	}
	return d.File.Truncate(size)
}

func TestFailedWritesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	for name, c := range map[string]struct {
		disk  badDisk
		after string // what is there after the disk is well again and 3 was tried
	}{
		"write":              {badDisk{write: full}, "1 3"},
		"write and truncate": {badDisk{write: full, truncate: full}, "1"},
		"sync":               {badDisk{sync: full}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := open(t, dir)
			addAccount(t, l, "t", "1", "asset", "EUR")
			well, ok := l.journal.file.(*os.File)
			if !ok {
				t.Fatal("not a file")
			}
			c.disk.File = well
			l.journal.file = &c.disk
			for range 2 {
				pending, err := l.AddAccount(&Account{TenantID: "t", Code: "2"})
				if err != nil {
					t.Fatal(err)
				}
				if err := pending.Commit(); !errors.Is(err, ErrBroken) {
					t.Fatalf("committed: %v", err)
				}
				pending.Rollback()
			}
			l.journal.file = well
			if pending, err := l.AddAccount(&Account{TenantID: "t", Code: "3"}); err != nil {
				t.Fatal(err)
			} else if err := pending.Commit(); (err == nil) != (c.after == "1 3") {
				t.Fatalf("the next: %v", err)
			}
			_ = l.Close()
			if got := codes(t, open(t, dir), "t"); got != c.after {
				t.Errorf("accounts %q, not %q", got, c.after)
			}
		})
	}
}
