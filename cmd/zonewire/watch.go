package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"zonewire"
	"zonewire/digest"
	"zonewire/internal/trouble"
	"zonewire/store"
	"zonewire/templates"
)

// What counts as silence.
const (
	watchEvery   = time.Minute
	overdueAfter = 5 * time.Minute
	pausedFor    = time.Hour
	failedWithin = 7 * 24 * time.Hour // of a digest's slot
	zonesEvery   = 15 * time.Minute   // it reads three months of articles
	usualWithin  = 90 * 24 * time.Hour
	usualDays    = 5 // with news, before a zone has a usual gap
	silentGaps   = 3
)

// watch looks every minute for what nobody would hear of: what does not happen fails nowhere. It keeps the alarms that
// stand in the database, where a restart finds them, logs each once, and mails it to the operator once.
//
// The mail is a notice, held while sending is paused like any other: that sending is paused an operator learns from the
// log and the metrics, and by mail as soon as it goes on.
type watch struct {
	db     *session
	set    *templates.Set
	log    *slog.Logger
	email  string // the operator's; empty: nobody is mailed to
	locale string
	host   string        // the installation, as its address names it
	mail   zonewire.Mail // what all mails of the watch share

	silent []matter // sources and zones, as last seen
	looked time.Time
}

// newWatch builds the watch of the configuration. Without an operator it still keeps and logs the alarms.
func (e *engine) newWatch() (*watch, error) {
	_, sender, err := digest.SenderOf(e.cfg.Mail.From)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	site, err := url.Parse(e.site.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("http.base_url: %w", err)
	}
	return &watch{
		db: e.db, set: e.set, log: e.log, email: e.cfg.Operator.Email, locale: e.cfg.Operator.Locale, host: site.Host,
		mail: zonewire.Mail{
			From: e.cfg.Mail.From, ReplyTo: e.cfg.Mail.ReplyTo, Host: sender, BaseURL: e.site.BaseURL, Locale: e.cfg.Operator.Locale,
		},
	}, nil
}

// Run looks every minute until ctx ends, not at once: what is due when the daemon starts has a minute to be planned. A
// look that fails is logged, and the next one tries again.
func (w *watch) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	watching := trouble.New(w.log, "watch failed", "watching again")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := w.beat(ctx, time.Now()); ctx.Err() == nil {
				watching.Is(err)
			}
		}
	}
}

// beat makes the alarms that stand those that are present. A mail that cannot be composed keeps no alarm from standing.
func (w *watch) beat(ctx context.Context, now time.Time) error {
	s, err := w.look(ctx, now)
	if err != nil {
		return err
	}
	matters, err := s.matters(w.set, w.locale, now)
	if err != nil {
		return err
	}
	if now.Sub(w.looked) >= zonesEvery {
		if w.silent, err = w.lookForSilence(ctx, s.sources, now); err != nil {
			return err
		}
		w.looked = now
	}
	matters = append(matters, w.silent...)
	present := make([]zonewire.Alarm, len(matters))
	for i, m := range matters {
		present[i] = m.Alarm
	}
	var unfit error
	fresh, ended, err := w.db.SettleAlarms(ctx, zonewire.Act{At: now, By: "daemon"}, present, func(untold []zonewire.Alarm) (string, zonewire.Mail, error) {
		if w.email == "" {
			return "", zonewire.Mail{}, nil
		}
		var m zonewire.Mail
		if m, unfit = w.compose(untold, matters, now); unfit != nil {
			return "", m, nil // told once it can be
		}
		return w.email, m, nil
	})
	if err != nil {
		return err
	}
	for _, a := range fresh {
		w.log.Warn("alarm", "alarm", a.Name, "since", a.Since.UTC())
	}
	for _, a := range ended {
		w.log.Info("alarm ended", "alarm", a.Name, "since", a.Since.UTC())
	}
	return unfit
}

// lookForSilence gives the alarms of sources and zones from which nothing comes any more.
func (w *watch) lookForSilence(ctx context.Context, sources []zonewire.Source, now time.Time) ([]matter, error) {
	ofSources, err := w.db.SourceArrivals(ctx, now.Add(-usualWithin))
	if err != nil {
		return nil, err
	}
	ofZones, err := w.db.ArrivalsSince(ctx, now.Add(-usualWithin))
	if err != nil {
		return nil, err
	}
	silent, err := silentSources(sources, ofSources, w.set, w.locale, now)
	if err != nil {
		return nil, err
	}
	zones, err := silentZones(ofZones, w.set, w.locale, now)
	return append(silent, zones...), err
}

