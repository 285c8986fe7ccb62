package feed

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"zonewire"
)

// target is what a path leads to.
type target struct {
	kind   kind
	slug   string // of a zone, empty: all zones
	format Format
	month  zonewire.Month // of an archive
	part   int
}

// parseTarget reads a path that is served here.
func parseTarget(path string) (t target, ok bool) {
	switch path {
	case ListPath:
		return target{kind: listCell}, true
	case StylesheetPath:
		return target{kind: styleCell}, true
	}
	if t.slug, t.format, ok = parsePath(path); ok {
		return t, true
	}
	after, zone := strings.CutPrefix(path, "/zones/")
	slug, after, archive := strings.Cut(after, "/archive/")
	if !zone || !archive || slug == "" || strings.Contains(slug, "/") {
		return target{}, false
	}
	t = target{kind: archiveCell, slug: slug, format: Atom}
	t.month, t.part, ok = parseArchive(after)
	return t, ok
}

// path is the target's path under another slug.
func (t target) path(slug string) string {
	if t.kind == archiveCell {
		return ArchivePath(slug, t.month, t.part)
	}
	return Path(slug, t.format)
}

// ServeHTTP answers GET, HEAD and OPTIONS for feeds, their views and archives, [ListPath] and [StylesheetPath]. Parameters that
// are not known make no other document. Accept never decides the type, for readers that accept text/html want the feed
// that they asked for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposed
	h["X-Content-Type-Options"] = noSniff

	t, ok := parseTarget(r.URL.Path)
	switch {
	case !ok:
		s.stats.answered(t, answer(w, r, http.StatusNotFound, "There is no such feed."))
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.stats.answered(t, s.serve(w, r, t))
	case r.Method == http.MethodOptions:
		s.stats.answered(t, preflight(w))
	default:
		h.Set("Allow", allowedMethods)
		s.stats.answered(t, answer(w, r, http.StatusMethodNotAllowed, "A feed can only be read."))
	}
}

// reply is what was answered, for the counters.
type reply struct {
	status        int
	form          int
	bytes         int
	unconditional bool // a GET without a validator that got it all
}

// serve answers a GET or HEAD.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, t target) reply {
	ctx := r.Context()
	var snap *snapshot
	x, zone, err := s.find(ctx, t, r.URL.RawQuery, r.Header)
	switch {
	case err != nil:
		return s.refuse(w, r, t, err)
	case x.slim || t.kind == feedCell && x.isFeed():
		place, _ := t.format.place()
		snap = x.snaps[place]
		s.stats.claimed(zone, t.format, r.Header["User-Agent"])
		if base, ok := x.versions[place].asked(r.Header); ok {
			if d, err := s.delta(ctx, zone, t.format, x, base); err == nil {
				snap = d
			} // else all of it, which is never wrong
		}
	default:
		snap = x.only()
	}
	return snap.write(w, r)
}

// find gives what a target and a query lead to: of a feed that has left memory only the validators, if the conditions in h
// ask for no more. It fails as *movedError, [zonewire.ErrGone], [zonewire.ErrNotFound] or [zonewire.ErrInvalid].
func (s *Server) find(ctx context.Context, t target, query string, h http.Header) (x *served, zone int64, err error) {
	switch t.kind {
	case listCell:
		x, err = s.list(ctx)
		return x, 0, err
	case styleCell:
		x, err = s.style(ctx)
		return x, 0, err
	}
	if t.slug != "" {
		if zone, err = s.zoneOf(ctx, t.slug); err != nil {
			return nil, 0, err
		}
	}
	if t.kind == archiveCell {
		x, err = s.archive(ctx, zone, t.month, t.part)
		return x, zone, err
	}
	if query != "" {
		v, err := parseView(query, zone != 0, s.site.MaxItems)
		if err != nil {
			return nil, 0, err
		}
		if v != (View{}) {
			x, err = s.view(ctx, zone, t.format, v)
			return x, zone, err
		}
	}
	place, _ := t.format.place()
	rest, err := s.rest(ctx, zone, h)
	if err != nil || rest != nil && s.says(rest, zone) && rest.unchanged(place, h) {
		return rest, zone, err
	}
	x, err = s.feed(ctx, zone, place)
	return x, zone, err
}

// rest gives the validators of a feed that is not in memory, for a request that may need no more; nil if there are none. It
// fails when the store does: who then asked for all of the feed would wait in vain once more.
func (s *Server) rest(ctx context.Context, zone int64, h http.Header) (*served, error) {
	k := key{zone: zone}
	c := s.cellOf(k)
	if c != nil && c.set.Load() != nil || zone == 0 || h["If-None-Match"] == nil && h["If-Modified-Since"] == nil {
		return c.remnant(), nil
	}
	x, err := s.load(ctx, k, (*served).any, func(ctx context.Context, _ *served) (*served, error) { return s.recall(ctx, zone) })
	if errors.Is(err, errNoneStored) || definite(err) || err == nil && !x.slim {
		return nil, nil // whoever loads all of it says what is wrong, if anything
	}
	return x, err
}

