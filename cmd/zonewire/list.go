package main

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"zonewire"
	"zonewire/api"
	"zonewire/digest"
)

// newList is "zonewire list".
func newList(a *app) *cobra.Command {
	cmd := noun("list", "Lists: digests that people subscribe to",
		newListAdd(a), newListLs(a), newListShow(a), newListEdit(a), newListPause(a), newListResume(a), newListRemove(a))
	cmd.Long = `A list mails each of its subscribers one digest a slot: what is new in its zones since
the one before. Its schedule is a cron line of five fields (minute, hour, day of the
month, month, day of the week) on the wall clock of its time zone, or one of @hourly,
@daily, @weekly, @monthly and @yearly. With --workdays cn it keeps the working days of
China: what comes on a day off is in the next digest. @instant mails whatever matches the
keyword within a minute, in at most 4 mails an hour.`
	return cmd
}

// scopeText says which zones a list takes in.
func scopeText(l zonewire.List) string {
	switch {
	case l.All:
		return "all zones"
	case l.Province != "":
		return "province " + l.Province
	case l.City != "":
		return "city " + l.City
	}
	return strings.Join(l.Zones, ", ")
}

// nextText is the wall clock of the next slot.
func nextText(l zonewire.List) string {
	switch {
	case l.Paused:
		return "paused"
	case l.NextSlot.IsZero():
		return "never"
	case l.IsInstant():
		return "on a match"
	}
	schedule, err := digest.ScheduleOf(l, nil) // no calendar is needed to read a clock
	if err != nil {                            // written by something else than this program
		return stamp(l.NextSlot)
	}
	return schedule.Wall(l.NextSlot)
}

// listFlags are the flags that add and edit share.
type listFlags struct {
	l                     zonewire.List
	maxAge, catchUp, hold durationFlag
}

func addListFlags(flags *pflag.FlagSet) *listFlags {
	f := &listFlags{maxAge: durationFlag(zonewire.DefaultMaxAge), catchUp: durationFlag(zonewire.DefaultCatchUp)}
	flags.StringVar(&f.l.Title, "title", "", "`TITLE`, in the subject of its mails")
	flags.StringVar(&f.l.Schedule, "schedule", "", "`CRON`: five fields, @daily and its like, or @instant")
	flags.StringVar(&f.l.Timezone, "timezone", zonewire.DefaultTimezone, "`ZONE` of the schedule's wall clock")
	flags.StringVar(&f.l.Workdays, "workdays", "", "keep the working days of `COUNTRY`: cn; empty for every day")
	flags.StringArrayVar(&f.l.Zones, "zone", nil, "take in the zone `SLUG`; may be given again")
	flags.StringVar(&f.l.Province, "province", "", "take in the zones of `PROVINCE`")
	flags.StringVar(&f.l.City, "city", "", "take in the zones of `CITY`")
	flags.BoolVar(&f.l.All, "all", false, "take in all zones")
	flags.StringVar(&f.l.Category, "category", "", "only articles of `CATEGORY`")
	flags.StringVar(&f.l.Keyword, "keyword", "", "only articles with `WORD` in title or summary")
	flags.IntVar(&f.l.MaxItems, "max-items", zonewire.DefaultMaxItems, "at most `N` articles with summary in one mail")
	flags.Var(&f.maxAge, "max-age", "leave out what was published longer ago; 0 for no bound")
	flags.StringVar(&f.l.Locale, "locale", zonewire.LocaleZH, "`LOCALE` of its mails: "+strings.Join(zonewire.Locales(), " or "))
	flags.Var(&f.catchUp, "catch-up", "a slot missed by more is skipped, and the next one has its articles")
	flags.StringVar(&f.l.From, "from", "", "`ADDRESS` in From, instead of mail.from")
	flags.StringVar(&f.l.ReplyTo, "reply-to", "", "`ADDRESS` in Reply-To, instead of mail.reply_to")
	flags.BoolVar(&f.l.Private, "private", false, "show its page and archive to subscribers only")
	flags.Var(&f.hold, "hold", "a planned digest waits so long before it is sent")
	return f
}

