package web

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"zonewire"
	"zonewire/templates"
)

// deadline is when what an article announces closes, as a page shows it.
type deadline struct {
	Text string // empty: the article names none
	ISO  string // for <time datetime>
	Past bool
}

// deadlineOf tells it on the clock of China, which the portals go by.
func deadlineOf(locale string, a zonewire.Article, now time.Time) deadline {
	if a.Deadline.IsZero() {
		return deadline{}
	}
	at := a.Deadline.In(zonewire.Shanghai)
	d := deadline{ISO: at.Format(time.RFC3339), Past: !now.Before(a.Closes())}
	if a.DeadlineDay {
		d.ISO = at.Format(time.DateOnly)
	}
	switch clock := at.Format("15:04"); {
	case locale == zonewire.LocaleZH:
		d.Text = templates.Date(locale, at) + "（周" + templates.Weekday(at) + "）"
		if !a.DeadlineDay {
			d.Text += clock
		}
	case a.DeadlineDay:
		d.Text = templates.LongDate(locale, at)
	default:
		d.Text = templates.LongDate(locale, at) + ", " + clock + " (UTC+8)"
	}
	return d
}

// Closes is when what an article announces closes.
func (f frame) Closes(a zonewire.Article) deadline { return deadlineOf(f.Locale, a, f.now) }

// calendar is the article's deadline for the reader's own calendar.
func (s *server) calendar(w http.ResponseWriter, r *http.Request) error {
	a, err := s.public(r)
	if err != nil {
		return err
	}
	if a.Deadline.IsZero() {
		return errUnknown
	}
	f := s.frame(r)
	summary, err := s.Templates.Phrase(f.Locale, "web.deadline.event", zonewire.Shorten(a.Title, 200))
	if err != nil {
		return err
	}
	site, err := url.Parse(s.BaseURL)
	if err != nil {
		return err
	}
	page := "/articles/" + strconv.FormatInt(a.ID, 10)
	body := calendarEvent(event{
		UID:     "article-" + strconv.FormatInt(a.ID, 10) + "@" + cmp.Or(site.Hostname(), "localhost"),
		Summary: summary,
		URL:     s.BaseURL + f.address(page, url.Values{}),
		Start:   a.Deadline.In(zonewire.Shanghai),
		Day:     a.DeadlineDay,
		Stamp:   cmp.Or(a.Updated, a.Received),
	})
	w.Header().Set("Content-Language", f.Locale)
	w.Header().Set("Content-Disposition", `inline; filename="deadline-`+strconv.FormatInt(a.ID, 10)+`.ics"`)
	w.Header().Set("X-Robots-Tag", "noindex")
	s.write(w, r, http.StatusOK, "text/calendar; charset=utf-8", body)
	return nil
}
