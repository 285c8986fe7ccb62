// Package trouble keeps the log readable while something fails again and again, such as all that needs a database which is
// away: it is said when it begins and when it is over, and in between only every ten minutes.
package trouble

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"zonewire"
)

// sayAgain is how long the log hears nothing of what it has heard.
const sayAgain = 10 * time.Minute

// Trouble is one thing that may fail for a while. Its zero value is not usable: see [New].
type Trouble struct {
	log          *slog.Logger
	begins, over string

	mu      sync.Mutex
	on      bool
	waiting int  // calls between Wait and Done
	away    bool // it was the database
	said    time.Time
}

// New gives a trouble that is not, with what the log says when it begins and when it is over.
func New(log *slog.Logger, begins, over string) *Trouble {
	return &Trouble{log: log, begins: begins, over: over}
}

// Is takes in how a try ended. The beginning is logged as an error, the end as information. A database that is away and what
// fails otherwise are two troubles: the one may hide the other.
func (t *Trouble) Is(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.ends()
		return
	}
	t.say(err)
}

// Wait says that a call has failed and is tried until it succeeds; only then is it [Trouble.Done]. Of many calls that wait side
// by side the first begins the trouble and the last one ends it.
func (t *Trouble) Wait(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting++
	t.say(err)
}

// Done ends what Wait has begun, whether the call went well or was given up.
func (t *Trouble) Done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting--; t.waiting == 0 {
		t.ends()
	}
}

func (t *Trouble) say(err error) {
	away := Away(err)
	if t.on && t.away == away && time.Since(t.said) < sayAgain {
		return
	}
	t.on, t.away, t.said = true, away, time.Now()
	t.log.Error(t.begins, "err", err)
}

func (t *Trouble) ends() {
	if t.on {
		t.on = false
		t.log.Info(t.over)
	}
}

// Seldom is for what fails in a thousand places at once, or for a stranger's doing: each thing is said at most every ten
// minutes. Its zero value is ready.
type Seldom struct {
	mu   sync.Mutex
	said map[string]time.Time
}

const maxSaid = 10_000 // things to remember, which strangers' hosts are among

// Away reports whether a failure is that the database is away: it says so, or was not waited for any longer.
func Away(err error) bool {
	return errors.Is(err, zonewire.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// Fails reports whether it is to be said now that a thing has failed. While the database is away, all that needs it are one.
func (s *Seldom) Fails(what string, err error, now time.Time) bool {
	if Away(err) {
		what = zonewire.ErrUnavailable.Error()
	}
	return s.Say(what, now)
}

// Say reports whether a thing is to be said now.
func (s *Seldom) Say(what string, now time.Time) bool {
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
