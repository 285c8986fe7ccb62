package poll_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/poll"
)

// morning waits until ten o'clock in Shanghai: lists are not asked for at night.
func morning() { time.Sleep(2 * hour) }

func TestAPageSourceReadsItsListAndEachPageOnce(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		p := newPortal(o, 15)
		id := m.addPage(listURL)
		runFor(t, m, client, 5*time.Minute, options)
		if len(m.stored()) != 15 || len(o.asked(p.listURL(1))) != 1 {
			t.Fatalf("%d articles, second list page asked %d times; want 15 and 1", len(m.stored()), len(o.asked(p.listURL(1))))
		}
		for i, a := range m.stored() {
			if a.Title != articleTitle(i+1) || a.URL != articleURL(i+1) || a.Source != "临江融媒" || !strings.Contains(a.ContentHTML, "装配式") {
				t.Errorf("article %d: %q, %q, of %q: %s", i+1, a.Title, a.URL, a.Source, a.ContentHTML)
			}
		}
		p.publish(3)
		runFor(t, m, client, 2*day, options)
		if len(m.stored()) != 18 {
			t.Errorf("%d articles, want those three as well", len(m.stored()))
		}
		for n := range 18 {
			if hits := o.asked(articleURL(n + 1)); len(hits) != 1 || hits[0].conditional() {
				t.Errorf("article %d was asked %d times, want once", n+1, len(hits))
			}
		}
		for i, h := range o.asked(listURL) {
			if h.conditional() != (i > 0) {
				t.Errorf("list, request %d: conditional is %v", i+1, h.conditional())
			}
			if hour := h.at.In(zonewire.Shanghai).Hour(); hour < 8 || hour >= 20 {
				t.Errorf("the list was asked for at %s", h.at.In(zonewire.Shanghai).Format("15:04"))
			}
		}
		if n := len(o.asked(p.listURL(1))); n != 1 {
			t.Errorf("the second list page was asked %d times, want only at the first visit", n)
		}
		anyLess(t, o.asked(listURL), hour)
		anyLess(t, o.asked(""), 2*time.Second)
		if robots := o.asked(robotURL); len(robots) < 2 || len(robots) > 3 {
			t.Errorf("robots.txt was asked %d times in two days, want once a day", len(robots))
		}
		anyLess(t, o.asked(robotURL), day)
		if s := m.source(id); s.State != zonewire.SourceActive || s.Title != "园区动态-临江开发区门户" && s.Title != "园区动态" {
			t.Errorf("%s (%s), %q", s.State, s.Reason, s.Title)
		}
	})
}

func TestALongListIsReadTwentyPagesAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		p := newPortal(o, 70)
		id := m.addPage(listURL)
		runFor(t, m, client, 5*time.Minute, options)
		if len(m.stored()) != 20 {
			t.Errorf("%d articles at the first visit, want 20", len(m.stored()))
		}
		runFor(t, m, client, 30*time.Minute, options)
		// Three list pages, the oldest of their links first.
		var numbers []string
		for _, a := range m.stored() {
			numbers = append(numbers, a.URL)
		}
		var want []string
		for n := 41; n <= 70; n++ {
			want = append(want, articleURL(n))
		}
		if !slices.Equal(numbers, want) {
			t.Errorf("read %v", numbers)
		}
		for page := range p.pages {
			if n, want := len(o.asked(p.listURL(page))), map[bool]int{true: 1, false: 0}[page < 3]; n != want {
				t.Errorf("list page %d was asked %d times, want %d", page+1, n, want)
			}
		}
		log := m.log(id)
		if len(log) != 2 || log[1].Log.At.Sub(log[0].Log.At) < 10*time.Minute {
			t.Errorf("%d visits, want a second one ten minutes after the first", len(log))
		}
	})
}

