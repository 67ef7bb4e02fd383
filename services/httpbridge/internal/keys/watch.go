package keys

// Watch calls ended, which must not block, each time it is told that a key was
// revoked, or rotated and so will end sooner: what Verify said of it before
// does not hold any more. stop ends the watch. To miss nothing, verify the key
// again once it is watched.
func (k *Keys) Watch(id string, ended func()) (stop func()) {
	w := &watch{ended}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.watches == nil {
		k.watches = map[string]map[*watch]struct{}{}
	}
	if k.watches[id] == nil {
		k.watches[id] = map[*watch]struct{}{}
	}
	k.watches[id][w] = struct{}{}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if delete(k.watches[id], w); len(k.watches[id]) == 0 {
			delete(k.watches, id)
		}
	}
}

type watch struct{ ended func() }
