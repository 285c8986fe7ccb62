package web

import (
	_ "embed"
	"net/http"
)

//go:embed style.css
var styleSheet []byte

//go:embed favicon.svg
var icon []byte

// styleURL changes with the style sheet, so that a browser may keep it for ever.
var styleURL = "/style.css?v=" + hash(styleSheet)

func (s *server) style(w http.ResponseWriter, r *http.Request) error {
	// Only the current address is kept for ever: a page of another version must not fix these bytes under its own.
	if r.URL.RequestURI() == styleURL {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Del("Vary")
	s.write(w, r, http.StatusOK, "text/css; charset=utf-8", styleSheet)
	return nil
}

func (s *server) favicon(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Del("Vary")
	s.write(w, r, http.StatusOK, "image/svg+xml", icon)
	return nil
}
