package feed_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/feed"
)

// country is a store with many zones of a few articles each.
func country(zones, articles int) *store {
	src := newStore()
	src.zones, src.articles = nil, nil
	for i := range zones {
		id := int64(i + 1)
		src.zones = append(src.zones, zonewire.Zone{ID: id, Slug: fmt.Sprintf("zone-%d", id), Name: fmt.Sprintf("第%d开发区", id), Province: "江苏省", Created: at("2026-01-01T00:00:00Z")})
		for j := range articles {
			n := id*100 + int64(j)
			src.gen.Articles++
			src.articles = append(src.articles, zonewire.Article{
				ID: n, Change: src.gen.Articles, ZoneID: id, Title: fmt.Sprintf("第%d区第%d条新闻", id, j), Summary: "摘要",
				ContentHTML: "<p>" + strings.Repeat("园区今日召开会议,部署下一步工作。", 20) + "</p>",
				Received:    at("2026-03-01T00:00:00Z").Add(time.Duration(n) * time.Second), Updated: at("2026-03-01T00:00:00Z").Add(time.Duration(n) * time.Second),
			})
		}
	}
	src.gen.Zones = int64(zones)
	return src
}

// What is in memory stays within the bound, however many feeds, views, archives and deltas are asked for, and everything is
// served right all the same.
func TestMemoryIsBounded(t *testing.T) {
	const zones, bound = 24, 200_000
	src := country(zones, 3)
	roomy := feed.NewServer(src, site, feed.Options{})
	s := feed.NewServer(src, site, feed.Options{CacheBytes: bound})
	request(s, "GET", allAtom)
	pinned := s.Stats().CachedBytes
	var paths []string
	for id := range zones {
		base := fmt.Sprintf("/zones/zone-%d/", id+1)
		paths = append(paths, base+"feed.rss", base+"feed.json", base+"archive/2026-03.atom", base+"feed.atom?limit=2", base+"feed.atom?q=第2条")
	}
	for range 2 {
		for _, path := range append(paths, "/zones.opml", "/feed.css", allAtom) {
			got, want := request(s, "GET", path, "Accept-Encoding", "gzip"), request(roomy, "GET", path, "Accept-Encoding", "gzip")
			if got.StatusCode != 200 || got.Header.Get("ETag") != want.Header.Get("ETag") || got.Header.Get("Last-Modified") != want.Header.Get("Last-Modified") {
				t.Fatalf("%s: got %d %s, want %s", path, got.StatusCode, got.Header.Get("ETag"), want.Header.Get("ETag"))
			}
			if now := s.Stats().CachedBytes - pinned; now > bound {
				t.Fatalf("after %s %d bytes are kept", path, now)
			}
		}
	}
	if got, all := s.Stats(), roomy.Stats(); got.Cached < 5 || got.Cached >= all.Cached || all.CachedBytes < 4*bound {
		t.Errorf("the test shows nothing: %d of %d cells, %d of %d bytes", got.Cached, all.Cached, got.CachedBytes, all.CachedBytes)
	}
}

// What is used stays, what is not goes.
func TestWhatIsAskedForStaysInMemory(t *testing.T) {
	src := country(50, 2)
	s := feed.NewServer(src, site, feed.Options{CacheBytes: 300_000})
	const hot = "/zones/zone-1/feed.rss"
	request(s, "GET", hot)
	for id := 2; id <= 50; id++ {
		request(s, "GET", fmt.Sprintf("/zones/zone-%d/feed.rss", id))
		before := src.queries
		request(s, "GET", hot)
		if src.queries != before {
			t.Fatalf("after zone %d what is asked for all the time was read again", id)
		}
	}
	if st := s.Stats(); st.Cached > 40 {
		t.Fatalf("nothing had to go: %d feeds, %d bytes", st.Cached, st.CachedBytes)
	}
}

