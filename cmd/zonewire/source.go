package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"zonewire"
	"zonewire/ingest"
)

// newSource is "zonewire source".
func newSource(a *app) *cobra.Command {
	cmd := noun("source", "Feeds and list pages that the daemon asks for news",
		newSourceAdd(a), newSourceLs(a), newSourceShow(a), newSourceEdit(a), newSourcePoll(a), newSourcePause(a), newSourceResume(a), newSourceRemove(a))
	cmd.Long = `A source is a feed, or the list page of a portal. The daemon asks each politely: with
conditions, not more often than once an hour unless told so, one request at a time on a
host, and not at all where robots.txt forbids. What it learns outlives a restart.

A portal that lets no program in is marked blocked, and never tricked: push to /api/v1
or drop files instead (zonewire article import).`
	return cmd
}

// sourceView is a source as -o json prints it.
type sourceView struct {
	ID        int64              `json:"id"`
	Kind      string             `json:"kind"`
	URL       string             `json:"url"`
	Title     string             `json:"title"`
	Zone      string             `json:"zone"`
	State     string             `json:"state"`
	Reason    string             `json:"reason"`
	Since     string             `json:"since"`
	Next      *string            `json:"next"` // null: it is not asked
	Polled    *string            `json:"polled"`
	Succeeded *string            `json:"succeeded"`
	Changed   *string            `json:"changed"`
	Errors    int                `json:"errors"`
	Every     string             `json:"every"`
	Charset   string             `json:"charset"`
	Selectors zonewire.Selectors `json:"selectors"`
	Hub       string             `json:"hub"`
	Pushed    *string            `json:"pushed_until"` // its hub pushes until then
}

func viewSource(s zonewire.Source) sourceView {
	v := sourceView{
		ID: s.ID, Kind: string(s.Kind), URL: s.URL, Title: s.Title, Zone: s.Zone, State: string(s.State), Reason: s.Reason,
		Since: stamp(s.Since), Next: stampOrNull(s.Next), Polled: stampOrNull(s.Memory.Polled), Succeeded: stampOrNull(s.Memory.Succeeded),
		Changed: stampOrNull(s.Memory.Changed), Errors: s.Memory.Errors, Every: zonewire.FormatDuration(s.Every), Charset: s.Charset,
		Selectors: s.Selectors, Hub: s.Sub.Hub, Pushed: stampOrNull(s.Sub.Until),
	}
	if !s.State.Polled() {
		v.Next = nil
	}
	return v
}

// sourceFlags are what an operator says of a source.
type sourceFlags struct {
	zone, charset, title string
	every                durationFlag
	selectors            zonewire.Selectors
}

// selectorFlags are the fields that a selector finds, by the flag's name before -selector.
var selectorFlags = []struct {
	name, help string
	field      func(*zonewire.Selectors) *string
}{
	{"list", "the links of a list page", func(s *zonewire.Selectors) *string { return &s.List }},
	{"title", "the title of an article's page", func(s *zonewire.Selectors) *string { return &s.Title }},
	{"date", "its date", func(s *zonewire.Selectors) *string { return &s.Date }},
	{"source", "who is named as its source", func(s *zonewire.Selectors) *string { return &s.Source }},
	{"author", "its author", func(s *zonewire.Selectors) *string { return &s.Author }},
	{"zone", "the zone it names", func(s *zonewire.Selectors) *string { return &s.Zone }},
	{"city", "its city", func(s *zonewire.Selectors) *string { return &s.City }},
	{"category", "its category", func(s *zonewire.Selectors) *string { return &s.Category }},
	{"body", "its text", func(s *zonewire.Selectors) *string { return &s.Body }},
	{"image", "its picture", func(s *zonewire.Selectors) *string { return &s.Image }},
	{"attachments", "the links to its files", func(s *zonewire.Selectors) *string { return &s.Attachments }},
}

func (f *sourceFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.zone, "zone", "", "`SLUG` of the zone of articles that name none")
	flags.StringVar(&f.title, "title", "", "`TITLE` to list it by; it tells one itself")
	flags.StringVar(&f.charset, "charset", "", "`CHARSET` of pages that say none, default gb18030")
	flags.Var(&f.every, "every", "ask as often as this where nothing speaks against it: 15m to 24h; default: as often as it has news, 1h at the least")
	for _, s := range selectorFlags {
		flags.StringVar(s.field(&f.selectors), s.name+"-selector", "", "CSS `SELECTOR` of "+s.help)
	}
}

