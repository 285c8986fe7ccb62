package websub_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
)

func TestASubscriberIsVerifiedAndTold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		answer := w.ask(form("reader.example", "hub.lease_seconds", "3600", "hub.unheard_of", "1"))
		if answer.Code != 202 || answer.Body.Len() != 0 {
			t.Errorf("asking answers %d %q, want 202 and nothing", answer.Code, answer.Body)
		}
		asked := w.sent("reader.example", "GET")
		if len(asked) != 1 {
			t.Fatalf("the callback was asked %d times, want once", len(asked))
		}
		q := asked[0].query
		if q.Get("hub.mode") != "subscribe" || q.Get("hub.topic") != atomURL || q.Get("hub.lease_seconds") != "3600" || len(q.Get("hub.challenge")) < 26 {
			t.Errorf("asked with %v", q)
		}
		if agent := asked[0].header.Get("User-Agent"); agent != "zonewire/1.2 (+https://news.example)" {
			t.Errorf("asked by %q", agent)
		}
		if got := w.bodies("reader.example"); len(got) != 0 {
			t.Errorf("sent %q at once: a reader has just fetched the feed itself", got)
		}

		recorded := time.Now()
		w.publish("投产")
		told := w.sent("reader.example", "POST")
		if len(told) != 1 {
			t.Fatalf("told %d times, want once", len(told))
		}
		c := told[0]
		if c.at.Sub(recorded) > 0 {
			t.Errorf("told after %v, want at once", c.at.Sub(recorded))
		}
		if c.body != "<feed>投产</feed>" {
			t.Errorf("told %q, want what is new", c.body)
		}
		for name, want := range map[string]string{
			"Content-Type":    "application/atom+xml; charset=utf-8",
			"Link":            "<" + atomURL + `>; rel="self", <` + hubURL + `>; rel="hub"`,
			"X-Hub-Signature": signature(secret, c.body),
			"User-Agent":      "zonewire/1.2 (+https://news.example)",
		} {
			if got := c.header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.publish("获奖")
		if got := strings.Join(w.bodies("reader.example"), " "); got != "<feed>投产</feed> <feed>获奖</feed>" {
			t.Errorf("told %q", got)
		}
		pass(time.Hour)
		w.publish("停产")
		if n := len(w.bodies("reader.example")); n != 2 {
			t.Errorf("told %d times, want 2: the lease has ended", n)
		}
		if s := w.hub.Stats(); s.Accepted != 1 || s.Confirmed != 1 || s.Delivered != 2 || s.Deltas != 2 || s.Waiting != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestOnlyTheExactChallengeConfirms(t *testing.T) {
	challenge := func(r *http.Request) string { return r.URL.Query().Get("hub.challenge") }
	for _, c := range []struct {
		name      string
		answer    http.HandlerFunc
		confirmed bool
		asked     int
	}{
		{"200 and the challenge", willing, true, 1},
		{"201 and the challenge", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); io.WriteString(w, challenge(r)) }, true, 1},
		{"another challenge", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "abc") }, false, 1},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, false, 1},
		{"the challenge and a line end", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, challenge(r)+"\n") }, false, 1},
		{"the challenge within a long page", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, challenge(r)+strings.Repeat(" ", 1<<20))
		}, false, 1},
		{"404", http.NotFound, false, 1},
		{"404 and the challenge", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); io.WriteString(w, challenge(r)) }, false, 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/?"+r.URL.RawQuery)
			w.WriteHeader(302)
			io.WriteString(w, challenge(r))
		}, false, 1},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, false, 3},
		{"nobody there", nil, false, 3},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false, 3},
	} {
		inWorld(t, func(w *world) {
			if c.answer != nil {
				w.on("reader.example", c.answer)
			}
			w.on("elsewhere.example", willing)
			w.subscribe("reader.example")
			pass(5 * time.Minute)
			if got := len(w.store.all()) == 1; got != c.confirmed {
				t.Errorf("%s: confirmed %v, want %v", c.name, got, c.confirmed)
			}
			asked := w.sent("reader.example", "GET")
			if len(asked) != c.asked {
				t.Errorf("%s: asked %d times, want %d", c.name, len(asked), c.asked)
			}
			for i, pause := range []time.Duration{10 * time.Second, time.Minute} {
				if len(asked) > i+1 && asked[i+1].at.Sub(asked[i].at) < pause {
					t.Errorf("%s: asked again after %v, want at least %v", c.name, asked[i+1].at.Sub(asked[i].at), pause)
				}
			}
			if n := len(w.sent("elsewhere.example", "GET")); n != 0 {
				t.Errorf("%s: a redirect was followed", c.name)
			}
			if n := w.mostRead("reader.example"); n > 4096 {
				t.Errorf("%s: %d bytes were read of an answer", c.name, n)
			}
			if n := w.store.waiting(); n != 0 {
				t.Errorf("%s: %d requests wait on", c.name, n)
			}
			if s := w.hub.Stats(); s.Confirmed+s.Forgotten != 1 {
				t.Errorf("%s: counted %+v", c.name, s)
			}
		})
	}
}

