package websub_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire/websub"
)

func TestAHubElsewhereIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("hub.example", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) })
		w.publish("投产", otherHub)
		told := w.sent("hub.example", "POST")
		if len(told) != 1 {
			t.Fatalf("told %d times, want once", len(told))
		}
		want := url.Values{"hub.mode": {"publish"}, "hub.url": {atomURL}, "hub.topic": {atomURL}}
		if told[0].body != want.Encode() || told[0].raw != "key=41d8" || told[0].header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("told %+v", told[0])
		}
		pass(day)
		if n := len(w.sent("hub.example", "POST")); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		if s := w.hub.Stats(); s.Pinged != 1 || s.Unpinged != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestAHubThatDoesNotListenIsToldForADay(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"nobody there", nil},
		{"500", telling(500)},
		{"404", telling(404)},
		{"a redirect", telling(302)},
		{"no answer", hanging},
	} {
		inWorld(t, func(w *world) {
			w.on("elsewhere.example", willing)
			if c.answer != nil {
				w.on("hub.example", c.answer)
			}
			w.stop()
			w.start(websub.Options{DisableHub: true})
			w.publish("投产", otherHub)
			pass(26 * time.Hour)
			told := w.sent("hub.example", "POST")
			// One that does not answer at all is left alone for a moment, which counts as a try.
			if took := told[len(told)-1].at.Sub(told[0].at); len(told) < 14 || len(told) > 15 || took < 18*time.Hour || took > day {
				t.Errorf("%s: told %d times in %v, want 15 in about a day", c.name, len(told), took)
			}
			if n := strings.Count(w.log.String(), "hub given up"); n != 1 {
				t.Errorf("%s: given up %d times in the log, want once", c.name, n)
			}
			if n := len(w.sent("elsewhere.example", "POST")) + len(w.sent("elsewhere.example", "GET")); n > 0 {
				t.Errorf("%s: a redirect was followed", c.name)
			}
			// The next change is told again.
			w.publish("获奖", otherHub)
			if n := len(w.sent("hub.example", "POST")); n != len(told)+1 {
				t.Errorf("%s: told %d times after the next change, want once more than %d", c.name, n, len(told))
			}
		})
	}
}

func TestChangesThatWaitAreToldAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.publish("投产", otherHub) // nobody there
		w.publish("获奖", otherHub)
		w.on("hub.example", func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) })
		pass(11 * time.Second)
		w.publish("扩建", otherHub) // while it is being told
		pass(day)
		if n := len(w.sent("hub.example", "POST")); n != 3 {
			t.Errorf("told %d times, want 3: once in vain, once of two changes, once of what came meanwhile", n)
		}
	})
}

func TestAHubThatIsNoWebAddressIsDropped(t *testing.T) {
	inWorld(t, func(w *world) {
		w.publish("投产", "ftp://hub.example/")
		pass(time.Minute)
		if n := len(w.sent("hub.example", "POST")); n != 0 || len(w.store.pings) != 0 || !strings.Contains(w.log.String(), "neither http nor https") {
			t.Errorf("told %d times, log:\n%s", n, w.log)
		}
	})
}

func TestWithoutAHubOfOurOwnOthersAreToldAllTheSame(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on("hub.example", willing)
		w.on("reader.example", willing)
		w.subscribe("reader.example")
		w.stop()
		w.start(websub.Options{DisableHub: true})
		if a := w.ask(form("late.example")); a.Code != 404 {
			t.Errorf("asking answers %d, want 404", a.Code)
		}
		w.publish("投产", otherHub)
		pass(2 * time.Minute)
		if told := len(w.sent("hub.example", "POST")); told != 1 || len(w.bodies("reader.example")) != 0 {
			t.Errorf("the hub elsewhere was told %d times, our subscriber %d times", told, len(w.bodies("reader.example")))
		}
	})
}