// apply sets what was given.
func (f *sourceFlags) apply(cmd *cobra.Command, db *session, s *zonewire.Source) error {
	given := cmd.Flags().Changed
	if given("zone") {
		s.ZoneID, s.Zone = 0, ""
		if f.zone != "" {
			z, err := db.Zone(cmd.Context(), f.zone)
			if err != nil {
				return fmt.Errorf("--zone: %w: see `zonewire zone ls`", err)
			}
			s.ZoneID, s.Zone = z.ID, z.Slug
		}
	}
	if given("title") {
		s.Title = oneLine(f.title)
	}
	if given("charset") {
		s.Charset = strings.TrimSpace(f.charset)
	}
	if given("every") {
		s.Every = time.Duration(f.every)
	}
	for _, sel := range selectorFlags {
		if given(sel.name + "-selector") {
			*sel.field(&s.Selectors) = strings.TrimSpace(*sel.field(&f.selectors))
		}
	}
	return s.Validate()
}

// check refuses what no source can have, before anything is opened or asked.
func (f *sourceFlags) check(cmd *cobra.Command) error {
	if err := errors.Join(ingest.CheckSelectors(f.selectors), ingest.CheckCharset(f.charset)); err != nil {
		return usagef(cmd, "%w", err)
	}
	return nil
}

// withSource runs fn on the open database with the number of a source.
func (a *app) withSource(cmd *cobra.Command, arg string, fn func(db *session, id int64) error) error {
	id, err := parseID(cmd, "source", arg)
	if err != nil {
		return err
	}
	return a.with(cmd.Context(), mustExist, func(db *session) error { return fn(db, id) })
}

func newSourceLs(a *app) *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the sources, and how each fares",
		Example: "  zonewire source ls\n  zonewire source ls --state blocked",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				all, err := db.Sources(cmd.Context())
				if err != nil {
					return err
				}
				var views []sourceView
				var rows [][]string
				for _, s := range all {
					if state != "" && string(s.State) != state {
						continue
					}
					v := viewSource(s)
					views = append(views, v)
					rows = append(rows, []string{strconv.FormatInt(s.ID, 10), v.Kind, v.State, orDash(v.Zone), orDash(stamp(s.Memory.Changed)), orDash(deref(v.Next)), clip(orElse(s.Title, s.Host()), 32), s.URL})
				}
				return a.out.list(views, []string{"ID", "KIND", "STATE", "ZONE", "LAST NEWS", "NEXT POLL", "TITLE", "URL"}, rows, "no sources: zonewire source add adds one")
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in `STATE`: active, failing, blocked, suspended, stopped or paused")
	return cmd
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func orDash(s string) string { return orElse(s, "-") }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// pollView is a line of a source's log as -o json prints it.
type pollView struct {
	At        string `json:"at"`
	Status    int    `json:"status"`
	Seconds   string `json:"seconds"`
	Bytes     int64  `json:"bytes"`
	Items     int    `json:"items"`
	Added     int    `json:"added"`
	Updated   int    `json:"updated"`
	Unchanged int    `json:"unchanged"`
	Rejected  int    `json:"rejected"`
	Note      string `json:"note"`
}

func viewPoll(l zonewire.PollLog) pollView {
	return pollView{stamp(l.At), l.Status, strconv.FormatFloat(l.Took.Seconds(), 'f', 1, 64), l.Bytes, l.Items, l.Added, l.Updated, l.Unchanged, l.Rejected, l.Note}
}

