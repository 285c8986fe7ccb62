package feed_test

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

// on runs a test in a bubble whose present is a day.
func on(t *testing.T, day string, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at(day)))
		test(t)
	})
}

func TestEveryPathAnswersAlike(t *testing.T) {
	const feedCache = "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400"
	for _, c := range []struct {
		name, path       string
		mediaType        string
		cache            string
		self             string // in the Link header; empty = none
		dated, unindexed bool
		hub              bool
	}{
		{"a zone's feed", zoneRSS, "application/rss+xml; charset=utf-8", feedCache, zoneRSS, true, false, true},
		{"the feed of all", "/feed.json", "application/feed+json; charset=utf-8", feedCache, "/feed.json", true, false, true},
		{"RFC 9110 4.2.3: an unknown parameter", zoneAtom + "?_=123", "application/atom+xml; charset=utf-8", feedCache, zoneAtom, true, false, true},
		{"a province is no filter of a zone", zoneRSS + "?province=浙江省", "application/rss+xml; charset=utf-8", feedCache, zoneRSS, true, false, true},
		{"a limit that is the usual one", zoneRSS + "?limit=50&before=0", "application/rss+xml; charset=utf-8", feedCache, zoneRSS, true, false, true},
		{"a view", zoneRSS + "?limit=1&category=%E8%A6%81%E9%97%BB&_=1", "application/rss+xml; charset=utf-8", feedCache, zoneRSS + "?category=%E8%A6%81%E9%97%BB&limit=1", false, true, false},
		{"a page", "/feed.atom?before=96", "application/atom+xml; charset=utf-8", feedCache, "/feed.atom?before=96", false, true, false},
		{"a search", zoneJSON + "?q=产业园", "application/feed+json; charset=utf-8", "private, max-age=60", zoneJSON + "?q=%E4%BA%A7%E4%B8%9A%E5%9B%AD", false, true, false},
		{"an archive that is over", "/zones/jintan-edz/archive/2024-02.atom", "application/atom+xml; charset=utf-8", "public, max-age=86400, stale-if-error=604800", "/zones/jintan-edz/archive/2024-02.atom", true, false, false},
		{"an empty month between", "/zones/jintan-edz/archive/2024-03.atom?_=1", "application/atom+xml; charset=utf-8", "public, max-age=86400, stale-if-error=604800", "/zones/jintan-edz/archive/2024-03.atom", true, false, false},
		{"the running month", "/zones/jintan-edz/archive/2026-06.atom", "application/atom+xml; charset=utf-8", feedCache, "/zones/jintan-edz/archive/2026-06.atom", true, false, false},
		{"OPML", "/zones.opml", "text/x-opml; charset=utf-8", feedCache, "/zones.opml", true, false, false},
		{"the style", "/feed.css", "text/css; charset=utf-8", "public, max-age=86400", "", false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, "2026-06-15T00:00:00Z", func(t *testing.T) {
				s := feed.NewServer(olderStore(), site, feed.Options{})
				plain := body(t, request(s, "GET", c.path))
				seen := map[string]bool{}
				for _, coding := range []string{"", "gzip", "br", "zstd"} {
					full := request(s, "GET", c.path, "Accept-Encoding", coding)
					packed := body(t, full)
					if full.StatusCode != 200 || full.Header.Get("Content-Encoding") != coding || !bytes.Equal(unpacked(t, coding, packed), plain) || len(plain) == 0 {
						t.Fatalf("in %q: got %d in %q, %d bytes", coding, full.StatusCode, full.Header.Get("Content-Encoding"), len(packed))
					}
					etag := full.Header.Get("ETag")
					if seen[etag] {
						t.Errorf("8.8.3.3: two codings have the tag %s", etag)
					}
					seen[etag] = true
					h := full.Header
					got := []string{h.Get("Content-Type"), h.Get("Cache-Control"), h.Get("Vary"), h.Get("Content-Length"), h.Get("X-Robots-Tag"), h.Get("X-Content-Type-Options"), h.Get("Access-Control-Allow-Origin")}
					want := []string{c.mediaType, c.cache, "Accept-Encoding", strconv.Itoa(len(packed)), "", "nosniff", "*"}
					if c.unindexed {
						want[4] = "noindex"
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("headers (-want +got):\n%s", diff)
					}
					if (h.Get("Last-Modified") != "") != c.dated {
						t.Errorf("Last-Modified is %q", h.Get("Last-Modified"))
					}
					if link := h.Get("Link"); c.self != "" && link != "<"+site.BaseURL+c.self+`>; rel="self"` || c.self == "" && link != "" {
						t.Errorf("Link: %s", link)
					}
					if c.self != "" && c.mediaType != "text/x-opml; charset=utf-8" && !bytes.Contains(plain, []byte(strings.ReplaceAll(site.BaseURL+c.self, "&", "&amp;"))) {
						t.Errorf("the document does not say that it is at %s", c.self)
					}
					for _, known := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
						r := request(s, "GET", c.path, "Accept-Encoding", coding, "If-None-Match", known)
						if r.StatusCode != 304 || r.Header.Get("ETag") != etag || r.Header.Get("Cache-Control") != c.cache || len(body(t, r)) > 0 {
							t.Errorf("13.1.2: with %s got %d, tag %s", known, r.StatusCode, r.Header.Get("ETag"))
						}
					}
					head := request(s, "HEAD", c.path, "Accept-Encoding", coding)
					if diff := cmp.Diff(full.Header, head.Header); diff != "" || len(body(t, head)) > 0 {
						t.Errorf("9.3.2: HEAD has other headers (-GET +HEAD):\n%s", diff)
					}
					if since := request(s, "GET", c.path, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT").StatusCode; since != map[bool]int{true: 304, false: 200}[c.dated] {
						t.Errorf("13.1.3: since a day to come got %d", since)
					}
				}
				for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
					if r := request(s, method, c.path); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
						t.Errorf("15.5.6: %s got %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
					}
				}
				if r := request(s, "OPTIONS", c.path); r.StatusCode != 204 || r.Header.Get("Allow") != "GET, HEAD, OPTIONS" || r.Header.Get("Access-Control-Allow-Headers") != "If-None-Match, If-Modified-Since, A-IM" {
					t.Errorf("9.3.7: OPTIONS got %d, %v", r.StatusCode, r.Header)
				}
			})
		})
	}
}

