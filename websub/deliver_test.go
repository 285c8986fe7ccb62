package websub_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/websub"
)

func TestWhatASubscriberAnswersDecides(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		tries  int // in the first 20 seconds
		left   int // subscriptions
		took   string
	}{
		{"200", telling(200), 1, 1, "v2"},
		{"202", telling(202), 1, 1, "v2"},
		{"204", telling(204), 1, 1, "v2"},
		{"200 and an endless page", func(w http.ResponseWriter, r *http.Request) {
			willing(w, r)
			fmt.Fprint(w, strings.Repeat("x", 1<<20))
		}, 1, 1, "v2"},
		{"a redirect", telling(307), 2, 1, "v1"},
		{"a permanent redirect", telling(308), 2, 1, "v1"},
		{"a redirect to a page", telling(302), 2, 1, "v1"},
		{"304", telling(304), 2, 1, "v1"},
		{"404", telling(404), 2, 1, "v1"},
		{"410", telling(410), 1, 0, ""},
		{"500", telling(500), 2, 1, "v1"},
		{"no answer", hanging, 2, 1, "v1"},
	} {
		inWorld(t, func(w *world) {
			w.on("elsewhere.example", willing)
			w.on("reader.example", willing)
			w.subscribe("reader.example")
			w.on("reader.example", c.answer)
			w.publish("投产")
			pass(20 * time.Second)
			if n := len(w.bodies("reader.example")); n != c.tries {
				t.Errorf("%s: sent %d times in 20 seconds, want %d", c.name, n, c.tries)
			}
			subs := w.store.all()
			if len(subs) != c.left || c.left > 0 && subs[0].Hash != c.took {
				t.Errorf("%s: subscriptions %+v, want %d that has %s", c.name, subs, c.left, c.took)
			}
			if n := len(w.sent("elsewhere.example", "POST")) + len(w.sent("elsewhere.example", "GET")); n > 0 {
				t.Errorf("%s: a redirect was followed", c.name)
			}
			if n := w.mostRead("reader.example"); n > 4096 {
				t.Errorf("%s: %d bytes were read of an answer", c.name, n)
			}
		})
	}
}

func TestAFailedDeliveryIsTriedAgainUntilTheLeaseEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", telling(503))
		w.subscribe("reader.example", "hub.lease_seconds", "172800")
		w.publish("投产")
		pass(2*day + 2*time.Hour)
		tries := w.sent("reader.example", "POST")
		pause := 10 * time.Second
		for i := 1; i < len(tries); i++ {
			if gap := tries[i].at.Sub(tries[i-1].at); gap < pause*4/5 || gap > pause+time.Second {
				t.Errorf("try %d after %v, want %v or up to a fifth less", i+1, gap, pause)
			}
			pause = min(2*pause, 6*time.Hour)
		}
		if n := len(tries); n < 16 || n > 20 {
			t.Errorf("%d tries in a lease of two days", n)
		}
		if last := tries[len(tries)-1].at; last.Sub(tries[0].at) > 2*day || len(w.store.all()) != 0 {
			t.Errorf("tried for %v, %d subscriptions left; the lease was two days", last.Sub(tries[0].at), len(w.store.all()))
		}
		if n := strings.Count(w.log.String(), "does not take"); n != 1 {
			t.Errorf("told %d times in the log, want once", n)
		}
	})
}

func TestVersionsThatWaitAreOneDelivery(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", telling(500))
		w.subscribe("reader.example")
		for _, word := range []string{"投产", "获奖", "扩建"} {
			w.publish(word)
		}
		if n := len(w.bodies("reader.example")); n != 1 {
			t.Errorf("sent %d times, want once: a failed delivery waits on, whatever comes", n)
		}
		w.on("reader.example", willing)
		pass(time.Minute)
		got := w.bodies("reader.example")
		if want := []string{"<feed>投产</feed>", "<feed>投产 获奖 扩建</feed>"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestAVersionThatComesDuringADeliveryIsToldToo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.on("reader.example", func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) })
		w.publish("投产")
		pass(time.Second)
		w.publish("获奖")
		pass(10 * time.Second)
		if got, want := w.bodies("reader.example"), []string{"<feed>投产</feed>", "<feed>获奖</feed>"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestASubscriberOfAForgottenVersionGetsAll(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example", "hub.secret", "")
		w.store.mu.Lock()
		for _, s := range w.store.subs {
			s.Hash = "long ago"
		}
		w.store.mu.Unlock()
		w.publish("投产")
		told := w.sent("reader.example", "POST")
		if len(told) != 1 || told[0].body != "<feed>开工 投产</feed>" {
			t.Errorf("told %+v", told)
		}
		if _, signed := told[0].header["X-Hub-Signature"]; signed {
			t.Error("signed without a secret")
		}
		if s := w.hub.Stats(); s.Delivered != 1 || s.Deltas != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestADocumentIsMadeOnceForAllWhoAreSentIt(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 20 {
			host := fmt.Sprintf("reader%d.example", i)
			w.on(host, func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					time.Sleep(100 * time.Millisecond)
				}
				willing(rw, r)
			})
			w.subscribe(host)
		}
		w.publish("投产")
		pass(time.Second)
		if n := w.feeds.documents(); n != 1 {
			t.Errorf("made %d times for 20 subscribers, want once", n)
		}
		w.publish("获奖")
		pass(time.Second)
		for i := range 20 {
			if got := w.bodies(fmt.Sprintf("reader%d.example", i)); len(got) != 2 || got[1] != "<feed>获奖</feed>" {
				t.Errorf("subscriber %d was sent %q", i, got)
			}
		}
	})
}