// Who polls more feeds than memory holds is told all the same, from what stayed of them, that nothing has changed.
func TestReaderOfVeryManyFeedsCostsNothing(t *testing.T) {
	on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
		const zones = 50
		src := country(zones, 2)
		s := feed.NewServer(src, site, feed.Options{CacheBytes: 400_000})
		defer start(t, s)()
		synctest.Wait()
		path := func(id int) string { return fmt.Sprintf("/zones/zone-%d/feed.rss", id) }
		tags := map[int]string{}
		for id := 1; id <= zones; id++ {
			tags[id] = request(s, "GET", path(id), "Accept-Encoding", "gzip").Header.Get("ETag")
		}
		if st := s.Stats(); st.Cached > 40 {
			t.Fatalf("the test shows nothing: %d feeds are in memory", st.Cached)
		}
		sweep := func() (changed []int) {
			for id := 1; id <= zones; id++ {
				r := request(s, "GET", path(id), "Accept-Encoding", "gzip", "A-IM", "feed", "If-None-Match", tags[id])
				if r.StatusCode != http.StatusNotModified {
					changed = append(changed, id)
				} else if r.Header.Get("ETag") != tags[id] || r.Header.Get("Cache-Control") == "" || r.Header.Get("Vary") == "" {
					t.Errorf("%s: 304 with %v", path(id), r.Header)
				}
			}
			return changed
		}
		before := src.queries
		if changed := sweep(); changed != nil || src.queries != before {
			t.Errorf("nothing has changed, and %v were sent; %d questions to the store", changed, src.queries-before)
		}
		if r := request(s, "GET", path(1), "If-None-Match", `"another"`); r.StatusCode != http.StatusOK || len(body(t, r)) == 0 {
			t.Errorf("who has another version: %d", r.StatusCode)
		}
		src.file(zonewire.Article{ID: 90_000, ZoneID: 3, Title: "快讯"}, time.Now())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if changed := sweep(); len(changed) != 1 || changed[0] != 3 {
			t.Errorf("zone 3 has changed, and %v were sent", changed)
		}
	})
}

// After a restart a reader that has the feed is told so from the validators alone: no document is unpacked for it.
func TestAfterARestartValidatorsAreEnough(t *testing.T) {
	src := country(2, 2)
	const path = "/zones/zone-1/feed.rss"
	had := request(feed.NewServer(src, site, feed.Options{}), "GET", path, "Accept-Encoding", "gzip").Header
	for _, c := range []struct {
		name   string
		change bool
		want   int
		whole  int // feeds in memory afterwards
		header []string
	}{
		{"the version by its tag", false, 304, 0, []string{"If-None-Match", had.Get("ETag")}},
		{"the version by its tag, beside an old date", false, 304, 0, []string{"If-None-Match", had.Get("ETag"), "If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"}},
		{"the version by its date", false, 304, 0, []string{"If-Modified-Since", had.Get("Last-Modified")}},
		{"another version", false, 200, 1, []string{"If-None-Match", `"another"`}},
		{"no version", false, 200, 1, nil},
		{"the version before the last", true, 200, 1, []string{"If-None-Match", had.Get("ETag")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change {
				src.file(zonewire.Article{ID: 90_000, ZoneID: 1, Title: "快讯"}, time.Now())
			}
			s := feed.NewServer(src, site, feed.Options{})
			r := request(s, "GET", path, append(c.header, "Accept-Encoding", "gzip")...)
			if r.StatusCode != c.want || s.Stats().Cached != c.whole {
				t.Errorf("got %d and %d feeds in memory, want %d and %d", r.StatusCode, s.Stats().Cached, c.want, c.whole)
			}
			if c.want == 304 && r.Header.Get("ETag") != had.Get("ETag") {
				t.Errorf("ETag %s, want %s", r.Header.Get("ETag"), had.Get("ETag"))
			}
		})
	}
}

// A format is packed when it is first asked for: the others of the same feed are at hand.
func TestSecondFormatAsksNobody(t *testing.T) {
	src := country(2, 2)
	s := feed.NewServer(src, site, feed.Options{})
	request(s, "GET", "/zones/zone-1/feed.rss")
	one, before := s.Stats().CachedBytes, src.queries
	if r := request(s, "GET", "/zones/zone-1/feed.json"); r.StatusCode != http.StatusOK || src.queries != before {
		t.Errorf("got %d and %d questions to the store", r.StatusCode, src.queries-before)
	}
	if two := s.Stats().CachedBytes; two <= one {
		t.Errorf("%d bytes with one format, %d with two", one, two)
	}
}

// A renamed zone's feed is found under its new address saying that address, at once.
func TestRenamedFeedNeverSaysItsOldAddress(t *testing.T) {
	src := country(2, 2)
	s := feed.NewServer(src, site, feed.Options{})
	request(s, "GET", "/zones/zone-1/feed.atom")
	src.alter(func() {
		src.zones[0].Slug = "east"
		src.gen.Zones++
	})
	r := request(s, "GET", "/zones/east/feed.atom")
	const self = "https://news.example.org/zones/east/feed.atom"
	if text := string(body(t, r)); !strings.Contains(text, self) || strings.Contains(text, "zone-1") || !strings.Contains(r.Header.Get("Link"), self) {
		t.Errorf("Link %s, and the document:\n%.600s", r.Header.Get("Link"), text)
	}
}

