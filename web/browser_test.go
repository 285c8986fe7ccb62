package web_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"zonewire"
)

// browser starts one that talks to nobody but the test's server, or skips; in CI its absence is a failure.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium in PATH")
		}
		t.Skip("no chromium in PATH: pages are not looked at")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("accept-lang", "zh-CN"), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // starts it: a deadline here would end it with the first page
		t.Fatalf("start browser: %v", err)
	}
	return ctx
}

// pagePaths are pages of every kind, by the name of their picture.
func pagePaths() map[string]string {
	return map[string]string{
		"home":        "/",
		"province":    "/?province=江苏省",
		"zone":        "/zones/yunhe",
		"empty":       "/zones/wuming",
		"closed":      "/zones/shiqiao",
		"article":     "/articles/119",
		"hostile":     "/articles/203",
		"list":        "/lists/morning",
		"private":     "/lists/board?key=" + token(zonewire.PurposePrivate, 2),
		"digest":      "/digests/1",
		"leave":       "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub),
		"left":        "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, leftSub),
		"confirm":     "/confirm/" + token(zonewire.PurposeConfirm, pendingSub),
		"notfound":    "/nothing",
		"withdrawn":   "/articles/201",
		"switched":    "/zones/qingtan?lang=en",
		"switchedart": "/articles/119?lang=en",
		"homeen":      "/?lang=en",
		"found":       searchPath("/", "新能源 云河"),
		"zonefound":   searchPath("/zones/yunhe", "安全生产"),
		"zonesfound":  searchPath("/", "开发区"),
		"nothing":     searchPath("/", "没有这样的词"),
		"founden":     searchPath("/", "yunhe", "lang", "en"),
		"listen":      "/lists/zhejiang?lang=en",
	}
}

// Every page fits every screen, in both languages, in light and in dark. With ZONEWIRE_SHOTS=DIR it leaves pictures
// there for a person to look at.
func TestPagesFitTheScreen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	ctx := browser(t)
	h, _ := serve(t, sample())
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)

	for name, path := range pagePaths() {
		open(ctx, t, srv.URL+path)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{360, 800, 1280} {
				t.Run(fmt.Sprintf("%s in %s at %d", name, scheme, width), func(t *testing.T) {
					measure(ctx, t, srv.URL+path, scheme, width, name)
				})
			}
		}
	}
}

// open brings a page into the browser.
func open(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
}

// look opens a page and measures it.
func look(ctx context.Context, t *testing.T, url, scheme string, width int64, name string) {
	t.Helper()
	open(ctx, t, url)
	measure(ctx, t, url, scheme, width, name)
}

// edition turns the page that is open to light or dark, and gives its window a width.
func edition(ctx context.Context, tab *chromedp.Target, scheme string, width int64) error {
	feature := emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}
	if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{&feature}}); err != nil {
		return err
	}
	_, err := chromedp.EmulateViewport(width, 800)(ctx, tab)
	return err
}

// measure holds the page that is open to its window, its language and its colours.
func measure(ctx context.Context, t *testing.T, url, scheme string, width int64, name string) {
	t.Helper()
	type sight struct {
		Scroll int64  `json:"scroll"`
		Inner  int64  `json:"inner"`
		Lang   string `json:"lang"`
		Paper  string `json:"paper"`
		H1     int    `json:"h1"`
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seen, err := chromedp.Run(ctx, func(ctx context.Context, tab *chromedp.Target) (sight, error) {
		if err := edition(ctx, tab, scheme, width); err != nil {
			return sight{}, err
		}
		return chromedp.Evaluate[sight](`({
			scroll: document.documentElement.scrollWidth,
			inner: window.innerWidth,
			lang: document.documentElement.lang,
			paper: getComputedStyle(document.documentElement).backgroundColor,
			h1: document.querySelectorAll("h1").length,
		})`)(ctx, tab)
	})
	if err != nil {
		t.Fatalf("measure %s: %v", url, err)
	}
	if seen.Scroll > width || seen.Inner != width {
		t.Errorf("%s is %d wide in a window of %d, want %d", url, seen.Scroll, seen.Inner, width)
	}
	want := zonewire.LocaleZH
	if strings.Contains(url, "lang=en") {
		want = zonewire.LocaleEN
	}
	if seen.Lang != want || seen.H1 != 1 {
		t.Errorf("%s has language %q and %d first headings, want %q and 1", url, seen.Lang, seen.H1, want)
	}
	paper := map[string]string{"light": "rgb(253, 252, 249)", "dark": "rgb(24, 23, 21)"}[scheme]
	if name != "digest" && seen.Paper != paper {
		t.Errorf("%s has the ground %s in the %s edition, want %s", url, seen.Paper, scheme, paper)
	}
	if dir := os.Getenv("ZONEWIRE_SHOTS"); dir != "" {
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatalf("picture of %s: %v", url, err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
		if err := os.WriteFile(file, png, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
