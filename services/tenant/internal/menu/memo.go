package menu

import "sync"

// memo remembers at most remembered values; which of them makes room for
// another is arbitrary. The zero value is ready.
type memo[V any] struct {
	mu sync.RWMutex
	of map[string]V
}

const remembered = 2000

func (m *memo[V]) get(key string) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	value, ok := m.of[key]
	return value, ok
}

func (m *memo[V]) put(key string, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[string]V{}
	}
	if _, known := m.of[key]; !known {
		makeRoom(m.of)
	}
	m.of[key] = value
}

func makeRoom[V any](of map[string]V) {
	for key := range of {
		if len(of) < remembered {
			return
		}
		delete(of, key)
	}
}
