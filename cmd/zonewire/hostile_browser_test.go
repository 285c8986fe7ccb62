package main

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// alarmed runs in each document before all else. Whatever is called notes where, in the page on top; a frame that may not
// reach it asks the trap.
const alarmed = `for (const name of ["pwn", "alert", "confirm", "prompt", "print", "open"])
	window[name] = () => { try { (top.ran ||= []).push(name + " in " + location.href) } catch { fetch("http://%s/" + name) } }`

// tell gives the events to every element that a hand or a clock would, and tells what each document holds.
const tell = `(async () => {
	const windows = frames.length ? [...document.querySelectorAll("iframe")].map(f => f.contentWindow) : [window];
	const reached = windows.filter(w => { try { return w.document } catch { return false } });
	// Not by the names that an element has them under: a form's field can take those over.
	const attributes = Object.getOwnPropertyDescriptor(Element.prototype, "attributes").get;
	const dispatch = EventTarget.prototype.dispatchEvent;
	for (const w of reached)
		for (const e of w.document.querySelectorAll("*"))
			for (const type of ["click", "mouseover", "mouseenter", "pointerrawupdate", "auxclick", "focus", "load", "toggle", "animationend", "beforescriptexecute"])
				dispatch.call(e, new w.Event(type));
	await new Promise(done => setTimeout(done, %d)); // a turn for what comes by itself: a refresh, an animation
	return {
		ran: window.ran || [],
		documents: reached.map(w => ({
			path: w.location.pathname + w.location.search,
			elements: [...w.document.querySelectorAll("*")].map(e => ({
				tag: (e.namespaceURI == "http://www.w3.org/1999/xhtml" ? "" : e.namespaceURI + ":") + e.localName,
				depth: (p => { let n = 0; for (; p.parentElement; p = p.parentElement) n++; return n + 1 })(e),
				attr: [...attributes.call(e)].map(a => [a.name, a.value]),
			})),
		})),
	};
})()`

// opened is what tell tells.
type opened struct {
	Ran       []string `json:"ran"`
	Documents []struct {
		Path     string    `json:"path"`
		Elements []element `json:"elements"`
	} `json:"documents"`
}

// browser starts one that reaches this machine only, or skips; in CI its absence is a failure.
func browser(t *testing.T, trap *listener) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	needTool(t, err == nil, "chromium")
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(alarmed, trap.host)})
		return err
	}))
	if err != nil {
		t.Fatalf("start browser: %v", err)
	}
	return ctx
}

// look opens a page and waits for a while, in milliseconds.
func look(ctx context.Context, t *testing.T, url string, wait int) opened {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seen, err := chromedp.Run(ctx, func(ctx context.Context, tab *chromedp.Target) (opened, error) {
		if _, err := chromedp.Navigate(url)(ctx, tab); err != nil {
			return opened{}, err
		}
		return chromedp.Evaluate[opened](fmt.Sprintf(tell, wait), chromedp.EvalAwaitPromise)(ctx, tab)
	})
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	return seen
}