func TestACallbackThatComesBackInTimeIsVerified(t *testing.T) {
	inWorld(t, func(w *world) {
		w.subscribe("reader.example")
		pass(15 * time.Second)
		w.on("reader.example", willing)
		pass(2 * time.Minute)
		if asked := w.sent("reader.example", "GET"); len(asked) != 3 || len(w.store.all()) != 1 {
			t.Errorf("asked %d times, %d subscriptions; want one by the third", len(asked), len(w.store.all()))
		}
	})
}

func TestTheQueryOfACallbackIsKept(t *testing.T) {
	for _, c := range []struct{ callback, begins string }{
		{"https://reader.example/cb", "hub.challenge="},
		{"https://reader.example/cb?", "hub.challenge="},
		{"https://reader.example/cb?id=7&b=%E5%8C%BA&&a;b=+", "id=7&b=%E5%8C%BA&&a;b=+&hub.challenge="},
		{"https://reader.example/cb?hub.mode=mine&hub.challenge=mine", "hub.mode=mine&hub.challenge=mine&hub.challenge="},
	} {
		inWorld(t, func(w *world) {
			w.on("reader.example", willing)
			w.subscribe("reader.example", "hub.callback", c.callback)
			asked := w.sent("reader.example", "GET")
			if len(asked) != 1 || !strings.HasPrefix(asked[0].raw, c.begins) {
				t.Errorf("%s: asked with %+v, want the query to begin with %s", c.callback, asked, c.begins)
			}
		})
	}
}

func TestNothingChangesBeforeTheCallbackHasConfirmed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example", "hub.lease_seconds", "86400")
		before := w.store.all()[0]
		w.on("reader.example", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				w.WriteHeader(404) // "that was not me"
			}
		})
		w.subscribe("reader.example", "hub.lease_seconds", "60", "hub.secret", "of somebody else")
		w.subscribe("reader.example", "hub.mode", "unsubscribe")
		if after := w.store.all(); len(after) != 1 || after[0] != before {
			t.Errorf("the subscription is %+v, was %+v", after, before)
		}
		w.publish("投产")
		if told := w.sent("reader.example", "POST"); len(told) != 1 || told[0].header.Get("X-Hub-Signature") != signature(secret, told[0].body) {
			t.Errorf("told %+v, want it signed with the secret that was confirmed", told)
		}
	})
}

func TestSubscribingAgainRenews(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example", "hub.lease_seconds", "3600")
		pass(50 * time.Minute)
		w.subscribe("reader.example", "hub.lease_seconds", "3600", "hub.secret", secret+"2")
		pass(50 * time.Minute)
		w.publish("投产")
		told := w.sent("reader.example", "POST")
		if len(told) != 1 || told[0].body != "<feed>投产</feed>" || told[0].header.Get("X-Hub-Signature") != signature(secret+"2", told[0].body) {
			t.Errorf("told %+v, want once, signed with the new secret", told)
		}
		if n := len(w.store.all()); n != 1 {
			t.Errorf("%d subscriptions, want one", n)
		}
	})
}

func TestUnsubscribingIsVerifiedToo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.subscribe("reader.example", "hub.mode", "unsubscribe", "hub.lease_seconds", "none of your business")
		asked := w.sent("reader.example", "GET")
		if len(asked) != 2 || asked[1].query.Get("hub.mode") != "unsubscribe" || asked[1].query.Get("hub.topic") != atomURL || asked[1].query.Has("hub.lease_seconds") {
			t.Errorf("asked with %+v", asked)
		}
		w.publish("投产")
		if n := len(w.bodies("reader.example")); n != 0 || len(w.store.all()) != 0 {
			t.Errorf("told %d times after it has left", n)
		}
		// What was never there can be left too, and nothing comes of it.
		w.on("stranger.example", willing)
		w.subscribe("stranger.example", "hub.mode", "unsubscribe")
		if n := len(w.sent("stranger.example", "GET")); n != 1 || len(w.store.all()) != 0 || w.store.waiting() != 0 {
			t.Errorf("asked %d times, left %d subscriptions and %d requests", n, len(w.store.all()), w.store.waiting())
		}
	})
}

