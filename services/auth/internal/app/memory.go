package app

import "sync"

// memory remembers values that are read from the database, by id. Events of
// changes empty it entry by entry. The zero memory is ready for use, by many at
// once.
type memory[V any] struct {
	mu      sync.RWMutex
	known   map[string]V
	changes uint64 // grows with each forget
}

// maxRemembered bounds a memory; people's is then about 30 MB.
const maxRemembered = 100_000

func (m *memory[V]) get(id string) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.known[id]
	return v, ok
}

func (m *memory[V]) mark() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.changes
}

// put remembers a value that was read after mark, unless a change was told
// since: it might be older than that.
func (m *memory[V]) put(id string, v V, mark uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes != mark {
		return
	}
	if m.known == nil || len(m.known) >= maxRemembered {
		m.known = map[string]V{}
	}
	m.known[id] = v
}

func (m *memory[V]) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	delete(m.known, id)
}