// olderStore has an article in a month that is long over, too.
func olderStore() *store {
	src := newStore()
	src.articles = append(src.articles, zonewire.Article{
		ID: 900, Change: 3, ZoneID: 7, Title: "旧闻", Received: at("2024-02-10T00:00:00Z"), Updated: at("2024-02-10T00:00:00Z"), Published: at("2024-02-10T00:00:00Z"),
	})
	return src
}

func TestWhatIsNotThere(t *testing.T) {
	long := strings.Repeat("长", 101)
	for _, c := range []struct {
		name, path string
		want       int
		location   string
	}{
		{"an archive of a renamed zone", "/zones/jintan-park/archive/2026-03.atom", 301, "/zones/jintan-edz/archive/2026-03.atom"},
		{"a later part of it, with a query", "/zones/jintan-park/archive/2026-03-2.atom?_=1", 301, "/zones/jintan-edz/archive/2026-03-2.atom?_=1"},
		{"a view of a renamed zone", "/zones/jintan-park/feed.json?q=%E6%96%B0&limit=5", 301, "/zones/jintan-edz/feed.json?q=%E6%96%B0&limit=5"},
		{"an archive of a closed zone", "/zones/old-park/archive/2026-03.atom", 410, ""},
		{"a view of a closed zone", "/zones/old-park/feed.rss?limit=5", 410, ""},
		{"an archive of no zone", "/zones/nowhere/archive/2026-03.atom", 404, ""},
		{"a view of no zone", "/zones/nowhere/feed.rss?limit=5", 404, ""},
		{"a month before the first arrival", "/zones/jintan-edz/archive/2020-01.atom", 404, ""},
		{"a month to come", "/zones/jintan-edz/archive/2999-01.atom", 404, ""},
		{"a part that is not there", "/zones/jintan-edz/archive/2026-03-2.atom", 404, ""},
		{"a part that is written otherwise", "/zones/jintan-edz/archive/2026-03-1.atom", 404, ""},
		{"no month", "/zones/jintan-edz/archive/2026-13.atom", 404, ""},
		{"an archive in another format", "/zones/jintan-edz/archive/2026-03.rss", 404, ""},
		{"an archive of all zones", "/archive/2026-03.atom", 404, ""},
		{"something else", "/zones.xml", 404, ""},
		{"a limit that is none", "/feed.rss?limit=many", 400, ""},
		{"a limit with a fraction", "/feed.rss?limit=1.5", 400, ""},
		{"a page that is none", "/feed.rss?before=yesterday", 400, ""},
		{"a text that is too long", "/feed.rss?q=" + long, 400, ""},
		{"a category that is too long", "/zones/jintan-edz/feed.rss?category=" + long, 400, ""},
		{"a control character", "/feed.rss?q=%00", 400, ""},
		{"bytes that are no text", "/feed.rss?city=%ff", 400, ""},
		{"a long text that is no filter here", "/zones/jintan-edz/feed.rss?province=" + long, 200, ""},
		{"an empty filter", "/feed.rss?q=&limit=&category=+", 200, ""},
		{"a limit beyond the bound", "/feed.rss?limit=99999999999999999999", 200, ""},
		{"a limit of nothing", "/feed.rss?limit=0", 200, ""},
		{"a query that cannot be read", "/feed.rss?%zz;&=&&", 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := feed.NewServer(newStore(), site, feed.Options{})
			for _, method := range []string{"GET", "HEAD"} {
				r := request(s, method, c.path)
				if r.StatusCode != c.want {
					t.Fatalf("%s: got %d, want %d", method, r.StatusCode, c.want)
				}
				if want := c.location; want != "" && r.Header.Get("Location") != site.BaseURL+want {
					t.Errorf("Location: %s", r.Header.Get("Location"))
				}
				text := body(t, r)
				if c.want >= 300 && (len(text) > 4096 || method == "GET" && bytes.Count(text, []byte("\n")) != 1) {
					t.Errorf("%s is answered with %q", method, text)
				}
			}
		})
	}
}

