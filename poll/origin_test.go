package poll_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zonewire/internal/outbound"
	"zonewire/poll"
)

// hit is a request that an origin was asked.
type hit struct {
	at     time.Time
	host   string
	path   string // with its query
	method string
	header http.Header
	status int
}

func (h hit) conditional() bool {
	return h.header.Get("If-None-Match") != "" || h.header.Get("If-Modified-Since") != ""
}

// origin is every server that a poller can reach, by script. It speaks real HTTP over pipes, which fake time waits for, and
// logs every request.
type origin struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once

	mu     sync.Mutex
	routes map[string]http.HandlerFunc // by host and path
	hits   []hit
	busy   map[string]int // requests under way, by host
	most   int            // that were under way at once on one host
}

// newOrigin starts the servers and gives a client that reaches them. Call it within the bubble.
func newOrigin(t *testing.T) (*origin, *http.Client) {
	o := &origin{conns: make(chan net.Conn), gone: make(chan struct{}), routes: map[string]http.HandlerFunc{}, busy: map[string]int{}}
	server := &http.Server{Handler: o, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(o) }()
	transport := &http.Transport{DialContext: o.dial, IdleConnTimeout: 30 * time.Second}
	client := outbound.Client(outbound.Options{})
	client.Transport = transport
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return o, client
}

func (o *origin) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case o.conns <- theirs:
		return ours, nil
	case <-o.gone:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it a net.Listener.
func (o *origin) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.gone:
		return nil, net.ErrClosed
	}
}

func (o *origin) Close() error {
	o.once.Do(func() { close(o.gone) })
	return nil
}

func (o *origin) Addr() net.Addr { return &net.TCPAddr{} }

// on scripts what a host answers at a path.
func (o *origin) on(address string, h http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.routes[strings.TrimPrefix(address, "http://")] = h
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.RequestURI()
	o.mu.Lock()
	handler := o.routes[r.Host+path]
	if handler == nil {
		handler = http.NotFound
	}
	o.hits = append(o.hits, hit{at: time.Now(), host: r.Host, path: path, method: r.Method, header: r.Header})
	n := len(o.hits) - 1
	o.busy[r.Host]++
	o.most = max(o.most, o.busy[r.Host])
	o.mu.Unlock()
	s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy[r.Host]--
		o.hits[n].status = s.status
	}()
	handler(s, r)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// asked gives the requests for an address, in order; without one, all.
func (o *origin) asked(address string) (hits []hit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.hits {
		if address == "" || h.host+h.path == strings.TrimPrefix(address, "http://") {
			hits = append(hits, h)
		}
	}
	return hits
}

// gaps are the times between requests.
func gaps(hits []hit) (gaps []time.Duration) {
	for i := 1; i < len(hits); i++ {
		gaps = append(gaps, hits[i].at.Sub(hits[i-1].at))
	}
	return gaps
}

// feedDoc is a feed with that many items, the last one published now; the number of an item is its id.
func feedDoc(from, n int, head string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>临江开发区要闻</title><link>http://portal.example/</link>%s`, head)
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, `<item><title>第%d号公告：新厂房今日开工</title><guid isPermaLink="false">n%d</guid><link>http://portal.example/news/%d.html</link><pubDate>%s</pubDate><description>厂房共三层，建筑面积两万平方米，计划明年投产。</description></item>`,
			i, i, i, time.Now().Format(time.RFC1123Z))
	}
	return b.String() + `</channel></rss>`
}

// serveFeed answers with a feed and its validator, or with 304 to whoever has it.
func serveFeed(w http.ResponseWriter, r *http.Request, etag, body string) {
	w.Header().Set("Content-Type", "application/rss+xml")
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, body)
}

// quietFeed is a feed of two items that never changes.
func quietFeed(w http.ResponseWriter, r *http.Request) {
	serveFeed(w, r, `"v1"`, strings.ReplaceAll(feedDoc(1, 2, ""), "\x00", ""))
}

func statusOnly(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

var quietLog = slog.New(slog.DiscardHandler)

var options = poll.Options{Version: "1.2", BaseURL: "https://news.example", Log: quietLog}

// runFor runs a new poller on the store for a span of the bubble's time.
func runFor(t *testing.T, m *memStore, client *http.Client, span time.Duration, o poll.Options) {
	t.Helper()
	runPoller(t, poll.New(m, client, o), span)
}

func runPoller(t *testing.T, p *poll.Poller, span time.Duration) {
	t.Helper()
	if span >= day {
		p.LookEvery(time.Minute)
	}
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// bubble runs a test in fake time with an origin and a store.
func bubble(t *testing.T, test func(t *testing.T, o *origin, m *memStore, client *http.Client)) {
	synctest.Test(t, func(t *testing.T) {
		o, client := newOrigin(t)
		test(t, o, newMemStore(), client)
	})
}

const (
	hour = time.Hour
	day  = 24 * hour
	week = 7 * day

	feedURL = "http://portal.example/rss.xml"
)

// anyLess reports the first gap that is shorter than it may be.
func anyLess(t *testing.T, hits []hit, least time.Duration) {
	t.Helper()
	for i, gap := range gaps(hits) {
		if gap < least {
			t.Errorf("request %d came %v after the one before, want %v at least", i+2, gap, least)
			return
		}
	}
}
