package digest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
	"zonewire/templates"
)

// paper is what the templates read: a page with its stories grouped by zone.
type paper struct {
	Title         string // of the list
	Short         string // the title, short enough for a subject
	Slot          time.Time
	Count         int // stories, also those only counted
	Zones         int
	Preheader     string // the first headlines, shown by mail programs beside the subject
	Sections      []section
	More          int // stories of the zones that have no section
	MoreURL       string
	LeaveURL      string // empty on the page for everybody
	BrowserURL    string // empty while there is no such page
	ListURL       string
	Contact       string // an address
	PostalAddress string
}

// section is one zone. Stories come first, then Titles, then More are only counted.
type section struct {
	Name    string
	URL     string // of the zone's page, empty while the zone is unknown
	Place   string // province and city
	Stories []story
	Titles  []story
	More    int
	MoreURL string
}

// story is one article, its texts clean and short.
type story struct {
	Title   string
	URL     string
	Byline  string // source and date
	Also    templates.Also
	Summary string
	Lang    string // of title and summary, empty if it is the mail's
}

// newPaper lays out every story of the edition at full length, in the order of the mail: zones by province in the
// order of the national code (GB/T 2260), the busiest zone of a province first; stories as they came.
func newPaper(e Edition) (paper, error) {
	loc, err := e.location()
	if err != nil {
		return paper{}, err
	}
	title := e.unmarked(e.List.Title)
	p := paper{
		Title:         clip(title, titleColumns),
		Short:         clip(title, subjectColumns),
		Slot:          e.Slot.In(loc),
		Count:         len(e.Articles),
		MoreURL:       cmp.Or(e.digestURL(), e.listURL()),
		BrowserURL:    e.digestURL(),
		ListURL:       e.listURL(),
		PostalAddress: clean(e.PostalAddress),
	}
	byZone := map[int64][]story{}
	for _, a := range e.Articles {
		byZone[a.ZoneID] = append(byZone[a.ZoneID], e.story(a))
	}
	ids := make([]int64, 0, len(byZone))
	for id := range byZone {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int64) int {
		return cmp.Or(
			cmp.Compare(zonewire.ProvinceRank(e.Zones[a].Province), zonewire.ProvinceRank(e.Zones[b].Province)),
			cmp.Compare(e.Zones[a].Province, e.Zones[b].Province),
			cmp.Compare(len(byZone[b]), len(byZone[a])),
			cmp.Compare(e.Zones[a].Slug, e.Zones[b].Slug),
			cmp.Compare(a, b))
	})
	for _, id := range ids {
		p.Sections = append(p.Sections, e.section(id, byZone[id]))
	}
	p.Zones = len(p.Sections)
	p.Preheader = preheader(p.Sections)
	return p, nil
}

func (e Edition) section(id int64, stories []story) section {
	z, known := e.Zones[id]
	if !known {
		return section{Stories: stories, MoreURL: cmp.Or(e.digestURL(), e.listURL())}
	}
	page := e.BaseURL + "/zones/" + z.Slug
	return section{
		Name:    clip(e.unmarked(z.DisplayName(e.Locale)), titleColumns),
		URL:     page,
		Place:   place(z, e.Locale),
		Stories: stories,
		MoreURL: page,
	}
}

func (e Edition) story(a zonewire.Article) story {
	s := story{
		Title:   clip(e.unmarked(a.Title), titleColumns),
		Summary: e.unmarked(a.Summary),
		Byline:  e.byline(a),
		URL:     e.link(a, maxLink),
		Also:    e.also(a),
	}
	if s.Summary == "" {
		s.Summary = e.unmarked(plainText(a.ContentHTML, 2*summaryColumns))
	}
	s.Summary = clip(s.Summary, summaryColumns)
	if lang := cmp.Or(a.Language, e.Zones[a.ZoneID].Language, zonewire.LocaleZH); lang != e.Locale {
		s.Lang = lang
	}
	return s
}

// link is where an article stands, or our page of it if its own address is none to mail, or longer than limit bytes.
func (e Edition) link(a zonewire.Article, limit int) string {
	if u, ok := webURL(e.unmarked(a.URL)); ok && len(u) <= limit {
		return u
	}
	return e.BaseURL + "/articles/" + strconv.FormatInt(a.ID, 10)
}

// also says who else tells the article's story. A line in small print takes no more room than a summary.
func (e Edition) also(a zonewire.Article) templates.Also {
	const nameColumns, alsoLink = 40, 200
	copies := slices.Clone(e.Copies[a.ID])
	for i := range copies {
		copies[i].Source = e.unmarked(copies[i].Source) // nothing may be left of it: then its zone is named
	}
	also := templates.AlsoAt(e.Locale, a, copies, e.Zones, func(c zonewire.Article) string { return e.link(c, alsoLink) })
	for i := range also.At {
		also.At[i].Name = clip(e.unmarked(also.At[i].Name), nameColumns)
	}
	return also
}

