package digest

import (
	"slices"
	"strings"
	"time"

	"zonewire"
	"zonewire/templates"
)

// The most that stand beside the zones' news, so that they never crowd it out, and the columns that their names fill.
const (
	maxClosing   = 12
	maxSilent    = 8
	noteColumns  = 120
	quietColumns = 40
)

// closing is a story that calls for something until a moment soon to come.
type closing struct {
	story
	zone        int64
	Closes      string // the moment
	Where       string // zone and source
	CalendarURL string // of the moment, to keep
}

// closingSoon takes out of the articles those whose moment lies after the digest's, the soonest first: as many as the
// section holds and the list tells at all. The others stay with their zones.
func (e Edition) closingSoon() (soon, others []zonewire.Article) {
	for _, a := range e.Articles {
		if a.Closes().After(e.Slot) {
			soon = append(soon, a)
		}
	}
	slices.SortStableFunc(soon, func(a, b zonewire.Article) int { return a.Closes().Compare(b.Closes()) })
	soon = soon[:min(len(soon), maxClosing, e.List.MaxItems)]
	for _, a := range e.Articles {
		if !slices.ContainsFunc(soon, func(s zonewire.Article) bool { return s.ID == a.ID }) {
			others = append(others, a)
		}
	}
	return soon, others
}

func (e Edition) closing(a zonewire.Article) closing {
	c := closing{story: e.story(a), zone: a.ZoneID}
	if c.Gone {
		return c
	}
	c.Closes, c.CalendarURL = e.moment(a), e.page(a)+"/deadline.ics"
	var where []string
	for _, name := range []string{e.Zones[a.ZoneID].DisplayName(e.Locale), a.Source} {
		if name = clip(e.unmarked(name), titleColumns/4); name != "" && !slices.Contains(where, name) {
			where = append(where, name)
		}
	}
	c.Where = strings.Join(where, " · ")
	return c
}

// moment is the article's deadline, with its weekday, by the portal's clock; how far that is from Greenwich is told only
// where the list goes by another.
func (e Edition) moment(a zonewire.Article) string {
	at := a.Deadline
	clock := ""
	if !a.DeadlineDay {
		clock = at.Format("15:04")
		_, there := at.Zone()
		if loc, err := e.location(); err == nil {
			if _, here := at.In(loc).Zone(); here != there {
				clock += at.Format(" (UTC-07:00)")
			}
		}
	}
	if e.Locale == zonewire.LocaleZH {
		return e.day(at) + "（周" + templates.Weekday(at) + "）" + clock
	}
	day := at.Format("Monday, ") + e.day(at)
	if clock != "" {
		day += ", " + clock
	}
	return day
}

// note says what became of an article that was mailed before.
type note struct {
	Withdrawn bool
	Title     string // empty if it was deleted
	URL       string // empty if it was withdrawn
	Date      string
	Zone      string
	Lang      string // of the title, empty if it is the mail's
}

func (e Edition) note(n zonewire.Note, loc *time.Location) note {
	a := n.Article
	said := note{
		Withdrawn: n.Kind == zonewire.NoteWithdrawn,
		Title:     clip(e.unmarked(a.Title), noteColumns),
		Date:      e.day(n.At.In(loc)),
		Zone:      clip(e.unmarked(e.Zones[a.ZoneID].DisplayName(e.Locale)), titleColumns/4),
		Lang:      e.foreign(a),
	}
	if !said.Withdrawn {
		said.URL = e.page(a)
	}
	return said
}

// silence names the sources that could not be reached. Since is the day of all of them; if there is none, each has its own.
type silence struct {
	Since   string
	Sources []quiet
	More    int // who are not named
}

type quiet struct{ Name, Since string }

// Total is how many there are, named or not.
func (s silence) Total() int { return len(s.Sources) + s.More }

// silence names each source once, the one that has been gone the longest first.
func (e Edition) silence(loc *time.Location) silence {
	gone := slices.Clone(e.Silent)
	slices.SortStableFunc(gone, func(a, b zonewire.Silence) int { return a.Since.Compare(b.Since) })
	var all []quiet
	days := map[string]bool{}
	for _, g := range gone {
		name := clip(e.unmarked(g.Source), quietColumns)
		if name == "" || slices.ContainsFunc(all, func(q quiet) bool { return q.Name == name }) {
			continue
		}
		day := e.day(g.Since.In(loc))
		days[day] = true
		all = append(all, quiet{name, day})
	}
	s := silence{Sources: all[:min(len(all), maxSilent)]}
	s.More = len(all) - len(s.Sources)
	if len(days) == 1 {
		s.Since = s.Sources[0].Since
		for i := range s.Sources {
			s.Sources[i].Since = ""
		}
	}
	return s
}