// While many are told of a version the next one comes: who is not told yet hears of both at once.
func TestWhoIsToldLaterIsSentTheLatest(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  [2]time.Duration // to answer, by turns; the first 32 are told at once, the others as these are done
		others int
		wake   bool // the version is recorded in this process
	}{
		{"recorded here", [2]time.Duration{300 * time.Millisecond, 400 * time.Millisecond}, 20, true},
		// It is a second before this one looks again: 32 more begin before it.
		{"recorded by another process", [2]time.Duration{600 * time.Millisecond, 900 * time.Millisecond}, 32 + 20, false},
	} {
		inWorld(t, func(w *world) {
			host := func(i int) string { return fmt.Sprintf("reader%d.example", i) }
			for i := range 32 + c.others {
				w.on(host(i), func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						time.Sleep(c.takes[i%2])
					}
					willing(rw, r)
				})
				w.subscribe(host(i))
			}
			w.publish("投产")
			pass(100 * time.Millisecond)
			w.store.record(w.atom, w.feeds.write(w.atom.Feed, "获奖"), nil, time.Now())
			if c.wake {
				w.hub.Wake()
			}
			pass(10 * time.Second)
			both := 0
			for i := range 32 + c.others {
				switch got := strings.Join(w.bodies(host(i)), " "); got {
				case "<feed>投产 获奖</feed>":
					both++
				case "<feed>投产</feed> <feed>获奖</feed>":
				default:
					t.Errorf("%s: subscriber %d was sent %q", c.name, i, got)
				}
			}
			if both != 20 {
				t.Errorf("%s: %d were sent both at once, want the last 20", c.name, both)
			}
		})
	}
}

func TestALeaseThatEndsInTheQueueIsOver(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		for i := range 6 {
			w.subscribe("reader.example", "hub.callback", fmt.Sprintf("https://reader.example%s/%d", path, i), "hub.lease_seconds", "60")
		}
		pass(55 * time.Second)
		w.on("reader.example", func(http.ResponseWriter, *http.Request) { time.Sleep(4 * time.Second) })
		w.publish("投产")
		pass(time.Minute)
		if n := len(w.bodies("reader.example")); n != 4 {
			t.Errorf("told %d times, want the 4 whose turn came before the end", n)
		}
	})
}

// Another process has recorded a version that this one does not serve yet.
func TestAProcessThatIsBehindSendsNothingTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.store.record(w.atom, "v2", nil, time.Now())
		w.hub.Wake()
		before := w.store.called("ClaimHubDeliveries")
		pass(10 * time.Second)
		if n := w.store.called("ClaimHubDeliveries") - before; n > 20 {
			t.Errorf("asked the store %d times in 10 seconds", n)
		}
		if got := w.bodies("reader.example"); len(got) != 0 {
			t.Errorf("sent %q, which it has", got)
		}
		w.feeds.write(w.atom.Feed, "投产")
		pass(2 * time.Second)
		if got := w.bodies("reader.example"); len(got) != 1 || got[0] != "<feed>投产</feed>" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAThousandAreToldInOneGo(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 1000 {
			host := fmt.Sprintf("reader%d.example", i/2)
			w.on(host, willing)
			w.subscribe(host, "hub.callback", fmt.Sprintf("https://%s%s/%d", host, path, i))
		}
		recorded := time.Now()
		w.publish("投产")
		if got := tally(w.store.all()); got != "v2:1000" || time.Since(recorded) > 0 {
			t.Errorf("after %v %s, want all told without waiting for the next look", time.Since(recorded), got)
		}
	})
}

func TestASlowHostHoldsNobodyUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("slow.example", willing)
		for i := range 90 {
			w.subscribe("slow.example", "hub.callback", fmt.Sprintf("https://slow.example%s/%d", path, i))
		}
		for i := range 9 {
			host := fmt.Sprintf("reader%d.example", i)
			w.on(host, willing)
			w.subscribe(host)
		}
		w.on("slow.example", hanging)
		w.publish("投产")
		for i := range 9 {
			if n := len(w.bodies(fmt.Sprintf("reader%d.example", i))); n != 1 {
				t.Errorf("subscriber %d was told %d times at once, want once", i, n)
			}
		}
		if n := w.mostAtOnce("slow.example"); n != 2 {
			t.Errorf("%d requests at a time to one host, want 2", n)
		}
		pass(10 * time.Minute)
		if n := len(w.bodies("slow.example")); n > 50 {
			t.Errorf("%d requests in ten minutes to a host that never answers", n)
		}
		w.on("slow.example", willing)
		pass(10 * time.Minute)
		for _, s := range w.store.all() {
			if s.Hash != "v2" {
				t.Errorf("subscription %d has %s", s.ID, s.Hash)
			}
		}
	})
}

