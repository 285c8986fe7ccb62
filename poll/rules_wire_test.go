package poll_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/poll"
)

func TestRule8NothingButTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		moved := "http://portal.example/moved?a=b&c"
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
			http.Redirect(w, r, moved, http.StatusFound)
		})
		o.on(moved, quietFeed)
		m.addFeed(feedURL)
		runFor(t, m, client, 3*day, options)
		for _, h := range o.asked("") {
			if h.method != http.MethodGet || h.host+h.path != "portal.example/rss.xml" && h.host+h.path != "portal.example/moved?a=b&c" {
				t.Errorf("asked %s %s%s", h.method, h.host, h.path)
			}
			allowed := []string{"Accept", "Accept-Encoding", "If-Modified-Since", "If-None-Match", "User-Agent"}
			for name := range h.header {
				if !slices.Contains(allowed, name) {
					t.Errorf("sent %s: %s", name, h.header.Get(name))
				}
			}
		}
	})
}

func TestRule9PackedBodiesAreAskedForAndCountedUnpacked(t *testing.T) {
	for _, c := range []struct {
		name   string
		body   string
		reason string
		bytes  int64
	}{
		{"a feed", feedDoc(1, 3, ""), "", int64(len(feedDoc(1, 3, "")))},
		{"a bomb of 64 MB", strings.Repeat("\x00", 64<<20), "its answer is too large", 10 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			io.WriteString(z, c.body)
			z.Close()
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Accept-Encoding") != "gzip" {
						t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
					}
					w.Header().Set("Content-Encoding", "gzip")
					w.Header().Set("ETag", `"bomb"`)
					w.Write(packed.Bytes())
				})
				id := m.addFeed(feedURL)
				runFor(t, m, client, 5*time.Minute, options)
				s, last := m.source(id), m.log(id)[0]
				if s.Reason != c.reason || last.Log.Bytes != c.bytes || last.Log.Status != 200 {
					t.Errorf("reason %q, %d bytes, status %d; want %q, %d, 200", s.Reason, last.Log.Bytes, last.Log.Status, c.reason, c.bytes)
				}
				if c.reason == "" {
					return
				}
				if s.Memory.ETag != "" || s.Memory.Errors != 1 {
					t.Errorf("a body that was not read left ETag %q and %d errors", s.Memory.ETag, s.Memory.Errors)
				}
				runFor(t, m, client, 3*day, options)
				anyLess(t, o.asked(feedURL), day) // it costs as much each time
			})
		})
	}
}

func TestRule10TheAgentIsStable(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, quietFeed)
		m.addFeed(feedURL)
		with := options
		with.Readers = func(context.Context) (int, error) { return 42, nil }
		runFor(t, m, client, 3*day, with)
		for _, h := range o.asked("") {
			if got, want := h.header.Get("User-Agent"), "zonewire/1.2 (+https://news.example; 42 subscribers)"; got != want {
				t.Errorf("agent %q, want %q", got, want)
			}
		}
	})
	if got, want := poll.Agent("1.2", "https://news.example", 0), "zonewire/1.2 (+https://news.example)"; got != want {
		t.Errorf("agent %q, want %q", got, want)
	}
}

func TestRule11RedirectsAreFollowedAndOnlyPermanentOnesKept(t *testing.T) {
	const target = "http://www.portal.example/feed"
	for _, c := range []struct {
		name  string
		codes []int // of each redirect in a row
		kept  bool
	}{
		{"301", []int{301}, true},
		{"308", []int{308}, true},
		{"301, then 308", []int{301, 308}, true},
		{"302", []int{302}, false},
		{"307", []int{307}, false},
		{"301, then 302", []int{301, 302}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				from := feedURL
				for i, code := range c.codes {
					to := fmt.Sprintf("http://hop%d.example/", i)
					if i == len(c.codes)-1 {
						to = target
					}
					o.on(from, statusOnly(code, "Location", to))
					from = to
				}
				o.on(target, quietFeed)
				id := m.addFeed(feedURL)
				runFor(t, m, client, 2*week, options)
				want, times := feedURL, len(o.asked(target))
				if c.kept {
					want, times = target, 3
				}
				if got := m.source(id).URL; got != want || len(o.asked(feedURL)) != times {
					t.Errorf("address %s after %d requests to the old one, want %s and %d", got, len(o.asked(feedURL)), want, times)
				}
				for i, h := range o.asked(target) {
					if h.conditional() != (i > 0) {
						t.Errorf("request %d to where it led: conditional is %v", i+1, h.conditional())
					}
				}
			})
		})
	}
}

func TestRule11ThreeEqualAnswersInARow(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		n := 0
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			n++
			if n%3 == 0 { // a load balancer of two minds
				quietFeed(w, r)
				return
			}
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
		})
		o.on("portal.example/moved", quietFeed)
		id := m.addFeed(feedURL)
		runFor(t, m, client, 2*week, options)
		if m.source(id).URL != feedURL {
			t.Error("stored an address that was never given three times in a row")
		}
	})
}

