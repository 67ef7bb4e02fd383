package kit

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/events"
)

const (
	streamsEvery = 15 * time.Second
	// tightFrom and fullFrom are from where on a stream's limit is warned of and
	// is an error. A disk that is full leaves JetStream refusing until it is
	// restarted, so both come long before.
	tightFrom = 0.7
	fullFrom  = 0.9
	// remindEvery is how often the log repeats itself.
	remindEvery = 10 * time.Minute
)

// StreamWatch measures the streams and who reads them, and warns before a limit
// is reached.
type StreamWatch struct {
	js  jetstream.JetStream
	log *slog.Logger
	now func() time.Time

	bytes, most, messages, pressure, lag *prometheus.GaugeVec
	told                                 map[string]telling
}

type telling struct {
	level slog.Level
	at    time.Time
}

// NewStreamWatch registers the metrics.
func NewStreamWatch(js jetstream.JetStream, t *Telemetry) *StreamWatch {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"stream"}, labels...))
		t.Metrics.MustRegister(g)
		return g
	}
	return &StreamWatch{
		js: js, log: t.Log, now: time.Now, told: map[string]telling{},
		bytes:    gauge("buildify_stream_bytes", "Size of a stream."),
		most:     gauge("buildify_stream_limit_bytes", "Size that a stream may have."),
		messages: gauge("buildify_stream_messages", "Messages in a stream."),
		pressure: gauge("buildify_stream_pressure_ratio", "How near a stream is to refusing messages, or to dropping ones that a durable consumer has not read; 1 is there."),
		lag:      gauge("buildify_consumer_lag_messages", "Messages that a durable consumer has not worked off; those of modules are the largest one.", "consumer"),
	}
}

// Run looks again and again until ctx ends.
func (w *StreamWatch) Run(ctx context.Context) {
	ticker := time.NewTicker(streamsEvery)
	defer ticker.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("the streams cannot be measured", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look measures once.
func (w *StreamWatch) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var failed []error
	for _, name := range events.Streams() {
		err := w.look(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = nil // nobody made it yet
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (w *StreamWatch) look(ctx context.Context, name string) error {
	stream, err := w.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	w.bytes.WithLabelValues(name).Set(float64(info.State.Bytes))
	w.most.WithLabelValues(name).Set(float64(info.Config.MaxBytes))
	w.messages.WithLabelValues(name).Set(float64(info.State.Msgs))
	slowest, lags := "", map[string]float64{}
	consumers := stream.ListConsumers(ctx)
	for c := range consumers.Info() {
		if c.Config.Durable == "" {
			continue
		}
		label, lag := c.Name, float64(c.NumPending)+float64(c.NumAckPending)
		if strings.HasPrefix(label, "mod_") {
			label = "mod"
		}
		lags[label] = max(lags[label], lag)
		if slowest == "" || lag > lags[slowest] {
			slowest = label
		}
	}
	if err := consumers.Err(); err != nil {
		return err
	}
	w.lag.DeletePartialMatch(prometheus.Labels{"stream": name})
	for label, lag := range lags {
		w.lag.WithLabelValues(name, label).Set(lag)
	}
	pressure := float64(info.State.Bytes) / float64(max(info.Config.MaxBytes, 1))
	if info.Config.Discard == jetstream.DiscardOld { // what has been read may go
		pressure *= lags[slowest] / float64(max(info.State.Msgs, 1))
	}
	w.pressure.WithLabelValues(name).Set(pressure)
	w.tell(ctx, name, pressure, slowest, info)
	return nil
}

func (w *StreamWatch) tell(ctx context.Context, name string, pressure float64, slowest string, info *jetstream.StreamInfo) {
	level, room := slog.LevelInfo, "it has room again"
	switch {
	case pressure >= fullFrom:
		level, room = slog.LevelError, "it is nearly full"
	case pressure >= tightFrom:
		level, room = slog.LevelWarn, "it is filling up"
	}
	before := w.told[name]
	if level == before.level && (level == slog.LevelInfo || w.now().Sub(before.at) < remindEvery) {
		return
	}
	w.told[name] = telling{level, w.now()}
	then := "full, it refuses messages: make its readers work, or raise its limit"
	if info.Config.Discard == jetstream.DiscardOld {
		then = "full, it drops messages that its slowest consumer has not read"
	}
	w.log.Log(ctx, level, "the room of a stream", "stream", name, "room", room, "used_percent", int(pressure*100), "bytes", info.State.Bytes,
		"limit_bytes", info.Config.MaxBytes, "slowest_consumer", slowest, "then", then)
}
