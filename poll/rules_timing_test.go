package poll_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zonewire"
)

// hinted serves a busy feed whose headers and channel say when to ask again.
func hinted(channel string, header ...string) http.HandlerFunc {
	body := ""
	return func(w http.ResponseWriter, r *http.Request) {
		if body == "" {
			body = feedDoc(1, 170, channel) // dated by the bubble's time
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		serveFeed(w, r, `"v1"`, body)
	}
}

func TestRule5HintsMeanNotBefore(t *testing.T) {
	in := func(d time.Duration) http.HandlerFunc {
		plain := hinted("")
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Expires", time.Now().Add(d).UTC().Format(http.TimeFormat))
			plain(w, r)
		}
	}
	for _, c := range []struct {
		name        string
		feed        http.HandlerFunc
		least, most time.Duration
	}{
		{"max-age", hinted("", "Cache-Control", "public, max-age=21600"), 6 * hour, 7 * hour},
		{"max-age less the age of a cache", hinted("", "Cache-Control", "max-age=21600", "Age", "7200"), 4 * hour, 5 * hour},
		{"max-age goes before Expires", hinted("", "Cache-Control", "max-age=10800", "Expires", "Fri, 01 Jan 2100 00:00:00 GMT"), 3 * hour, 4 * hour},
		{"Expires", in(5 * hour), 5*hour - time.Second, 6 * hour},
		{"Expires in the past", in(-5 * hour), hour, 70 * time.Minute},
		{"Expires: 0", hinted("", "Expires", "0"), hour, 70 * time.Minute},
		{"no-cache", hinted("", "Cache-Control", "no-cache, max-age=86400"), hour, 70 * time.Minute},
		{"a year is a day", hinted("", "Cache-Control", "max-age=31536000"), day, 27 * hour},
		{"ttl, over every 304", hinted("<ttl>300</ttl>"), 5 * hour, 6 * hour},
		{"a ttl of a year is a day", hinted("<ttl>525600</ttl>"), day, 27 * hour},
		{"the longer of two", hinted("<ttl>180</ttl>", "Cache-Control", "max-age=36000"), 10 * hour, 11 * hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				o.on(feedURL, c.feed)
				m.addFeed(feedURL)
				runFor(t, m, client, 6*day, options)
				hits := o.asked(feedURL)
				anyLess(t, hits, c.least)
				if len(hits) < 5 || slices.Max(gaps(hits)) > c.most {
					t.Errorf("%d requests, up to %v apart; want %v at most", len(hits), slices.Max(gaps(hits)), c.most)
				}
			})
		})
	}
}

func TestRule5HoursAndDaysAreSkipped(t *testing.T) {
	for _, c := range []struct {
		channel string
		skipped func(time.Time) bool
	}{
		{
			"<skipHours><hour>0</hour><hour>1</hour><hour>2</hour><hour>23</hour></skipHours>",
			func(at time.Time) bool { return at.Hour() < 3 || at.Hour() == 23 },
		},
		{"<skipDays><day>Sunday</day></skipDays>", func(at time.Time) bool { return at.Weekday() == time.Sunday }},
	} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			o.on(feedURL, hinted(c.channel))
			m.addFeed(feedURL)
			runFor(t, m, client, 6*day+20*hour, options) // the bubble begins on a Saturday, at midnight UTC
			hits := o.asked(feedURL)[1:]                 // the first request could not know
			for _, h := range hits {
				if at := h.at.UTC(); c.skipped(at) {
					t.Errorf("%s: asked on %s", c.channel, at.Format("Monday 15:04"))
				}
			}
			if len(hits) < 90 {
				t.Errorf("%s: %d requests in the hours that are left", c.channel, len(hits))
			}
		})
	}
}

