package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

const (
	subscribers = 2000
	ofAKey      = 40 // streams that one API key may have open
	given       = 200
)

// subscribersOnly measures a bridge that runs apart with 2,000 idle readers of
// GET /api/v1/events/stream: its memory, its CPU, and how long an event takes to
// reach the last of them.
func subscribersOnly() error {
	ctx := context.Background()
	f := &fixture{}
	defer f.stop()
	for _, step := range []func(context.Context) error{f.startDatabase, f.startPlatform} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	url, bridge, err := f.bridgeApart(ctx)
	if err != nil {
		return err
	}
	empty := memoryOf(bridge)
	reading, end := context.WithCancel(ctx)
	defer end()
	arrived := make(chan time.Time, subscribers)
	var open sync.WaitGroup
	for n := range subscribers / ofAKey {
		key, err := kit.Call(ctx, f.core.Client, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev", RateClass: "bulk"})
		if err != nil {
			return err
		}
		for range ofAKey {
			open.Add(1)
			go func() {
				if err := readEvents(reading, url, key.APIKey, open.Done, arrived); err != nil && reading.Err() == nil {
					fmt.Fprintln(os.Stderr, "bench: a reader:", err)
					os.Exit(1)
				}
			}()
		}
		open.Wait()
		fmt.Fprintf(os.Stderr, "%d readers\n", (n+1)*ofAKey)
	}
	before := cpuOf(bridge)
	time.Sleep(20 * time.Second) // more than a heartbeat
	idle := cpuOf(bridge) - before
	full := memoryOf(bridge)

	js, stop, err := f.audit(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var took []time.Duration
	before = cpuOf(bridge)
	for range given {
		e, err := events.New(events.UnitChanged, tenantOfEvents, 1, contract.OrgUnit{Name: strings.Repeat("x", 300)})
		if err != nil {
			return err
		}
		msg, err := events.Encode(e)
		if err != nil {
			return err
		}
		msg.Header.Set(nats.MsgIdHdr, e.ID())
		begin := time.Now()
		if err := events.PublishCopies(ctx, js, []*nats.Msg{events.Copy(module, msg.Subject, 1, msg.Header, msg.Data)}); err != nil {
			return err
		}
		for range subscribers {
			took = append(took, (<-arrived).Sub(begin))
		}
	}
	busy := cpuOf(bridge) - before
	slices.Sort(took)
	fmt.Println("| readers | bridge RSS MB | of it for readers | idle CPU % of a core | event to a reader p50 ms | p99 ms | CPU µs a delivery |\n|--:|--:|--:|--:|--:|--:|--:|")
	fmt.Printf("| %d | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f |\n", subscribers, full, full-empty, idle.Seconds()/20*100,
		ms(took[len(took)/2]), ms(took[len(took)*99/100]), float64(busy.Microseconds())/float64(len(took)))
	return nil
}

const tenantOfEvents = "01900000-0000-7000-8000-000000000001"

// bridgeApart runs one more bridge as a process of its own.
func (f *fixture) bridgeApart(ctx context.Context) (url string, pid int, err error) {
	if pid, err = f.startApart(ctx, "bridge", []string{"httpbridge", "--http", "127.0.0.1:0"}); err != nil {
		return "", 0, err
	}
	raw, err := os.ReadFile(f.readyFile("bridge"))
	if err != nil {
		return "", 0, err
	}
	var ready struct {
		HTTPURL string `json:"http_url"`
	}
	err = json.Unmarshal(raw, &ready)
	return ready.HTTPURL, pid, err
}

// memoryOf is a process's resident memory in megabytes.
func memoryOf(pid int) (mb float64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // without Linux there is no figure
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	_, _ = fmt.Sscan(rest, &mb)
	return mb / 1024
}

// cpuOf is the CPU time that a process has taken.
func cpuOf(pid int) time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // as above
	fields := strings.Fields(string(stat))
	if len(fields) < 15 {
		return 0
	}
	var user, system int64
	_, _ = fmt.Sscan(fields[13], &user)
	_, _ = fmt.Sscan(fields[14], &system)
	return time.Duration(user+system) * 10 * time.Millisecond // a hundred ticks a second
}

func (f *fixture) audit(ctx context.Context) (jetstream.JetStream, func(), error) {
	nc, err := natsconn.Connect(ctx, natsconn.Config{
		URL: f.core.NATSURL, User: natsconn.Audit, SeedFile: natsserver.SeedFile(f.core.Credentials(), natsconn.Audit),
	})
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return js, nc.Close, err
}

// readEvents reads until the process ends, and tells when an event came.
func readEvents(ctx context.Context, url, key string, opened func(), arrived chan<- time.Time) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+contract.GrantedEvents.Path, nil)
	if err != nil {
		return err
	}
	request.Header.Set(contract.HeaderAPIKey, key)
	response, err := (&http.Transport{}).RoundTrip(request)
	for err == nil && response.StatusCode == http.StatusTooManyRequests { // all come from one address
		_ = response.Body.Close()
		time.Sleep(time.Second)
		response, err = (&http.Transport{}).RoundTrip(request)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream was refused: %s", response.Status)
	}
	in := bufio.NewScanner(response.Body)
	for told := false; in.Scan(); {
		switch line := in.Text(); {
		case line == ": open" && !told:
			told = true
			opened()
		case strings.HasPrefix(line, "data: "):
			arrived <- time.Now()
		}
	}
	return in.Err()
}
