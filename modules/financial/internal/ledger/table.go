package ledger

import "slices"

// table keeps rows in the order of their creation and finds them by id. Rows
// are never changed or removed.
type table[T any] struct {
	rows  []T
	ids   []string
	index map[string]int
}

func (t *table[T]) add(id string, row T) {
	if t.index == nil {
		t.index = map[string]int{}
	}
	t.index[id] = len(t.rows)
	t.rows, t.ids = append(t.rows, row), append(t.ids, id)
}

func (t *table[T]) get(id string) (row T, err error) {
	i, ok := t.index[id]
	if !ok {
		return row, ErrNotFound
	}
	return t.rows[i], nil
}

// page returns at most limit rows after the one whose id is cursor.
func (t *table[T]) page(cursor string, limit int) (page []T, next string, err error) {
	first := 0
	if cursor != "" {
		i, ok := t.index[cursor]
		if !ok {
			return nil, "", ErrNotFound
		}
		first = i + 1
	}
	end := min(first+limit, len(t.rows))
	if end < len(t.rows) {
		next = t.ids[end-1]
	}
	return slices.Clone(t.rows[first:end]), next, nil
}
