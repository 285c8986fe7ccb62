package digest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

// Composer turns an edition into its mail and its page; *[Renderer] does.
type Composer interface {
	// Render gives the mail and how many of its articles it shows.
	Render(e Edition) (mail zonewire.Mail, shown int, err error)
	// Page gives the same digest as a web page without any reader's links. In the place of an article that was withdrawn
	// it says no more than that.
	Page(e Edition) (string, error)
	// Preview gives a composed mail as the operator sees it while it is held.
	Preview(m zonewire.Mail, h Held) (zonewire.Mail, error)
}

// Planner decides what a slot of a list becomes. It is pure: the store asks it inside a transaction that may be run
// again.
type Planner struct {
	Composer      Composer
	Secret        zonewire.Secret
	From          string // of lists that have none of their own
	ReplyTo       string // likewise
	PostalAddress string
	BaseURL       string    // no trailing slash
	Calendar      *Calendar // of lists that keep working days

	Operator       string // the address that previews of held digests go to; empty: nobody's
	OperatorLocale string
}

var _ zonewire.Planning = (*Planner)(nil)

// Slots gives the list's latest due slot, into which missed ones merge, and the one that follows. It fails with
// [zonewire.ErrInvalid] when the schedule or the time zone cannot be read.
func (p *Planner) Slots(l zonewire.List, now time.Time) (slot, following time.Time, err error) {
	s, err := ScheduleOf(l, p.Calendar)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	slot, following = s.LatestDue(l.NextSlot, now)
	return slot, following, nil
}

// Select gives the articles that belong into the list's digest for the slot, newest first: those that the list takes
// and that are not too old. Copies of one story all stay: which of them a reader sees depends on the zones they chose.
func (p *Planner) Select(l zonewire.List, slot time.Time, articles []zonewire.Article, zones map[int64]zonewire.Zone) []zonewire.Article {
	var chosen []zonewire.Article
	for _, a := range articles {
		z, known := zones[a.ZoneID]
		if known && l.Takes(a, z) && (l.MaxAge == 0 || slot.Sub(latest(a)) <= l.MaxAge) {
			chosen = append(chosen, a)
		}
	}
	slices.SortStableFunc(chosen, newestFirst)
	return chosen
}

// latest is the last moment at which the article may have been published: a date given as a day lasts to its end, and
// one that cannot be true says nothing, so that the article is as old as its arrival.
func latest(a zonewire.Article) time.Time {
	switch {
	case a.Suspect || a.Precision == "" || a.Published.IsZero():
		return a.Received
	case a.Precision == zonewire.PrecisionDay:
		y, m, d := a.Published.Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, a.Published.Location())
	}
	return a.Published
}

func newestFirst(a, b zonewire.Article) int {
	return cmp.Or(b.Published.Compare(a.Published), cmp.Compare(b.ID, a.ID))
}

// Plan freezes the articles of the slot and composes one mail for each audience with something to read. Without
// articles there is no mail for anyone.
func (p *Planner) Plan(r zonewire.PlanRequest) (zonewire.Plan, error) {
	chosen := p.Select(r.List, r.Slot, r.Articles, r.Zones)
	if len(chosen) == 0 {
		return zonewire.Plan{Empty: r.Audiences}, nil
	}
	var plan zonewire.Plan
	for _, a := range chosen {
		plan.Items = append(plan.Items, a.ID)
	}
	var notes []zonewire.Note
	notes, plan.Notes = pickNotes(r.Notes, chosen)
	pages := pagesFor(r)
	for i, audience := range append(slices.Clip(pages), r.Audiences...) {
		if i >= len(pages) && slices.ContainsFunc(pages, audience.Same) {
			continue // its mail is among the first
		}
		e := p.edition(r, audience)
		e.Notes = notes
		v, some, err := p.compose(e, chosen, i < len(pages))
		if err != nil {
			return zonewire.Plan{}, err
		}
		if !some {
			plan.Empty = append(plan.Empty, audience)
			continue
		}
		plan.Variants = append(plan.Variants, v)
	}
	if r.List.Hold > 0 && p.Operator != "" {
		mail, err := p.preview(r, plan)
		if err != nil {
			return zonewire.Plan{}, err
		}
		plan.Preview = &zonewire.Notice{Email: p.Operator, Mail: mail}
	}
	return plan, nil
}