// byline is "source · date". The year is told when it is not the digest's; a date that was a guess is not told.
func (e Edition) byline(a zonewire.Article) string {
	var parts []string
	if source := clip(e.unmarked(a.Source), titleColumns/4); source != "" {
		parts = append(parts, source)
	}
	if !a.Suspect && !a.Published.IsZero() {
		date := templates.Day
		if a.Published.Year() != e.Slot.Year() {
			date = templates.Date
		}
		parts = append(parts, date(e.Locale, a.Published))
	}
	return strings.Join(parts, " · ")
}

// unmarked is a text of others, clean, and without the mark: only our own links may hold a reader's token.
func (e Edition) unmarked(s string) string {
	s = clean(s)
	for e.Mark != "" && strings.Contains(s, e.Mark) {
		s = strings.ReplaceAll(s, e.Mark, "")
	}
	return s
}

// preheader is the first headline of each zone until the line is full.
func preheader(sections []section) string {
	var b strings.Builder
	for _, s := range sections {
		if columns(b.String()) >= preheaderColumns {
			break
		}
		if b.Len() > 0 {
			b.WriteString(" · ")
		}
		b.WriteString(s.Stories[0].Title)
	}
	return clip(b.String(), preheaderColumns)
}

// cut says how much of each story a part tells.
type cut struct {
	full    int // stories told with byline and summary
	titles  int // stories told by title, after those
	summary int // columns of a summary; 0 tells none
}

// cut gives the paper with only that much of it. The stories told are shared out over the zones, so that a busy zone
// leaves room for a quiet one; a zone of which nothing is told is counted at the end.
func (p paper) cut(c cut) paper {
	sizes := make([]int, len(p.Sections))
	for i, s := range p.Sections {
		sizes[i] = len(s.Stories)
	}
	full := share(c.full, sizes)
	for i := range sizes {
		sizes[i] -= full[i]
	}
	titles := share(c.titles, sizes)

	all := p.Sections
	p.Sections = nil
	for i, s := range all {
		told := s.Stories[:full[i]+titles[i]]
		more := len(s.Stories) - len(told)
		if len(told) == 0 {
			p.More += more
			continue
		}
		s.Stories, s.Titles, s.More = slices.Clone(told[:full[i]]), told[full[i]:], more
		for j := range s.Stories {
			s.Stories[j].Summary = clip(s.Stories[j].Summary, c.summary)
		}
		p.Sections = append(p.Sections, s)
	}
	return p
}

// share deals n places out to groups of these sizes, one to each in turn.
func share(n int, sizes []int) []int {
	got := make([]int, len(sizes))
	for dealt := true; dealt && n > 0; {
		dealt = false
		for i, size := range sizes {
			if n > 0 && got[i] < size {
				got[i]++
				n--
				dealt = true
			}
		}
	}
	return got
}

// leads is how many stories keep their summary when the others have shrunk to titles.
const leads = 8

// leastStory is less than any story takes, in bytes: no part within the limit tells more than limit/leastStory.
const leastStory = 64

// parts are the two forms of one mail.
type parts struct{ html, text string }

// fit renders the fullest mail whose parts are within limit bytes each. All fitting, items stories have a summary and
// the others a title. Else summaries get shorter; then stories shrink to titles, down to a few leads; then titles are
// counted; then the leads go too. The last resort tells no story at all, and is returned whatever it weighs.
func fit(limit, items, stories int, render func(cut) (parts, error)) (parts, error) {
	items, all := min(items, stories), min(stories, limit/leastStory)
	few := min(items, leads)
	steps := []struct {
		lo, hi int
		cut    func(n int) cut
	}{
		{items, items, func(n int) cut { return cut{full: n, titles: all, summary: summaryColumns} }},
		{few, items, func(n int) cut { return cut{full: n, titles: all, summary: shortSummary} }},
		{0, all, func(n int) cut { return cut{full: few, titles: n, summary: shortSummary} }},
		{0, all, func(n int) cut { return cut{titles: n} }},
	}
	for _, step := range steps {
		both, fits, err := most(limit, step.lo, step.hi, func(n int) (parts, error) { return render(step.cut(n)) })
		if err != nil || fits {
			return both, err
		}
	}
	return render(cut{})
}

// most renders the largest n of lo to hi that fits; false if not even lo does.
func most(limit, lo, hi int, render func(n int) (parts, error)) (best parts, fits bool, err error) {
	for n := hi; lo <= hi; n = lo + (hi-lo)/2 { // the whole first: it fits on most days
		both, err := render(n)
		if err != nil {
			return parts{}, false, err
		}
		if max(len(both.html), len(both.text)) <= limit {
			best, fits, lo = both, true, n+1
		} else {
			hi = n - 1
		}
	}
	return best, fits, nil
}
