package websub

import (
	"sync"
	"time"
)

const (
	sayAgain = 10 * time.Minute
	maxSaid  = 10_000 // things to remember, which strangers' hosts are among
)

// seldom keeps the log readable: what is wrong with one host, or with our store, is wrong with a thousand deliveries.
type seldom struct {
	mu   sync.Mutex
	said map[string]time.Time
}

// say reports whether a thing is to be said now: not if it was within ten minutes.
func (s *seldom) say(what string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.said[what]; ok && now.Sub(at) < sayAgain {
		return false
	}
	if s.said == nil || len(s.said) >= maxSaid {
		s.said = map[string]time.Time{}
	}
	s.said[what] = now
	return true
}
