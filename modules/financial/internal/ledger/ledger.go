// Package ledger holds the financial module's books: accounts and invoices of
// many tenants, in memory and in one file of JSON lines.
package ledger

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// The errors of the books.
var (
	// ErrNotFound: no such thing in this tenant.
	ErrNotFound = errors.New("not found")
	// ErrTaken: the code or number is in use in this tenant, or about to be.
	ErrTaken = errors.New("already in use")
	// ErrBroken: the file could not be written; nothing more is taken until the
	// module is restarted.
	ErrBroken = errors.New("the ledger file cannot be written")
)

// Account is one account of a tenant's chart.
type Account struct {
	ID        string    `json:"id"`
	TenantID  string    `json:"tenant_id"`
	Code      string    `json:"code"`
	Name      string    `json:"name"`
	Type      string    `json:"type"` // one of AccountTypes
	Currency  string    `json:"currency"`
	CreatedAt time.Time `json:"created_at"`
}

// AccountTypes are the types an account may have.
var AccountTypes = []string{"asset", "liability", "equity", "revenue", "expense"}

// Invoice is a claim on a customer. Its total is debited to the receivable
// account and each line is credited to its own account, so that debits and
// credits are equal.
type Invoice struct {
	ID                  string    `json:"id"`
	TenantID            string    `json:"tenant_id"`
	Number              string    `json:"number"`
	Customer            string    `json:"customer"`
	Currency            string    `json:"currency"`
	ReceivableAccountID string    `json:"receivable_account_id"`
	Lines               []Line    `json:"lines"`
	Total               int64     `json:"total"` // minor units
	CreatedBy           string    `json:"created_by"`
	CreatedAt           time.Time `json:"created_at"`
}

// Line is one position of an invoice; Amount is in minor units (cents).
type Line struct {
	AccountID   string `json:"account_id"`
	Description string `json:"description"`
	Amount      int64  `json:"amount"`
}

// Posting is one side of an invoice on one account, in minor units.
type Posting struct {
	AccountID string `json:"account_id"`
	Debit     int64  `json:"debit"`
	Credit    int64  `json:"credit"`
}

// Postings are the invoice in double entry; debits and credits sum up alike.
func (i Invoice) Postings() []Posting {
	postings := []Posting{{AccountID: i.ReceivableAccountID, Debit: i.Total}}
	for _, line := range i.Lines {
		postings = append(postings, Posting{AccountID: line.AccountID, Credit: line.Amount})
	}
	return postings
}

// FieldError says which field of a new record contradicts the books.
type FieldError struct{ Field, Reason string }

// Error renders field and reason.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Ledger is the books. It is safe for concurrent use. Every read names the
// tenant and sees nothing else.
type Ledger struct {
	mu       sync.RWMutex
	tenants  map[string]*books
	reserved map[string]bool // what pending records will take

	writing sync.Mutex // before mu; readers do not wait for the disk
	journal *journal
}

// books are those of one tenant.
type books struct {
	accounts table[Account]
	invoices table[Invoice]
	taken    map[string]bool // account codes and invoice numbers
}

// Open reads the books in dir, creating both when missing. One process at a
// time may have them open. A torn last line, left by a crash in the middle of
// a write, is cut off: it was never confirmed to anybody.
func Open(dir string) (*Ledger, error) {
	l := &Ledger{tenants: map[string]*books{}, reserved: map[string]bool{}}
	j, err := openJournal(dir, l.apply)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l.journal = j
	return l, nil
}

// Close gives the directory free. What is still pending is lost.
func (l *Ledger) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.journal.close()
}

// Pending is a new record that nobody sees yet. What must be unique about it
// is reserved, so Commit fails for no reason but the disk.
//
//	pending ── Commit ──▶ durable and visible
//	   └───── Rollback ─▶ gone
type Pending struct {
	ledger *Ledger
	record record
	done   bool
}

// AddAccount reserves an account's code; ErrTaken when it is in use. ID and
// CreatedAt are filled in.
func (l *Ledger) AddAccount(a *Account) (*Pending, error) {
	a.ID, a.CreatedAt = newID(), time.Now().UTC()
	return l.reserve(record{Account: a})
}

// AddInvoice checks an invoice against the tenant's accounts (FieldError),
// reserves its number (ErrTaken), and fills in ID, Total and CreatedAt.
func (l *Ledger) AddInvoice(i *Invoice) (*Pending, error) {
	if err := l.balance(i); err != nil {
		return nil, err
	}
	i.ID, i.CreatedAt = newID(), time.Now().UTC()
	return l.reserve(record{Invoice: i})
}