func TestRule11NoMoreThanFiveHopsAndNoneToWhereNobodyMayGo(t *testing.T) {
	for to, reason := range map[string]string{
		feedURL:                   "it leads on more than 5 times",
		"file:///etc/passwd":      `"file" is neither http nor https`,
		"http://a:b@c.example/":   "the address holds a name or a password",
		"http://portal.example:1": "port 1 may not be asked: only 80, 443 and from 1024 upwards",
	} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			o.on(feedURL, statusOnly(301, "Location", to))
			id := m.addFeed(feedURL)
			runFor(t, m, client, 5*time.Minute, options)
			if s := m.source(id); s.Reason != reason || s.Memory.Errors != 1 || len(o.asked("")) > 6 {
				t.Errorf("to %s: %q after %d requests, want %q", to, s.Reason, len(o.asked("")), reason)
			}
		})
	}
}

func TestRule12GoneStops(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, statusOnly(410))
		id := m.addFeed(feedURL)
		runFor(t, m, client, week, options)
		if s := m.source(id); s.State != zonewire.SourceStopped || !strings.HasPrefix(s.Reason, "it answers 410") || len(o.asked("")) != 1 {
			t.Errorf("%s (%s) after %d requests", s.State, s.Reason, len(o.asked("")))
		}
	})
}

func TestRule12TenTimes404OverSevenDaysStops(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		o.on(feedURL, statusOnly(404))
		id := m.addFeed(feedURL)
		runFor(t, m, client, 6*day, options)
		if s := m.source(id); s.State != zonewire.SourceFailing {
			t.Errorf("after six days %s", s.State)
		}
		runFor(t, m, client, 10*day, options)
		s, hits := m.source(id), o.asked("")
		if s.State != zonewire.SourceStopped || len(hits) < 10 || hits[len(hits)-1].at.Sub(hits[0].at) < week {
			t.Errorf("%s after %d requests over %v", s.State, len(hits), hits[len(hits)-1].at.Sub(hits[0].at))
		}
	})
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		n := 0
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			if n++; n%6 == 0 {
				quietFeed(w, r)
				return
			}
			http.NotFound(w, r)
		})
		id := m.addFeed(feedURL)
		runFor(t, m, client, 30*day, options)
		if s := m.source(id); s.State == zonewire.SourceStopped {
			t.Errorf("stopped, though it was there every sixth time")
		}
	})
}

func TestRule13OneConnectionAHostAndSixInAll(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(15 * time.Second)
			quietFeed(w, r)
		}
		all, most := 0, 0
		for i := range 10 {
			for j := range 3 {
				address := fmt.Sprintf("http://p%d.example/%d", i, j)
				o.on(address, func(w http.ResponseWriter, r *http.Request) {
					o.mu.Lock()
					all++
					most = max(most, all)
					o.mu.Unlock()
					slow(w, r)
					o.mu.Lock()
					all--
					o.mu.Unlock()
				})
				m.addFeed(address)
			}
		}
		runFor(t, m, client, 3*hour, options)
		if o.most != 1 || most != 6 {
			t.Errorf("%d requests at once on a host, %d in all; want 1 and 6", o.most, most)
		}
		for i := range 10 {
			var hits []hit
			for _, h := range o.asked("") {
				if h.host == fmt.Sprintf("p%d.example", i) {
					hits = append(hits, h)
				}
			}
			if len(hits) < 3 {
				t.Errorf("host %d was asked %d times", i, len(hits))
			}
			anyLess(t, hits, 17*time.Second) // 15 for the answer, 2 of rest
		}
	})
}

func TestHostileAnswersAreFailuresWithAReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		reason string
	}{
		{"a drip", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write([]byte(" "))
				http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		}, "it takes too long to answer"},
		{"silence", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "it takes too long to answer"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "it broke the connection off"},
		{"a body that breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, feedDoc(1, 1, ""))
			panic(http.ErrAbortHandler)
		}, "it broke the connection off"},
		{"a web page", robots("<!DOCTYPE html><html><body><p>系统维护中，请稍后访问。</p></body></html>"), "what it sends is no feed that can be read"},
		{"nothing", statusOnly(200), "what it sends is no feed that can be read"},
		{"bytes", robots("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00"), "what it sends is no feed that can be read"},
		{"304 to no condition", statusOnly(304), "it answers 304 to a request without a condition"},
		{"301 to nowhere", statusOnly(301), "it answers 301: it leads on without saying where to"},
		{"a password", statusOnly(401), "it answers 401: it asks for a password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
				o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"hostile"`)
					c.answer(w, r)
				})
				id := m.addFeed(feedURL)
				runFor(t, m, client, 5*time.Minute, options)
				s, log := m.source(id), m.log(id)
				if len(log) != 1 || !strings.HasPrefix(s.Reason, c.reason) || strings.ContainsAny(s.Reason, "\r\n") || log[0].Log.Note != s.Reason {
					t.Fatalf("%d visits, reason %q, want %q; note %q", len(log), s.Reason, c.reason, log[0].Log.Note)
				}
				if s.Memory.Errors != 1 || s.Memory.ETag != "" || len(m.stored()) != 0 || log[0].Log.Took > 21*time.Second {
					t.Errorf("%d errors, ETag %q, took %v", s.Memory.Errors, s.Memory.ETag, log[0].Log.Took)
				}
			})
		})
	}
}
