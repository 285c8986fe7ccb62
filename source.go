package zonewire

import (
	"net/url"
	"strings"
	"time"
)

// SourceKind says how a source is read.
type SourceKind string

// The kinds of sources.
const (
	FeedSource SourceKind = "feed" // RSS, Atom or JSON Feed
	PageSource SourceKind = "page" // a list page of a portal, whose links lead to articles
)

// SourceState says how a source fares.
type SourceState string

// The states of a source. Only an active, a failing and a blocked one are polled.
const (
	SourceActive    SourceState = "active"
	SourceFailing   SourceState = "failing"   // five polls or more have failed in a row
	SourceBlocked   SourceState = "blocked"   // it wants a browser; tried once a day, never evaded
	SourceSuspended SourceState = "suspended" // failing for 14 days: nobody asks any more
	SourceStopped   SourceState = "stopped"   // it said that it is gone for good
	SourcePaused    SourceState = "paused"    // by the operator
)

// SourceStates lists every state.
func SourceStates() []SourceState {
	return []SourceState{SourceActive, SourceFailing, SourceBlocked, SourceSuspended, SourceStopped, SourcePaused}
}

// Polled reports whether a source in this state is asked for news.
func (s SourceState) Polled() bool {
	return s == SourceActive || s == SourceFailing || s == SourceBlocked
}

// Selectors are the CSS selectors that an operator gives where a page says too little by itself; an empty one leaves the
// field to the other layers. List finds the links of a list page, the others a field of an article's page.
type Selectors struct {
	List        string `json:"list,omitempty"`
	Title       string `json:"title,omitempty"`
	Date        string `json:"date,omitempty"`
	Source      string `json:"source,omitempty"`
	Author      string `json:"author,omitempty"`
	Zone        string `json:"zone,omitempty"`
	City        string `json:"city,omitempty"`
	Category    string `json:"category,omitempty"`
	Body        string `json:"body,omitempty"`
	Image       string `json:"image,omitempty"`
	Attachments string `json:"attachments,omitempty"`
}

// Source is a feed or a list page that the daemon asks for news.
type Source struct {
	ID        int64
	Kind      SourceKind
	URL       string
	Title     string // what it calls itself
	ZoneID    int64  // the zone of articles that name none; 0 = none
	Zone      string // its slug
	Selectors Selectors
	Charset   string        // of pages that say none, default gb18030
	Every     time.Duration // between two polls, by the operator's word; 0 = as its news comes, an hour at the least

	State  SourceState
	Reason string    // why it is in this state, one line without secrets
	Since  time.Time // of the state
	Next   time.Time // not asked before

	Memory  PollMemory
	Sub     Subscribed
	Created time.Time
	Removed time.Time // zero while it stands
}

// PollMemory is what a source must be remembered by from one poll to the next, over restarts.
type PollMemory struct {
	ETag         string // byte for byte as it was sent, quotes and W/ and all
	LastModified string // likewise
	BodyHash     string // of the last body that was read
	Parser       int    // version of the program's parser that read it: another one asks for the whole again

	Polled     time.Time // the last request, whatever came of it
	Succeeded  time.Time // the last answer that could be used, 304 among them
	Changed    time.Time // the last that held something new
	Whole      time.Time // the last request without a condition
	ListAt     time.Time // of a page source: its list is not asked before; the queue of pages may be
	Errors     int       // polls that failed in a row
	FailingAt  time.Time // since when they fail; zero if the last one did not
	Gone       int       // answers of 404 in a row
	GoneAt     time.Time // the first of them
	MovedTo    string    // where redirects led to last, empty if there were none: the validators are of that address
	MovedTimes int       // how often in a row they were permanent ones to there
	Hints      string    // what the body asked for about the time of the next poll, as the poller wrote it: a 304 has no body
}

// Subscribed is a source's subscription at its hub, by WebSub.
type Subscribed struct {
	Hub   string // empty: the source offers none
	Topic string // the address that the hub knows it by
	// Until is when the lease ends; zero while nothing is verified.
	Until time.Time
	// Next is when to ask the hub again.
	Next time.Time
	// Denied is what the hub said when it refused.
	Denied string
}

// Verified reports whether the hub pushes now.
func (s Subscribed) Verified(now time.Time) bool { return now.Before(s.Until) }

// Host is what one connection at a time is kept to: the lower-case host and port of an address.
func (s Source) Host() string { return HostOf(s.URL) }

// HostOf is the lower-case host of an address, with its port unless that is the scheme's own.
func HostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && !(u.Scheme == "http" && port == "80") && !(u.Scheme == "https" && port == "443") {
		host += ":" + port
	}
	return host
}

// Validate reports the first thing that cannot be stored, as an [ErrInvalid]. Whether selectors can be used and the
// address may be asked are other questions.
func (s Source) Validate() error {
	if s.Kind != FeedSource && s.Kind != PageSource {
		return Invalidf("kind %q is neither feed nor page", s.Kind)
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return Invalidf("%q is no http or https address", Shorten(s.URL, 200))
	case u.User != nil:
		return Invalidf("the address holds a name or a password: zonewire sends none")
	case len(s.URL) > 2048:
		return Invalidf("the address is longer than 2048 characters")
	case s.Every != 0 && (s.Every < 15*time.Minute || s.Every > 24*time.Hour):
		return Invalidf("a source is asked every 15 minutes to 24 hours, not every %v", s.Every)
	}
	return nil
}

// Visit is the right to poll one source and to talk to its host, for a while.
type Visit struct {
	Source Source
	Claim  int64     // tells this right from later ones
	Until  time.Time // the right ends then, unless it is kept
	Recent int       // articles that came from it in the last seven days
	Host   HostMemory
	Queue  []QueuedPage // of a page source: what may be fetched now, the oldest sighting first
	Queued int          // how many wait in all, whether or not they may be fetched now
}

// HostMemory is what a host must be remembered by.
type HostMemory struct {
	Host     string
	Until    time.Time // nobody asks it before
	Robots   string    // the body of its robots.txt
	Status   int       // the answer that brought it; 0 = never asked, or unreachable
	RobotsAt time.Time // when
}

// QueuedPage is an article page that a list has shown and that is not read yet.
type QueuedPage struct {
	URL   string
	Canon string // what it is known by
	Title string // as the list has it, perhaps cut off
	Date  string // as the list has it
	Seen  time.Time
	Tries int
	Next  time.Time // not before
	Done  bool      // read, or given up
	Error string    // what the last try said
}

// Poll is how one visit to a source ended. It is stored whole, in one transaction: what it brought and what is
// remembered of it are never out of step.
type Poll struct {
	Log      PollLog
	Title    string // what the source calls itself, empty to keep
	URL      string // a new address for good, empty to keep
	State    SourceState
	Reason   string
	Next     time.Time
	Memory   PollMemory
	Sub      Subscribed
	Host     HostMemory // Until says when the host may be asked again
	Articles []Article  // SourceID is set by the store
	Seen     []QueuedPage
	Tried    []QueuedPage
}

// PollLog is a line in the log of a source, of which the latest 50 are kept.
type PollLog struct {
	At        time.Time
	Status    int // of HTTP, 0 if there was no answer
	Took      time.Duration
	Bytes     int64 // of bodies, unpacked
	Items     int   // in the feed or the list
	Added     int
	Updated   int
	Unchanged int
	Rejected  int
	Note      string // one line: what went wrong, or what was left out
}
