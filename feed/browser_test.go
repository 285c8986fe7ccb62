package feed_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zonewire/feed"
)

// Chromium shows a type of feeds as source text. To a browser that opens a page, and to nobody else, the same bytes are XML.
func TestOnlyABrowserIsSentXML(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	for _, c := range []struct {
		name, path, dest  string
		mediaType, cached string
	}{
		{"a browser opens RSS", zoneRSS, "document", "application/xml; charset=utf-8", "private"},
		{"a browser opens Atom", allAtom, "document", "application/xml; charset=utf-8", "private"},
		{"a browser opens a view", allAtom + "?limit=2", "document", "application/xml; charset=utf-8", "private"},
		{"a browser opens JSON", zoneJSON, "document", "application/feed+json; charset=utf-8", "public"},
		{"a script of a page asks", zoneRSS, "empty", "application/rss+xml; charset=utf-8", "public"},
		{"a reader asks", zoneRSS, "", "application/rss+xml; charset=utf-8", "public"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"Accept", "text/html,application/xml;q=0.9"}
			if c.dest != "" {
				headers = append(headers, "Sec-Fetch-Dest", c.dest)
			}
			plain, r := request(s, "GET", c.path), request(s, "GET", c.path, headers...)
			again := request(s, "GET", c.path, append(headers, "If-None-Match", plain.Header.Get("ETag"))...)
			if again.StatusCode != http.StatusNotModified || again.Header.Get("Cache-Control") != r.Header.Get("Cache-Control") || again.Header.Get("Vary") != r.Header.Get("Vary") {
				t.Errorf("304: %d with %v", again.StatusCode, again.Header)
			}
			if r.Header.Get("Content-Type") != c.mediaType || !strings.HasPrefix(r.Header.Get("Cache-Control"), c.cached) {
				t.Errorf("got %s, %s; want %s, %s", r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"), c.mediaType, c.cached)
			}
			if varies := strings.Contains(r.Header.Get("Vary"), "Sec-Fetch-Dest"); varies != (c.cached == "private") {
				t.Errorf("Vary: %s", r.Header.Get("Vary"))
			}
			if ruled := strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'"); ruled != (c.cached == "private") {
				t.Errorf("policy: %q", r.Header.Get("Content-Security-Policy"))
			}
			if string(body(t, r)) != string(body(t, plain)) || r.Header.Get("ETag") != plain.Header.Get("ETag") {
				t.Error("the bytes or their tag differ")
			}
		})
	}
}

func TestBrowserShowsAFeedInItsStyle(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium in PATH")
		}
		t.Skip("no chromium in PATH: feeds are not looked at")
	}
	var h http.Handler
	var styled atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		styled.CompareAndSwap(false, r.URL.Path == feed.StylesheetPath)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	here := site
	here.BaseURL = srv.URL
	h = feed.NewServer(newStore(), here, feed.Options{})
	for _, path := range []string{"/feed.atom", "/feed.rss"} {
		styled.Store(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
			"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+t.TempDir(), "--dump-dom", srv.URL+path)
		dom, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if strings.Contains(string(dom), "<pre") || !strings.Contains(string(dom), "<title>") {
			t.Errorf("%s is shown as source:\n%.300s", path, dom)
		}
		if !styled.Load() {
			t.Errorf("%s was shown without its style", path)
		}
	}
}