// sight is what one look sees, but for silence.
type sight struct {
	paused      string    // the reason; empty if sending is not paused
	pausedAt    time.Time // zero if nobody knows: long ago
	overdue     []zonewire.List
	complained  []store.Complained
	providers   []zonewire.Provider
	undelivered []store.Undelivered
	sources     []zonewire.Source
}

func (w *watch) look(ctx context.Context, now time.Time) (s sight, err error) {
	if s.paused, err = w.db.SendingPaused(ctx); err != nil {
		return s, err
	}
	if s.paused != "" {
		at, err := w.db.Meta(ctx, "paused_at")
		if err != nil {
			return s, err
		}
		if ms, err := strconv.ParseInt(at, 10, 64); err == nil { // one that was paused by an older program has no time
			s.pausedAt = time.UnixMilli(ms)
		}
	}
	if s.overdue, err = w.db.DueLists(ctx, now.Add(-overdueAfter)); err != nil {
		return s, err
	}
	if s.complained, err = w.db.ListsComplainedOf(ctx); err != nil {
		return s, err
	}
	if s.providers, err = w.db.Providers(ctx); err != nil {
		return s, err
	}
	if s.sources, err = w.db.Sources(ctx); err != nil {
		return s, err
	}
	s.undelivered, err = w.db.UndeliveredSince(ctx, now.Add(-failedWithin))
	return s, err
}

// matter is an alarm with what its mail says beside its text.
type matter struct {
	zonewire.Alarm
	title   string // as it stands in a subject
	command string // what to type
}

// clerk words alarms in a locale. The first phrase that is missing is its err.
type clerk struct {
	set    *templates.Set
	locale string
	all    []matter
	err    error
}

func (c *clerk) say(key string, args ...any) string {
	s, err := c.set.Phrase(c.locale, "alarm."+key, args...)
	if err != nil && c.err == nil {
		c.err = err
	}
	return s
}

// raise adds an alarm: who is named in its headline, args in its text; command is what to type.
func (c *clerk) raise(kind zonewire.AlarmKind, about string, since time.Time, command string, who, args []any) {
	c.all = append(c.all, matter{
		Alarm:   zonewire.Alarm{Name: zonewire.AlarmName(kind, about), Since: since, Text: c.say(string(kind)+".text", args...)},
		title:   c.say(string(kind), who...),
		command: "zonewire " + command,
	})
}

// matters gives the alarms of what is seen, the gravest first.
func (s sight) matters(set *templates.Set, locale string, now time.Time) ([]matter, error) {
	c := &clerk{set: set, locale: locale}
	if s.paused != "" && now.Sub(s.pausedAt) > pausedFor {
		since := s.pausedAt
		if since.IsZero() {
			since = now
		}
		c.raise(zonewire.AlarmSendingPaused, "", since, "outbox resume", nil, []any{c.whyPaused(s.paused)})
	}
	for _, l := range s.overdue {
		c.raise(zonewire.AlarmListOverdue, l.Slug, l.NextSlot, "list show "+l.Slug, []any{l.Title}, []any{c.moment(l.NextSlot)})
	}
	for _, l := range s.complained {
		c.raise(zonewire.AlarmListComplaints, l.List, l.Since, "list resume "+l.List, []any{l.Title}, nil)
	}
	for _, p := range s.providers {
		if !p.Opened.IsZero() {
			c.raise(zonewire.AlarmProviderOpen, p.Name, p.Opened, "outbox ls --by provider", []any{p.Name}, []any{quoted(p.Reason)})
		}
	}
	for _, p := range s.providers {
		if now.Before(p.Frozen) {
			c.raise(zonewire.AlarmProviderFrozen, p.Name, now, "outbox ls --by provider", []any{p.Name}, []any{c.moment(p.Frozen)})
		}
	}
	for _, u := range s.undelivered {
		if u.State == zonewire.Expired {
			c.fail(zonewire.AlarmExpired, "outbox retry --digest ", u)
		}
	}
	for _, u := range s.undelivered {
		if u.State == zonewire.Uncertain {
			c.fail(zonewire.AlarmUncertain, "outbox ls --state uncertain --digest ", u)
		}
	}
	c.downSources(s.sources, now)
	return c.all, c.err
}

// fail adds an alarm about deliveries of a digest, whose number ends the command.
func (c *clerk) fail(kind zonewire.AlarmKind, command string, u store.Undelivered) {
	id := strconv.FormatInt(u.Digest, 10)
	c.raise(kind, id, u.Since, command+id, []any{u.Title}, []any{c.day(u), u.Count})
}

