package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"zonewire"
)

const (
	searchRunes = 100             // of what is asked for
	searchTime  = 3 * time.Second // then the reader gets what there is, and the database its peace
	atOnce      = 4               // searches; more wait, as long as one may take
	foundZones  = 30
	foundPage   = 20 // articles
	excerpt     = 100
	maxMarks    = 12 // in one text: a letter searched for stands everywhere
)

// asked is what a reader searches for.
type asked struct {
	Text  string   // in one line, as it stands in the box
	Words []string // folded
}

// readAsked makes a line of what was typed: white space folded, the ideographic space too, without controls and without
// the marks that turn or hide text, cut to what a person types.
func readAsked(text string) asked {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !zonewire.TextRune(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	fields := strings.Fields(text)
	line := []rune(strings.Join(fields, " "))
	fields = strings.Fields(string(line[:min(len(line), searchRunes)]))
	q := asked{Text: strings.Join(fields, " ")}
	for _, word := range fields {
		if word = fold(word); !slices.Contains(q.Words, word) {
			q.Words = append(q.Words, word)
		}
	}
	return q
}

// fold writes a text as it is compared: in lower case, and the wide letters and digits that a Chinese keyboard gives as
// narrow ones. It keeps the number of characters, so that a place in it is a place in the text.
func fold(text string) string { return strings.Map(foldRune, text) }

func foldRune(r rune) rune {
	switch {
	case r >= '０' && r <= '９', r >= 'Ａ' && r <= 'Ｚ', r >= 'ａ' && r <= 'ｚ':
		r -= 'Ａ' - 'A'
	}
	return unicode.ToLower(r)
}

// piece is a part of a text, marked if it was searched for. The template escapes it like any text.
type piece struct {
	Text string
	Hit  bool
}

// pieces cuts a text where it holds the words, which are folded; the longest word at a place counts.
func pieces(text string, words []string) []piece {
	line := []rune(text)
	folded := make([]rune, len(line))
	for i, r := range line {
		folded[i] = foldRune(r)
	}
	wanted := make([][]rune, len(words))
	for i, word := range words {
		wanted[i] = []rune(word)
	}
	var all []piece
	begin, marks := 0, 0
	for i := 0; i < len(line) && marks < maxMarks; {
		n := longest(folded[i:], wanted)
		if n == 0 {
			i++
			continue
		}
		if begin < i {
			all = append(all, piece{string(line[begin:i]), false})
		}
		all = append(all, piece{string(line[i : i+n]), true})
		i += n
		begin, marks = i, marks+1
	}
	if begin < len(line) {
		all = append(all, piece{string(line[begin:]), false})
	}
	return all
}

// longest is the length of the longest word that the text begins with, 0 if none.
func longest(text []rune, words [][]rune) (n int) {
	for _, w := range words {
		if len(w) > n && len(w) <= len(text) && slices.Equal(text[:len(w)], w) {
			n = len(w)
		}
	}
	return n
}

// excerptOf is the part of a text around the first word in it, at most max characters; the beginning if there is none.
func excerptOf(text string, words []string, max int) string {
	at := 0
	for _, p := range pieces(text, words) {
		if p.Hit {
			break
		}
		at += len([]rune(p.Text))
	}
	line := []rune(text)
	if from := at - max/4; at < len(line) && at > max*3/4 {
		return "…" + zonewire.Shorten(string(line[from:]), max-1)
	}
	return zonewire.Shorten(text, max)
}

// zonesFound are the open zones that hold every word in their names or their place, those with a word in a name first.
func zonesFound(ps []province, words []string) []zonewire.Zone {
	var named, placed []zonewire.Zone
	for _, p := range ps {
		for _, z := range p.Zones {
			names := fold(strings.Join(append([]string{z.Name, z.NameEn}, z.Aliases...), "\n"))
			english, _ := zonewire.Province(zonewire.LocaleEN, z.Province)
			all := names + fold("\n"+z.Province+"\n"+z.City+"\n"+english)
			switch {
			case holdsAny(names, words) && holdsAll(all, words):
				named = append(named, z)
			case holdsAll(all, words):
				placed = append(placed, z)
			}
		}
	}
	return append(named, placed...)
}

func holdsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func holdsAny(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// found is an article among the results.
type found struct {
	zonewire.Article
	TitlePieces, SummaryPieces []piece
}

// box is the search box of a page. It keeps what the page is narrowed to, and the language that the reader picked.
type box struct {
	Path     string
	Query    string
	Zone     bool
	Province string // as ?province= names it
	Lang     string
}

func boxOf(f frame, query string, z *zonewire.Zone, p *province) box {
	b := box{Path: "/", Query: query}
	if f.chosen {
		b.Lang = f.Locale
	}
	if z != nil {
		b.Path, b.Zone = "/zones/"+z.Slug, true
	}
	if p != nil {
		b.Province = p.Key()
	}
	return b
}

// results is the page of what was found.
type results struct {
	frame
	Box      box
	Zone     *zonewire.Zone // only of this zone
	Province *province      // only of this province
	Zones    []zonewire.Zone
	More     int // zones that are not named
	Articles []found
	Names    map[int64]zonewire.Zone
	Slow     bool // the search took too long: there may be more articles
	Later    bool // not the first page
	Before   string
	words    []string
}

// Page is the address of the results from a change on; empty for the first.
func (v results) Page(before string) (string, error) {
	return v.Link(v.Box.Path, "q", v.Box.Query, "province", v.Box.Province, "before", before)
}

// Mark cuts a text where it holds what was searched for.
func (v results) Mark(text string) []piece { return pieces(text, v.words) }

// search shows the zones and the articles that hold every word, of one zone or province if it is given.
func (s *server) search(w http.ResponseWriter, r *http.Request, q asked, zone *zonewire.Zone, zones []zonewire.Zone, p *province) error {
	before, err := pageStart(r)
	if err != nil {
		return err
	}
	f := s.frame(r)
	f.NoIndex = true
	view := results{frame: f, Box: boxOf(f, q.Text, zone, p), Zone: zone, Province: p, Names: byID(zones), Later: before > 0, words: q.Words}
	w.Header().Set("X-Robots-Tag", "noindex")
	if zone == nil && before == 0 {
		ps := byProvince(zones)
		if p != nil {
			ps = []province{*p}
		}
		view.Zones = zonesFound(ps, q.Words)
		view.More = max(0, len(view.Zones)-foundZones)
		view.Zones = view.Zones[:len(view.Zones)-view.More]
	}

	query := zonewire.ArticleQuery{Text: strings.Join(q.Words, " "), Before: before, Limit: foundPage + 1}
	switch {
	case zone != nil:
		query.ZoneID = zone.ID
		view.Feeds = s.Feeds(zone, "")
	case p != nil && p.Name == "": // the store cannot select what has no province
		query.Limit = 0
	case p != nil:
		query.Province = p.Name
		view.Feeds = s.Feeds(nil, p.Name)
	}
	var articles []zonewire.Article
	if query.Limit > 0 {
		if articles, view.Slow, err = s.searchArticles(r.Context(), query); err != nil {
			return err
		}
	}
	if len(articles) > foundPage {
		articles = articles[:foundPage]
		view.Before = strconv.FormatInt(articles[foundPage-1].Change, 10)
	}
	for _, a := range articles {
		view.Articles = append(view.Articles, found{a, view.Mark(zonewire.Shorten(a.Title, 2*excerpt)), view.Mark(excerptOf(a.Summary, q.Words, excerpt))})
	}
	return s.render(w, r, http.StatusOK, "search.html", view)
}

// searchArticles gives up after a while and says so: a word that no article holds is looked for in all of them.
func (s *server) searchArticles(ctx context.Context, q zonewire.ArticleQuery) (all []zonewire.Article, slow bool, err error) {
	timed, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-timed.Done():
		return nil, ctx.Err() == nil, ctx.Err()
	}
	all, err = s.store.Articles(timed, q)
	if err != nil && ctx.Err() == nil && errors.Is(timed.Err(), context.DeadlineExceeded) {
		return nil, true, nil
	}
	return all, false, err
}

// queryOf is what is searched for; false if nothing is.
func queryOf(r *http.Request) (asked, bool) {
	q := readAsked(r.URL.Query().Get("q"))
	return q, q.Text != ""
}
