package web_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// axe is axe-core as scripts/test-deps installs it.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("../.cache/mail-check/node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("axe-core of scripts/test-deps: %v", err)
		}
		t.Skip("no axe-core: run scripts/test-deps")
	}
	return string(script)
}

// Someone who hears a page, enlarges it or has no mouse gets all of it: axe finds nothing to say, in light and in dark.
func TestPagesAreForEveryone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	script := axe(t)
	ctx := browser(t)
	h, _ := serve(t, readers())
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	for name, path := range pagePaths() {
		if name == "digest" { // the sample's is a stand-in; package digest judges real ones
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, v := range examine(ctx, t, script, srv.URL+path, "light", "dark") {
				t.Errorf("%s (%s): %s\n\t%s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
			}
		})
	}
}

// violation is what axe has to say of some elements.
type violation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

// examine opens the page, unfolds what is folded, and asks axe in each scheme for what breaks WCAG 2.2 AA or good practice.
func examine(ctx context.Context, t *testing.T, script, url string, schemes ...string) []violation {
	t.Helper()
	open(ctx, t, url)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	found, err := chromedp.Run(ctx, func(ctx context.Context, tab *chromedp.Target) (found []violation, err error) {
		if _, err := chromedp.Evaluate[bool](script+`;document.querySelectorAll("details").forEach(d => d.open = true), true`)(ctx, tab); err != nil {
			return nil, fmt.Errorf("load axe: %w", err)
		}
		for i, scheme := range schemes {
			rules := `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
			if i > 0 { // of the other only the colours differ
				rules = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
			}
			if err := edition(ctx, tab, scheme, 360); err != nil {
				return nil, err
			}
			more, err := chromedp.Evaluate[[]violation](`axe.run(document, {runOnly: `+rules+`}).then(r =>
				r.violations.map(v => ({id: v.id, impact: v.impact || "", help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200) + " " + n.failureSummary)})))`,
				chromedp.EvalAwaitPromise)(ctx, tab)
			if err != nil {
				return nil, fmt.Errorf("run axe in %s: %w", scheme, err)
			}
			found = append(found, more...)
		}
		return found, nil
	})
	if err != nil {
		t.Fatalf("examine %s: %v", url, err)
	}
	return found
}
