package kit

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// answerDiscovery answers $SRV.PING, INFO and STATS as NATS's service protocol
// describes them, with micro's own types. The endpoints are ours and not
// micro's: see docs/adr/0003-own-request-server.md.
func (s *Server) answerDiscovery() error {
	answers := map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info() },
		micro.StatsVerb: func() any { return s.stats() },
	}
	for verb, answer := range answers {
		for _, target := range [][2]string{{}, {s.cfg.Service}, {s.cfg.Service, s.id}} {
			subject, err := micro.ControlSubject(verb, target[0], target[1])
			if err != nil {
				return err
			}
			sub, err := s.cfg.NATS.Subscribe(subject, func(msg *nats.Msg) {
				body, err := json.Marshal(answer())
				if err == nil && msg.Reply != "" {
					_ = msg.Respond(body) // discovery is best effort
				}
			})
			if err != nil {
				return err
			}
			s.discovery = append(s.discovery, sub)
		}
	}
	return nil
}

func (s *Server) identity() micro.ServiceIdentity {
	version := s.cfg.Version
	if version == "" {
		version = "0.0.0"
	}
	return micro.ServiceIdentity{Name: s.cfg.Service, ID: s.id, Version: version}
}

func (s *Server) info() micro.Info {
	info := micro.Info{ServiceIdentity: s.identity(), Type: micro.InfoResponseType, Description: "Buildify Core " + s.cfg.Service}
	for _, e := range s.snapshot() {
		for _, sub := range e.subscriptions {
			info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
				Name: e.discoveryName(), Subject: sub.Subject, QueueGroup: sub.Queue,
			})
		}
	}
	return info
}

func (s *Server) stats() micro.Stats {
	stats := micro.Stats{ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.start.UTC()}
	for _, e := range s.snapshot() {
		one := &micro.EndpointStats{
			Name: e.discoveryName(), Subject: e.spec.Subject(), QueueGroup: "core",
			NumRequests:    int(e.requests.Load()),
			NumErrors:      int(e.failures.Load()),
			ProcessingTime: time.Duration(e.busy.Load()),
		}
		if one.NumRequests > 0 {
			one.AverageProcessingTime = one.ProcessingTime / time.Duration(one.NumRequests)
		}
		if last := e.lastError.Load(); last != nil {
			one.LastError = *last
		}
		stats.Endpoints = append(stats.Endpoints, one)
	}
	return stats
}

// discoveryName is the operation's name without the dot, which the protocol
// does not allow in a name.
func (e *endpoint) discoveryName() string { return strings.ReplaceAll(e.spec.Name, ".", "-") }

func (s *Server) snapshot() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*endpoint(nil), s.endpoints...)
}
