package ingest

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/services/audit/internal/store/db"
)

// poisonOf is what is kept of a message that no record can be made of.
func (r *reader) poisonOf(msg jetstream.Msg, reason error) db.StorePoisonParams {
	headers, _ := json.Marshal(msg.Headers())                               // a map of strings
	headers = bytes.ReplaceAll(headers, []byte(`\u0000`), []byte(`\ufffd`)) // which jsonb refuses
	p := db.StorePoisonParams{
		Stream: r.stream, Subject: storable(msg.Subject()), Headers: headers, Data: msg.Data(), Reason: storable(reason.Error()),
	}
	if meta, err := msg.Metadata(); err == nil {
		p.StreamSeq = int64(meta.Sequence.Stream)
	}
	return p
}

// storable replaces what PostgreSQL's text cannot hold.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