// pagesFor are the audiences whose mail is also the digest's page: all zones, in the list's own locale and in each that
// somebody reads it in, also when nobody gets it as a mail.
func pagesFor(r zonewire.PlanRequest) []zonewire.Audience {
	pages := []zonewire.Audience{{Locale: r.List.Locale}}
	for _, a := range r.Audiences {
		if whole := (zonewire.Audience{Locale: a.Locale}); !slices.ContainsFunc(pages, whole.Same) {
			pages = append(pages, whole)
		}
	}
	return pages
}

// preview is the mail of all zones in the list's own locale, with what the operator should know of it on top.
func (p *Planner) preview(r zonewire.PlanRequest, plan zonewire.Plan) (zonewire.Mail, error) {
	loc, err := Edition{List: r.List}.location()
	if err != nil {
		return zonewire.Mail{}, err
	}
	h := Held{
		Digest: r.Digest,
		Now:    r.Now.In(loc),
		Until:  r.Now.Add(r.List.Hold).In(loc),
		Locale: p.OperatorLocale,
	}
	for _, a := range r.Audiences {
		if !slices.Contains(plan.Empty, a) { // they get no mail
			h.Recipients += a.Size
		}
	}
	mail, err := p.Composer.Preview(plan.Variants[0].Mail, h)
	if err != nil {
		return zonewire.Mail{}, fmt.Errorf("compose preview of list %s: %w", r.List.Slug, err)
	}
	return mail, nil
}

// Recompose makes a stored mail again without what was withdrawn since; r.Articles are all its frozen items. What the
// list and the configuration said when it was planned stays: sender, host, title and links are those of the old mail.
//
// The page keeps the places of what was withdrawn. It is made even when nothing stands: then the answer is false, and the
// mail has no parts.
func (p *Planner) Recompose(r zonewire.PlanRequest, v zonewire.Variant) (zonewire.Variant, bool, error) {
	items := slices.Clone(r.Articles)
	slices.SortStableFunc(items, newestFirst)

	e := p.edition(r, zonewire.Audience{Locale: v.Locale, Zones: v.Zones, Told: v.Told})
	e.Digest = v.Digest
	e.List.Slug, e.List.Title = v.Mail.List, v.Mail.ListTitle
	e.From, e.ReplyTo, e.BaseURL = v.Mail.From, v.Mail.ReplyTo, v.Mail.BaseURL
	e.Notes, _ = pickNotes(r.Notes, items)
	again, some, err := p.compose(e, items, v.Web != "")
	if err != nil {
		return zonewire.Variant{}, false, err
	}
	if some {
		again.Mail.Host, again.Mail.Date = v.Mail.Host, v.Mail.Date
	} else {
		again.Mail = v.Mail
		again.Mail.HTML, again.Mail.Text = nil, nil
	}
	return again, some, nil
}

// edition is the frame of one mail: all but its articles.
func (p *Planner) edition(r zonewire.PlanRequest, to zonewire.Audience) Edition {
	e := Edition{
		List:          r.List,
		Digest:        r.Digest,
		Slot:          r.Slot,
		Silent:        r.Silent,
		Zones:         r.Zones,
		Locale:        to.Locale,
		Audience:      to.Zones,
		Told:          to.Told,
		From:          cmp.Or(r.List.From, p.From),
		ReplyTo:       cmp.Or(r.List.ReplyTo, p.ReplyTo),
		PostalAddress: p.PostalAddress,
		BaseURL:       p.BaseURL,
		Mark:          p.Secret.Mark(r.List.ID, r.Slot.UnixMilli()),
	}
	if r.List.Private {
		e.Key = p.Secret.Token(zonewire.PurposePrivate, r.List.ID)
	}
	return e
}