func TestRule6RetryAfterIsHeeded(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      int
		after       func() string
		least, most time.Duration
	}{
		{"429, seconds", 429, func() string { return "18000" }, 5 * hour, 6 * hour},
		{"503, seconds", 503, func() string { return "18000" }, 5 * hour, 6 * hour},
		{"503, a date", 503, func() string { return time.Now().Add(30 * hour).UTC().Format(http.TimeFormat) }, 30*hour - time.Second, 33 * hour},
		{"a second is an hour", 503, func() string { return "1" }, hour, 3 * hour},
		{"a year is a week", 429, func() string { return "31536000" }, week, week + 3*hour},
		{"a date in the past", 503, func() string { return "Sat, 01 Jan 2000 00:00:00 GMT" }, hour, 3 * hour},
		{"rubbish", 503, func() string { return "soon" }, hour, 3 * hour},
		{"429 without it slows down further", 429, func() string { return "" }, 3 * hour, 5 * hour},
		{"on 500 it means nothing", 500, func() string { return "31536000" }, hour, 3 * hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				busy := false
				feed := hinted("")
				o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
					if !busy {
						feed(w, r)
						return
					}
					busy = false
					w.Header().Set("Retry-After", c.after())
					w.WriteHeader(c.status)
				})
				m.addFeed(feedURL)
				runFor(t, m, client, 5*hour, options)
				busy = true
				runFor(t, m, client, 9*day, options)
				hits := o.asked(feedURL)
				i := slices.IndexFunc(hits, func(h hit) bool { return h.status == c.status })
				gap := hits[i+1].at.Sub(hits[i].at)
				if gap < c.least || gap > c.most {
					t.Errorf("asked again after %v, want %v to %v", gap, c.least, c.most)
				}
			})
		})
	}
}

func TestRule6RetryAfterBindsTheHostOnlyIfItIsOneSite(t *testing.T) {
	for _, c := range []struct {
		host string
		both bool
	}{{"portal.example", true}, {"feeds.feedburner.com", false}, {"rsshub.example", false}} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			one, other := "http://"+c.host+"/one", "http://"+c.host+"/other"
			o.on(one, statusOnly(429, "Retry-After", "172800"))
			o.on(other, quietFeed)
			m.addFeed(one)
			m.addFeed(other)
			runFor(t, m, client, 10*time.Minute, options)
			if quiet := len(o.asked(other)) == 0; quiet != c.both {
				t.Errorf("%s: the other feed is left alone: %v, want %v", c.host, quiet, c.both)
			}
			runFor(t, m, client, 3*day, options)
			if len(o.asked(other)) == 0 {
				t.Errorf("%s: the other feed was never asked", c.host)
			}
		})
	}
}

func TestRule7ARestartForgetsNoTimer(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		feed := hinted("", "Cache-Control", "max-age=36000")
		o.on(feedURL, feed)
		o.on("http://slow.example/feed", statusOnly(503, "Retry-After", "432000"))
		m.addFeed(feedURL)
		m.addFeed("http://slow.example/feed")
		for range 6 * 24 * 4 { // a new program each quarter of an hour
			runFor(t, m, client, 15*time.Minute, options)
		}
		hits := o.asked(feedURL)
		anyLess(t, hits, 10*hour)
		if len(hits) < 12 || len(hits) > 15 {
			t.Errorf("%d requests in six days, want 12 to 15", len(hits))
		}
		for i, h := range hits {
			if h.conditional() != (i > 0) {
				t.Errorf("request %d: conditional is %v", i+1, h.conditional())
			}
		}
		if n := len(o.asked("http://slow.example/feed")); n != 2 {
			t.Errorf("%d requests to the host that asked for five days of silence, want 2 in six", n)
		}
	})
}

func TestRule7ThereIsNoBurstAndNoHerd(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		const sources = 30
		for i := range sources {
			address := "http://p" + strconv.Itoa(i) + ".example/feed"
			o.on(address, hinted(""))
			m.addFeed(address)
		}
		runFor(t, m, client, 5*time.Minute, options)
		first := o.asked("")
		if len(first) != sources {
			t.Fatalf("%d requests, want one a source", len(first))
		}
		anyLess(t, first, 2*time.Second)
		runFor(t, m, client, 2*day, options)
		// Added within a minute, they drift apart by and by.
		minutes := map[int]bool{}
		for _, h := range o.asked("") {
			if h.at.Sub(first[0].at) > 2*day-hour {
				minutes[h.at.Minute()] = true
			}
		}
		if len(minutes) < sources/2 {
			t.Errorf("requests in %d minutes of the hour, want them spread", len(minutes))
		}
	})
}