func newSourceShow(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a source and its latest polls",
		Example: "  zonewire source show 3",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSource(cmd, args[0], func(db *session, id int64) error {
				s, err := db.SourceByID(cmd.Context(), id)
				if err != nil {
					return err
				}
				polls, err := db.Polls(cmd.Context(), id, limit)
				if err != nil {
					return err
				}
				queued, err := db.QueuedPages(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.showSource(s, polls, queued)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "polls", 10, "the latest `N` polls, at most 50")
	return cmd
}

func (a *app) showSource(s zonewire.Source, polls []zonewire.PollLog, queued int) error {
	v := viewSource(s)
	views := []pollView{}
	rows := [][]string{{"AT", "STATUS", "SECONDS", "BYTES", "ITEMS", "ADDED", "UPDATED", "REJECTED", "NOTE"}}
	for _, l := range polls {
		p := viewPoll(l)
		views = append(views, p)
		rows = append(rows, []string{p.At, strconv.Itoa(p.Status), p.Seconds, strconv.FormatInt(p.Bytes, 10), strconv.Itoa(p.Items), strconv.Itoa(p.Added), strconv.Itoa(p.Updated), strconv.Itoa(p.Rejected), p.Note})
	}
	item := struct {
		sourceView
		Removed *string    `json:"removed"`
		Queued  int        `json:"queued"`
		Polls   []pollView `json:"polls"`
	}{v, stampOrNull(s.Removed), queued, views}
	waiting, pushed := "", ""
	if queued > 0 {
		waiting = count(queued, "page")
	}
	if v.Hub != "" {
		pushed = "hub " + v.Hub
		switch {
		case s.Sub.Denied != "":
			pushed += ", which refused: " + s.Sub.Denied
		case v.Pushed != nil:
			pushed += ", until " + *v.Pushed
		default:
			pushed += ", not confirmed yet"
		}
	}
	fields := []field{
		{"id", strconv.FormatInt(s.ID, 10)}, {"kind", v.Kind}, {"url", v.URL}, {"title", v.Title}, {"zone", v.Zone}, {"state", v.State},
		{"reason", v.Reason}, {"since", v.Since}, {"removed", stamp(s.Removed)}, {"next poll", deref(v.Next)}, {"last poll", deref(v.Polled)},
		{"last answer", deref(v.Succeeded)}, {"last news", deref(v.Changed)}, {"waiting", waiting}, {"pushed by", pushed},
	}
	if s.Memory.Errors > 0 {
		fields = append(fields, field{"errors", count(s.Memory.Errors, "poll") + " in a row"})
	}
	if s.Every > 0 {
		fields = append(fields, field{"every", v.Every})
	}
	fields = append(fields, field{"charset", v.Charset})
	for _, sel := range selectorFlags {
		fields = append(fields, field{sel.name + " selector", *sel.field(&s.Selectors)})
	}
	if err := a.out.record(item, fields...); err != nil || a.out.json || len(polls) == 0 {
		return err
	}
	return a.out.write("\n" + table(rows))
}

func newSourceEdit(a *app) *cobra.Command {
	var f sourceFlags
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change what is known of a source; an empty value takes it away",
		Long: `Change the zone, the selectors, the charset or the rhythm of a source. With other selectors or
another charset the next poll asks for the whole once more. To see first what selectors would
take, use zonewire source add --dry-run.`,
		Example: "  zonewire source edit 3 --list-selector '.news li a' --body-selector '#zoom'",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !anyFlag(cmd) {
				return orNothing(cmd, nil)
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.withSource(cmd, args[0], func(db *session, id int64) error {
				s, err := db.EditSource(cmd.Context(), a.act(), id, "source.edit", func(s *zonewire.Source) error {
					before := *s
					if err := f.apply(cmd, db, s); err != nil {
						return err
					}
					if s.Selectors != before.Selectors || s.Charset != before.Charset {
						s.Memory.Parser, s.Memory.ListAt, s.Next = 0, time.Time{}, a.act().At
					}
					return nil
				})
				if err != nil {
					return err
				}
				return a.out.say(viewSource(s), "changed source %d, %s", s.ID, s.URL)
			})
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func newSourcePause(a *app) *cobra.Command {
	return sourceState(a, "pause", "Ask a source no more until it is resumed", "paused", func(s *zonewire.Source, _ time.Time) {
		s.State, s.Reason = zonewire.SourcePaused, "by the operator"
	})
}

func newSourceResume(a *app) *cobra.Command {
	return sourceState(a, "resume", "Ask a source again that was paused, suspended or stopped", "resumed", func(s *zonewire.Source, now time.Time) {
		s.State, s.Reason, s.Next = zonewire.SourceActive, "", now
		s.Memory.Errors, s.Memory.FailingAt, s.Memory.Gone, s.Memory.GoneAt = 0, time.Time{}, 0, time.Time{}
	})
}

// sourceState is a verb that sets the state of a source.
func sourceState(a *app, verb, short, done string, set func(*zonewire.Source, time.Time)) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Example: "  zonewire source " + verb + " 3",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSource(cmd, args[0], func(db *session, id int64) error {
				act := a.act()
				s, err := db.EditSource(cmd.Context(), act, id, "source."+verb, func(s *zonewire.Source) error {
					set(s, act.At)
					return nil
				})
				if err != nil {
					return err
				}
				return a.out.say(viewSource(s), "%s source %d, %s", done, s.ID, s.URL)
			})
		},
	}
}

func newSourceRemove(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove ID",
		Short:   "Remove a source; the articles that came from it stay",
		Example: "  zonewire source remove 3 --yes",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSource(cmd, args[0], func(db *session, id int64) error {
				s, err := db.SourceByID(cmd.Context(), id)
				if err != nil {
					return err
				}
				if err := a.confirm(cmd, yes, "remove source %d, %s", s.ID, s.URL); err != nil {
					return err
				}
				if err := db.RemoveSource(cmd.Context(), a.act(), id); err != nil {
					return err
				}
				return a.out.say(viewSource(s), "removed source %d, %s", s.ID, s.URL)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
