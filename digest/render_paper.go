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
	Closing       []closing
	Sections      []section
	More          int // stories of the zones that have no section
	MoreURL       string
	Silent        silence
	Notes         []note
	LeaveURL      string // empty on the page for everybody
	PreferenceURL string // likewise; it opens no account by itself, so that a forwarded mail gives no power
	BrowserURL    string // empty while there is no such page
	ListURL       string
	Contact       string // an address
	PostalAddress string
}

// section is one zone. Stories come first, then Titles, then More are only counted.
type section struct {
	zone    int64
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
	Gone    bool // withdrawn: it has nothing else
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
	e.Slot = e.Slot.In(loc)
	title := e.unmarked(e.List.Title)
	p := paper{
		Title:         clip(title, titleColumns),
		Short:         clip(title, subjectColumns),
		Slot:          e.Slot,
		Count:         len(e.Articles),
		MoreURL:       cmp.Or(e.digestURL(), e.listURL()),
		BrowserURL:    e.digestURL(),
		ListURL:       e.listURL(),
		PostalAddress: clean(e.PostalAddress),
	}
	soon, others := e.closingSoon()
	for _, a := range soon {
		p.Closing = append(p.Closing, e.closing(a))
	}
	busy := map[int64]int{}
	for _, a := range e.Articles {
		busy[a.ZoneID]++
	}
	byZone := map[int64][]story{}
	for _, a := range others {
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
			cmp.Compare(busy[b], busy[a]),
			cmp.Compare(e.Zones[a].Slug, e.Zones[b].Slug),
			cmp.Compare(a, b))
	})
	for _, id := range ids {
		p.Sections = append(p.Sections, e.section(id, byZone[id]))
	}
	p.Zones = len(busy)
	p.Preheader = preheader(p)
	p.Silent = e.silence(loc)
	for _, n := range e.Notes {
		p.Notes = append(p.Notes, e.note(n, loc))
	}
	return p, nil
}

func (e Edition) section(id int64, stories []story) section {
	z, known := e.Zones[id]
	if !known {
		return section{zone: id, Stories: stories, MoreURL: cmp.Or(e.digestURL(), e.listURL())}
	}
	page := e.BaseURL + "/zones/" + z.Slug
	return section{
		zone:    id,
		Name:    clip(e.unmarked(z.DisplayName(e.Locale)), titleColumns),
		URL:     page,
		Place:   place(z, e.Locale),
		Stories: stories,
		MoreURL: page,
	}
}

func (e Edition) story(a zonewire.Article) story {
	if !a.Withdrawn.IsZero() {
		return story{Gone: true}
	}
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
	s.Lang = e.foreign(a)
	return s
}

// foreign is the language of an article, if it is not the mail's.
func (e Edition) foreign(a zonewire.Article) string {
	if lang := e.unmarked(cmp.Or(a.Language, e.Zones[a.ZoneID].Language, zonewire.LocaleZH)); lang != e.Locale {
		return lang
	}
	return ""
}

// maxLink is the longest link that is mailed, in bytes.
const maxLink = 1000

// link is where an article stands, or our page of it if its own address is none to mail, or longer than limit bytes.
func (e Edition) link(a zonewire.Article, limit int) string {
	if u := templates.WebLink(e.unmarked(a.URL)); u != "" && len(u) <= limit {
		return u
	}
	return e.page(a)
}

// page is the article on our site.
func (e Edition) page(a zonewire.Article) string {
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

// byline is "source · date". A date that was a guess is not told.
func (e Edition) byline(a zonewire.Article) string {
	var parts []string
	if source := clip(e.unmarked(a.Source), titleColumns/4); source != "" {
		parts = append(parts, source)
	}
	if !a.Suspect && !a.Published.IsZero() {
		parts = append(parts, e.day(a.Published))
	}
	return strings.Join(parts, " · ")
}

// day is a date; the year is told when it is not the digest's.
func (e Edition) day(t time.Time) string {
	if t.Year() != e.Slot.Year() {
		return templates.Date(e.Locale, t)
	}
	return templates.Day(e.Locale, t)
}

// unmarked is a text of others, clean, and without the mark: only our own links may hold a reader's token.
func (e Edition) unmarked(s string) string {
	s = clean(s)
	for e.Mark != "" && strings.Contains(s, e.Mark) {
		s = strings.ReplaceAll(s, e.Mark, "")
	}
	return s
}

// preheader is the first headline of what closes soon and of each zone until the line is full.
func preheader(p paper) string {
	var firsts []string
	if len(p.Closing) > 0 {
		firsts = append(firsts, p.Closing[0].Title)
	}
	for _, s := range p.Sections {
		firsts = append(firsts, s.Stories[0].Title)
	}
	var b strings.Builder
	for _, title := range firsts {
		if columns(b.String()) >= preheaderColumns {
			break
		}
		if b.Len() > 0 {
			b.WriteString(" · ")
		}
		b.WriteString(title)
	}
	return clip(b.String(), preheaderColumns)
}