func TestWhatADeadProcessHasClaimedComesWhenItsClaimEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.stop()
		now := time.Now()
		w.store.record(w.atom, w.feeds.write(w.atom.Feed, "投产"), nil, now)
		if _, err := w.store.ClaimHubDeliveries(t.Context(), now, now.Add(time.Minute), 10); err != nil {
			t.Fatal(err)
		}
		w.start(websub.Options{})
		pass(59 * time.Second)
		if n := len(w.bodies("reader.example")); n != 0 {
			t.Errorf("sent %d times while another process may be sending it", n)
		}
		pass(2 * time.Second)
		if got := w.bodies("reader.example"); len(got) != 1 || got[0] != "<feed>投产</feed>" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestTwoProcessesTellEachOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		stop := w.stop
		w.start(websub.Options{})
		defer func(second func()) {
			second()
			w.stop = stop
		}(w.stop)
		for i := range 50 {
			host := fmt.Sprintf("reader%d.example", i)
			w.on(host, willing)
			w.subscribe(host)
		}
		w.publish("投产")
		pass(2 * time.Minute)
		for i := range 50 {
			if n := len(w.bodies(fmt.Sprintf("reader%d.example", i))); n != 1 {
				t.Errorf("subscriber %d was told %d times", i, n)
			}
		}
	})
}

func TestStoppingFinishesWhatIsUnderWayAndGivesBackTheRest(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		for i := range 5 {
			w.subscribe("reader.example", "hub.callback", fmt.Sprintf("https://reader.example%s/%d", path, i))
		}
		w.on("reader.example", func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) })
		w.publish("投产")
		w.stop()
		if got := tally(w.store.all()); got != "v1:3 v2:2" {
			t.Errorf("after the stop: %s, want the two under way to be recorded", got)
		}
		w.on("reader.example", willing)
		w.start(websub.Options{})
		synctest.Wait()
		if got := tally(w.store.all()); got != "v2:5" {
			t.Errorf("right after the next start: %s, want the rest told without waiting", got)
		}
		if n := len(w.bodies("reader.example")); n != 5 {
			t.Errorf("sent %d times, want each once", n)
		}
	})
}

func TestADenialThatAStopBreaksOffIsMadeAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.feeds.remove(atomURL)
		w.on("reader.example", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		pass(time.Minute)
		w.stop()
		if n := len(w.store.all()); n != 1 {
			t.Fatalf("%d subscriptions, though its subscriber was not told that it ends", n)
		}
		w.on("reader.example", willing)
		w.start(websub.Options{})
		pass(time.Minute)
		asked := w.sent("reader.example", "GET")
		if len(asked) != 3 || asked[2].query.Get("hub.mode") != "denied" || len(w.store.all()) != 0 {
			t.Errorf("asked %+v", asked)
		}
	})
}

func TestStoppingWaitsNotForeverForOneThatHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("reader.example", hanging)
		w.subscribe("reader.example")
		w.publish("投产")
		begun := time.Now()
		w.stop()
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("stopped after %v, want 5s", took)
		}
		w.on("reader.example", willing)
		w.start(websub.Options{})
		synctest.Wait()
		if got := tally(w.store.all()); got != "v2:1" {
			t.Errorf("right after the next start: %s", got)
		}
	})
}

// tally counts subscriptions by the version that they have.
func tally(subs []zonewire.HubSubscription) string {
	count := map[string]int{}
	for _, s := range subs {
		count[s.Hash]++
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(count), "map["), "]")
}

func TestAStoreThatFailsIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		call   string
		answer int
	}{
		{"ClaimHubDeliveries", 200},
		{"FinishHubDelivery", 200},
		{"RetryHubDelivery", 500},
		{"EndHubSubscription", 410},
		{"HubTopics", 200},
		{"ExpireHubSubscriptions", 200},
	} {
		inWorld(t, func(w *world) {
			w.on("reader.example", telling(c.answer))
			w.subscribe("reader.example")
			w.store.failing(func(call string) error {
				if call == c.call {
					return errStore
				}
				return nil
			})
			w.publish("投产")
			pass(10 * time.Minute)
			if n := strings.Count(w.log.String(), "level=ERROR"); n == 0 || n > 11 {
				t.Errorf("%s: %d errors in the log in ten minutes, want one a minute at the most:\n%s", c.call, n, w.log)
			}
			w.store.failing(nil)
			w.on("reader.example", willing)
			pass(2 * time.Minute)
			if got := tally(w.store.all()); got != "v2:1" {
				t.Errorf("%s: %s", c.call, got)
			}
		})
	}
}
