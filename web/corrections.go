package web

import (
	"html/template"
	"time"

	"zonewire"
)

const (
	maxCorrections = 10
	formerBytes    = 30_000 // of an article with what it said before, that a page may show
)

// correction is one change of an article's text after it came in.
type correction struct {
	At      time.Time // on the clock of China
	Was     string    // the title until then; empty if it stayed
	Text    template.HTML
	content string // the text until then, as it was stored; empty if it stayed, or is too much for a page
}

// correctionsOf tells the article's corrections, the latest first, from what it said before each, the latest first. The
// former text is told if it changed and if the page has room for it.
func correctionsOf(a zonewire.Article, before []zonewire.Revision) []correction {
	var all []correction
	title, text, room := a.Title, a.ContentHTML, formerBytes-len(a.ContentHTML)
	for _, r := range before[:min(len(before), maxCorrections)] {
		c := correction{At: r.Replaced.In(zonewire.Shanghai)}
		if r.Title != title {
			c.Was = r.Title
		}
		if r.ContentHTML != text && len(r.ContentHTML) <= room {
			c.content = r.ContentHTML
			room -= len(r.ContentHTML)
		}
		title, text = r.Title, r.ContentHTML
		all = append(all, c)
	}
	return all
}
