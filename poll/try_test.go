package poll_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/poll"
)

// try asks an address as `source add` does.
func try(t *testing.T, m *memStore, client *http.Client, kind zonewire.SourceKind, url string) (poll.Trial, error) {
	t.Helper()
	trial, err := poll.New(m, client, options).Try(t.Context(), zonewire.Source{Kind: kind, URL: url}, time.Now())
	if len(m.polls)+len(m.articles)+len(m.hosts) > 0 {
		t.Error("a trial stored something")
	}
	return trial, err
}

func TestATrialTellsAFeedFromAPage(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		newPortal(o, 12)
		o.on("http://portal.example/old", statusOnly(301, "Location", feedURL))
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<http://hub.example/>; rel=hub`)
			w.Header().Set("Content-Type", "text/html") // as many portals do
			serveFeed(w, r, `"v1"`, feedDoc(1, 5, ""))
		})
		feed, err := try(t, m, client, "", "http://portal.example/old")
		if err != nil || feed.Kind != zonewire.FeedSource || feed.Items != 5 || len(feed.Records) != 3 || feed.Title != "临江开发区要闻" ||
			feed.Hub != "http://hub.example/" || feed.URL != feedURL || !feed.Permanent || feed.Status != 200 {
			t.Errorf("a feed: %+v, %v", feed, err)
		}
		if len(o.asked(robotURL)) != 0 {
			t.Error("robots.txt was asked for a feed")
		}
		begun := len(o.asked(""))
		page, err := try(t, m, client, "", listURL)
		if err != nil || page.Kind != zonewire.PageSource || page.Items != 10 || len(page.Records) != 3 || page.Robots != "" || page.URL != listURL || page.Permanent {
			t.Fatalf("a page: %+v, %v", page, err)
		}
		for i, r := range page.Records {
			if r.Err != nil || r.Article.Title != articleTitle(12-i) || r.Article.Layers["published"] == "" {
				t.Errorf("article %d: %q, %v, by %v", i+1, r.Article.Title, r.Err, r.Article.Layers)
			}
		}
		hits := o.asked("")[begun:]
		anyLess(t, hits, 2*time.Second)
		if len(hits) != 5 {
			t.Errorf("%d requests, want the list, robots.txt and three articles", len(hits))
		}
	})
}

func TestATrialThatFailsSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		p := newPortal(o, 12)
		p.extra = ""
		o.on("http://portal.example/forbidden", statusOnly(403))
		o.on("http://portal.example/redirected", statusOnly(302, "Location", "http://a:b@portal.example/"))
		o.on("http://portal.example/text", robots("只有一句话，没有列表。"))
		o.on("http://closed.example/robots.txt", robots("User-agent: *\nDisallow: /"))
		o.on("http://closed.example/list", statusOnly(200))
		for _, c := range []struct {
			name    string
			kind    zonewire.SourceKind
			url     string
			invalid bool
			reason  string
		}{
			{"nothing there", "", "http://portal.example/none", false, "it answers 404: nothing is at this address"},
			{"only browsers", "", "http://portal.example/forbidden", false, "it answers 403: it lets only browsers in"},
			{"no feed", zonewire.FeedSource, listURL, true, "this is no feed that can be read"},
			{"neither", "", "http://portal.example/text", true, "this is no feed and no list page that can be read"},
			{"a file", "", "file:///etc/passwd", true, "neither http nor https"},
			{"a password", "", "http://a:b@portal.example/", true, "a name or a password"},
			{"to a password", "", "http://portal.example/redirected", true, "a name or a password"},
			{"closed by robots.txt", zonewire.PageSource, "http://closed.example/list", false, "its robots.txt closes /list to programs"},
		} {
			_, err := try(t, m, client, c.kind, c.url)
			if err == nil || !strings.Contains(err.Error(), c.reason) || errors.Is(err, zonewire.ErrInvalid) != c.invalid || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%s: %v, want %q", c.name, err, c.reason)
			}
		}
		if len(o.asked("http://closed.example/list")) != 0 {
			t.Error("a page that robots.txt closes was asked")
		}
	})
}

func TestVisitPollsNowWhateverTheTimersSay(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, quietFeed)
		id := m.addFeed(feedURL)
		m.change(id, func(s *zonewire.Source) { s.Next = time.Now().Add(day); s.State = zonewire.SourceSuspended })
		p := poll.New(m, client, options)
		got, stored, err := p.Visit(t.Context(), id)
		if err != nil || got.Log.Status != 200 || got.State != zonewire.SourceActive || len(stored) != 2 {
			t.Errorf("%+v, %d stored, %v", got.Log, len(stored), err)
		}
		if _, _, err := p.Visit(t.Context(), id); !errors.Is(err, zonewire.ErrBusy) {
			t.Errorf("at once again: %v, want ErrBusy for two seconds", err)
		}
		time.Sleep(2 * time.Second)
		m.change(id, func(s *zonewire.Source) { s.State, s.Reason = zonewire.SourcePaused, "by the operator" })
		got, _, err = p.Visit(t.Context(), id)
		if err != nil || got.Log.Status != 304 || got.State != zonewire.SourcePaused || got.Reason != "by the operator" {
			t.Errorf("a paused one: %+v, %s, %v", got.Log, got.State, err)
		}
		if _, _, err := p.Visit(t.Context(), 99); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("an unknown one: %v", err)
		}
	})
}
