package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A request under way when the daemon is told to stop is answered to its end; a later one finds nobody.
func TestStoppingCutsNoRequest(t *testing.T) {
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		if _, err := io.WriteString(w, "whole"); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, ln, handler) }()
	answer := make(chan string, 1)
	go func() {
		body, _ := get(t, "http://"+ln.Addr().String()+"/")
		answer <- body
	}()
	<-started
	stop()
	for { // until the listener is closed, so that the request below is surely answered after the stop
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the open request got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("serveHTTP: %v", err)
	}
}

func TestMetricsAreForThisMachineOnly(t *testing.T) {
	h := loopbackOnly(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		name, peer, forwarded string
		want                  int
	}{
		{"a loopback peer", "127.0.0.1:1234", "", http.StatusOK},
		{"a loopback peer by IPv6", "[::1]:1234", "", http.StatusOK},
		{"another machine", "192.0.2.7:1234", "", http.StatusNotFound},
		{"another machine through a proxy on this one", "127.0.0.1:1234", "192.0.2.7", http.StatusNotFound},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/metrics", nil), httptest.NewRecorder()
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.name, w.Code, c.want)
		}
	}
}

// The counts that the metrics expose are all there from the start, at 0.
func TestMetricsAreExposedFromTheStart(t *testing.T) {
	s, err := loadSettings("", t.TempDir()+"/z.db", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{settings: s, stderr: io.Discard}
	err = a.with(t.Context(), mayMigrate, func(db *session) error {
		e, err := newEngine(t.Context(), a, db, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		w := httptest.NewRecorder()
		e.metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range []string{
			`zonewire_deliveries{state="pending"} 0`, `zonewire_deliveries{state="expired"} 0`, "zonewire_recipients 0",
			"zonewire_sending_paused 0", "zonewire_ledger_up 1", `zonewire_feed_responses_total{format="atom",status="226"} 0`, `zonewire_hub_deliveries_total{outcome="delivered"} 0`,
		} {
			if !containsLine(w.Body.String(), want) {
				t.Errorf("/metrics lacks %s", want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func containsLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

// Whatever is wrong with a request to the API, its answer is no page.
func TestTheAPINeverAnswersWithHTML(t *testing.T) {
	testWatch(t, io.Discard, func(_ *watch, e *engine) {
		routes, err := e.routes(true)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/api", "/api/", "/api//v1/articles", "/api/v1/../v1/articles", "/api/v2/articles", "/api/v1/articles"} {
			rec := httptest.NewRecorder()
			routes.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
			if kind := rec.Header().Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("%s: %d %s", path, rec.Code, kind)
			}
		}
	})
}
