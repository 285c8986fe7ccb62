package web_test

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"zonewire/templates"
	"zonewire/web"
)

// serveWith gives the handler over any store, with the sample's configuration changed.
func serveWith(t testing.TB, st web.Store, change func(*web.Config)) http.Handler {
	t.Helper()
	set, err := templates.Load("")
	if err != nil {
		t.Fatalf("load templates: %v", err)
	}
	cfg := web.Config{
		BaseURL: base, Secret: secret, Templates: set, Feeds: feeds,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	return web.New(st, cfg)
}

func serveAt(t testing.TB, st web.Store, address string) http.Handler {
	t.Helper()
	return serveWith(t, st, func(c *web.Config) { c.BaseURL = address })
}

func TestBehindHTTPSABrowserStaysThere(t *testing.T) {
	for address, want := range map[string]string{
		"https://news.example.cn": "max-age=31536000",
		"http://localhost:8080":   "",
	} {
		for _, path := range []string{"/", "/nothing", "/style.css", "/digests/1"} {
			equal(t, address+path, get(serveAt(t, sample(), address), path).Header().Get("Strict-Transport-Security"), want)
		}
	}
}

func TestOtherSitesMayShowTheIconOnly(t *testing.T) {
	h, _ := serve(t, sample())
	for path, want := range map[string]string{"/": "same-origin", "/articles/1": "same-origin", "/style.css": "same-origin", "/favicon.svg": "cross-origin"} {
		equal(t, path, get(h, path).Header().Get("Cross-Origin-Resource-Policy"), want)
	}
}

// A crawler opens no address that lets somebody do something, and every page that is for everyone.
func TestCrawlers(t *testing.T) {
	h, _ := serve(t, sample())
	w := get(h, "/robots.txt")
	equal(t, "type", w.Header().Get("Content-Type"), "text/plain; charset=utf-8")
	var closed []string
	for _, m := range regexp.MustCompile(`(?m)^Disallow: (.+)$`).FindAllStringSubmatch(w.Body.String(), -1) {
		closed = append(closed, m[1])
	}
	for path, want := range map[string]bool{
		"/": true, "/zones/yunhe": true, "/articles/1": true, "/lists/morning": true, "/digests/1": true, "/feed.rss": true,
		"/unsubscribe/x": false, "/undo/x": false, "/confirm/x": false, "/preferences": false, "/preferences/x": false, "/address/x": false,
		"/hub": false, "/api/v1/zones": false,
	} {
		open := true
		for _, prefix := range closed {
			open = open && !strings.HasPrefix(path, prefix)
		}
		if open != want {
			t.Errorf("%s is open to crawlers: %t, want %t", path, open, want)
		}
	}
}