func TestRobotsIsObeyed(t *testing.T) {
	for _, c := range []struct {
		name   string
		robots http.HandlerFunc
		lists  int // requests for the list in an hour
		pages  int // requests for articles
		state  zonewire.SourceState
		reason string
	}{
		{"none", statusOnly(404), 1, 3, zonewire.SourceActive, ""},
		{"closed to us for asking", statusOnly(403), 1, 3, zonewire.SourceActive, ""},
		{"all is closed", robots("User-agent: *\nDisallow: /\n"), 0, 0, zonewire.SourceBlocked, "its robots.txt closes /col/col8/index.html to programs"},
		{"closed to us alone", robots("User-agent: zonewire\nDisallow: /col/\n\nUser-agent: *\nDisallow:\n"), 0, 0, zonewire.SourceBlocked, "its robots.txt closes"},
		{"closed to another", robots("User-agent: zonebot\nDisallow: /\n"), 1, 3, zonewire.SourceActive, ""},
		{"open to us alone", robots("User-agent: *\nDisallow: /\n\nUser-agent: ZoneWire\nAllow: /\n"), 1, 3, zonewire.SourceActive, ""},
		{"articles are closed", robots("User-agent: *\nDisallow: /art/\n"), 1, 0, zonewire.SourceActive, ""},
		{"one article is closed", robots("User-agent: *\nDisallow: /*_2.html$\n"), 1, 2, zonewire.SourceActive, ""},
		{"a web page instead", robots("<html><body>Disallow: /</body></html>"), 1, 3, zonewire.SourceActive, ""},
		{"one bad line", robots("Disallow: /x\nUser-agent: *\nCrawl-delay: 5s\nDisallow: /art/\n"), 1, 0, zonewire.SourceActive, ""},
		{"in trouble", statusOnly(500), 0, 0, zonewire.SourceActive, "its robots.txt cannot be read, so nothing is asked: it answers 500"},
		{"overloaded", statusOnly(429), 0, 0, zonewire.SourceActive, "its robots.txt cannot be read, so nothing is asked: it answers 429"},
		{"elsewhere", statusOnly(302, "Location", "/real-robots.txt"), 0, 0, zonewire.SourceBlocked, "its robots.txt closes"},
		{"in a circle", statusOnly(302, "Location", "/robots.txt"), 1, 3, zonewire.SourceActive, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				morning()
				newPortal(o, 3)
				o.on(robotURL, c.robots)
				o.on("http://portal.example/real-robots.txt", robots("User-agent: *\nDisallow: /col/"))
				id := m.addPage(listURL)
				runFor(t, m, client, hour, options)
				pages := 0
				for n := range 3 {
					pages += len(o.asked(articleURL(n + 1)))
				}
				if lists := len(o.asked(listURL)); lists != c.lists || pages != c.pages {
					t.Errorf("the list was asked %d times, articles %d times; want %d and %d", lists, pages, c.lists, c.pages)
				}
				if s := m.source(id); s.State != c.state || !strings.HasPrefix(s.Reason, c.reason) || c.reason == "" && s.Reason != "" {
					t.Errorf("%s: %q, want %s: %q", s.State, s.Reason, c.state, c.reason)
				}
			})
		})
	}
}

func robots(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func TestCrawlDelayIsKeptUpToHalfAMinute(t *testing.T) {
	for delay, want := range map[string]time.Duration{"1": 2 * time.Second, "10": 10 * time.Second, "600": 30 * time.Second} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			morning()
			newPortal(o, 12)
			o.on(robotURL, robots("User-agent: *\nCrawl-delay: "+delay+"\n"))
			m.addPage(listURL)
			runFor(t, m, client, 20*time.Minute, options)
			hits := o.asked("")
			anyLess(t, hits[1:], want) // before the answer nobody knows
			if len(m.stored()) != 12 || slices.Max(gaps(hits)) > want+time.Second {
				t.Errorf("Crawl-delay %s: %d articles, requests up to %v apart", delay, len(m.stored()), slices.Max(gaps(hits)))
			}
		})
	}
}

