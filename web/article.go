package web

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
	"zonewire/templates"
)

// article is one article in full.
func (s *server) article(w http.ResponseWriter, r *http.Request) error {
	a, err := s.public(r)
	if err != nil {
		return err
	}
	z, err := s.store.Zone(r.Context(), a.Zone)
	if err != nil {
		return err
	}
	f := s.frame(r)
	f.Canonical = s.BaseURL + r.URL.Path
	if z.Closed.IsZero() {
		f.Feeds = s.Feeds(&z, "")
	}
	also, err := s.also(r.Context(), f, a)
	if err != nil {
		return err
	}
	var before []zonewire.Revision
	if !corrected(a).IsZero() {
		if before, err = s.store.Revisions(r.Context(), a.ID); err != nil {
			return err
		}
	}
	text, err := s.bodyOf(f.Locale, a.ContentHTML)
	if err != nil {
		return err
	}
	corrections := correctionsOf(a, before)
	for i := range corrections {
		if corrections[i].Text, err = s.bodyOf(f.Locale, corrections[i].content); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Security-Policy", articlePolicy)
	return s.render(w, r, http.StatusOK, "article.html", struct {
		frame
		Zone        zonewire.Zone
		Article     zonewire.Article
		Also        templates.Also
		Corrected   time.Time // zero: it says what it said when it came in
		Corrections []correction
		Body        template.HTML
	}{f, z, a, also, corrected(a), corrections, text})
}

// public is the article of the path, if everyone may read it. One that waits for its zone is not public yet.
func (s *server) public(r *http.Request) (zonewire.Article, error) {
	id, err := pathID(r)
	if err != nil {
		return zonewire.Article{}, err
	}
	a, err := s.store.Article(r.Context(), id)
	switch {
	case err != nil:
		return zonewire.Article{}, err
	case !a.Withdrawn.IsZero():
		return zonewire.Article{}, errWithdrawn
	case a.ZoneID == 0:
		return zonewire.Article{}, errUnknown
	}
	return a, nil
}

// also says who else tells the article's story, among those that are public.
func (s *server) also(ctx context.Context, f frame, a zonewire.Article) (templates.Also, error) {
	copies, err := s.store.Copies(ctx, cmp.Or(a.DupOf, a.ID))
	if err != nil {
		return templates.Also{}, err
	}
	copies = slices.DeleteFunc(copies, func(c zonewire.Article) bool { return c.ID == a.ID || c.ZoneID == 0 })
	if len(copies) == 0 {
		return templates.Also{}, nil
	}
	zones, err := s.store.Zones(ctx)
	if err != nil {
		return templates.Also{}, err
	}
	return templates.AlsoAt(f.Locale, a, copies, byID(zones), func(c zonewire.Article) string {
		return cmp.Or(templates.WebLink(c.URL), f.address("/articles/"+strconv.FormatInt(c.ID, 10), url.Values{}))
	}), nil
}

// corrected is when the article's text last changed after it came in, on the clock of China.
func corrected(a zonewire.Article) time.Time {
	if !a.Updated.After(a.Received) {
		return time.Time{}
	}
	return a.Updated.In(zonewire.Shanghai)
}

// fitted makes a body a part of a page. Its top headings become second ones: the page's own headline is the only first.
// A table scrolls in a box of its own, which the keyboard reaches and a screen reader names.
func fitted(tableName string) *strings.Replacer {
	box := `<div class="wide" role="group" tabindex="0" aria-label="` + template.HTMLEscapeString(tableName) + `"><table`
	return strings.NewReplacer("<h1>", "<h2>", "<h1 ", "<h2 ", "</h1>", "</h2>",
		"<table>", box+">", "<table ", box+" ", "</table>", "</table></div>")
}

// bodyOf is an article's text as a part of a page. It was sanitised and serialised when it was stored, so a tag is
// written in one way only, all are balanced, a bare < is none, and no table stands where a box may not.
func (s *server) bodyOf(locale, content string) (template.HTML, error) {
	name, err := s.Templates.Phrase(locale, "web.table")
	return template.HTML(fitted(name).Replace(content)), err
}
