package poll

import (
	"encoding/binary"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
	"zonewire/ingest"
)

// class is what an answer means for the source that gave it.
type class int

const (
	usable  class = iota // news, or that there is none
	gone                 // for good, by its own word
	missing              // nothing there: a mistake, or for good
	blocked              // it lets only browsers in, or no program at all
	busy                 // it asks to be left alone
	failed               // anything else
)

// verdict is an answer judged.
type verdict struct {
	class  class
	reason string        // one line for people, with the remedy; empty if usable
	retry  time.Duration // how long it asks to be left alone; 0 if it does not
	slower bool          // it asks for that, and does not say by how much
	closed bool          // nothing was asked: it may not be
}

// classOf judges a status. 429 and 503 are requests to slow down, whether or not they say for how long.
func classOf(status int) class {
	switch status {
	case http.StatusOK, http.StatusNotModified:
		return usable
	case http.StatusGone:
		return gone
	case http.StatusNotFound:
		return missing
	case http.StatusForbidden, http.StatusPreconditionFailed, 521: // 412 and 521 come with a script that sets a cookie
		return blocked
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return busy
	}
	return failed
}

const (
	manyErrors    = 5         // polls that failed in a row make a source a failing one
	patience      = 14 * day  // then it is suspended
	manyMissing   = 10        // answers of 404 in a row, over at least
	missingFor    = 7 * day   // this long, stop a source
	sameRedirects = 3         // equal permanent redirects in a row move a source
	minEvery      = time.Hour // between two polls, unless the operator says otherwise
)

// settle gives the state of a source after an answer, its reason, and its counts of errors.
func settle(s zonewire.Source, v verdict, now time.Time) (zonewire.SourceState, string, zonewire.PollMemory) {
	m := s.Memory
	state, reason := s.State, v.reason
	if v.class == usable {
		m.Errors, m.FailingAt, m.Gone, m.GoneAt = 0, time.Time{}, 0, time.Time{}
		m.Succeeded = now
		if state == zonewire.SourcePaused {
			return state, s.Reason, m
		}
		return zonewire.SourceActive, "", m
	}
	m.Errors++
	if m.FailingAt.IsZero() {
		m.FailingAt = now
	}
	if v.class == missing {
		if m.Gone++; m.GoneAt.IsZero() {
			m.GoneAt = now
		}
	}
	stopped := v.class == gone || m.Gone >= manyMissing && now.Sub(m.GoneAt) >= missingFor
	switch {
	case !state.Polled(): // an operator asked: a failure changes nothing of what was known
		return state, s.Reason, m
	case stopped:
		return zonewire.SourceStopped, reason, m
	case v.class == blocked:
		return zonewire.SourceBlocked, reason, m
	case m.Errors >= manyErrors && now.Sub(m.FailingAt) >= patience:
		return zonewire.SourceSuspended, "it has failed for 14 days, at last: " + reason, m
	case m.Errors >= manyErrors:
		return zonewire.SourceFailing, reason, m
	}
	return zonewire.SourceActive, reason, m
}

// timing is what the time of the next poll depends on.
type timing struct {
	source  zonewire.Source // as it is after the answer
	verdict verdict
	recent  int           // articles in seven days
	fresh   time.Duration // what the headers said, see [freshFor]
	whole   bool          // a condition cannot be had: no validators, or the address behind the redirects changes
	now     time.Time
}

// next is when to ask a source again: as often as it has news, not before any hint of its own allows, slower after failures.
func next(t timing) time.Time {
	s, m := t.source, t.source.Memory
	floor := minEvery
	if s.Every > 0 {
		floor = s.Every
	}
	base := min(max(week/time.Duration(t.recent+1), floor), day)
	if s.Every > 0 {
		base = floor // an operator who says how often means it
	}
	if s.Sub.Verified(t.now) || t.verdict.class == blocked {
		base = day // a backup of the hub's pushes; a blocked source opens up as seldom as anybody looks at it
	}
	slower := m.Errors
	if t.verdict.slower {
		slower++
	}
	base = min(base<<min(slower, 6), day)

	hints := readHints(m.Hints)
	earliest := t.now.Add(max(floor, t.fresh, hint(hints.Every), t.verdict.retry))
	if t.whole && !m.Whole.IsZero() {
		earliest = latest(earliest, m.Whole.Add(day))
	}
	jitter := jitterOf(s.ID, t.now) // -1 to 1
	late := func(d time.Duration) time.Duration { return time.Duration((jitter + 1) / 2 * float64(d)) }

	at := t.now.Add(base + time.Duration(jitter*float64(base/10)))
	if at.Before(earliest) {
		at = earliest.Add(late(base / 10))
	}
	if open := outsideSkips(hints, at); !open.Equal(at) {
		at = earlier(open.Add(late(10*time.Minute)), at.Add(maxHint))
	}
	if s.Kind == zonewire.PageSource {
		at = outsideNight(at, late(time.Hour).Hours())
	}
	return at.Add(time.Second - 1).Truncate(time.Second) // never before, however the store rounds
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// jitterOf is a number from -1 to 1 that differs between sources and from poll to poll, so that sources which were added
// together do not stay together.
func jitterOf(source int64, now time.Time) float64 {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(source)), uint64(now.Unix())))
	// The low bits of FNV are the well mixed ones.
	return float64(h.Sum64()&0xffff)/32767.5 - 1
}

// conditional reports whether a request to an address may bear the validators that are remembered: they are of that
// address, and the parser that read what they stand for is this one.
func conditional(s zonewire.Source, address string) bool {
	m := s.Memory
	of := s.URL
	if m.MovedTo != "" {
		of = m.MovedTo
	}
	u, err := url.Parse(of) // written as the request writes it: a path in Chinese is percent-encoded
	return err == nil && address == u.String() && m.Parser == ingest.ParserVersion && hasValidators(m)
}

func hasValidators(m zonewire.PollMemory) bool { return m.ETag != "" || m.LastModified != "" }

// validator gives a validator as it was sent, byte for byte; none if it could not be sent back or stored as it is.
func validator(value string) string {
	const enough = 1024
	if len(value) > enough || !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return value
}

// move takes in where redirects have led to. moved is the address to store: after three equal answers that all said
// "for good".
func move(m zonewire.PollMemory, a answer) (after zonewire.PollMemory, moved string) {
	switch {
	case len(a.hops) == 0:
		m.MovedTo, m.MovedTimes = "", 0
	case !a.permanent():
		m.MovedTo, m.MovedTimes = a.final, 0
	case m.MovedTo == a.final:
		m.MovedTimes++
	default:
		m.MovedTo, m.MovedTimes = a.final, 1
	}
	if m.MovedTimes >= sameRedirects {
		moved = m.MovedTo
	}
	return m, moved
}

// feedServices serve the feeds of many sites: when one feed is asked too often, the others are not to be punished for it.
// A name also covers the hosts below it.
var feedServices = []string{"feedburner.com", "rsshub.app", "openrss.org", "rss.app", "feed43.com", "politepaul.com", "fetchrss.com", "feedx.net"}

// oneSite reports whether a host is one site, so that its wish to be left alone holds for all of it.
func oneSite(host string) bool {
	if strings.HasPrefix(host, "rsshub.") {
		return false // anybody's own RSSHub
	}
	for _, name := range feedServices {
		if host == name || strings.HasSuffix(host, "."+name) {
			return false
		}
	}
	return true
}
