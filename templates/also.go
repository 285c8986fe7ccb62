package templates

import (
	"cmp"
	"slices"

	"zonewire"
)

// maxAlso is how many of those who also tell a story are named; the others are counted.
const maxAlso = 3

// Also is the line that says who else tells a story. The templates of pages and mails read it.
type Also struct {
	At   []Teller // at most maxAlso
	More int      // who are not named
}

// Teller is a place where a copy of a story stands.
type Teller struct {
	Name string
	URL  string
}

// Total is how many tell it, named or not.
func (a Also) Total() int { return len(a.At) + a.More }

// AlsoAt is the line under an article whose story stands in these copies, too. zones holds the zones of all of them, and
// link gives the address of a copy.
//
// A copy is named by its source. Mostly that is the source it was taken from, which the reader sees already: then by its
// zone, and if that is the article's own, by the site that it stands on.
func AlsoAt(locale string, a zonewire.Article, copies []zonewire.Article, zones map[int64]zonewire.Zone, link func(zonewire.Article) string) Also {
	var also Also
	seen := []string{"", a.Source, zones[a.ZoneID].DisplayName(locale)}
	for _, c := range copies[:min(len(copies), maxAlso)] {
		names := []string{c.Source, zones[c.ZoneID].DisplayName(locale), host(c.URL)}
		name := cmp.Or(names...)
		if i := slices.IndexFunc(names, func(n string) bool { return !slices.Contains(seen, n) }); i >= 0 {
			name = names[i]
		}
		seen = append(seen, name)
		also.At = append(also.At, Teller{name, link(c)})
	}
	also.More = len(copies) - len(also.At)
	return also
}