func TestTheNewestWordOfACallbackStands(t *testing.T) {
	inWorld(t, func(w *world) {
		w.subscribe("reader.example") // nobody there: it waits
		w.on("reader.example", willing)
		w.subscribe("reader.example", "hub.mode", "unsubscribe")
		pass(5 * time.Minute)
		if n := len(w.store.all()); n != 0 {
			t.Errorf("%d subscriptions, want none: it has left before it was verified", n)
		}
	})
}

func TestATopicThatEndsBeforeTheVerificationIsDenied(t *testing.T) {
	inWorld(t, func(w *world) {
		w.subscribe("reader.example") // nobody there yet
		w.feeds.remove(atomURL)
		w.on("reader.example", willing)
		pass(time.Minute)
		asked := w.sent("reader.example", "GET")
		want := url.Values{"hub.mode": {"denied"}, "hub.topic": {atomURL}, "hub.reason": {"this feed has ended"}}
		if len(asked) != 2 || asked[1].query.Encode() != want.Encode() || len(w.store.all()) != 0 || w.store.waiting() != 0 {
			t.Errorf("asked with %+v, want a denial", asked)
		}
	})
}

func TestAFeedThatEndsIsDenied(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*world)
	}{
		{"closed", func(w *world) { w.feeds.remove(atomURL) }},
		{"renamed", func(w *world) { w.feeds.move(atomURL, "https://news.example/zones/binjiang/feed.atom") }},
		{"closed just before a delivery", func(w *world) {
			w.feeds.remove(atomURL)
			w.publish("投产")
		}},
	} {
		inWorld(t, func(w *world) {
			w.on("reader.example", willing)
			w.subscribe("reader.example")
			w.subscribe("gone.example") // nobody there
			w.on("gone.example", willing)
			pass(time.Minute)
			w.on("gone.example", nil)
			if n := len(w.store.all()); n != 2 {
				t.Fatalf("%s: %d subscriptions, want 2", c.name, n)
			}
			c.end(w)
			pass(5 * time.Minute)
			if n := len(w.store.all()); n != 0 {
				t.Errorf("%s: %d subscriptions are left", c.name, n)
			}
			denials := 0
			for _, asked := range w.sent("reader.example", "GET") {
				if asked.query.Get("hub.mode") == "denied" && asked.query.Get("hub.topic") == atomURL && asked.query.Get("hub.reason") != "" {
					denials++
				}
			}
			if denials != 1 || len(w.bodies("reader.example")) != 0 {
				t.Errorf("%s: denied %d times and told %d times, want once and never", c.name, denials, len(w.bodies("reader.example")))
			}
			if s := w.hub.Stats(); s.Ended != 2 {
				t.Errorf("%s: counted %+v", c.name, s)
			}
		})
	}
}

func TestAFailureOfOursEndsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.feeds.failing(errStore)
		w.publish("投产")
		w.on("late.example", willing)
		w.store.mu.Lock()
		w.store.requests[99] = &request{HubRequest: zonewire.HubRequest{
			Callback: zonewire.Callback{ID: 99, Feed: w.atom.Feed, Zone: 7, Topic: atomURL, URL: "https://late.example" + path, Host: "late.example"},
			Mode:     zonewire.HubSubscribe, Lease: time.Hour,
		}, next: time.Now()}
		w.store.mu.Unlock()
		pass(10 * time.Minute)
		if len(w.sent("reader.example", "GET")) != 1 || len(w.sent("late.example", "GET")) != 0 || len(w.bodies("reader.example")) != 0 {
			t.Error("subscribers hear of a failure that is ours")
		}
		w.feeds.failing(nil)
		pass(2 * time.Minute)
		if got := w.bodies("reader.example"); len(got) != 1 || got[0] != "<feed>投产</feed>" || len(w.store.all()) != 2 {
			t.Errorf("told %q, %d subscriptions; want all as if nothing had been", got, len(w.store.all()))
		}
	})
}