// balance computes the total and checks the accounts. Accounts are never
// removed, so what holds now still holds at Commit.
func (l *Ledger) balance(i *Invoice) error {
	receivable, err := l.Account(i.TenantID, i.ReceivableAccountID)
	switch {
	case err != nil:
		return &FieldError{"receivable_account_id", "no such account"}
	case receivable.Type != "asset":
		return &FieldError{"receivable_account_id", "must be an asset account"}
	case receivable.Currency != i.Currency:
		return &FieldError{"currency", "differs from the receivable account's, " + receivable.Currency}
	}
	i.Total = 0
	for n, line := range i.Lines {
		field := fmt.Sprintf("lines[%d].", n)
		account, err := l.Account(i.TenantID, line.AccountID)
		switch {
		case err != nil:
			return &FieldError{field + "account_id", "no such account"}
		case account.ID == receivable.ID:
			return &FieldError{field + "account_id", "is the receivable account"}
		case account.Currency != i.Currency:
			return &FieldError{field + "account_id", "is kept in " + account.Currency}
		case line.Amount <= 0:
			return &FieldError{field + "amount", "must be positive"}
		case line.Amount > math.MaxInt64-i.Total:
			return &FieldError{field + "amount", "makes the total too large"}
		}
		i.Total += line.Amount
	}
	return nil
}

func (l *Ledger) reserve(r record) (*Pending, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tenant, unique := r.key()
	if b := l.tenants[tenant]; l.reserved[tenant+" "+unique] || (b != nil && b.taken[unique]) {
		return nil, ErrTaken
	}
	l.reserved[tenant+" "+unique] = true
	return &Pending{ledger: l, record: r}, nil
}

// Commit writes the record to disk and makes it visible. When it fails the
// record is gone.
func (p *Pending) Commit() error {
	l := p.ledger
	l.writing.Lock()
	defer l.writing.Unlock()
	if p.done {
		return errors.New("committed or rolled back before")
	}
	if err := l.journal.append(p.record); err != nil {
		return err // Rollback frees what was reserved
	}
	p.done = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(p.record)
	return l.apply(p.record)
}

// Rollback forgets the record; after Commit it does nothing. Defer it.
func (p *Pending) Rollback() {
	l := p.ledger
	l.writing.Lock()
	defer l.writing.Unlock()
	if p.done {
		return
	}
	p.done = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(p.record)
}

func (l *Ledger) release(r record) {
	tenant, unique := r.key()
	delete(l.reserved, tenant+" "+unique)
}

// apply makes a durable record visible.
func (l *Ledger) apply(r record) error {
	tenant, unique := r.key()
	if tenant == "" {
		return errors.New("a record without a tenant")
	}
	b := l.tenants[tenant]
	if b == nil {
		b = &books{taken: map[string]bool{}}
		l.tenants[tenant] = b
	}
	if b.taken[unique] {
		return fmt.Errorf("%s is there twice", unique)
	}
	b.taken[unique] = true
	if r.Account != nil {
		b.accounts.add(r.Account.ID, *r.Account)
	} else {
		b.invoices.add(r.Invoice.ID, *r.Invoice)
	}
	return nil
}

// Account returns one account of a tenant, ErrNotFound for any other's.
func (l *Ledger) Account(tenant, id string) (Account, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of(tenant).accounts.get(id)
}

// Invoice returns one invoice of a tenant, ErrNotFound for any other's.
func (l *Ledger) Invoice(tenant, id string) (Invoice, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of(tenant).invoices.get(id)
}

// Accounts returns a page of a tenant's accounts in the order of creation:
// those after the cursor, or from the first when it is empty. next is the
// cursor of the page that follows, empty when there is none. A cursor that is
// none of the tenant's is ErrNotFound.
func (l *Ledger) Accounts(tenant, cursor string, limit int) (page []Account, next string, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of(tenant).accounts.page(cursor, limit)
}

// Invoices returns a page of a tenant's invoices, as Accounts does.
func (l *Ledger) Invoices(tenant, cursor string, limit int) (page []Invoice, next string, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of(tenant).invoices.page(cursor, limit)
}

func (l *Ledger) of(tenant string) *books {
	if b := l.tenants[tenant]; b != nil {
		return b
	}
	return &books{}
}
