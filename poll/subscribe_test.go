package poll_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/poll"
)

const hubURL = "http://hub.example/"

var secret = zonewire.Secret("0123456789abcdef0123456789abcdef")

func hubOptions() poll.Options {
	o := options
	o.Secret = secret
	return o
}

// subscription is a feed with a hub, and the poller that asks it.
type subscription struct {
	*poll.Poller
	o     *origin
	m     *memStore
	id    int64
	forms []url.Values // that the hub was sent
	// verify is what the hub calls back about while it answers; nil = nothing.
	verify func(form url.Values)
}

const topic = "http://portal.example/canonical.xml"

func newSubscription(o *origin, m *memStore, client *http.Client) *subscription {
	s := &subscription{o: o, m: m, Poller: poll.New(m, client, hubOptions())}
	o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Link", `<http://portal.example/, yes>; rel="home", <`+hubURL+`>; rel="hub"`)
		w.Header().Add("Link", `<`+topic+`>; rel=self`)
		serveFeed(w, r, `"v1"`, feedDoc(1, 2, `<atom:link rel="hub" href="http://other-hub.example/"/>`))
	})
	o.on(hubURL, func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		s.forms = append(s.forms, r.PostForm)
		w.WriteHeader(http.StatusAccepted)
		if s.verify != nil {
			s.verify(r.PostForm)
		}
	})
	s.id = m.addFeed(feedURL)
	return s
}

func (s *subscription) runFor(t *testing.T, span time.Duration) {
	t.Helper()
	runPoller(t, s.Poller, span)
}

// call is a request to the callback, as a hub makes it.
func (s *subscription) call(method, target, body string, header ...string) *httptest.ResponseRecorder {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(method, u.RequestURI(), strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Callback().ServeHTTP(w, r)
	return w
}

func (s *subscription) address() string {
	return "https://news.example/websub/" + secret.Token(zonewire.PurposeWebSub, s.id)
}

func intent(form url.Values, change ...string) string {
	q := url.Values{
		"hub.mode": {"subscribe"}, "hub.topic": {form.Get("hub.topic")}, "hub.challenge": {"<b>abc</b>"}, "hub.lease_seconds": {form.Get("hub.lease_seconds")},
	}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return form.Get("hub.callback") + "?" + q.Encode()
}

func TestAHubIsAskedVerifiedAndRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		s.verify = func(form url.Values) {
			w := s.call("GET", intent(form), "")
			if w.Code != 200 || w.Body.String() != "<b>abc</b>" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("verification: %d %q, %v", w.Code, w.Body, w.Header())
			}
		}
		begun := time.Now()
		s.runFor(t, 30*day)
		if len(s.forms) != 4 {
			t.Fatalf("the hub was asked %d times in 30 days, want every 8", len(s.forms))
		}
		for _, f := range s.forms {
			if f.Get("hub.mode") != "subscribe" || f.Get("hub.topic") != topic || f.Get("hub.callback") != s.address() ||
				f.Get("hub.lease_seconds") != "864000" || f.Get("hub.secret") != secret.HubSecret(s.id, topic) || len(f.Get("hub.secret")) >= 200 {
				t.Errorf("asked with %v", f)
			}
		}
		hub := o.asked(hubURL)
		for _, gap := range gaps(hub) {
			if gap < 8*day || gap > 8*day+5*time.Minute {
				t.Errorf("renewed after %v, want 80 %% of the lease", gap)
			}
		}
		if hub[0].at.Sub(begun) > 5*time.Minute || hub[0].header.Get("User-Agent") != "zonewire/1.2 (+https://news.example)" {
			t.Errorf("asked after %v by %q", hub[0].at.Sub(begun), hub[0].header.Get("User-Agent"))
		}
		sub := m.source(s.id).Sub
		if !sub.Verified(time.Now()) || sub.Hub != hubURL || sub.Topic != topic {
			t.Errorf("subscription %+v", sub)
		}
		// Polling goes on as a backup, once a day.
		if n := len(o.asked(feedURL)); n < 27 || n > 33 {
			t.Errorf("polled %d times in 30 days", n)
		}
		if len(o.asked("http://other-hub.example/")) != 0 {
			t.Error("the hub of the document was asked, though a header names one")
		}
	})
}

func TestAHubThatIsOfferedInTheDocumentOnly(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			serveFeed(w, r, `"v1"`, feedDoc(1, 2, `<atom:link rel="hub" href="`+hubURL+`"/><atom:link rel="self" href="`+topic+`"/>`))
		})
		s.runFor(t, 5*time.Minute)
		if len(s.forms) != 1 || s.forms[0].Get("hub.topic") != topic {
			t.Errorf("asked with %v", s.forms)
		}
	})
}