// open opens our pages as they are served, with the first articles, then all that came out on bare pages, many at a time in
// frames. Last come the bodies as they were given, to show that the browser runs them and that we would notice.
func (h *hostile) open(t *testing.T) {
	ctx := browser(t, h.trap)
	t.Run("as served", func(t *testing.T) {
		for _, path := range h.site.paths {
			if id, err := strconv.Atoi(strings.TrimPrefix(path, "/articles/")); err == nil && id > h.first {
				continue // all are opened below, where less protects them
			}
			seen := look(ctx, t, h.base+path, 0)
			if len(seen.Documents) != 1 || seen.Documents[0].Path != path {
				t.Fatalf("%s led elsewhere: %+v", path, seen.Documents)
			}
			judgeElements(t, path, seen.Documents[0].Elements)
			h.quiet(t, seen)
		}
		for _, path := range h.feeds.paths {
			h.quiet(t, look(ctx, t, h.base+path, 0)) // to a browser they are XML
		}
	})
	bare, raw := documents{}, documents{}
	for i, b := range h.bodies {
		raw.add(fmt.Sprintf("/raw/%d", i), "<!DOCTYPE html><meta charset=utf-8>"+string(b.Data))
	}
	for _, path := range h.feeds.paths {
		// A browser may take XML for a page of its own. JSON is protected by its type alone, which says that it is none.
		if !strings.HasSuffix(path, ".json") {
			bare.add("/as/xml"+path, h.feeds.body[path])
			bare.add("/as/html"+path, h.feeds.body[path])
		}
	}
	plain := serveBare(t, h.base, h.out, bare, raw)
	inFrames := func(paths []string) opened {
		const forWhatComesByItself = 100
		return look(ctx, t, plain+"/frames?"+strings.Join(paths, ";"), forWhatComesByItself)
	}
	t.Run("without the policy", func(t *testing.T) {
		for batch := range slices.Chunk(h.out.paths, framesAtOnce) {
			seen := inFrames(batch)
			if len(seen.Documents) != len(batch) {
				t.Errorf("%d documents of %d", len(seen.Documents), len(batch))
			}
			for i, d := range seen.Documents {
				if d.Path != batch[i] {
					t.Errorf("%s led to %s", batch[i], d.Path)
				}
				judgeElements(t, d.Path, d.Elements)
				if strings.HasPrefix(d.Path, "/bodies/") {
					judgeEnds(t, d.Path, d.Elements, len(h.carried))
				}
			}
			h.quiet(t, seen)
		}
	})
	t.Run("feeds taken for something else", func(t *testing.T) {
		for batch := range slices.Chunk(bare.paths, framesAtOnce) {
			h.quiet(t, inFrames(batch))
		}
	})
	if len(h.pictures.asked()) == 0 {
		t.Error("no picture was asked for: has the browser opened anything?")
	}
	t.Run("what nobody has cleaned", func(t *testing.T) {
		ran := map[string]bool{}
		for batch := range slices.Chunk(raw.paths, framesAtOnce) {
			for _, r := range inFrames(batch).Ran {
				ran[r] = true
			}
		}
		t.Logf("%d bodies ran, of %d; %d requests", len(ran), len(raw.paths), len(h.trap.asked()))
		if len(ran) < 30 || len(h.trap.asked()) < 15 {
			t.Errorf("%d bodies ran and %d requests were made: want many, or nothing above is proved", len(ran), len(h.trap.asked()))
		}
	})
}

const framesAtOnce = 60

// quiet reports what ran and who was asked.
func (h *hostile) quiet(t *testing.T, seen opened) {
	t.Helper()
	if len(seen.Ran) > 0 || len(h.trap.asked()) > 0 {
		t.Fatalf("ran: %q; asked for: %q", seen.Ran, h.trap.asked())
	}
}

// serveBare serves documents without any header that protects them, and at /frames?PATH;PATH a page that holds each in a frame.
func serveBare(t *testing.T, base string, all ...documents) (address string) {
	t.Helper()
	style, _ := get(t, base+"/style.css")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, body := "text/html; charset=utf-8", ""
		switch path := r.URL.RequestURI(); {
		case r.URL.Path == "/frames":
			body = "<!DOCTYPE html><title>frames</title>"
			for path := range strings.SplitSeq(r.URL.RawQuery, ";") {
				body += `<iframe width=90 height=60 src="` + template.HTMLEscapeString(path) + `"></iframe>`
			}
		case r.URL.Path == "/style.css":
			kind, body = "text/css", style
		default:
			i := slices.IndexFunc(all, func(d documents) bool { return d.body[path] != "" })
			if i < 0 {
				http.NotFound(w, r)
				return
			}
			body = all[i].body[path]
			if strings.HasPrefix(path, "/as/xml") {
				kind = "text/xml"
			}
		}
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body) // whoever asked may have gone
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}