// compose fills the edition with what its audience reads of the articles, and is false when nothing of it stands. The
// page of the same articles is made if web is set, also when nothing stands.
func (p *Planner) compose(e Edition, articles []zonewire.Article, web bool) (zonewire.Variant, bool, error) {
	ids, err := zonewire.ParseZoneSet(e.Audience)
	if err != nil {
		return zonewire.Variant{}, false, fmt.Errorf("compose digest of list %s: %w", e.List.Slug, err)
	}
	told, err := zonewire.ParseZoneSet(e.Told)
	if err != nil {
		return zonewire.Variant{}, false, fmt.Errorf("compose digest of list %s: %w", e.List.Slug, err)
	}
	e.Notes, e.Silent = notesIn(e.Notes, ids), silentIn(e.Silent, ids)
	frozen := untold(inZones(articles, ids), told)
	e.Articles, e.Copies = onceEach(standing(frozen))
	v := zonewire.Variant{Digest: e.Digest, Locale: e.Locale, Zones: e.Audience, Told: e.Told}
	some := len(e.Articles) > 0
	if some {
		if v.Mail, v.Items, err = p.Composer.Render(e); err != nil {
			return zonewire.Variant{}, false, fmt.Errorf("compose digest of list %s: %w", e.List.Slug, err)
		}
	}
	if !web {
		return v, some, nil
	}
	if e.Articles = withGaps(e.Articles, frozen); len(e.Articles) > 0 {
		if v.Web, err = p.Composer.Page(e); err != nil {
			return zonewire.Variant{}, false, fmt.Errorf("compose page of list %s: %w", e.List.Slug, err)
		}
	}
	return v, some, nil
}

// standing leaves out what was withdrawn.
func standing(articles []zonewire.Article) []zonewire.Article {
	return slices.DeleteFunc(slices.Clone(articles), func(a zonewire.Article) bool { return !a.Withdrawn.IsZero() })
}

// withGaps puts those of the frozen articles back among the ones shown that were a headline when the digest was sent and
// were withdrawn since. One that was only named under another leaves no gap.
func withGaps(shown, frozen []zonewire.Article) []zonewire.Article {
	all := slices.Clone(shown)
	headlines, _ := onceEach(frozen)
	for _, a := range headlines {
		if !a.Withdrawn.IsZero() {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, newestFirst)
	return all
}

// inZones keeps the articles of the zones; no zones are all of them.
func inZones(articles []zonewire.Article, ids []int64) []zonewire.Article {
	if len(ids) == 0 {
		return articles
	}
	var kept []zonewire.Article
	for _, a := range articles {
		if slices.Contains(ids, a.ZoneID) {
			kept = append(kept, a)
		}
	}
	return kept
}

// untold leaves out the stories that the readers have had.
func untold(articles []zonewire.Article, told []int64) []zonewire.Article {
	if len(told) == 0 {
		return articles
	}
	return slices.DeleteFunc(slices.Clone(articles), func(a zonewire.Article) bool { return slices.Contains(told, storyOf(a)) })
}

// onceEach shows each story once, told by whoever among the articles told it first, in the place of that one. Who told it
// after are the copies, by the id of that one, the oldest first. It runs after the choice of zones: who does not follow the
// first zone still reads the copy.
func onceEach(articles []zonewire.Article) (kept []zonewire.Article, copies map[int64][]zonewire.Article) {
	first := make(map[int64]int64, len(articles)) // story: id of the article that tells it
	for _, a := range articles {
		if id, told := first[storyOf(a)]; !told || a.ID < id {
			first[storyOf(a)] = a.ID
		}
	}
	for _, a := range articles {
		id := first[storyOf(a)]
		if id == a.ID {
			kept = append(kept, a)
			continue
		}
		if copies == nil {
			copies = map[int64][]zonewire.Article{}
		}
		copies[id] = append(copies[id], a)
	}
	for _, of := range copies {
		slices.SortFunc(of, func(a, b zonewire.Article) int { return cmp.Compare(a.ID, b.ID) })
	}
	return kept, copies
}

// storyOf is the id of the article that told it first; DupOf names that one, never another copy.
func storyOf(a zonewire.Article) int64 { return cmp.Or(a.DupOf, a.ID) }
