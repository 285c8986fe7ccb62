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
	w.Header().Set("Vary", "Accept-Encoding")
	s.write(w, r, http.StatusOK, "text/css; charset=utf-8", styleSheet)
	return nil
}

func (s *server) favicon(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // feeds name it, and readers on other sites show it
	w.Header().Set("Vary", "Accept-Encoding")
	s.write(w, r, http.StatusOK, "image/svg+xml", icon)
	return nil
}

// robots keeps crawlers to what is for everyone. Addresses with a token are known to nobody; should one leak, no crawler
// opens it.
const robots = `User-agent: *
Disallow: /unsubscribe/
Disallow: /undo/
Disallow: /confirm/
Disallow: /preferences
Disallow: /address/
Disallow: /hub
Disallow: /api/
`

func (s *server) robots(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("Vary", "Accept-Encoding")
	s.write(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(robots))
	return nil
}