// any is ready whatever it holds.
func (x *served) any() bool { return true }

// unchanged reports whether a request in one format asks for no more than whether anything has changed, and nothing has.
func (x *served) unchanged(place int, h http.Header) bool {
	snap := x.snaps[place]
	if snap == nil {
		return false
	}
	verdict, _ := snap.judge(h, &snap.forms[choose(h["Accept-Encoding"])])
	return verdict == notModified
}

// write sends the snapshot, or what the request's conditions leave of it.
func (s *snapshot) write(w http.ResponseWriter, r *http.Request) reply {
	form := choose(r.Header["Accept-Encoding"])
	sent := &s.forms[form]
	h := w.Header()
	contentType := s.contentType
	h["Cache-Control"] = s.cacheControl
	h["Vary"] = s.vary
	if s.shown && toBrowser(r.Header) {
		contentType, h["Cache-Control"], h["Vary"] = browserType, cacheBrowser, varyBrowser
		h["Content-Security-Policy"] = browserRules
	}
	switch verdict, etag := s.judge(r.Header, sent); verdict {
	case failed:
		return answer(w, r, http.StatusPreconditionFailed, "The feed is not the version asked for.")
	case notModified: // with the headers of section 15.4.5
		h["Etag"] = sent.etagHeader
		if etag != sent.etag {
			h["Etag"] = []string{etag}
		}
		w.WriteHeader(http.StatusNotModified)
		return reply{status: http.StatusNotModified, form: form}
	}
	h["Etag"] = sent.etagHeader
	h["Content-Type"] = contentType
	// Not http.ServeContent: it leaves out Content-Length beside Content-Encoding.
	h["Content-Length"] = sent.length
	if s.lastModified != nil {
		h["Last-Modified"] = s.dateSent(time.Now)
	}
	if s.link != nil {
		h["Link"] = s.link
	}
	if s.robots != nil {
		h["X-Robots-Tag"] = s.robots
	}
	if s.im != nil {
		h["Im"] = s.im
	}
	if sent.encoding != nil {
		h["Content-Encoding"] = sent.encoding
	}
	w.WriteHeader(s.status)
	done := reply{status: s.status, form: form}
	if r.Method != http.MethodHead {
		_, _ = w.Write(sent.body) // the reader has gone: there is nobody to tell
		done.bytes = len(sent.body)
		done.unconditional = len(r.Header["If-None-Match"]) == 0 && len(r.Header["If-Modified-Since"]) == 0
	}
	return done
}

// toBrowser reports whether a browser will show the answer as a page (Fetch Metadata section 2.1). Chromium shows what calls
// itself a feed as source text, and applies the style sheet to XML alone. No reader sends this header, and no shared cache
// keeps the answer, so that none is ever handed a feed under another type.
func toBrowser(h http.Header) bool {
	dest := h["Sec-Fetch-Dest"]
	return len(dest) == 1 && dest[0] == "document"
}

// preflight answers OPTIONS, for scripts that send validators of their own.
func preflight(w http.ResponseWriter) reply {
	h := w.Header()
	h.Set("Allow", allowedMethods)
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Allow-Headers", "If-None-Match, If-Modified-Since, A-IM")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
	return reply{status: http.StatusNoContent, form: plainForm}
}

// refuse answers for a document that there is not.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, t target, err error) reply {
	h := w.Header()
	var moved *movedError
	switch {
	case errors.As(err, &moved):
		to := s.site.BaseURL + t.path(moved.slug)
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		h.Set("Location", to)
		h.Set("Cache-Control", "public, max-age=86400")
		return answer(w, r, http.StatusMovedPermanently, "This feed is now at "+to)
	case errors.Is(err, zonewire.ErrGone):
		h.Set("Cache-Control", "public, max-age=3600")
		return answer(w, r, http.StatusGone, "This zone is closed, and its feed with it.")
	case errors.Is(err, zonewire.ErrInvalid):
		h.Set("Cache-Control", "public, max-age=60")
		return answer(w, r, http.StatusBadRequest, "There is no such view of the feed: "+err.Error()+".")
	case errors.Is(err, zonewire.ErrNotFound):
		h.Set("Cache-Control", "public, max-age=60")
		return answer(w, r, http.StatusNotFound, "There is no such feed.")
	}
	// Never an empty feed: readers would take every article for deleted.
	if !errors.Is(err, context.Canceled) && s.seldom.Fails(r.URL.Path, err, time.Now()) {
		s.log.ErrorContext(r.Context(), "feed cannot be loaded", "path", r.URL.Path, "error", err)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "5")
	return answer(w, r, http.StatusServiceUnavailable, "The feed cannot be read at the moment.")
}

// answer writes one line of text.
func answer(w http.ResponseWriter, r *http.Request, status int, text string) reply {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text + "\n")) // the reader has gone: there is nobody to tell
	}
	return reply{status: status, form: plainForm}
}
