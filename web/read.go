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

const (
	headlines = 20  // on the front page
	pageSize  = 50  // articles of a zone on one page
	allZones  = 200 // more open zones than this are shown a province at a time
)

// province is a province with its open zones.
type province struct {
	Name  string // empty: unknown
	Zones []zonewire.Zone
}

// Key names the province in ?province=; those unknown need a name there too.
func (p province) Key() string { return cmp.Or(p.Name, "-") }

// byProvince groups the open zones, provinces in their usual order, those unknown last, zones by name.
func byProvince(zones []zonewire.Zone) []province {
	groups := map[string][]zonewire.Zone{}
	for _, z := range zones {
		if z.Closed.IsZero() {
			groups[z.Province] = append(groups[z.Province], z)
		}
	}
	var ps []province
	for name, zs := range groups {
		slices.SortFunc(zs, func(a, b zonewire.Zone) int {
			return cmp.Or(strings.Compare(a.City, b.City), strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
		})
		ps = append(ps, province{name, zs})
	}
	slices.SortFunc(ps, func(a, b province) int {
		return cmp.Or(cmp.Compare(rank(a.Name), rank(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return ps
}

// rank puts the zones of no province behind those of one that nobody knows.
func rank(name string) int {
	r := zonewire.ProvinceRank(name)
	if name == "" {
		r++
	}
	return r
}

// home is the front page; ?province= narrows it to one province.
func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	chosen := r.URL.Query().Get("province")
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return err
	}
	view := struct {
		frame
		Today     time.Time
		Province  *province // the one chosen; nil on the front page itself
		Provinces []province
		Brief     bool // too many zones to name them all
		Open      int
		Articles  []zonewire.Article
		Names     map[int64]zonewire.Zone
		Lists     []zonewire.List
		OPML      string // of every feed; empty: not offered here
	}{frame: s.frame(r), Today: s.Now().In(zonewire.Shanghai), Provinces: byProvince(zones), Names: byID(zones)}
	if chosen != "" {
		view.Provinces = slices.DeleteFunc(view.Provinces, func(p province) bool { return p.Key() != chosen })
		if len(view.Provinces) == 0 {
			return errUnknown
		}
		view.Province = &view.Provinces[0]
	}
	for _, p := range view.Provinces {
		view.Open += len(p.Zones)
	}
	view.Brief = chosen == "" && view.Open > allZones
	query := zonewire.ArticleQuery{Limit: headlines}
	if view.Province != nil {
		query.Province = view.Province.Name
	}
	if view.Province == nil || view.Province.Name != "" { // the store cannot select what has no province
		if view.Articles, err = s.store.Articles(r.Context(), query); err != nil {
			return err
		}
	}
	if chosen == "" {
		if view.Lists, err = s.openLists(r.Context(), func(zonewire.List) bool { return true }); err != nil {
			return err
		}
		view.OPML = s.BaseURL + "/zones.opml"
		view.Canonical = s.BaseURL + "/"
	} else {
		view.Feeds = s.Feeds(nil, view.Province.Name)
		view.Canonical = s.BaseURL + "/?province=" + url.QueryEscape(chosen)
	}
	return s.render(w, r, http.StatusOK, "home.html", view)
}

// openLists lists those that anyone may know of.
func (s *server) openLists(ctx context.Context, keep func(zonewire.List) bool) ([]zonewire.List, error) {
	lists, err := s.store.Lists(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(lists), func(l zonewire.List) bool {
		return l.Private || !keep(l)
	}), nil
}

// zone is a zone's page: its news, newest change first, and its feeds.
func (s *server) zone(w http.ResponseWriter, r *http.Request) error {
	slug := r.PathValue("slug")
	z, err := s.store.Zone(r.Context(), slug)
	if err != nil {
		return err
	}
	if z.Slug != slug {
		http.Redirect(w, r, (&url.URL{Path: "/zones/" + z.Slug, RawQuery: r.URL.RawQuery}).String(), http.StatusMovedPermanently)
		return nil
	}
	if !z.Closed.IsZero() {
		return s.closed(w, r, z)
	}
	before, err := pageStart(r)
	if err != nil {
		return err
	}
	// One more than is shown tells whether there is a next page.
	articles, err := s.store.Articles(r.Context(), zonewire.ArticleQuery{ZoneID: z.ID, Before: before, Limit: pageSize + 1})
	if err != nil {
		return err
	}
	lists, err := s.openLists(r.Context(), func(l zonewire.List) bool { return l.Covers(z) })
	if err != nil {
		return err
	}
	f := s.frame(r)
	f.Feeds = s.Feeds(&z, "")
	f.Canonical = s.BaseURL + "/zones/" + z.Slug
	view := struct {
		frame
		Zone     zonewire.Zone
		Articles []zonewire.Article
		Lists    []zonewire.List
		Later    bool   // not the first page
		Before   string // where the next page starts
	}{frame: f, Zone: z, Articles: articles, Lists: lists, Later: before > 0}
	if len(articles) > pageSize {
		view.Articles = articles[:pageSize]
		view.Before = strconv.FormatInt(articles[pageSize-1].Change, 10)
	}
	return s.render(w, r, http.StatusOK, "zone.html", view)
}

// pageStart reads ?before=, the change below which a page begins; 0 if there is none.
func pageStart(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	before, err := strconv.ParseInt(text, 10, 64)
	if err != nil || before < 1 {
		return 0, errUnknown
	}
	return before, nil
}

// closed is the page of a zone that was closed: where its articles went, if anywhere.
func (s *server) closed(w http.ResponseWriter, r *http.Request, z zonewire.Zone) error {
	view := struct {
		frame
		Zone zonewire.Zone
		Into zonewire.Zone // no slug: nowhere
	}{frame: s.frame(r), Zone: z}
	if z.MergedInto != "" {
		var err error
		if view.Into, err = s.store.Zone(r.Context(), z.MergedInto); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusGone, "closed.html", view)
}

// article is one article in full. One that waits for its zone is not public yet.
func (s *server) article(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	a, err := s.store.Article(r.Context(), id)
	switch {
	case err != nil:
		return err
	case !a.Withdrawn.IsZero():
		return errWithdrawn
	case a.ZoneID == 0:
		return errUnknown
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
	w.Header().Set("Content-Security-Policy", articlePolicy)
	return s.render(w, r, http.StatusOK, "article.html", struct {
		frame
		Zone      zonewire.Zone
		Article   zonewire.Article
		Also      templates.Also
		Corrected time.Time // zero: it says what it said when it came in
		Body      template.HTML
	}{f, z, a, also, corrected(a), body(a)})
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

// below turns the top headings of a body into second ones: the page's own headline is the only first.
var below = strings.NewReplacer("<h1>", "<h2>", "<h1 ", "<h2 ", "</h1>", "</h2>")

// body is the article's text as a part of a page. It was sanitised and serialised when it was stored, so a tag is
// written in one way only and a bare < is none.
func body(a zonewire.Article) template.HTML {
	return template.HTML(below.Replace(a.ContentHTML))
}

// pathID reads the {id} of a path; only its plain decimal form names anything, so that a page has one address.
func pathID(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != text {
		return 0, errUnknown
	}
	return id, nil
}

func byID(zones []zonewire.Zone) map[int64]zonewire.Zone {
	m := make(map[int64]zonewire.Zone, len(zones))
	for _, z := range zones {
		m[z.ID] = z
	}
	return m
}