func TestNoHubIsAskedWithoutAnAddressToCallBackAt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*poll.Options)
		asked  int
	}{
		{"https", func(*poll.Options) {}, 1},
		{"http", func(o *poll.Options) { o.BaseURL = "http://localhost:8080" }, 0},
		{"http, where private addresses are allowed", func(o *poll.Options) { o.BaseURL, o.AllowPrivate = "http://localhost:8080/", true }, 1},
		{"no secret", func(o *poll.Options) { o.Secret = nil }, 0},
	} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			s := newSubscription(o, m, client)
			with := hubOptions()
			c.change(&with)
			s.Poller = poll.New(m, client, with)
			s.runFor(t, 5*time.Minute)
			if len(s.forms) != c.asked {
				t.Errorf("%s: asked %d times, want %d", c.name, len(s.forms), c.asked)
			}
			if c.asked > 0 && strings.Contains(s.forms[0].Get("hub.callback"), "//websub") {
				t.Errorf("%s: callback %s", c.name, s.forms[0].Get("hub.callback"))
			}
		})
	}
}

func TestAVerificationThatNobodyAskedForChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		form := url.Values{"hub.topic": {topic}, "hub.callback": {s.address()}, "hub.lease_seconds": {"864000"}}
		refused := func(name, target string) {
			t.Helper()
			before := m.source(s.id).Sub
			if w := s.call("GET", target, ""); w.Code != 404 || strings.Contains(w.Body.String(), "abc") {
				t.Errorf("%s: %d %q, want 404", name, w.Code, w.Body)
			}
			if m.source(s.id).Sub != before {
				t.Errorf("%s: changed %+v to %+v", name, before, m.source(s.id).Sub)
			}
		}
		refused("no hub is known", intent(form))
		s.runFor(t, 5*time.Minute)
		if len(s.forms) != 1 {
			t.Fatalf("the hub was asked %d times", len(s.forms))
		}
		refused("another topic", intent(form, "hub.topic", "http://portal.example/other"))
		refused("another mode", intent(form, "hub.mode", "unsubscribe"))
		refused("no challenge", intent(form, "hub.challenge", ""))
		refused("a forged token", strings.Replace(intent(form), "/websub/1-", "/websub/1-x", 1))
		refused("the token of another", strings.Replace(intent(form), s.address(), "https://news.example/websub/"+secret.Token(zonewire.PurposeWebSub, 9), 1))
		refused("a token for something else", strings.Replace(intent(form), s.address(), "https://news.example/websub/"+secret.Token(zonewire.PurposeConfirm, s.id), 1))
		m.change(s.id, func(s *zonewire.Source) { s.State = zonewire.SourcePaused })
		refused("a paused source", intent(form))
		m.change(s.id, func(s *zonewire.Source) { s.State = zonewire.SourceActive })
		if w := s.call("HEAD", intent(form), ""); w.Code != 405 || !m.source(s.id).Sub.Until.IsZero() {
			t.Errorf("HEAD: %d, %+v", w.Code, m.source(s.id).Sub)
		}
		if w := s.call("GET", intent(form), ""); w.Code != 200 {
			t.Fatalf("what was asked for: %d", w.Code)
		}
		refused("a second time", intent(form, "hub.lease_seconds", "86400"))
		time.Sleep(2 * day)
		refused("later", intent(form))
	})
}

func TestAHubThatRefusesOrIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		s.verify = func(form url.Values) {
			if w := s.call("GET", intent(form, "hub.mode", "denied", "hub.reason", "not\non this plan"), ""); w.Code != 200 {
				t.Errorf("denied: %d", w.Code)
			}
		}
		s.runFor(t, 6*day)
		if sub := m.source(s.id).Sub; sub.Denied != "not on this plan" || sub.Verified(time.Now()) || len(s.forms) != 1 {
			t.Errorf("%+v after %d requests", sub, len(s.forms))
		}
	})
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client) // never verifies
		s.runFor(t, 3*day)
		if n := len(s.forms); n < 10 || n > 12 {
			t.Errorf("a hub that never verifies was asked %d times in three days, want every six hours", n)
		}
	})
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		o.on(hubURL, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, "topic\r\nunknown")
		})
		s.runFor(t, 3*day)
		if sub, n := m.source(s.id).Sub, len(o.asked(hubURL)); sub.Denied != "its hub answers 400: topic unknown" || n < 3 || n > 4 {
			t.Errorf("%+v after %d requests", sub, n)
		}
	})
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		o.on(hubURL, statusOnly(307, "Location", "http://hub.example/real"))
		o.on("http://hub.example/real", statusOnly(202))
		s.runFor(t, 5*time.Minute)
		if hits := o.asked("http://hub.example/real"); len(hits) != 1 || hits[0].method != "POST" {
			t.Errorf("behind 307: %v", hits)
		}
	})
}