// silentZones gives the alarms of zones that have been silent for too long.
func silentZones(all []store.ZoneArrivals, set *templates.Set, locale string, now time.Time) ([]matter, error) {
	c := &clerk{set: set, locale: locale}
	for _, a := range all {
		days, gap, silent := silence(a.Arrivals, now)
		if !silent {
			continue
		}
		c.raise(zonewire.AlarmZoneSilent, a.Zone.Slug, a.Last, "article ls --limit 5 --zone "+a.Zone.Slug,
			[]any{a.Zone.DisplayName(locale)}, []any{days, c.days(gap)})
	}
	return c.all, c.err
}

// silence gives the days since the last article and the usual gap, and whether that is too long.
func silence(a store.Arrivals, now time.Time) (days int, gap time.Duration, silent bool) {
	gap, usual := usualGap(a.Days)
	since := now.Sub(a.Last)
	return int(since.Hours() / 24), gap, usual && since >= silentGaps*gap
}

// usualGap is the mean time between two days with news; a zone has one only after some days of them. The days differ,
// so it is a day at least, and three of them are never less than a whole day of silence.
func usualGap(days []int64) (time.Duration, bool) {
	n := len(days)
	if n < usualDays {
		return 0, false
	}
	return time.Duration(days[n-1]-days[0]) * 24 * time.Hour / time.Duration(n-1), true
}

// whyPaused says in the operator's language what this program wrote down in English; other words stay as they are.
func (c *clerk) whyPaused(reason string) string {
	for _, known := range []struct{ begins, key string }{
		{"by the operator", "paused.operator"},
		{"the database was copied or moved", "paused.moved"},
		{"the database is a copy older", "paused.older"},
	} {
		if strings.HasPrefix(reason, known.begins) {
			return c.say(known.key)
		}
	}
	return quoted(reason)
}

// moment is a time as an operator reads it. There is no knowing where they are, so it says where that is its time.
func (c *clerk) moment(t time.Time) string {
	t = t.In(zonewire.Shanghai)
	return c.say("time", templates.Date(c.locale, t), t.Format("15:04"))
}

// day names an issue by its day in the list's own time zone.
func (c *clerk) day(u store.Undelivered) string {
	loc, err := time.LoadLocation(u.Timezone)
	if err != nil {
		loc = zonewire.Shanghai // of a list written by something else: its digest tells the same day nearly everywhere
	}
	return templates.Day(c.locale, u.Slot.In(loc))
}

// days is a number of days with at most one digit behind the point.
func (c *clerk) days(d time.Duration) string {
	n := strconv.FormatFloat(math.Round(d.Hours()/24*10)/10, 'f', -1, 64)
	if n == "1" {
		return c.say("days.one", n)
	}
	return c.say("days.other", n)
}

var addressLike = regexp.MustCompile(`\S*@\S*`)

// quoted makes a stranger's words fit for a mail: one line, not long, and without what may be an address.
func quoted(s string) string {
	return zonewire.Shorten(addressLike.ReplaceAllString(zonewire.CleanText(oneLine(s)), "…"), 200)
}

// mostTold is how many alarms one mail tells in full; of the others it gives the headlines. When everything goes silent
// at once, two hundred zones do.
const mostTold = 20

// told is an alarm as the templates mail/alarm.html and mail/alarm.txt read it.
type told struct{ Heading, Since, Text, Command string }

// Words of the command: a line may break between them, and not at the hyphen of a flag.
func (t told) Words() []string { return strings.Fields(t.Command) }

// compose makes one mail of the alarms that the operator has not been told of.
func (w *watch) compose(untold []zonewire.Alarm, matters []matter, now time.Time) (zonewire.Mail, error) {
	byName := make(map[string]matter, len(matters))
	for _, m := range matters {
		byName[m.Name] = m
	}
	c := &clerk{set: w.set, locale: w.locale}
	data := struct {
		Host, At, First string
		More            int // besides the first
		Alarms          []told
		Rest            []string // headlines
	}{Host: w.host, At: c.moment(now), First: byName[untold[0].Name].title, More: len(untold) - 1}
	for i, a := range untold {
		m := byName[a.Name]
		if i < mostTold {
			data.Alarms = append(data.Alarms, told{capital(m.title), c.moment(a.Since), a.Text, m.command})
		} else {
			data.Rest = append(data.Rest, capital(m.title))
		}
	}
	var subject, html, text strings.Builder
	err := errors.Join(c.err,
		w.set.Text(&subject, "mail/alarm.subject.txt", w.locale, data),
		w.set.HTML(&html, "mail/alarm.html", w.locale, data),
		w.set.Text(&text, "mail/alarm.txt", w.locale, data))
	if err != nil {
		return zonewire.Mail{}, fmt.Errorf("compose alarm: %w", err)
	}
	m := w.mail
	m.Date, m.Subject, m.HTML, m.Text = now, oneLine(subject.String()), []string{html.String()}, []string{text.String()}
	return m, nil
}

// capital begins a headline with a capital letter.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
