package feed_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire/feed"
)

// counted lists the counters that are not zero.
func counted(s *feed.Server) map[string]int64 {
	st, got := s.Stats(), map[string]int64{}
	for _, a := range st.Answers {
		got[a.Format+" "+a.Status] = a.Count
	}
	for _, c := range st.Codings {
		got[c.Coding] = c.Count
	}
	got["unconditional"] = st.Unconditional
	for name, n := range got {
		if n == 0 {
			delete(got, name)
		}
	}
	return got
}

func TestStatsCountWhatWasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.Server = feed.NewServer(f.src, site, feed.Options{})
		if got := counted(f.Server); len(got) != 0 {
			t.Errorf("at the start: %v", got)
		}
		if st := f.Stats(); len(st.Answers) != 42 || len(st.Codings) != 4 {
			t.Errorf("%d and %d labels from the start", len(st.Answers), len(st.Codings))
		}
		full := request(f, "GET", zoneRSS, "Accept-Encoding", "br")
		request(f, "GET", zoneRSS, "If-None-Match", full.Header.Get("ETag"))
		request(f, "GET", zoneRSS, "If-None-Match", `"other"`, "Accept-Encoding", "gzip")
		request(f, "GET", zoneRSS, "If-Match", `"other"`)
		request(f, "HEAD", zoneRSS, "Accept-Encoding", "zstd")
		f.delta(zoneAtom, f.first[zoneAtom], "Accept-Encoding", "gzip")
		request(f, "GET", "/zones.opml")
		request(f, "GET", "/feed.css")
		request(f, "GET", "/zones/old-park/feed.json")
		request(f, "GET", "/zones/jintan-park/feed.json")
		request(f, "GET", "/feed.json?limit=x")
		request(f, "OPTIONS", "/feed.json")
		request(f, "GET", "/feed.xml")
		request(f, "POST", "/zones.opml")
		f.src.alter(func() { f.src.down = errDown })
		request(f, "GET", "/zones/linhai-port/feed.json")
		want := map[string]int64{
			"rss 200": 3, "rss 304": 1, "rss 4xx": 1, "atom 226": 1, "opml 200": 1, "opml 4xx": 1, "css 200": 1, "json 3xx": 1, "json 4xx": 2, "json 2xx": 1,
			"json 5xx": 1, "none 4xx": 1, "br": 1, "gzip": 2, "zstd": 1, "identity": 2, "unconditional": 3,
		}
		if diff := cmp.Diff(want, counted(f.Server)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, c := range f.Stats().Codings {
			if (c.Bytes > 0) != (c.Coding != "zstd") { // that was a HEAD
				t.Errorf("%s: %d bytes", c.Coding, c.Bytes)
			}
		}
		if st := f.Stats(); st.Renderings != 1 || st.Cached != 4 || st.CachedBytes == 0 {
			t.Errorf("%d renderings, %d cells of %d bytes", st.Renderings, st.Cached, st.CachedBytes)
		}
	})
}

func TestSubscribersThatReadersClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := feed.NewServer(newStore(), site, feed.Options{})
		ask := func(path, agent string) { request(s, "GET", path, "User-Agent", agent) }
		ask(zoneRSS, "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 11 subscribers; like FeedFetcher-Google)")
		ask(zoneRSS, "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)")
		ask(zoneRSS, "Mozilla/5.0 (compatible; inoreader.com; +http://www.inoreader.com/feed-fetcher; 1 subscribers; Inoreader)")
		ask(zoneAtom, "NewsBlur Feed Fetcher - 1 subscriber - http://www.newsblur.com/site/1/jintan")
		ask(allAtom, "SomeoneNew/7 (300 subscribers)")
		ask(allAtom, "Reader (subscribers welcome)")
		ask(allAtom, "Reader (99999999999999999999 subscribers)")
		ask(allAtom, "Reader (-5 subscribers)")
		ask(allAtom+"?limit=2", "Feedly/1.0 (8 subscribers)")
		want := []feed.Claim{
			{Feed: "all.atom", Reader: "other", Subscribers: 5},
			{Feed: "zone/7.atom", Reader: "NewsBlur", Subscribers: 1},
			{Feed: "zone/7.rss", Reader: "Feedly", Subscribers: 12},
			{Feed: "zone/7.rss", Reader: "Inoreader", Subscribers: 1},
		}
		if diff := cmp.Diff(want, s.Stats().Claims); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for i := range 10_000 {
			ask(zoneRSS, fmt.Sprintf("%s-%d/1.0 (%d subscribers)", strings.Repeat("x", 500), i, i))
		}
		if got := len(s.Stats().Claims); got != 5 {
			t.Errorf("names that a stranger gave itself made %d claims of it", got)
		}
		time.Sleep(8 * 24 * time.Hour)
		if got := s.Stats().Claims; len(got) != 0 {
			t.Errorf("a week after the last request: %v", got)
		}
	})
}
