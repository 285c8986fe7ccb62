package feed

import (
	"context"
	"errors"
	"net/http"
	"time"

	"zonewire"
)

// loadTimeout bounds how long a first request for a feed waits for it.
const loadTimeout = 5 * time.Second

// ServeHTTP answers GET, HEAD and OPTIONS for the paths that [Path] gives, with or without a query: parameters that are
// not known do not make another feed. The type is never negotiated, for readers that accept text/html want the feed
// that they asked for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposed
	h["X-Content-Type-Options"] = noSniff

	slug, f, ok := parsePath(r.URL.Path)
	if !ok {
		answer(w, r, http.StatusNotFound, "There is no such feed.")
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		preflight(w)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		answer(w, r, http.StatusMethodNotAllowed, "A feed can only be read.")
		return
	}
	set, err := s.load(r.Context(), slug)
	if err != nil {
		s.refuse(w, r, f, err)
		return
	}
	place, _ := f.place()
	set[place].serve(w, r)
}

// serve writes the snapshot, or what the request's conditions leave of it.
func (s *snapshot) serve(w http.ResponseWriter, r *http.Request) {
	sent := choose(r.Header["Accept-Encoding"], s.forms)
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Vary"] = varyCoding
	switch verdict, etag := s.judge(r.Header, sent); verdict {
	case failed:
		answer(w, r, http.StatusPreconditionFailed, "The feed is not the version asked for.")
		return
	case notModified: // with the headers of section 15.4.5
		h["Etag"] = sent.etagHeader
		if etag != sent.etag {
			h["Etag"] = []string{etag}
		}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Etag"] = sent.etagHeader
	h["Last-Modified"] = s.lastModified
	h["Content-Type"] = s.contentType
	h["Link"] = s.link
	// Not http.ServeContent: it leaves out Content-Length beside Content-Encoding.
	h["Content-Length"] = sent.length
	if sent.encoding != nil {
		h["Content-Encoding"] = sent.encoding
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(sent.body) // the reader has gone: there is nobody to tell
	}
}

// preflight answers OPTIONS, for scripts that send validators of their own.
func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Allow", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "If-None-Match, If-Modified-Since, A-IM")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// refuse answers for a feed that there is no snapshot of.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f Format, err error) {
	h := w.Header()
	var moved *movedError
	switch {
	case errors.As(err, &moved):
		target := s.site.BaseURL + Path(moved.slug, f)
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		h.Set("Location", target)
		h.Set("Cache-Control", "public, max-age=86400")
		answer(w, r, http.StatusMovedPermanently, "This feed is now at "+target)
	case errors.Is(err, zonewire.ErrGone):
		h.Set("Cache-Control", "public, max-age=3600")
		answer(w, r, http.StatusGone, "This zone is closed, and its feed with it.")
	case errors.Is(err, zonewire.ErrNotFound):
		h.Set("Cache-Control", "public, max-age=60")
		answer(w, r, http.StatusNotFound, "There is no such feed.")
	default:
		// Never an empty feed: readers would take every article for deleted.
		if !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(r.Context(), "feed cannot be loaded", "path", r.URL.Path, "error", err)
		}
		h.Set("Cache-Control", "no-store")
		h.Set("Retry-After", "5")
		answer(w, r, http.StatusServiceUnavailable, "The feed cannot be read at the moment.")
	}
}

// answer writes one line of text.
func answer(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text + "\n")) // the reader has gone: there is nobody to tell
	}
}