func TestMadeUpPathsAreNotKept(t *testing.T) {
	src := newStore()
	s := feed.NewServer(src, site, feed.Options{})
	request(s, "GET", allAtom)
	kept, bytes := s.Stats().Cached, s.Stats().CachedBytes
	for i := range 5000 {
		paths := []string{"/zones/made-up-%d/feed.rss", "/zones/made-up-%d/archive/2026-03.atom", "/zones/made-up-%d/feed.rss?limit=3", "/zones/jintan-edz/archive/1999-01-%d.atom"}
		path := fmt.Sprintf(paths[i%len(paths)], i+2)
		if r := request(s, "GET", path); r.StatusCode != 404 {
			t.Fatalf("%s: got %d", path, r.StatusCode)
		}
	}
	if st := s.Stats(); st.Cached != kept || st.CachedBytes != bytes {
		t.Errorf("%d cells and %d bytes more", st.Cached-kept, st.CachedBytes-bytes)
	}
	before := src.lookups
	request(s, "GET", "/zones/made-up-4998/feed.rss")
	request(s, "GET", "/zones/jintan-park/feed.rss")
	request(s, "GET", "/zones/jintan-park/feed.rss")
	if got := src.lookups - before; got != 1 {
		t.Errorf("the store was asked %d times for slugs, want once for the new one", got)
	}
}

// A hit allocates nothing, and asks nobody.
func TestHitAllocatesNothing(t *testing.T) {
	src := newStore()
	s := feed.NewServer(src, site, feed.Options{})
	etag := request(s, "GET", zoneRSS, "Accept-Encoding", "gzip").Header.Get("ETag")
	request(s, "GET", "/zones.opml")
	request(s, "GET", "/feed.css")
	request(s, "GET", "/feed.json")
	for _, c := range []struct {
		name, method, path string
		headers            []string
	}{
		{"200 gzip", "GET", zoneRSS, []string{"Accept-Encoding", "gzip, deflate"}},
		{"200 br, as browsers ask", "GET", zoneAtom, []string{"Accept-Encoding", "gzip, deflate, br;q=0.9, zstd;q=0.8, *;q=0.1"}},
		{"200 plain", "GET", "/feed.json", nil},
		{"HEAD", "HEAD", zoneRSS, nil},
		{"304 by tag", "GET", zoneRSS, []string{"Accept-Encoding", "gzip", "If-None-Match", `W/"x", ` + etag}},
		{"304 by date", "GET", zoneRSS, []string{"If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}},
		{"200 to who has an unknown version", "GET", zoneRSS, []string{"If-None-Match", `"other"`, "A-IM", "feed"}},
		{"200 to who tells its subscribers", "GET", zoneRSS, []string{"User-Agent", "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers)"}},
		{"OPML", "GET", "/zones.opml", []string{"Accept-Encoding", "gzip"}},
		{"the style", "GET", "/feed.css", []string{"Accept-Encoding", "gzip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Add(c.headers[i], c.headers[i+1])
			}
			w := discard{http.Header{}}
			before := src.queries
			if n := testing.AllocsPerRun(200, func() { s.ServeHTTP(w, r) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if src.queries != before {
				t.Errorf("the store was asked %d times", src.queries-before)
			}
		})
	}
}

// Readers of many feeds that do not fit, a writer and Run at once, for the race detector.
func TestReadersWhileFeedsComeAndGo(t *testing.T) {
	src := country(12, 3)
	s := feed.NewServer(src, site, feed.Options{CacheBytes: 150_000})
	stop := start(t, s)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				path := fmt.Sprintf([]string{"/zones/zone-%d/feed.rss", "/zones/zone-%d/archive/2026-03.atom", "/zones/zone-%d/feed.atom?limit=2", "/zones/zone-%d/feed.json"}[n%4], (n*7+i)%12+1)
				r := request(s, "GET", path, "A-IM", "feed", "Accept-Encoding", "gzip")
				if r.StatusCode != 200 {
					t.Errorf("%s: got %d", path, r.StatusCode)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				s.Stats()
			}
		})
	}
	for i := range 40 {
		src.file(zonewire.Article{ID: int64(90_000 + i), ZoneID: int64(i%12) + 1, Title: "快讯"}, time.Now())
		if i%10 == 0 {
			src.alter(func() { src.gen.Zones++; src.zones[i%12].Name += "新" })
		}
	}
	wg.Wait()
	stop()
}
