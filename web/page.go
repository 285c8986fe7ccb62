package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"zonewire"
	"zonewire/internal/trouble"
)

// answer is a handler that hands its failure up: route turns it into a page.
type answer func(w http.ResponseWriter, r *http.Request) error

// The content security policies. No page runs a script; only an article's body shows pictures of others; only a
// digest, which is mail, carries inline styles.
const (
	policy        = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	articlePolicy = "default-src 'none'; style-src 'self'; img-src 'self' http: https:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
	digestPolicy  = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' http: https:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

// permissions takes from every page what none of them asks for.
const permissions = "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=(), browsing-topics=()"

// route holds the headers and the failures of every page in one place. No methods means any.
func (s *server) route(methods []string, a answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")        // frame-ancestors, for browsers that do not know it
		h.Set("Referrer-Policy", "same-origin") // a token or key in the address tells no portal of itself
		h.Set("Cache-Control", "no-cache")      // kept, but asked for: the tag below makes that cheap
		h.Set("Vary", "Accept-Language, Accept-Encoding")
		h.Set("Permissions-Policy", permissions)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")   // a page that a stranger opened has no hand on it
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // nor may a stranger's page embed what is here
		if strings.HasPrefix(s.BaseURL, "https:") {
			h.Set("Strict-Transport-Security", "max-age=31536000") // of this host alone: its neighbours are not ours
		}

		var err error
		if methods != nil && !slices.Contains(methods, r.Method) {
			h.Set("Allow", strings.Join(methods, ", ")) // RFC 9110 section 15.5.6
			err = &problem{http.StatusMethodNotAllowed, "method"}
		} else {
			err = a(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// problem is a failure that has its own words for the reader: phrases web.problem.KIND.
type problem struct {
	status int
	kind   string
}

func (p *problem) Error() string { return p.kind }

// The failures that are none of the store's.
var (
	errUnknown   = &problem{http.StatusNotFound, "unknown"}
	errToken     = &problem{http.StatusNotFound, "token"}
	errEnded     = &problem{http.StatusGone, "ended"}
	errWithdrawn = &problem{http.StatusGone, "withdrawn"}
)

// fail answers with the page of the failure. What is no one's fault but ours is logged, by route: a path may hold a token.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := &problem{http.StatusInternalServerError, "internal"}
	switch {
	case errors.As(err, &p):
	case errors.Is(err, zonewire.ErrNotFound):
		p = errUnknown
	case errors.Is(err, zonewire.ErrGone):
		p = &problem{http.StatusGone, "gone"}
	case errors.Is(err, zonewire.ErrBusy), errors.Is(err, zonewire.ErrFull), errors.Is(err, zonewire.ErrReadOnly), trouble.Away(err):
		p = &problem{http.StatusServiceUnavailable, "busy"}
		w.Header().Set("Retry-After", "5")
	}
	if p.status >= 500 && !errors.Is(err, context.Canceled) && (!trouble.Away(err) || s.seldom.Fails("page", err, s.Now())) {
		s.Log.Error("page failed", "route", r.Pattern, "err", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	f := s.frame(r)
	view := struct {
		frame
		Status int
		Kind   string
		Box    box // offered to who looks for what is not there
	}{f, p.status, p.kind, boxOf(f, "", nil, nil)}
	if err := s.render(w, r, p.status, "problem.html", view); err != nil {
		s.Log.Error("error page failed", "route", r.Pattern, "err", err)
		http.Error(w, http.StatusText(p.status), p.status)
	}
}

func (s *server) unknown(http.ResponseWriter, *http.Request) error { return errUnknown }

// frame is what the layout of each page knows. Views embed it.
type frame struct {
	Site      string
	Locale    string
	StyleURL  string
	Other     string // the other locale
	OtherURL  string // this page in it
	Canonical string // absolute address without language, for pages that may be found; else empty
	NoIndex   bool   // not to be found by search engines
	Feeds     []Feed // for discovery in the head: the page's own, else those of all zones
	chosen    bool   // the reader picked the language by the switch
	now       time.Time
}

func (s *server) frame(r *http.Request) frame {
	locale, chosen := localeOf(r)
	f := frame{Site: s.Templates.SiteTitle(locale), Locale: locale, StyleURL: styleURL, Feeds: s.Feeds(nil, ""), chosen: chosen, now: s.Now()}
	for _, other := range zonewire.Locales() {
		if other != locale {
			f.Other = other
		}
	}
	query := r.URL.Query()
	query.Set("lang", f.Other)
	f.OtherURL = (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String()
	return f
}

// label is a name and the language that it is in: none if that is the page's.
type label struct{ Text, Lang string }

// At names a province to the reader: as the zones have it, but on an English page in English if that is known.
func (f frame) At(province string) label {
	if f.Locale == zonewire.LocaleZH || province == "" {
		return label{province, ""}
	}
	if name, ok := zonewire.Province(f.Locale, province); ok {
		return label{name, ""}
	}
	return label{province, zonewire.LocaleZH}
}

// Link is an address on this site that keeps the language which the reader picked: there is no cookie to remember it.
// Params are names and values in turn; empty values are left out.
func (f frame) Link(path string, params ...string) (string, error) {
	if len(params)%2 != 0 {
		return "", fmt.Errorf("link %s: %d params are no pairs", path, len(params))
	}
	query := url.Values{}
	for pair := range slices.Chunk(params, 2) {
		if pair[1] != "" {
			query.Set(pair[0], pair[1])
		}
	}
	return f.address(path, query), nil
}

func (f frame) address(path string, query url.Values) string {
	if f.chosen {
		query.Set("lang", f.Locale)
	}
	return (&url.URL{Path: path, RawQuery: query.Encode()}).String()
}

// Alternate is the page in one language, or in that of the reader.
type Alternate struct{ Lang, URL string }

// Alternates are the addresses of a page that may be found, for search engines: one a language, and the one that asks
// the reader's browser, which is x-default.
func (f frame) Alternates() ([]Alternate, error) {
	if f.Canonical == "" {
		return nil, nil
	}
	all := []Alternate{{"x-default", f.Canonical}}
	for _, locale := range zonewire.Locales() {
		u, err := url.Parse(f.Canonical)
		if err != nil {
			return nil, fmt.Errorf("canonical address: %w", err)
		}
		query := u.Query()
		query.Set("lang", locale)
		u.RawQuery = query.Encode()
		all = append(all, Alternate{locale, u.String()})
	}
	return all, nil
}

// Self is the canonical address of what the reader has before them: in a language that they picked, that one's own.
func (f frame) Self() (string, error) {
	all, err := f.Alternates()
	for i, a := range all {
		if f.chosen && a.Lang == f.Locale || !f.chosen && i == 0 {
			return a.URL, err
		}
	}
	return "", err
}

var matcher = func() language.Matcher {
	var tags []language.Tag
	for _, l := range zonewire.Locales() {
		tags = append(tags, language.MustParse(l))
	}
	return language.NewMatcher(tags)
}()

// localeOf is the language asked for by ?lang=, which counts as chosen, or else by Accept-Language.
func localeOf(r *http.Request) (locale string, chosen bool) {
	if lang := r.URL.Query().Get("lang"); slices.Contains(zonewire.Locales(), lang) {
		return lang, true
	}
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return zonewire.Locales()[i], false
}

// render writes the page whole or, on an error, nothing at all.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, view interface{ language() string }) error {
	var buf bytes.Buffer
	if err := s.Templates.HTML(&buf, "web/"+name, view.language(), view); err != nil {
		return err
	}
	w.Header().Set("Content-Language", view.language())
	s.write(w, r, status, "text/html; charset=utf-8", buf.Bytes())
	return nil
}

func (f frame) language() string { return f.Locale }

// write sends the body. A page that is found gets a tag of its bytes, so that a reader who has it gets a 304.
func (s *server) write(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	if status == http.StatusOK && r.Method != http.MethodPost {
		tag := hash(body)
		if packed(r, w.Header(), len(body)) {
			small, err := pack(body)
			if err != nil { // memory that cannot be written to: send it as it is
				s.Log.Error("page not compressed", "route", r.Pattern, "err", err)
			} else {
				body, tag = small, tag+"-gz"
				w.Header().Set("Content-Encoding", "gzip")
			}
		}
		w.Header().Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
		return
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		s.Log.Debug("page cut short", "route", r.Pattern, slog.Any("err", err)) // the reader went away
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
