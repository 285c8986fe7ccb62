package digest

import (
	"cmp"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"zonewire"
	"zonewire/templates"
)

// Edition is all that one mail of a digest says, before it is composed.
type Edition struct {
	List     zonewire.List
	Digest   int64                        // 0 in a preview: there is no page to view in a browser yet
	Slot     time.Time                    // printed in the list's time zone
	Articles []zonewire.Article           // the frozen items, newest first, already those of this audience
	Copies   map[int64][]zonewire.Article // by id of the article: who tells its story after it, the oldest first
	Notes    []zonewire.Note              // newest first, one an article, already those of this audience
	Silent   []zonewire.Silence           // already those of this audience
	Zones    map[int64]zonewire.Zone
	Locale   string
	Audience string // a [zonewire.ZoneSet]; empty = all zones of the list
	Told     string // ids of stories that its readers have had in an earlier mail, written likewise

	From          string // as in the header, such as "Zone News <news@example.com>"
	ReplyTo       string // empty: From
	PostalAddress string
	BaseURL       string // no trailing slash
	Key           string // the signed key of a private list's pages, empty for others
	Mark          string // stands where each reader's token goes; unguessable
}

// The most that a part may weigh unencoded. Gmail cuts a mail off near 102,400 bytes, and nobody outside knows whether
// it counts before or after encoding: 72,000 bytes are 98,600 as base64 with its line ends.
const partLimit = 72_000

// Columns, a Chinese character counting two, that the short texts may fill.
const (
	titleColumns     = 400
	summaryColumns   = 240
	shortSummary     = 120
	preheaderColumns = 96
	subjectColumns   = 44 // of the list's title
)

// Renderer composes editions with the templates mail/digest.html, mail/digest.txt and mail/digest.subject.txt. It is
// safe for concurrent use.
type Renderer struct{ set *templates.Set }

// NewRenderer gives a Renderer that uses the templates of set.
func NewRenderer(set *templates.Set) *Renderer { return &Renderer{set} }

// Render composes the mail. The count is of all its stories, told in full, by title or only counted.
//
// Both parts are kept within partLimit: what no longer fits is shortened, then told by title only, then counted with a
// link to the rest; the end with the link to leave is never cut. Equal editions give equal bytes.
//
// It is [zonewire.ErrInvalid] when the edition lacks a mark or a sender, and when a template has no link to leave.
func (r *Renderer) Render(e Edition) (zonewire.Mail, int, error) {
	if e.Mark == "" {
		return zonewire.Mail{}, 0, zonewire.Invalidf("digest of list %s: no mark for the links to leave", e.List.Slug)
	}
	sender, host, err := SenderOf(e.From)
	if err != nil {
		return zonewire.Mail{}, 0, err
	}
	p, err := newPaper(e)
	if err != nil {
		return zonewire.Mail{}, 0, err
	}
	p.LeaveURL = e.BaseURL + "/unsubscribe/" + e.Mark
	p.PreferenceURL = e.BaseURL + "/preferences"
	p.Contact = sender
	if e.ReplyTo != "" {
		if p.Contact, _, err = SenderOf(e.ReplyTo); err != nil {
			return zonewire.Mail{}, 0, err
		}
	}
	m := zonewire.Mail{
		From:      e.From,
		ReplyTo:   e.ReplyTo,
		Host:      host,
		BaseURL:   e.BaseURL,
		List:      e.List.Slug,
		ListTitle: e.List.Title,
		Locale:    e.Locale,
		Digest:    e.Digest,
		Date:      e.Slot,
		ListURL:   e.listURL(),
		WebURL:    e.digestURL(),
	}
	if m.Subject, err = r.text("mail/digest.subject.txt", e.Locale, p.cut(cut{})); err != nil {
		return zonewire.Mail{}, 0, err
	}
	m.Subject = clean(m.Subject)
	// One cut for both parts: they tell the same stories.
	both, err := fit(partLimit, e.List.MaxItems, p, func(c cut) (parts, error) {
		page := p.cut(c)
		html, err := r.html("mail/digest.html", e.Locale, page)
		if err != nil {
			return parts{}, err
		}
		text, err := r.text("mail/digest.txt", e.Locale, page)
		return parts{html, text}, err
	})
	if err != nil {
		return zonewire.Mail{}, 0, err
	}
	m.HTML, m.Text = strings.Split(both.html, e.Mark), strings.Split(both.text, e.Mark)
	for name, chunks := range map[string][]string{"mail/digest.html": m.HTML, "mail/digest.txt": m.Text} {
		if len(chunks) < 2 {
			return zonewire.Mail{}, 0, zonewire.Invalidf("template %s: it has no link to leave: use {{.LeaveURL}}", name)
		}
	}
	return m, p.Count, nil
}

// Page composes the same digest as a page for everybody, at full length: with a link to the list's page, but no token
// and no link to leave.
func (r *Renderer) Page(e Edition) (string, error) {
	p, err := newPaper(e)
	if err != nil {
		return "", err
	}
	return r.html("mail/digest.html", e.Locale, p.cut(cut{len(p.Closing), e.List.MaxItems - len(p.Closing), p.Count, summaryColumns}))
}

func (r *Renderer) html(name, locale string, data any) (string, error) {
	var b strings.Builder
	err := r.set.HTML(&b, name, locale, data)
	return b.String(), err
}

func (r *Renderer) text(name, locale string, data any) (string, error) {
	var b strings.Builder
	err := r.set.Text(&b, name, locale, data)
	return b.String(), err
}

// SenderOf takes the address out of a From or Reply-To header, and its domain in ASCII, which Message-ID and List-Id
// are made of. [zonewire.ErrInvalid] if it holds none.
func SenderOf(from string) (address, host string, err error) {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return "", "", zonewire.Invalidf("mail address %q: %v; write it as Name <news@example.com>", from, err)
	}
	domain := a.Address[strings.LastIndexByte(a.Address, '@')+1:]
	if host, err = idna.Lookup.ToASCII(domain); err != nil {
		return "", "", zonewire.Invalidf("mail address %q: domain %q: %v", from, domain, err)
	}
	return a.Address, host, nil
}

// listURL and digestURL are the pages of the edition; those of a private list open with its key only.
func (e Edition) listURL() string { return e.BaseURL + "/lists/" + e.List.Slug + e.query() }

func (e Edition) digestURL() string {
	if e.Digest == 0 {
		return ""
	}
	return e.BaseURL + "/digests/" + strconv.FormatInt(e.Digest, 10) + e.query()
}

func (e Edition) query() string {
	if e.Key == "" {
		return ""
	}
	return "?key=" + url.QueryEscape(e.Key)
}

// location is the list's time zone; its schedule names it, so the reader's clock is the one that the list was set by.
func (e Edition) location() (*time.Location, error) {
	loc, err := time.LoadLocation(cmp.Or(e.List.Timezone, zonewire.DefaultTimezone))
	if err != nil {
		return nil, fmt.Errorf("list %s: time zone: %w", e.List.Slug, err)
	}
	return loc, nil
}
