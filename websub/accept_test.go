package websub_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/websub"
)

// resting is a hub that does not run: what it is asked is only taken in.
func resting(t *testing.T) *world {
	w := newWorld(t)
	w.hub = websub.New(w.store, w.feeds, websub.Options{HubURL: hubURL, BaseURL: "https://news.example", Log: slog.New(slog.NewTextHandler(w.log, nil))})
	return w
}

// post sends a hub a body as it is.
func (w *world) post(body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, hubURL, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.hub.ServeHTTP(answer, r)
	return answer
}

func TestARequestThatCannotBeMeantIsRefusedInOneLine(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, c := range []struct {
		name   string
		form   url.Values
		status int
		says   string
	}{
		{"subscribe", form("reader.example"), 202, ""},
		{"unsubscribe", form("reader.example", "hub.mode", "unsubscribe"), 202, ""},
		{"parameters that nobody knows", form("reader.example", "hub.verify", "sync", "x", "\x00"), 202, ""},
		{"spaces around the addresses", form("reader.example", "hub.callback", " https://reader.example/cb ", "hub.topic", " "+atomURL+"\n"), 202, ""},
		{"no mode", form("reader.example", "hub.mode", ""), 400, "hub.mode is missing"},
		{"another mode", form("reader.example", "hub.mode", "Subscribe"), 400, "neither subscribe nor unsubscribe"},
		{"denied", form("reader.example", "hub.mode", "denied"), 400, "neither subscribe nor unsubscribe"},
		{"publish", url.Values{"hub.mode": {"publish"}, "hub.url": {atomURL}}, 400, "which tell it themselves"},
		{"no callback", form("reader.example", "hub.callback", ""), 400, "hub.callback is missing"},
		{"a callback that is no address", form("reader.example", "hub.callback", "reader"), 400, "neither http nor https"},
		{"a callback of another scheme", form("reader.example", "hub.callback", "ftp://reader.example/"), 400, "neither http nor https"},
		{"a callback with a password", form("reader.example", "hub.callback", "https://a:b@reader.example/"), 400, "a name or a password"},
		{"a callback at a mail server", form("reader.example", "hub.callback", "http://reader.example:25/"), 400, "port 25"},
		{"a callback in disguise", form("reader.example", "hub.callback", "http://0x7f.1/"), 400, "as it is usually written"},
		{"a callback with a line break", form("reader.example", "hub.callback", "http://reader.example/\r\nX-A: b"), 400, "no address"},
		{"a callback that is not UTF-8", form("reader.example", "hub.callback", "http://reader.example/\xff"), 400, "UTF-8"},
		{"a callback with a fragment", form("reader.example", "hub.callback", "https://reader.example/#a"), 400, "fragment"},
		{"a callback of 2048 bytes", form("reader.example", "hub.callback", "https://reader.example/"+long[:2048-23]), 202, ""},
		{"a callback of 2049 bytes", form("reader.example", "hub.callback", "https://reader.example/"+long[:2049-23]), 400, "2049 bytes"},
		{"a callback at our own address", form("reader.example", "hub.callback", "https://news.example/zones/linjiang"), 400, "at this site"},
		{"our own address in other letters", form("reader.example", "hub.callback", "https://NEWS.example.:443/x"), 400, "at this site"},
		{"another port of our own host", form("reader.example", "hub.callback", "https://news.example:8443/x"), 202, ""},
		{"no topic", form("reader.example", "hub.topic", ""), 400, "hub.topic is missing"},
		{"a topic elsewhere", form("reader.example", "hub.topic", "https://elsewhere.example/feed.atom"), 400, "no feed of this site"},
		{"a topic almost ours", form("reader.example", "hub.topic", atomURL+"?limit=5"), 400, "no feed of this site"},
		{"a former address", form("reader.example", "hub.topic", "https://news.example/zones/jiu/feed.atom"), 400, "rel=self: https://news.example/zones/xin/feed.atom"},
		{"a feed that has ended", form("reader.example", "hub.topic", "https://news.example/zones/closed/feed.atom"), 400, "has ended"},
		{"no secret", form("reader.example", "hub.secret", ""), 202, ""},
		{"a secret of 199 bytes", form("reader.example", "hub.secret", long[:199]), 202, ""},
		{"a secret of 200 bytes", form("reader.example", "hub.secret", long[:200]), 400, "less than 200"},
		{"a secret that is not UTF-8", form("reader.example", "hub.secret", "\xff"), 400, "UTF-8"},
		{"a secret with NUL", form("reader.example", "hub.secret", "a\x00b"), 400, "UTF-8"},
		{"a lease in words", form("reader.example", "hub.lease_seconds", "long"), 400, "no number"},
		{"a lease below nothing", form("reader.example", "hub.lease_seconds", "-5"), 400, "no number"},
		{"a lease with a fraction", form("reader.example", "hub.lease_seconds", "1.5"), 400, "no number"},
		{"all of it too long", form("reader.example", "x", strings.Repeat("a", 20_000)), 413, "16384 bytes"},
	} {
		w := resting(t)
		w.feeds.add("https://news.example/zones/jiu/feed.atom", "zone/8.atom", 8)
		w.feeds.move("https://news.example/zones/jiu/feed.atom", "https://news.example/zones/xin/feed.atom")
		w.feeds.close("https://news.example/zones/closed/feed.atom")
		answer := w.post(c.form.Encode())
		said := answer.Body.String()
		if answer.Code != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: answers %d %q, want %d %q", c.name, answer.Code, said, c.status, c.says)
		}
		if answer.Code != 202 && (strings.Count(said, "\n") != 1 || answer.Header().Get("Content-Type") != "text/plain; charset=utf-8") {
			t.Errorf("%s: answers %q as %s, want one line of text", c.name, said, answer.Header().Get("Content-Type"))
		}
		if (w.store.waiting() == 1) != (c.status == 202) {
			t.Errorf("%s: %d requests are stored", c.name, w.store.waiting())
		}
	}
}