func TestPagesThatFailAreTriedAgainAndThenGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		p := newPortal(o, 4)
		o.on(articleURL(1), statusOnly(404))
		o.on(articleURL(2), statusOnly(500))
		o.on(articleURL(3), robots("<html><body></body></html>"))
		id := m.addPage(listURL)
		runFor(t, m, client, 8*day, options)
		for n, want := range map[int]struct {
			asked int
			error string
		}{1: {1, "it answers 404"}, 2: {5, "it answers 500"}, 3: {5, ""}, 4: {1, ""}} {
			q, asked := m.page(id, articleURL(n)), len(o.asked(articleURL(n)))
			if asked != want.asked || !q.Done || !strings.HasPrefix(q.Error, want.error) || n == 3 && q.Error == "" {
				t.Errorf("article %d was asked %d times, want %d: %+v", n, asked, want.asked, q)
			}
		}
		anyLess(t, o.asked(articleURL(2)), hour)
		anyLess(t, o.asked(listURL), hour)
		if s := m.source(id); s.State != zonewire.SourceActive || len(m.stored()) != 1 {
			t.Errorf("%s, %d articles", s.State, len(m.stored()))
		}
		// It is not asked for again when the list shows it again.
		p.publish(1)
		runFor(t, m, client, 2*day, options)
		if len(o.asked(articleURL(2))) != 5 || len(m.stored()) != 2 {
			t.Errorf("asked %d times, %d articles", len(o.asked(articleURL(2))), len(m.stored()))
		}
	})
}

func TestAHostInTroubleIsNotAskedForPageAfterPage(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		newPortal(o, 10)
		for n := range 10 {
			o.on(articleURL(n+1), statusOnly(500))
		}
		m.addPage(listURL)
		runFor(t, m, client, 30*time.Minute, options)
		if n := len(o.asked("")); n != 5 {
			t.Errorf("%d requests, want robots.txt, the list and three pages", n)
		}
	})
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		newPortal(o, 10)
		asked := 0
		o.on(articleURL(2), func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked == 1 {
				statusOnly(503, "Retry-After", "7200")(w, r)
				return
			}
			fmt.Fprint(w, articlePage(2, time.Now()))
		})
		m.addPage(listURL)
		runFor(t, m, client, hour, options)
		if n := len(o.asked("")); n != 4 {
			t.Errorf("%d requests, want none after a page that asked for silence", n)
		}
		runFor(t, m, client, 2*hour, options)
		hits := o.asked("")
		if gap := hits[4].at.Sub(hits[3].at); gap < 2*hour || gap > 3*hour || len(m.stored()) != 10 {
			t.Errorf("the next request came after %v, %d articles", gap, len(m.stored()))
		}
	})
}

func TestOnlyLinksToTheOwnSiteAreFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		p := newPortal(o, 4)
		p.extra = `<li><a href="http://elsewhere.example/art/2000/1/1/art_8_9.html" title="别处门户登载的另一条园区新闻报道">别处门户登载的另一条园区新闻报道</a><span>2000-01-01</span></li>`
		o.on(articleURL(1), statusOnly(302, "Location", "http://elsewhere.example/trap"))
		o.on(articleURL(2), statusOnly(302, "Location", "http://www.portal.example/art/2.html"))
		o.on("http://www.portal.example/robots.txt", statusOnly(404))
		o.on("http://www.portal.example/art/2.html", robots(articlePage(2, time.Now())))
		id := m.addPage(listURL)
		runFor(t, m, client, 10*time.Minute, options)
		for _, h := range o.asked("") {
			if h.host == "elsewhere.example" {
				t.Errorf("asked %s%s", h.host, h.path)
			}
		}
		if q := m.page(id, articleURL(1)); !q.Done || q.Error != "it leads to another site" {
			t.Errorf("a page that leads away: %+v", q)
		}
		if note := m.log(id)[0].Log.Note; !strings.Contains(note, "1 links lead to other sites") {
			t.Errorf("note %q", note)
		}
		if stored := m.stored(); len(stored) != 3 || stored[0].URL != articleURL(2) {
			t.Errorf("%d articles, the first %s; want the address as the list gives it", len(stored), stored[0].URL)
		}
	})
}