// itemsOf lists the ids of the articles in a feed, in order.
func itemsOf(t *testing.T, r *http.Response) []int {
	t.Helper()
	var ids []int
	if r.StatusCode != 200 && r.StatusCode != 226 {
		t.Fatalf("got %d", r.StatusCode)
	}
	for _, piece := range strings.Split(string(body(t, r)), "<id>")[1:] {
		if _, id, ok := strings.Cut(piece[:strings.Index(piece, "<")], ":item/"); ok {
			n, err := strconv.Atoi(id)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, n)
		}
	}
	return ids
}

func TestViewsShowWhatIsAskedFor(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	for _, c := range []struct {
		name, path string
		want       []int
	}{
		{"by category", allAtom + "?category=通知公告", []int{1004}},
		{"by text", allAtom + "?q=产业园", []int{1006}},
		{"by text that nothing holds", allAtom + "?q=没有", []int{1004}},
		{"by text of nothing at all", allAtom + "?q=空空如也", nil},
		{"by province", allAtom + "?province=浙江省", []int{1005}},
		{"by city", allAtom + "?city=常州市", []int{1006, 1004}},
		{"the newest", allAtom + "?limit=2", []int{1006, 1005}},
		{"of a zone", zoneAtom + "?limit=1", []int{1006}},
		{"what is older", allAtom + "?before=95", []int{1004, 1003}},
		{"all together", allAtom + "?before=96&city=常州市&limit=1", []int{1004}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, itemsOf(t, request(s, "GET", c.path))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	a, b := request(s, "GET", allAtom+"?limit=2&q=%E4%BA%A7"), request(s, "GET", allAtom+"?utm=1&q=产&limit=2&")
	if a.Header.Get("ETag") != b.Header.Get("ETag") || a.Header.Get("Link") != b.Header.Get("Link") {
		t.Error("one view has two names")
	}
}

// A busy day's articles are more than a document holds: all of them are reached through its links.
func TestServedPagesReachEveryArticle(t *testing.T) {
	src := newStore()
	src.articles = nil
	var want []int
	for i := range 130 {
		src.file(zonewire.Article{ID: int64(5000 + i), ZoneID: 7, Title: "快讯", ContentHTML: "<p>正文</p>"}, at("2026-03-01T00:00:00Z").Add(time.Duration(i)*time.Minute))
		want = append(want, 5129-i)
	}
	s := feed.NewServer(src, site, feed.Options{})
	for _, first := range []string{zoneAtom, allAtom} {
		var got []int
		for path, n := first, 0; path != ""; n++ {
			if n > 10 {
				t.Fatal("the pages have no end")
			}
			text := string(body(t, request(s, "GET", path)))
			got = append(got, itemsOf(t, request(s, "GET", path))...)
			path = ""
			if _, after, ok := strings.Cut(text, `rel="next"`); ok {
				_, after, _ = strings.Cut(after, `href="`+site.BaseURL)
				path, _, _ = strings.Cut(after, `"`)
				path = strings.ReplaceAll(path, "&amp;", "&")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v", first, got)
		}
	}
}

func TestViewsFollowChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStore()
		s := running(t, src, quiet)
		const path = zoneAtom + "?category=要闻"
		get := func() []int { return itemsOf(t, request(s, "GET", path)) }
		if diff := cmp.Diff([]int{1006}, get()); diff != "" {
			t.Fatal(diff)
		}
		before, _ := src.counts()
		get()
		if asked, _ := src.counts(); asked != before {
			t.Error("a view that is there asks the store")
		}
		src.file(zonewire.Article{ID: 2000, ZoneID: 12, Title: "别处"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		before, _ = src.counts()
		get()
		if asked, _ := src.counts(); asked != before {
			t.Error("a view asks the store because another zone has changed")
		}
		src.file(zonewire.Article{ID: 2001, ZoneID: 7, Title: "新闻", Category: "要闻"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]int{2001, 1006}, get()); diff != "" {
			t.Errorf("after a new article (-want +got):\n%s", diff)
		}
		src.withdraw(1006, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]int{2001}, get()); diff != "" {
			t.Errorf("after a withdrawal (-want +got):\n%s", diff)
		}
		// The store fails: what there was goes on. What there was not is told so.
		src.file(zonewire.Article{ID: 2002, ZoneID: 7, Title: "新闻", Category: "要闻"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		src.alter(func() { src.down = errDown })
		if diff := cmp.Diff([]int{2001}, get()); diff != "" {
			t.Errorf("while the store is down (-want +got):\n%s", diff)
		}
		if r := request(s, "GET", zoneAtom+"?category=通知公告"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("another view while the store is down: got %d", r.StatusCode)
		}
		src.alter(func() { src.down = nil })
		if diff := cmp.Diff([]int{2002, 2001}, get()); diff != "" {
			t.Errorf("after the store came back (-want +got):\n%s", diff)
		}
	})
}