// set copies the fields whose flags were given; a list that has no schedule yet takes them all.
func (f *listFlags) set(flags *pflag.FlagSet, l *zonewire.List, now time.Time, cal *digest.Calendar) error {
	fresh := l.Schedule == ""
	given := func(name string) bool { return fresh || flags.Changed(name) }
	text := func(name string, to *string, from string) {
		if given(name) {
			*to = strings.TrimSpace(from)
		}
	}
	text("title", &l.Title, f.l.Title)
	text("category", &l.Category, f.l.Category)
	text("keyword", &l.Keyword, f.l.Keyword)
	text("locale", &l.Locale, f.l.Locale)
	text("from", &l.From, f.l.From)
	text("reply-to", &l.ReplyTo, f.l.ReplyTo)
	text("schedule", &l.Schedule, f.l.Schedule)
	text("timezone", &l.Timezone, f.l.Timezone)
	text("workdays", &l.Workdays, f.l.Workdays)
	if f.scopes(flags) > 0 {
		l.All, l.Province, l.City, l.Zones, l.ZoneIDs = f.l.All, f.l.Province, f.l.City, f.l.Zones, nil
	}
	if given("max-items") {
		l.MaxItems = f.l.MaxItems
	}
	if given("private") {
		l.Private = f.l.Private
	}
	for name, d := range map[string]struct {
		to   *time.Duration
		from durationFlag
	}{"max-age": {&l.MaxAge, f.maxAge}, "catch-up": {&l.CatchUp, f.catchUp}, "hold": {&l.Hold, f.hold}} {
		if given(name) {
			*d.to = time.Duration(d.from)
		}
	}
	if !given("schedule") && !given("timezone") && !given("workdays") {
		return nil
	}
	return reschedule(l, now, cal)
}

// reschedule sets the slot that comes after now.
func reschedule(l *zonewire.List, now time.Time, cal *digest.Calendar) error {
	schedule, err := digest.ScheduleOf(*l, cal)
	if err != nil {
		return err
	}
	l.NextSlot = schedule.Next(now)
	return nil
}

// realign gives a list that keeps working days the slot that comes by the calendar of now, which may know more than the one
// that its slot was reckoned by. A slot that is due stays: it is mailed late rather than never.
func realign(l zonewire.List, now time.Time, cal *digest.Calendar) (next time.Time, changed bool, err error) {
	if l.Workdays == "" || l.NextSlot.IsZero() || !l.NextSlot.After(now) {
		return l.NextSlot, false, nil
	}
	was := l.NextSlot
	if err := reschedule(&l, now, cal); err != nil {
		return was, false, fmt.Errorf("list %s: %w", l.Slug, err)
	}
	return l.NextSlot, !l.NextSlot.Equal(was), nil
}

// scopes counts the ways in which the flags say what a list takes in.
func (f *listFlags) scopes(flags *pflag.FlagSet) int {
	n := 0
	for _, name := range []string{"zone", "province", "city", "all"} {
		if flags.Changed(name) {
			n++
		}
	}
	return n
}

// check refuses flags that no list can have.
func (f *listFlags) check(flags *pflag.FlagSet) error {
	for _, name := range []string{"from", "reply-to"} {
		value := flags.Lookup(name).Value.String()
		if _, err := mail.ParseAddress(value); value != "" && err != nil {
			return zonewire.Invalidf("--%s %q is no address: write it as %s", name, value, Default().Mail.From)
		}
	}
	if f.scopes(flags) > 1 {
		return zonewire.Invalidf("give only one of --zone, --province, --city and --all")
	}
	return nil
}

