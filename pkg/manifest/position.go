package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a text: a manifest of a reasonable author is far below.
const (
	maxDepth = 64  // values in one another
	maxKey   = 200 // bytes of a key
)

// source is a JSON text in which every value can be found again.
type source struct {
	data []byte
	root *node
}

// node is a value: where its key (in an object) and it begin and end, in bytes.
type node struct {
	key, start, end int
	keys            []string // of an object, as written
	members         map[string]*node
	items           []*node
}

// spot is a finding with the byte that it is about; its line is counted when
// it is shown, for that takes time.
type spot struct {
	Finding
	offset int
}

// read finds the values of a text. What it finds is what no value can be made
// of, without a root, and keys that stand twice.
func read(data []byte) (*source, []spot) {
	s := &source{data: data}
	unreadable := func(at int, message string) (*source, []spot) {
		return s, []spot{{Finding{Code: "json", Severity: Error, Message: message}, at}}
	}
	if !utf8.Valid(data) {
		at := 0
		for at < len(data) {
			r, size := utf8.DecodeRune(data[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return unreadable(at, "the text is not UTF-8 here: save the file as UTF-8")
	}
	var whole json.RawMessage
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(data, &whole); {
	case errors.As(err, &syntax):
		// Offset is after the byte that was one too many, or at the end.
		at := max(int(syntax.Offset)-1, 0)
		if strings.HasPrefix(syntax.Error(), "unexpected end") {
			at = len(bytes.TrimRight(data, " \t\r\n"))
			data = data[:at]
		}
		return unreadable(at, "the text is not JSON: "+syntax.Error()+jsonHint(data, at))
	case err != nil:
		return unreadable(0, "the text is not JSON: "+err.Error())
	}
	w := &walker{source: s, in: json.NewDecoder(bytes.NewReader(data))}
	w.in.UseNumber()
	root, err := w.value()
	if err != nil {
		return unreadable(w.last, err.Error())
	}
	s.root = root
	return s, w.found
}

// jsonHint guesses what an author who wrote a byte there may have had in mind.
func jsonHint(data []byte, at int) string {
	if at >= len(data) {
		return ": a bracket or quotation mark is not closed"
	}
	before := bytes.TrimRight(data[:at], " \t\r\n")
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return ": it begins with a byte order mark, which does not belong there"
	}
	switch c := data[at]; {
	case c == '/' || c == '#':
		return ": a manifest has no comments"
	case c == '\'':
		return ": strings stand in double quotation marks"
	case (c == '}' || c == ']') && bytes.HasSuffix(before, []byte(",")):
		return ": no comma after the last one"
	case c == '"' && len(before) > 0 && strings.IndexByte("\"}]0123456789el", before[len(before)-1]) >= 0:
		return ": a comma is missing before"
	}
	return ""
}

// walker reads a valid text token by token.
type walker struct {
	*source
	in    *json.Decoder
	found []spot
	way   []string // to the value that is being read
	last  int      // where that begins
}

var (
	errDeep   = fmt.Errorf("more than %d values in one another: keep it flat", maxDepth)
	errKey    = fmt.Errorf("a key of more than %d bytes: shorten it", maxKey)
	errNumber = errors.New("a number of this size is not read alike everywhere: keep it between -1e300 and 1e300, in at most 40 characters")
)

// plainNumber refuses numbers that cost more to compute with than to write.
func plainNumber(n json.Number) bool {
	f, err := n.Float64()
	if err != nil || len(n) > 40 || f > 1e300 || f < -1e300 {
		return false
	}
	_, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e-")
	return !ok || len(strings.TrimLeft(exponent, "0")) < 3
}

func (w *walker) value() (*node, error) {
	n := &node{key: -1, start: w.next()}
	w.last = n.start
	if len(w.way) > maxDepth {
		return nil, errDeep
	}
	token, err := w.in.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		err = w.object(n)
	case json.Delim('['):
		for w.in.More() && err == nil {
			var item *node
			if item, err = w.below(strconv.Itoa(len(n.items))); err == nil {
				n.items = append(n.items, item)
			}
		}
	default:
		if number, ok := token.(json.Number); ok && !plainNumber(number) {
			return nil, errNumber
		}
		n.end = int(w.in.InputOffset())
		return n, nil
	}
	if err == nil {
		_, err = w.in.Token() // the bracket
	}
	n.end = int(w.in.InputOffset())
	return n, err
}

// below reads a value inside the one that is being read.
func (w *walker) below(segment string) (*node, error) {
	w.way = append(w.way, segment)
	n, err := w.value()
	w.way = w.way[:len(w.way)-1]
	return n, err
}

func (w *walker) object(n *node) error {
	n.members = map[string]*node{}
	for w.in.More() {
		at := w.next()
		token, err := w.in.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return io.ErrUnexpectedEOF // not of a valid text
		}
		if len(key) > maxKey {
			w.last = at
			return errKey
		}
		member, err := w.below(key)
		if err != nil {
			return err
		}
		member.key = at
		if first, twice := n.members[key]; !twice {
			n.keys = append(n.keys, key)
		} else if len(w.found) < maxFindings {
			line, _ := w.place(first.key)
			w.found = append(w.found, spot{Finding{Code: "duplicate_key", Severity: Error, Path: pointer(w.way...) + pointer(key),
				Message: fmt.Sprintf("%s stands twice, first on line %d: readers differ in which one they take; remove one", quoted(key), line)}, at})
		}
		n.members[key] = member
	}
	return nil
}

