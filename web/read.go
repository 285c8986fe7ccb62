package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

const (
	headlines = 20  // on the front page
	pageSize  = 30  // articles of a zone on one page
	allZones  = 120 // more open zones than this are shown a province at a time
)

// province is a province with its open zones.
type province struct {
	Name  string // empty: unknown
	Zones []zonewire.Zone
}

// city is a city with its open zones.
type city struct {
	Name  string // empty: unknown, or the province is a city itself
	Zones []zonewire.Zone
}

// Cities are the province's zones by city, those of no known city last.
func (p province) Cities() []city {
	var all []city
	var rest city
	for _, z := range p.Zones { // sorted by city
		switch n := len(all); {
		case z.City == "" || z.City == p.Name:
			rest.Zones = append(rest.Zones, z)
		case n > 0 && all[n-1].Name == z.City:
			all[n-1].Zones = append(all[n-1].Zones, z)
		default:
			all = append(all, city{z.City, []zonewire.Zone{z}})
		}
	}
	if len(rest.Zones) > 0 {
		all = append(all, rest)
	}
	return all
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

// front is the front page, or the page of one province.
type front struct {
	frame
	Today     time.Time
	Province  *province // the one chosen; nil on the front page itself
	Provinces []province
	Brief     bool // too many zones to name them all
	Open      int
	Articles  []zonewire.Article
	Names     map[int64]zonewire.Zone
	Lists     []listed
	OPML      string // of every feed; empty: not offered here
	Box       box
}

// home is the front page; ?province= narrows it to one province, ?q= searches it.
func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return err
	}
	view := front{frame: s.frame(r), Today: s.Now().In(zonewire.Shanghai), Provinces: byProvince(zones), Names: byID(zones)}
	if chosen := r.URL.Query().Get("province"); chosen != "" {
		view.Provinces = slices.DeleteFunc(view.Provinces, func(p province) bool { return p.Key() != chosen })
		if len(view.Provinces) == 0 {
			return errUnknown
		}
		view.Province = &view.Provinces[0]
	}
	if q, ok := queryOf(r); ok {
		return s.search(w, r, q, nil, zones, view.Province)
	}
	for _, p := range view.Provinces {
		view.Open += len(p.Zones)
	}
	view.Box = boxOf(view.frame, "", nil, view.Province)
	if p := view.Province; p != nil {
		view.Feeds = s.Feeds(nil, p.Name)
		view.Canonical = s.BaseURL + "/?province=" + url.QueryEscape(p.Key())
		if p.Name != "" { // the store cannot select what has no province
			view.Articles, err = s.store.Articles(r.Context(), zonewire.ArticleQuery{Province: p.Name, Limit: headlines / 2})
		}
		if err != nil {
			return err
		}
		return s.render(w, r, http.StatusOK, "home.html", view)
	}
	view.Brief = view.Open > allZones
	view.OPML = s.BaseURL + "/zones.opml"
	view.Canonical = s.BaseURL + "/"
	if view.Articles, err = s.store.Articles(r.Context(), zonewire.ArticleQuery{Limit: headlines}); err != nil {
		return err
	}
	if view.Lists, err = s.openLists(r, func(zonewire.List) bool { return true }); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "home.html", view)
}

// listed is a list that a page names, and when it is sent.
type listed struct {
	zonewire.List
	When string
}

// openLists lists those that anyone may know of.
func (s *server) openLists(r *http.Request, keep func(zonewire.List) bool) ([]listed, error) {
	lists, err := s.store.Lists(r.Context())
	if err != nil {
		return nil, err
	}
	var open []listed
	for _, l := range lists {
		if !l.Private && keep(l) {
			open = append(open, listed{l, s.when(r, l)})
		}
	}
	return open, nil
}

// zone is a zone's page: its news, newest change first, its feeds and the lists that carry it; ?q= searches its news.
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
	if q, ok := queryOf(r); ok {
		return s.search(w, r, q, &z, []zonewire.Zone{z}, nil)
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
	lists, err := s.openLists(r, func(l zonewire.List) bool { return l.Covers(z) })
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
		Lists    []listed
		Later    bool   // not the first page
		Before   string // where the next page starts
		Box      box
	}{frame: f, Zone: z, Articles: articles, Lists: lists, Later: before > 0, Box: boxOf(f, "", &z, nil)}
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