func newListAdd(a *app) *cobra.Command {
	var f *listFlags
	var since string
	cmd := &cobra.Command{
		Use:   "add SLUG --title TITLE --schedule CRON (--zone SLUG... | --province NAME | --city NAME | --all)",
		Short: "Add a list; it starts from now",
		Example: `  zonewire list add morning --title 开发区早报 --schedule '0 8 * * *' --all
  zonewire list add changzhou --title 常州周报 --schedule '0 9 * * 1' --city 常州 --since 7d
  zonewire list add tenders --title 招标提醒 --schedule @instant --keyword 招标 --province 江苏
  zonewire list add weekdays --title 工作日早报 --schedule '0 8 * * 1-5' --workdays cn --all
  zonewire list add two-zones --title 'Two zones' --schedule '30 7 * * 1-5' --zone jintan-edz --zone wujin-hidz --locale en`,
		Args: exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			act := a.act()
			l := zonewire.List{Slug: args[0]}
			if f.scopes(cmd.Flags()) == 0 {
				return usagef(cmd, "say what it takes in: --zone, --province, --city or --all")
			}
			if err := f.check(cmd.Flags()); err != nil {
				return usagef(cmd, "%w", err)
			}
			cal, err := a.calendar()
			if err != nil {
				return err
			}
			if err := f.set(cmd.Flags(), &l, act.At, cal); err != nil {
				return usagef(cmd, "%w", err)
			}
			if err := l.Validate(); err != nil {
				return usagef(cmd, "%w", err)
			}
			var from time.Time
			if since != "" {
				var err error
				if from, err = ago(since, act.At); err != nil {
					return usagef(cmd, "--since: %w", err)
				}
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error {
				added, err := db.AddList(cmd.Context(), act, l, from)
				if err != nil {
					return err
				}
				if err := a.warnOfNoZones(cmd, db, added); err != nil {
					return err
				}
				a.warnOfUnknownDays(added, cal)
				return a.out.say(api.ViewList(added, nil), "added list %s, first digest %s", added.Slug, nextText(added))
			})
		},
	}
	f = addListFlags(cmd.Flags())
	cmd.Flags().StringVar(&since, "since", "", "also take in what arrived since `TIME`: a date, RFC 3339, or 7d")
	require(cmd, "title", "schedule")
	return cmd
}

// warnOfNoZones tells when a list takes in nothing, which a misspelt province would make it do in silence.
func (a *app) warnOfNoZones(cmd *cobra.Command, db *session, l zonewire.List) error {
	zones, err := db.Zones(cmd.Context())
	if err != nil {
		return err
	}
	for _, z := range zones {
		if z.Closed.IsZero() && l.Covers(z) {
			return nil
		}
	}
	fmt.Fprintf(a.stderr, "no zone is in %s yet: see `zonewire zone ls`\n", scopeText(l))
	return nil
}

// warnOfUnknownDays tells when a list keeps working days that nobody has announced yet.
func (a *app) warnOfUnknownDays(l zonewire.List, cal *digest.Calendar) {
	if year := l.NextSlot.In(zonewire.Shanghai).Year(); l.Workdays != "" && !l.NextSlot.IsZero() && !cal.Covers(year) {
		fmt.Fprintf(a.stderr, "the working days of %d are not known: weekends are off and other days are not, until a newer zonewire or calendar.cn_file says more\n", year)
	}
}

// calendar is the working days of China, those that ship or those of calendar.cn_file.
func (a *app) calendar() (*digest.Calendar, error) {
	cal, err := digest.LoadCalendar(a.cfg.Calendar.CNFile)
	if err != nil {
		return nil, fmt.Errorf("calendar.cn_file: %w", err)
	}
	return cal, nil
}

func newListLs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List every list, with its next slot and its readers",
		Example: "  zonewire list ls",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				lists, err := db.Lists(cmd.Context())
				if err != nil {
					return err
				}
				sizes, err := db.ListSizes(cmd.Context())
				if err != nil {
					return err
				}
				var views []api.List
				var rows [][]string
				for _, l := range lists {
					views = append(views, api.ViewList(l, sizes[l.Slug]))
					rows = append(rows, []string{l.Slug, l.Title, l.Schedule, nextText(l), scopeText(l), fmt.Sprint(sizes[l.Slug][zonewire.SubActive])})
				}
				return a.out.list(views, []string{"SLUG", "TITLE", "SCHEDULE", "NEXT", "ZONES", "ACTIVE"}, rows,
					"no lists yet: add one with `zonewire list add`")
			})
		},
	}
}

func newListShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show SLUG",
		Short:   "Show a list",
		Example: "  zonewire list show morning",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				l, err := db.List(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				sizes, err := db.ListSizes(cmd.Context())
				if err != nil {
					return err
				}
				var readers []string
				for _, state := range []zonewire.SubscriptionState{zonewire.SubActive, zonewire.SubPending, zonewire.SubPaused, zonewire.SubUnsubscribed, zonewire.SubBounced} {
					if n := sizes[l.Slug][state]; n > 0 {
						readers = append(readers, fmt.Sprintf("%d %s", n, state))
					}
				}
				private := ""
				if l.Private {
					private = "yes"
				}
				v := api.ViewList(l, sizes[l.Slug])
				return a.out.record(v,
					field{"slug", v.Slug}, field{"title", v.Title}, field{"schedule", v.Schedule}, field{"timezone", v.Timezone},
					field{"workdays", v.Workdays},
					field{"next", nextText(l)}, field{"zones", scopeText(l)}, field{"category", v.Category},
					field{"keyword", v.Keyword}, field{"max_items", fmt.Sprint(v.MaxItems)}, field{"max_age", v.MaxAge},
					field{"locale", v.Locale}, field{"catch_up", v.CatchUp}, field{"hold", v.Hold}, field{"from", v.From},
					field{"reply_to", v.ReplyTo}, field{"private", private}, field{"subscribers", strings.Join(readers, ", ")})
			})
		},
	}
}

func newListEdit(a *app) *cobra.Command {
	var f *listFlags
	cmd := &cobra.Command{
		Use:   "edit SLUG",
		Short: "Change a list; a digest already planned stays as it is",
		Example: `  zonewire list edit morning --schedule '30 7 * * 1-5'
  zonewire list edit morning --province 江苏 --max-items 40`,
		Args: exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !anyFlag(cmd) {
				return orNothing(cmd, nil)
			}
			if err := f.check(cmd.Flags()); err != nil {
				return usagef(cmd, "%w", err)
			}
			return a.editList(cmd, args[0], func(l *zonewire.List, now time.Time, cal *digest.Calendar) error {
				return f.set(cmd.Flags(), l, now, cal)
			})
		},
	}
	f = addListFlags(cmd.Flags())
	return cmd
}

// editList changes a list and tells when its next digest comes.
func (a *app) editList(cmd *cobra.Command, slug string, change func(*zonewire.List, time.Time, *digest.Calendar) error) error {
	cal, err := a.calendar()
	if err != nil {
		return err
	}
	return a.with(cmd.Context(), mustExist, func(db *session) error {
		act := a.act()
		l, err := db.EditList(cmd.Context(), act, slug, func(l *zonewire.List) error { return change(l, act.At, cal) })
		if err != nil {
			return err
		}
		if err := a.warnOfNoZones(cmd, db, l); err != nil {
			return err
		}
		a.warnOfUnknownDays(l, cal)
		return a.out.say(api.ViewList(l, nil), "changed list %s, next digest: %s", l.Slug, nextText(l))
	})
}

func newListPause(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "pause SLUG",
		Short:   "Plan no more digests; what arrives is kept for the first one after the pause",
		Example: "  zonewire list pause morning",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editList(cmd, args[0], func(l *zonewire.List, _ time.Time, _ *digest.Calendar) error {
				l.Paused = true
				return nil
			})
		},
	}
}

func newListResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "resume SLUG",
		Short:   "Plan digests again, from the next slot on",
		Example: "  zonewire list resume morning",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editList(cmd, args[0], resumeList)
		},
	}
}

// resumeList ends a pause. The slots that passed in it are gone: or the last of them would be mailed this minute.
func resumeList(l *zonewire.List, now time.Time, cal *digest.Calendar) error {
	if !l.Paused {
		return nil
	}
	l.Paused = false
	return reschedule(l, now, cal)
}

func newListRemove(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove SLUG",
		Short:   "Remove a list and cancel its mails not begun; its digests stay on record",
		Example: "  zonewire list remove morning --yes",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if _, err := db.List(cmd.Context(), args[0]); err != nil {
					return err
				}
				sizes, err := db.ListSizes(cmd.Context())
				if err != nil {
					return err
				}
				readers := count(sizes[args[0]][zonewire.SubActive], "active subscriber")
				if err := a.confirm(cmd, yes, "remove list %s with %s", args[0], readers); err != nil {
					return err
				}
				n, err := db.RemoveList(cmd.Context(), a.act(), args[0])
				if err != nil {
					return err
				}
				return a.out.say(map[string]any{"slug": args[0], "cancelled": n}, "removed list %s, %s cancelled", args[0], count(n, "mail"))
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