// next is where the next token begins.
func (w *walker) next() int {
	at := int(w.in.InputOffset())
	for at < len(w.data) && strings.IndexByte(" \t\r\n,:", w.data[at]) >= 0 {
		at++
	}
	return at
}

// place is the line and column of a byte, both from 1, columns in characters.
func (s *source) place(offset int) (line, column int) {
	before := s.data[:min(max(offset, 0), len(s.data))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// find returns the value that a pointer names, or the last one on its way that
// is there.
func (s *source) find(pointer string) (n *node, found bool) {
	n = s.root
	if n == nil || pointer == "" {
		return n, n != nil
	}
	for _, segment := range segments(pointer) {
		var next *node
		if n.members != nil {
			next = n.members[segment]
		} else if i, err := strconv.Atoi(segment); err == nil && i >= 0 && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

// walk visits a value and all inside it; way leads to them, and is valid
// during the visit only.
func (n *node) walk(way []string, visit func(way []string, n *node)) {
	visit(way, n)
	for i, item := range n.items {
		item.walk(append(way, strconv.Itoa(i)), visit)
	}
	for _, key := range n.keys {
		n.members[key].walk(append(way, key), visit)
	}
}

// ending is the pointer of the value that ends at a byte.
func (s *source) ending(offset int) string {
	var at string
	for n := s.root; n != nil; {
		var inside *node
		for key, m := range n.members {
			if m.start < offset && offset <= m.end {
				inside, at = m, at+pointer(key)
				break
			}
		}
		for i, m := range n.items {
			if m.start < offset && offset <= m.end {
				inside, at = m, fmt.Sprintf("%s/%d", at, i)
				break
			}
		}
		n = inside
	}
	return at
}

// raw is the text of the value that a pointer names; nil is none.
func (s *source) raw(pointer string) []byte {
	if n, ok := s.find(pointer); ok {
		return s.data[n.start:n.end]
	}
	return nil
}

// Locate finds the value that a JSON pointer into a manifest names in its text,
// which may be of version 1; where it is not there, the nearest one around it.
// Zeros are of a text that is not JSON.
func Locate(data []byte, pointer string) (line, column int) {
	s, _ := read(data)
	if s.root == nil {
		return 0, 0
	}
	c := newChecker(s, nil)
	if s.root.members != nil && isVersion1(s) {
		c.convert()
	}
	n, _ := s.find(c.origin(pointer))
	return s.place(n.start)
}

var (
	escapes   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapes = strings.NewReplacer("~1", "/", "~0", "~")
)

// pointer joins segments to a JSON pointer.
func pointer(segments ...string) string {
	var b strings.Builder
	for _, segment := range segments {
		b.WriteByte('/')
		_, _ = escapes.WriteString(&b, segment)
	}
	return b.String()
}

func segments(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range parts {
		parts[i] = unescapes.Replace(parts[i])
	}
	return parts
}

// quoted is a value from a manifest for a message: short, and on one line.
func quoted(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		s = string(runes[:79]) + "…"
	}
	return strconv.Quote(s)
}
