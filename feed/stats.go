package feed

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zonewire"
)

// Stats counts what a [Server] did since it was made. The lists have every label from the start, but for claims.
type Stats struct {
	Answers []Answers
	Codings []Codings
	// Unconditional counts GETs without a validator that were sent everything.
	Unconditional int64
	Renderings    int64         // of a feed in every format, of an archive, a view or a list
	Rendering     time.Duration // that they took together
	CachedBytes   int64         // kept in memory, that of all zones included
	Cached        int           // feeds, archives, views and deltas
	Claims        []Claim       // ordered by feed and reader
}

// Answers counts the answers in one format with one status.
type Answers struct {
	Format string // "rss", "atom", "json", "opml", "css", or "none" for paths that are nothing
	Status string // "200", "226", "304", or the class of any other: "2xx", "3xx", "4xx", "5xx"
	Count  int64
}

// Codings counts the documents that were sent in one coding.
type Codings struct {
	Coding string // "br", "zstd", "gzip", "identity"
	Count  int64
	Bytes  int64
}

// Claim is how many people a reader says that it fetches a feed for.
type Claim struct {
	Feed        string // as [zonewire.FeedName] names it
	Reader      string // one of a short list, or "other"
	Subscribers int
}

var (
	countedFormats  = [...]string{"rss", "atom", "json", "opml", "css", "none"}
	countedStatuses = [...]string{"200", "226", "304", "2xx", "3xx", "4xx", "5xx"}
)

// counters are the numbers behind [Stats].
type counters struct {
	answers       [len(countedFormats)][len(countedStatuses)]atomic.Int64
	sent, bytes   [codings]atomic.Int64
	unconditional atomic.Int64
	renderings    atomic.Int64
	rendering     atomic.Int64 // nanoseconds
	claims        claims
}

func (c *counters) rendered(took time.Duration) {
	c.renderings.Add(1)
	c.rendering.Add(int64(took))
}

func (c *counters) answered(t target, r reply) {
	c.answers[t.counted()][statusCounted(r.status)].Add(1)
	if r.status == http.StatusOK || r.status == http.StatusIMUsed {
		c.sent[r.form].Add(1)
		c.bytes[r.form].Add(int64(r.bytes))
	}
	if r.unconditional {
		c.unconditional.Add(1)
	}
}

func (t target) counted() int {
	if place, ok := t.format.place(); ok {
		return place // the formats come first, in this order
	}
	switch t.kind {
	case listCell:
		return 3
	case styleCell:
		return 4
	}
	return 5
}

func statusCounted(status int) int {
	switch status {
	case http.StatusOK:
		return 0
	case http.StatusIMUsed:
		return 1
	case http.StatusNotModified:
		return 2
	}
	return min(max(status/100, 2), 5) + 1
}

// Stats gives the numbers at this moment.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Unconditional: c.unconditional.Load(), Renderings: c.renderings.Load(), Rendering: time.Duration(c.rendering.Load()),
		Claims: c.claims.list(time.Now()),
	}
	for i, format := range countedFormats {
		for j, status := range countedStatuses {
			st.Answers = append(st.Answers, Answers{format, status, c.answers[i][j].Load()})
		}
	}
	for i := range codings {
		name := cmp.Or(codingOf[i].name, "identity")
		st.Codings = append(st.Codings, Codings{name, c.sent[i].Load(), c.bytes[i].Load()})
	}
	st.CachedBytes, st.Cached = s.cache.weight()
	if x := s.all.set.Load(); x != nil {
		st.CachedBytes += x.size()
		st.Cached++
	}
	return st
}

// Bounds of what user agents may make us remember.
const (
	maxClaims  = 4096
	claimLasts = 7 * 24 * time.Hour // a reader that has gone takes its subscribers with it
	maxClaimed = 1_000_000_000
)

// readerFamilies are the readers that tell how many people they fetch a feed for, as their user agents begin or say
// somewhere in them. What a stranger calls itself is not remembered.
var readerFamilies = [...]string{
	"Feedly", "Inoreader", "NewsBlur", "Feedbin", "TheOldReader", "BazQux", "Feedspot", "Feeder", "G2Reader", "Bloglovin", "Netvibes", "FreshRSS", "Miniflux", "Tiny Tiny RSS",
}

const otherReader = "other"

// claims are the subscribers that readers claim, bounded.
type claims struct {
	mu sync.Mutex
	of map[claimKey]claim
}

type claimKey struct {
	zone   int64
	format Format
	reader string
}

type claim struct {
	subscribers int
	seen        time.Time
}

// claimed notes what a user agent claims of a feed. Most claim nothing.
func (c *counters) claimed(zone int64, f Format, agents []string) {
	if len(agents) == 0 {
		return
	}
	if n, ok := subscribers(agents[0]); ok {
		c.claims.note(claimKey{zone, f, family(agents[0])}, n, time.Now())
	}
}

// subscribers reads the number before the word "subscriber" or "subscribers".
func subscribers(agent string) (int, bool) {
	before, _, ok := strings.Cut(agent, " subscriber")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(before[strings.LastIndexFunc(before, func(r rune) bool { return r < '0' || r > '9' })+1:])
	return n, err == nil && n <= maxClaimed
}

func family(agent string) string {
	for _, name := range readerFamilies {
		if strings.Contains(agent, name) {
			return name
		}
	}
	return otherReader
}

func (c *claims) note(k claimKey, n int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[claimKey]claim{}
	}
	if _, known := c.of[k]; !known && len(c.of) >= maxClaims {
		c.forget(now)
		if len(c.of) >= maxClaims {
			return
		}
	}
	c.of[k] = claim{n, now}
}

func (c *claims) forget(now time.Time) {
	maps.DeleteFunc(c.of, func(_ claimKey, cl claim) bool { return now.Sub(cl.seen) > claimLasts })
}

func (c *claims) list(now time.Time) []Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
	var all []Claim
	for k, cl := range c.of {
		all = append(all, Claim{zonewire.FeedName(k.zone, string(k.format)), k.reader, cl.subscribers})
	}
	slices.SortFunc(all, func(a, b Claim) int {
		return cmp.Or(strings.Compare(a.Feed, b.Feed), strings.Compare(a.Reader, b.Reader))
	})
	return all
}