func TestAVisitThatIsBrokenOffKeepsWhatItGot(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		newPortal(o, 15)
		id := m.addPage(listURL)
		runFor(t, m, client, 15*time.Second, options)
		got := len(m.stored())
		if got < 2 || got > 10 || m.until[id] != (time.Time{}) {
			t.Fatalf("%d articles after 15 s, claim until %v; want some, and the claim given back", got, m.until[id])
		}
		runFor(t, m, client, hour, options)
		if len(m.stored()) != 15 {
			t.Errorf("%d articles, want the rest as well", len(m.stored()))
		}
		for _, h := range o.asked("") {
			if n := len(o.asked("http://" + h.host + h.path)); n != 1 && n != 2 || n == 2 && h.status == 200 && h.path == "/robots.txt" {
				t.Errorf("%s was asked %d times", h.path, n)
			}
		}
		if n := len(o.asked(listURL)); n != 1 {
			t.Errorf("the list was asked %d times, want once", n)
		}
	})
}

func TestAFeedVisitThatIsBrokenOffIsAsDueAsBefore(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			quietFeed(w, r)
		})
		id := m.addFeed(feedURL)
		due := m.source(id).Next
		runFor(t, m, client, 3*time.Second, options)
		if s := m.source(id); !s.Next.Equal(due) || s.Memory.Errors != 0 || len(m.log(id)) != 0 || !m.until[id].IsZero() {
			t.Errorf("next %v, %d errors, claimed until %v", s.Next, s.Memory.Errors, m.until[id])
		}
		runFor(t, m, client, time.Minute, options)
		if len(m.stored()) != 2 {
			t.Errorf("%d articles", len(m.stored()))
		}
	})
}

func TestAVisitWhoseClaimIsLostStopsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		newPortal(o, 15)
		id := m.addPage(listURL)
		o.on(articleURL(7), func(w http.ResponseWriter, r *http.Request) {
			m.mu.Lock()
			m.claims[id]++ // another process
			m.mu.Unlock()
		})
		if _, _, err := poll.New(m, client, options).Visit(t.Context(), id); !errors.Is(err, zonewire.ErrLost) || len(m.stored()) != 0 {
			t.Errorf("%v, %d articles stored", err, len(m.stored()))
		}
		if n := len(o.asked(articleURL(8))); n != 0 {
			t.Error("asked on after the claim was lost")
		}
	})
}

func TestAReaderThatBreaksCostsOneVisitOrOnePage(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		newPortal(o, 3)
		o.on(feedURL, quietFeed)
		o.on("http://other.example/feed", quietFeed)
		page, feed, other := m.addPage(listURL), m.addFeed(feedURL), m.addFeed("http://other.example/feed")
		p := poll.New(m, client, options)
		p.ReadFeedsBy(func(b []byte, opts ingest.Options) (ingest.FeedDoc, error) {
			if strings.Contains(opts.URL, "portal") {
				panic("index out of range")
			}
			return ingest.ReadFeed(b, opts)
		})
		p.ReadPagesBy(func(b []byte, opts ingest.Options) ingest.Record {
			if opts.URL == articleURL(2) {
				panic("index out of range")
			}
			return ingest.ReadPage(b, opts)
		})
		runPoller(t, p, 20*time.Minute)
		if s := m.source(feed); s.Memory.Errors != 1 || !strings.Contains(s.Reason, "index out of range") || len(o.asked(feedURL)) != 1 {
			t.Errorf("the feed: %d errors, %q, asked %d times", s.Memory.Errors, s.Reason, len(o.asked(feedURL)))
		}
		if s := m.source(page); s.State != zonewire.SourceActive || s.Reason != "" || !strings.Contains(m.page(page, articleURL(2)).Error, "index out of range") {
			t.Errorf("the page source: %s, %q", s.State, s.Reason)
		}
		if s := m.source(other); s.Memory.Errors != 0 || len(m.stored()) != 4 {
			t.Errorf("others: %d errors, %d articles; want two of the other feed, two of the pages", s.Memory.Errors, len(m.stored()))
		}
	})
}