func TestOnlyAFormIsTaken(t *testing.T) {
	body := form("reader.example").Encode()
	for _, c := range []struct {
		name, body, kind string
		status           int
	}{
		{"a form", body, "application/x-www-form-urlencoded", 202},
		{"a form that says its charset", body, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", 202},
		{"no type", body, "", 415},
		{"JSON", `{"hub.mode":"subscribe"}`, "application/json", 415},
		{"another kind of form", body, "multipart/form-data; boundary=a", 415},
		{"a percent sign alone", body + "&a=%", "application/x-www-form-urlencoded", 400},
		{"nothing", "", "application/x-www-form-urlencoded", 400},
	} {
		w := resting(t)
		answer := w.post(c.body, "Content-Type", c.kind)
		if answer.Code != c.status {
			t.Errorf("%s: answers %d %s, want %d", c.name, answer.Code, answer.Body, c.status)
		}
		if accepts := answer.Header().Get("Accept"); (accepts != "") != (c.status == 415) {
			t.Errorf("%s: Accept: %q", c.name, accepts)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	for _, c := range []struct {
		method, allow string
		status        int
	}{
		{"GET", "", 200}, {"HEAD", "", 200}, {"PUT", "GET, HEAD, POST", 405}, {"DELETE", "GET, HEAD, POST", 405}, {"OPTIONS", "GET, HEAD, POST", 405},
	} {
		answer := httptest.NewRecorder()
		resting(t).hub.ServeHTTP(answer, httptest.NewRequest(c.method, hubURL+"?hub.mode=subscribe", nil))
		if answer.Code != c.status || answer.Header().Get("Allow") != c.allow {
			t.Errorf("%s: %d, Allow: %q", c.method, answer.Code, answer.Header().Get("Allow"))
		}
		if c.status == 200 && (!strings.HasPrefix(answer.Body.String(), "This is a WebSub hub") || answer.Header().Get("Content-Type") != "text/plain; charset=utf-8") {
			t.Errorf("%s: says %q", c.method, answer.Body)
		}
	}
}

func TestLeasesHaveBounds(t *testing.T) {
	for _, c := range []struct {
		asked string
		want  time.Duration
	}{
		{"", 10 * day}, {"0", 10 * day}, {"1", time.Minute}, {"60", time.Minute}, {"61", 61 * time.Second}, {" 3600 ", time.Hour}, {"2592000", 30 * day},
		{"2592001", 30 * day}, {"18446744073709551615", 30 * day}, {"99999999999999999999999", 30 * day},
	} {
		w := resting(t)
		w.post(form("reader.example", "hub.lease_seconds", c.asked).Encode())
		claimed, err := w.store.ClaimHubRequests(t.Context(), time.Now(), time.Now(), 1)
		if err != nil || len(claimed) != 1 || claimed[0].Lease != c.want {
			t.Errorf("%q: %+v, want a lease of %v", c.asked, claimed, c.want)
		}
	}
}

func TestWhatIsStored(t *testing.T) {
	w := resting(t)
	w.post(form("ignored.example", "hub.callback", "HTTPS://Reader.Example.:8443/CB?A=b").Encode())
	claimed, err := w.store.ClaimHubRequests(t.Context(), time.Now(), time.Now(), 1)
	if err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	got := claimed[0].Callback
	want := zonewire.Callback{
		ID: got.ID, Feed: "zone/7.atom", Zone: 7, Topic: atomURL, URL: "HTTPS://Reader.Example.:8443/CB?A=b", Host: "reader.example:8443", Secret: secret,
	}
	if got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
}

func TestAHubTakesOnNoMoreThanItCan(t *testing.T) {
	for _, c := range []struct {
		name   string
		load   zonewire.HubLoad
		status int
		wait   string
	}{
		{"nothing yet", zonewire.HubLoad{}, 202, ""},
		{"nearly full", zonewire.HubLoad{Total: 99_999, OfHost: 9999, OfFeed: 9999, Waiting: 99, NewOfHost: 2999}, 202, ""},
		{"many requests of the host wait", zonewire.HubLoad{Waiting: 100}, 429, "60"},
		{"many new ones of the host", zonewire.HubLoad{NewOfHost: 3000}, 429, "3600"},
		{"many of the host", zonewire.HubLoad{OfHost: 10_000}, 429, "3600"},
		{"many of the feed", zonewire.HubLoad{OfFeed: 10_000}, 503, "3600"},
		{"many in all", zonewire.HubLoad{Total: 100_000}, 503, "3600"},
	} {
		inWorld(t, func(w *world) {
			w.on("reader.example", willing)
			w.subscribe("reader.example")
			w.store.load = &c.load
			answer := w.ask(form("late.example"))
			if answer.Code != c.status || answer.Header().Get("Retry-After") != c.wait {
				t.Errorf("%s: answers %d, Retry-After %q; want %d and %q", c.name, answer.Code, answer.Header().Get("Retry-After"), c.status, c.wait)
			}
			// Whoever is subscribed may renew and leave, unless too much waits.
			status := 202
			if c.load.Waiting >= 100 {
				status = 429
			}
			for _, mode := range []string{"subscribe", "unsubscribe"} {
				if answer := w.ask(form("reader.example", "hub.mode", mode)); answer.Code != status {
					t.Errorf("%s: %s of one who is subscribed answers %d, want %d", c.name, mode, answer.Code, status)
				}
			}
		})
	}
}

func TestAFloodOfRequestsIsCutOff(t *testing.T) {
	inWorld(t, func(w *world) {
		refused := 0
		for i := range 2000 {
			host := fmt.Sprintf("flood%d.example", i)
			w.on(host, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			if w.ask(form(host)).Code == 503 {
				refused++
			}
		}
		if n := w.store.waiting(); n > 1010 || refused+n != 2000 {
			t.Errorf("%d requests wait, %d were refused", n, refused)
		}
		if n := w.hub.Stats().Waiting; n < 900 || n > 1010 {
			t.Errorf("%d are said to wait", n)
		}
	})
}

func TestAFailureOfOursIsSaidToBeOne(t *testing.T) {
	for _, call := range []string{"HubLoad", "AddHubRequest"} {
		w := resting(t)
		w.store.failing(func(c string) error {
			if c == call {
				return errors.New("disk of 192.0.2.7 broken")
			}
			return nil
		})
		answer := w.post(form("reader.example").Encode())
		if answer.Code != 503 || answer.Header().Get("Retry-After") != "60" || strings.Contains(answer.Body.String(), "192.0.2.7") {
			t.Errorf("%s fails: answers %d %s", call, answer.Code, answer.Body)
		}
	}
}

// Whatever is sent, it is answered by one line or by 202, and what is stored can be asked and stored by any database.
func FuzzRequest(f *testing.F) {
	for _, v := range []url.Values{
		form("reader.example"), form("reader.example", "hub.mode", "unsubscribe"), form("reader.example", "hub.lease_seconds", "99999999999999999999"),
		form("reader.example", "hub.callback", "http://[::1]:8080/?a=%zz#b"), form("reader.example", "hub.callback", "https://NEWS.example.:443/"),
		{"hub.mode": {"subscribe", "publish"}, "hub.topic": {"", atomURL}},
	} {
		f.Add(v.Encode())
	}
	f.Add("hub.mode=subscribe;hub.topic=a&%")
	f.Add("hub.callback=http://reader.example\x00&hub.secret=%ff")
	f.Fuzz(func(t *testing.T, body string) {
		w := resting(t)
		answer := w.post(body)
		claimed, err := w.store.ClaimHubRequests(t.Context(), time.Now(), time.Now(), 2)
		if err != nil {
			t.Fatal(err)
		}
		said := answer.Body.String()
		switch {
		case answer.Code == 202 && said == "" && len(claimed) == 1:
		case answer.Code >= 400 && answer.Code < 500 && strings.Count(said, "\n") == 1 && len(claimed) == 0:
			return
		default:
			t.Fatalf("%q: answers %d %q and stores %+v", body, answer.Code, said, claimed)
		}
		r := claimed[0]
		u, err := url.Parse(r.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(r.URL, "#\x00\r\n") || len(r.URL) > 2048 {
			t.Errorf("%q: callback %q", body, r.URL)
		}
		if r.Host == "" || r.Host == "news.example" || r.Host != strings.ToLower(r.Host) || len(r.Secret) > 199 || strings.Contains(r.Secret, "\x00") {
			t.Errorf("%q: %+v", body, r)
		}
		if r.Topic != atomURL || r.Mode == zonewire.HubSubscribe && (r.Lease < time.Minute || r.Lease > 30*day) {
			t.Errorf("%q: %+v", body, r)
		}
		if strings.ToValidUTF8(r.URL+r.Secret, "") != r.URL+r.Secret {
			t.Errorf("%q: not UTF-8: %+v", body, r)
		}
	})
}
