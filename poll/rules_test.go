package poll_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"zonewire"
)

func TestRule1TheWholeIsAskedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		begun := time.Now()
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			n := int(time.Since(begun) / (3 * day)) // news every three days
			w.Header().Set("Last-Modified", fmt.Sprintf("edition %d", n))
			serveFeed(w, r, fmt.Sprintf(`W/"edition %d"`, n), feedDoc(n, 5, ""))
		})
		m.addFeed(feedURL)
		runFor(t, m, client, 3*week, options)
		hits := o.asked(feedURL)
		if len(hits) < 21 || len(m.stored()) != 11 {
			t.Fatalf("%d requests, %d articles; want one a day at least, and every article", len(hits), len(m.stored()))
		}
		for i, h := range hits {
			if h.conditional() != (i > 0) {
				t.Errorf("request %d of %d: conditional is %v", i+1, len(hits), h.conditional())
			}
		}
	})
}

func TestRule1HoldsForAnAddressThatIsNotASCII(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on("portal.example/%E6%96%B0%E9%97%BB/rss.xml?q=%E5%B7%9E", quietFeed)
		o.on("portal.example/%E6%96%B0%E9%97%BB/rss.xml?q=州", quietFeed)
		m.addFeed("http://portal.example/新闻/rss.xml?q=州")
		runFor(t, m, client, 4*day, options)
		hits := o.asked("")
		for i, h := range hits {
			if h.conditional() != (i > 0) || h.status == 404 {
				t.Errorf("request %d, %s: %d, conditional is %v", i+1, h.path, h.status, h.conditional())
			}
		}
		if len(hits) < 4 {
			t.Errorf("%d requests", len(hits))
		}
	})
}

func TestRule2ValidatorsGoBackByteForByte(t *testing.T) {
	for _, c := range []struct{ etag, modified string }{
		{`"plain"`, "Tue, 24 Nov 2026 15:05:49 GMT"},
		{`W/"weak"`, ""},
		{`no-quotes-at-all`, "yesterday, about noon"},
		{`"a, b" W/"c"`, "24-11-2026"},
		{`"版本一"`, "Tue,  24 Nov  2026"},
		{"", "0"},
	} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Etag"], w.Header()["Last-Modified"] = []string{c.etag}, []string{c.modified}
				fmt.Fprint(w, feedDoc(1, 1, ""))
			})
			m.addFeed(feedURL)
			runFor(t, m, client, 3*day, options)
			for _, h := range o.asked(feedURL)[1:] {
				if h.header.Get("If-None-Match") != c.etag || h.header.Get("If-Modified-Since") != c.modified {
					t.Errorf("sent %q and %q, got back %q and %q", c.etag, c.modified, h.header.Get("If-None-Match"), h.header.Get("If-Modified-Since"))
				}
			}
		})
	}
}

func TestRule2AnAnswerOf304LeavesTheValidatorsAsTheyAre(t *testing.T) {
	for _, header := range [][]string{nil, {"ETag", `"of another copy"`, "Last-Modified", "today"}} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") == "" {
					quietFeed(w, r)
					return
				}
				statusOnly(http.StatusNotModified, header...)(w, r)
			})
			m.addFeed(feedURL)
			runFor(t, m, client, 4*day, options)
			for _, h := range o.asked(feedURL)[1:] {
				if got := h.header.Get("If-None-Match"); got != `"v1"` || h.header.Get("If-Modified-Since") != "" {
					t.Errorf("sent back %q and %q", got, h.header.Get("If-Modified-Since"))
				}
			}
		})
	}
}

func TestRule2ValidatorsAreNeverAheadOfTheArticles(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, quietFeed)
		id := m.addFeed(feedURL)
		m.refuse = func(p zonewire.Poll) error {
			if len(p.Articles) > 0 && len(o.asked(feedURL)) == 1 {
				return zonewire.ErrFull
			}
			return nil
		}
		runFor(t, m, client, hour, options)
		if s := m.source(id); s.Memory.ETag != "" || s.Reason == "" || s.Memory.Errors != 1 {
			t.Errorf("after articles that could not be stored: %+v", s)
		}
		runFor(t, m, client, 2*day, options)
		hits := o.asked(feedURL)
		if len(hits) < 2 || hits[1].conditional() || len(m.stored()) != 2 {
			t.Errorf("%d requests, %d articles; want the whole asked for again, and stored", len(hits), len(m.stored()))
		}
		anyLess(t, hits[:2], day)
	})
}

func TestRule3AnotherParserAsksForTheWholeOnceMore(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, quietFeed)
		id := m.addFeed(feedURL)
		runFor(t, m, client, 2*day, options)
		before := len(o.asked(feedURL))
		m.change(id, func(s *zonewire.Source) { s.Memory.Parser-- })
		runFor(t, m, client, 3*day, options)
		for i, h := range o.asked(feedURL)[before:] {
			if h.conditional() != (i > 0) {
				t.Errorf("request %d after the change: conditional is %v", i+1, h.conditional())
			}
		}
	})
}

func TestRule3ValidatorsGoToNoOtherAddress(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		target := "/a.xml"
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
		o.on("portal.example/a.xml", quietFeed)
		o.on("portal.example/b.xml", quietFeed) // the same validator, another resource
		m.addFeed(feedURL)
		runFor(t, m, client, 3*day, options)
		target = "/b.xml"
		runFor(t, m, client, 3*day, options)
		for _, address := range []string{"portal.example/a.xml", "portal.example/b.xml"} {
			for i, h := range o.asked(address) {
				if h.conditional() != (i > 0) {
					t.Errorf("%s, request %d: conditional is %v", address, i+1, h.conditional())
				}
			}
		}
		for _, h := range o.asked(feedURL) {
			if h.conditional() {
				t.Error("the address that redirects was sent a validator of another")
			}
		}
	})
}

// busyFeed has had as much news as make it due as often as it may be.
func busyFeed(validators bool) http.HandlerFunc {
	body := feedDoc(1, 500, "")
	return func(w http.ResponseWriter, r *http.Request) {
		if validators {
			serveFeed(w, r, `"v1"`, body)
			return
		}
		fmt.Fprint(w, body)
	}
}

func TestRule4AtMostOneConditionalRequestAnHour(t *testing.T) {
	for _, c := range []struct {
		name       string
		every      time.Duration
		validators bool
		least      time.Duration
		most       time.Duration // on the average
	}{
		{"an hour", 0, true, hour, 70 * time.Minute},
		{"15 minutes if the operator allows it", 15 * time.Minute, true, 15 * time.Minute, 40 * time.Minute},
		{"6 hours if the operator wants it", 6 * hour, true, 6 * hour, 7 * hour},
		{"a day without validators", 0, false, day, 27 * hour},
		{"a day without validators, whatever the operator allows", 15 * time.Minute, false, day, 27 * hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				o.on(feedURL, busyFeed(c.validators))
				m.add(zonewire.Source{Kind: zonewire.FeedSource, URL: feedURL, Every: c.every})
				runFor(t, m, client, 6*day, options)
				hits := o.asked(feedURL)
				anyLess(t, hits, c.least)
				if average := 6 * day / time.Duration(len(hits)); average > c.most {
					t.Errorf("a request every %v, want every %v at most", average, c.most)
				}
			})
		})
	}
}
