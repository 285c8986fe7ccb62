package websub_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/websub"
)

const (
	hubURL   = "https://news.example/hub"
	atomURL  = "https://news.example/zones/linjiang/feed.atom"
	path     = "/callback/5f3c9a"
	secret   = "k7-never-in-a-log"
	otherHub = "https://hub.example/?key=41d8"
	day      = 24 * time.Hour
)

// call is a request that a server of the world was sent.
type call struct {
	at     time.Time
	method string
	query  url.Values
	raw    string // the query as it came
	header http.Header
	body   string
}

// world is a hub in fake time, its store and feeds, and every server that it can reach. Requests are handed to them as they
// are; what a real connection does is tested over loopback.
type world struct {
	t     *testing.T
	store *memStore
	kept  websub.Store // used instead of store, if set
	feeds *memFeeds
	atom  zonewire.Topic
	hub   *websub.Hub
	log   *buffer
	stop  func()

	mu      sync.Mutex
	servers map[string]http.HandlerFunc // by host
	calls   map[string][]call           // by host, in order
	busy    map[string]int
	most    map[string]int // requests at a time, by host
	read    map[string]int // bytes that were read of one answer at the most, by host
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// inWorld runs a test in fake time, with a hub that runs. Whatever the test does, no log line holds an address or a secret.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(websub.Options{})
		test(w)
		w.stop()
		for _, private := range []string{path, secret, "41d8"} {
			if strings.Contains(w.log.String(), private) {
				t.Errorf("the log holds %q:\n%s", private, w.log)
			}
		}
	})
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, store: newMemStore(), feeds: newMemFeeds(), log: &buffer{},
		servers: map[string]http.HandlerFunc{}, calls: map[string][]call{}, busy: map[string]int{}, most: map[string]int{}, read: map[string]int{},
	}
	w.atom = w.feeds.add(atomURL, zonewire.FeedName(7, "atom"), 7)
	w.store.record(w.atom, w.feeds.write(w.atom.Feed, "开工"), nil, time.Now())
	return w
}

// start runs a hub on the world's store, until stop.
func (w *world) start(o websub.Options) {
	o.HubURL, o.BaseURL, o.Version, o.Log = hubURL, "https://news.example", "1.2", slog.New(slog.NewTextHandler(w.log, nil))
	kept := w.kept
	if kept == nil {
		kept = w.store
	}
	w.hub = websub.New(kept, w.feeds, o)
	w.hub.Via(w)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func(h *websub.Hub) { ended <- h.Run(ctx) }(w.hub)
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run = %v, want nil", err)
		}
		w.stop = func() {}
	}
}

// on scripts what a host answers.
func (w *world) on(host string, handler http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[host] = handler
}

// RoundTrip hands a request to the server it is for.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	w.mu.Lock()
	host := r.URL.Host
	w.calls[host] = append(w.calls[host], call{time.Now(), r.Method, r.URL.Query(), r.URL.RawQuery, r.Header, string(body)})
	w.busy[host]++
	w.most[host] = max(w.most[host], w.busy[host])
	handler := w.servers[host]
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy[host]--
	}()
	if handler == nil {
		return nil, io.ErrUnexpectedEOF // nobody there
	}
	served := httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body)).WithContext(r.Context())
	served.Header = r.Header
	answer := httptest.NewRecorder()
	handler(answer, served)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := answer.Result()
	resp.Body = &counted{w: w, host: host, ReadCloser: resp.Body}
	return resp, nil
}

// counted is the body of an answer.
type counted struct {
	w    *world
	host string
	n    int
	io.ReadCloser
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += n
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.read[c.host] = max(c.w.read[c.host], c.n)
	return n, err
}

// sent gives the requests that a host was sent by a method, in order.
func (w *world) sent(host, method string) (calls []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls[host] {
		if c.method == method {
			calls = append(calls, c)
		}
	}
	return calls
}

// mostAtOnce is how many requests a host had at a time.
func (w *world) mostAtOnce(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most[host]
}

// mostRead is how much was read of one answer of a host.
func (w *world) mostRead(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read[host]
}

// bodies are those that a host was sent by POST.
func (w *world) bodies(host string) (bodies []string) {
	for _, c := range w.sent(host, http.MethodPost) {
		bodies = append(bodies, c.body)
	}
	return bodies
}

// ask sends the hub a form, and waits until nothing is left to be done at this moment.
func (w *world) ask(form url.Values) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, hubURL, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	w.hub.ServeHTTP(answer, r)
	synctest.Wait()
	return answer
}

// subscribe asks for the Atom feed on behalf of a host, and wants 202.
func (w *world) subscribe(host string, more ...string) {
	w.t.Helper()
	if a := w.ask(form(host, more...)); a.Code != http.StatusAccepted {
		w.t.Fatalf("subscribing answers %d %s", a.Code, a.Body)
	}
}

// form is what a subscriber sends, with changes as pairs of a name and a value.
func form(host string, change ...string) url.Values {
	f := url.Values{"hub.mode": {"subscribe"}, "hub.callback": {"https://" + host + path}, "hub.topic": {atomURL}, "hub.secret": {secret}}
	for i := 0; i+1 < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	return f
}

// publish records a version with one more article, and waits until nothing is left to be done at this moment.
func (w *world) publish(word string, hubs ...string) {
	w.store.record(w.atom, w.feeds.write(w.atom.Feed, word), hubs, time.Now())
	w.hub.Wake()
	synctest.Wait()
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// willing confirms whatever it is asked, and takes whatever it is sent.
func willing(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.URL.Query().Get("hub.challenge"))
}

// telling confirms whatever it is asked, and answers what it is sent with a status.
func telling(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			return
		}
		willing(w, r)
	}
}

// hanging confirms whatever it is asked, and never answers what it is sent.
func hanging(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		<-r.Context().Done()
		return
	}
	willing(w, r)
}

// signature is the one that a subscriber expects (section 7.1).
func signature(key, body string) string {
	m := hmac.New(sha256.New, []byte(key))
	io.WriteString(m, body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}