func TestRule7JitterNeverLeadsBeforeAnHour(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, hinted(""))
		m.addFeed(feedURL)
		runFor(t, m, client, 6*day, options)
		different := map[time.Duration]bool{}
		for _, gap := range gaps(o.asked(feedURL)) {
			different[gap.Truncate(time.Minute)] = true
		}
		anyLess(t, o.asked(feedURL), hour)
		if len(different) < 4 {
			t.Errorf("gaps %v, want them to differ", different)
		}
	})
}

func TestFailuresSlowDownUpToADayAndASuccessForgetsThem(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		down := false
		feed := hinted("")
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			if down {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			feed(w, r)
		})
		id := m.addFeed(feedURL)
		runFor(t, m, client, 90*time.Minute, options)
		down = true
		runFor(t, m, client, 5*day, options)
		hits := o.asked(feedURL)
		failed := hits[slices.IndexFunc(hits, func(h hit) bool { return h.status == 502 }):]
		for i, gap := range gaps(failed) {
			want := min(hour<<(i+1), day)
			if gap < want*9/10 || gap > want*11/10+time.Minute {
				t.Errorf("after %d failures %v, want %v ± 10 %%", i+1, gap, want)
			}
			if i > 0 && !failed[i].conditional() {
				t.Error("a failure made it forget the validators")
			}
		}
		if s := m.source(id); s.State != zonewire.SourceFailing || s.Reason != "it answers 502: the server is in trouble" {
			t.Errorf("%s: %s", s.State, s.Reason)
		}
		down = false
		runFor(t, m, client, 2*day, options)
		if s := m.source(id); s.State != zonewire.SourceActive || s.Reason != "" || s.Memory.Errors != 0 || !s.Memory.FailingAt.IsZero() {
			t.Errorf("a 304 leaves %s, %q, %d errors", s.State, s.Reason, s.Memory.Errors)
		}
	})
}

func TestFourteenDaysOfFailuresSuspend(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, statusOnly(500))
		id := m.addFeed(feedURL)
		runFor(t, m, client, 13*day, options)
		if s := m.source(id); s.State != zonewire.SourceFailing {
			t.Errorf("after 13 days %s", s.State)
		}
		runFor(t, m, client, 3*day, options)
		n := len(o.asked(feedURL))
		runFor(t, m, client, 9*day, options)
		if s := m.source(id); s.State != zonewire.SourceSuspended || len(o.asked(feedURL)) != n {
			t.Errorf("after 16 days %s, asked %d times more", s.State, len(o.asked(feedURL))-n)
		}
	})
}

// A wall may also stand behind a 200.
func TestAPageThatWantsABrowserIsBlocked(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		morning()
		o.on(listURL, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<title>门户</title><body><p>请开启JavaScript并刷新该页</p></body>")
		})
		id := m.addPage(listURL)
		runFor(t, m, client, 5*time.Minute, options)
		if s := m.source(id); s.State != zonewire.SourceBlocked || !strings.Contains(s.Reason, "wants a browser") || !strings.Contains(s.Reason, "push to the API") {
			t.Errorf("%s: %s", s.State, s.Reason)
		}
	})
}

func TestWhoLetsOnlyBrowsersInIsAskedOnceADay(t *testing.T) {
	for _, status := range []int{403, 412, 521} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			open := false
			o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
				if open {
					quietFeed(w, r)
					return
				}
				http.SetCookie(w, &http.Cookie{Name: "challenge", Value: "1"})
				w.WriteHeader(status)
				fmt.Fprint(w, `<script>document.cookie="clearance=1";location.reload()</script>`)
			})
			id := m.addFeed(feedURL)
			runFor(t, m, client, 20*day, options)
			hits := o.asked(feedURL)
			if len(hits) < 18 || len(hits) > 22 || m.source(id).State != zonewire.SourceBlocked {
				t.Errorf("%d: %d requests in 20 days, state %s", status, len(hits), m.source(id).State)
			}
			for _, h := range hits {
				if h.header.Get("Cookie") != "" || h.header.Get("User-Agent") != hits[0].header.Get("User-Agent") {
					t.Errorf("%d: it poses as a browser: %v", status, h.header)
				}
			}
			open = true
			runFor(t, m, client, 2*day, options)
			if s := m.source(id); s.State != zonewire.SourceActive || len(m.stored()) != 2 {
				t.Errorf("%d: once it is open: %s, %d articles", status, s.State, len(m.stored()))
			}
		})
	}
}