func sign(method string, made func() hash.Hash, key, body string) string {
	h := hmac.New(made, []byte(key))
	io.WriteString(h, body)
	return method + "=" + hex.EncodeToString(h.Sum(nil))
}

func TestAPushIsTakenIfItsHubSignedIt(t *testing.T) {
	for _, c := range []struct {
		name      string
		signature func(key, body string) string
		taken     bool
	}{
		{"sha256", func(k, b string) string { return sign("sha256", sha256.New, k, b) }, true},
		{"sha384", func(k, b string) string { return sign("sha384", sha512.New384, k, b) }, true},
		{"sha512", func(k, b string) string { return sign("sha512", sha512.New, k, b) }, true},
		{"sha1", func(k, b string) string { return sign("sha1", sha1.New, k, b) }, true},
		{"upper case", func(k, b string) string { return strings.ToUpper(sign("sha256", sha256.New, k, b)) }, true},
		{"none", func(k, b string) string { return "" }, false},
		{"another key", func(k, b string) string { return sign("sha256", sha256.New, "other", b) }, false},
		{"another body", func(k, b string) string { return sign("sha256", sha256.New, k, b+" ") }, false},
		{"another method's name", func(k, b string) string { return sign("sha512", sha256.New, k, b) }, false},
		{"an unknown method", func(k, b string) string { return sign("md5", sha256.New, k, b) }, false},
		{"cut short", func(k, b string) string { return sign("sha256", sha256.New, k, b)[:20] }, false},
	} {
		bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
			s := newSubscription(o, m, client)
			s.runFor(t, 5*time.Minute)
			before, old := len(m.stored()), m.source(s.id)
			body := feedDoc(7, 3, "")
			w := s.call("POST", s.address(), body, "X-Hub-Signature", c.signature(secret.HubSecret(s.id, topic), body))
			if w.Code != http.StatusAccepted {
				t.Errorf("%s: %d, want 202 whatever it is", c.name, w.Code)
			}
			if got := len(m.stored()) - before; (got == 3) != c.taken || !c.taken && got != 0 {
				t.Errorf("%s: %d articles taken", c.name, got)
			}
			if now := m.source(s.id); now.Memory != old.Memory || !now.Next.Equal(old.Next) {
				t.Errorf("%s: a push changed the timers", c.name)
			}
		})
	}
}

func TestAPushThatCannotBeTaken(t *testing.T) {
	bubble(t, func(t *testing.T, o *origin, m *memStore, client *http.Client) {
		s := newSubscription(o, m, client)
		push := func(target, body string) int {
			return s.call("POST", target, body, "X-Hub-Signature", sign("sha256", sha256.New, secret.HubSecret(s.id, topic), body)).Code
		}
		if code := push(s.address(), feedDoc(1, 1, "")); code != http.StatusGone {
			t.Errorf("before a hub is known: %d, want 410", code)
		}
		s.runFor(t, 5*time.Minute)
		for name, c := range map[string]struct {
			target, body string
			want         int
		}{
			"a forged token":   {"https://news.example/websub/1-abc", feedDoc(1, 1, ""), http.StatusGone},
			"a body too large": {s.address(), strings.Repeat(" ", 10<<20+1), http.StatusRequestEntityTooLarge},
			"no feed":          {s.address(), "<html><body>hello</body></html>", http.StatusAccepted},
		} {
			if code := push(c.target, c.body); code != c.want {
				t.Errorf("%s: %d, want %d", name, code, c.want)
			}
		}
		log := m.log(s.id)
		if note := log[len(log)-1].Log.Note; !strings.HasPrefix(note, "pushed by its hub; no feed that can be read") {
			t.Errorf("note of the push without a feed: %q", note)
		}
		m.refuse = func(zonewire.Poll) error { return zonewire.ErrBusy }
		if code := push(s.address(), feedDoc(9, 1, "")); code != http.StatusServiceUnavailable {
			t.Errorf("while the database is away: %d, want 503, so that the hub tries again", code)
		}
		m.refuse = nil
		m.change(s.id, func(s *zonewire.Source) { s.State = zonewire.SourcePaused })
		if code := push(s.address(), feedDoc(9, 1, "")); code != http.StatusGone {
			t.Errorf("while it is paused: %d, want 410", code)
		}
		m.change(s.id, func(s *zonewire.Source) { s.State, s.Removed = zonewire.SourceActive, time.Now() })
		if code := push(s.address(), feedDoc(9, 1, "")); code != http.StatusGone {
			t.Errorf("after it was removed: %d, want 410", code)
		}
	})
}
