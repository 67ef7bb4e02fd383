package bundle

import "container/list"

// contents keeps files by their digests, the ones used last, up to a number of
// bytes. It is not safe for concurrent use.
type contents struct {
	limit, size int64
	order       *list.List // of *content, the one used last in front
	byDigest    map[string]*list.Element
}

type content struct {
	digest string
	bytes  []byte
}

func newContents(limit int64) *contents {
	return &contents{limit: limit, order: list.New(), byDigest: map[string]*list.Element{}}
}

func (c *contents) get(digest string) ([]byte, bool) {
	e, ok := c.byDigest[digest]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	one, _ := e.Value.(*content)
	return one.bytes, true
}

func (c *contents) put(digest string, bytes []byte) {
	if _, ok := c.get(digest); ok || int64(len(bytes)) > c.limit {
		return
	}
	c.byDigest[digest] = c.order.PushFront(&content{digest, bytes})
	for c.size += int64(len(bytes)); c.size > c.limit; {
		last, _ := c.order.Remove(c.order.Back()).(*content)
		delete(c.byDigest, last.digest)
		c.size -= int64(len(last.bytes))
	}
}
