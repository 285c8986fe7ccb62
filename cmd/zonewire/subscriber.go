package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/internal/address"
	"zonewire/store"
)

// newSubscriber is "zonewire subscriber".
func newSubscriber(a *app) *cobra.Command {
	cmd := noun("subscriber", "Subscribers: who gets which list",
		newSubscriberAdd(a), newSubscriberImport(a), newSubscriberExport(a), newSubscriberLs(a), newSubscriberShow(a),
		newSubscriberEdit(a), newSubscriberPause(a), newSubscriberResume(a), newSubscriberUnsubscribe(a), newSubscriberErase(a))
	cmd.Long = `A subscriber is a mail address with a place on one or more lists. A place is pending
until it is confirmed, then active; only active ones get mail. Who left a list, or whose
mail bounced, is not brought back by add or import.`
	return cmd
}

// subscriberView is a subscriber as -o json prints it.
type subscriberView struct {
	ID            int64              `json:"id"`
	Email         string             `json:"email"`
	Name          string             `json:"name"`
	Locale        string             `json:"locale"`
	Subscriptions []subscriptionView `json:"subscriptions"`
}

type subscriptionView struct {
	List      string   `json:"list"`
	State     string   `json:"state"`
	Reason    string   `json:"reason,omitempty"`
	Zones     []string `json:"zones"` // empty: all of the list
	Confirmed *string  `json:"confirmed"`
	Consent   string   `json:"consent"`
	MovesTo   string   `json:"moves_to,omitempty"` // after the next digest
}

func viewSubscriber(s zonewire.Subscriber) subscriberView {
	v := subscriberView{s.ID, s.Email, s.Name, s.Locale, []subscriptionView{}}
	for _, sub := range s.Subscriptions {
		v.Subscriptions = append(v.Subscriptions, subscriptionView{sub.List, string(sub.State), sub.Reason, append([]string{}, sub.Zones...),
			stampOrNull(sub.Confirmed), sub.Consent, sub.SwitchTo})
	}
	return v
}

// subscriptionText is one place on a list in a few words.
func subscriptionText(sub zonewire.Subscription) string {
	text := sub.List + " " + string(sub.State)
	if sub.State == zonewire.SubPaused && !sub.PausedUntil.IsZero() {
		text += " until " + stamp(sub.PausedUntil)
	}
	if sub.Reason != "" {
		text += ": " + sub.Reason
	}
	if len(sub.Zones) > 0 {
		text += " (" + strings.Join(sub.Zones, ", ") + ")"
	}
	if sub.SwitchTo != "" {
		text += ", moves to " + sub.SwitchTo + " after the next digest"
	}
	return text
}

// address reads an address that was typed, with the hash that the store compares.
func (s *session) address(email string) (zonewire.Address, error) {
	adr, err := parseAddress(email)
	if err != nil {
		return adr, err
	}
	adr.Hash = s.secret.AddressHash(adr.Key)
	return adr, nil
}

// parseAddress names the address in the error.
func parseAddress(email string) (zonewire.Address, error) {
	adr, err := address.Parse(email)
	if err != nil {
		err = fmt.Errorf("address %q: %w", email, err)
	}
	return adr, err
}

// withSubscriber opens the database and runs fn on the person whose address was typed.
func (a *app) withSubscriber(cmd *cobra.Command, email string, fn func(db *session, key string, s zonewire.Subscriber) error) error {
	adr, err := parseAddress(email)
	if err != nil {
		return usagef(cmd, "%w", err)
	}
	return a.with(cmd.Context(), mustExist, func(db *session) error {
		s, err := db.Subscriber(cmd.Context(), adr.Key)
		if errors.Is(err, zonewire.ErrNotFound) {
			return fmt.Errorf("subscriber %s: %w", adr.Given, zonewire.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return fn(db, adr.Key, s)
	})
}

// joinFlags are the flags by which people get a place on a list.
type joinFlags struct {
	list, locale, consent, reason string
	zones                         []string
	confirmed, force              bool
}

func (f *joinFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.list, "list", "", "`SLUG` of the list")
	cmd.Flags().BoolVar(&f.confirmed, "confirmed", false, "they have agreed already: active at once")
	cmd.Flags().StringVar(&f.consent, "consent", "", "`TEXT` that says how they agreed, kept as proof")
	cmd.Flags().BoolVar(&f.force, "force", false, "also bring back who left, bounced or complained; needs --reason")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why bringing them back is right, as `TEXT`, kept in the audit")
	require(cmd, "list")
}

// check refuses a consent that nobody could prove.
func (f *joinFlags) check() error {
	if f.confirmed != (strings.TrimSpace(f.consent) != "") {
		return zonewire.Invalidf("--confirmed and --consent go together: say how they agreed, such as --consent 'paper form, 2026-11-02'")
	}
	if f.force != (strings.TrimSpace(f.reason) != "") {
		return zonewire.Invalidf("--force and --reason go together: say why bringing them back is right, such as --reason 'asked by phone'")
	}
	if f.force && !f.confirmed {
		return zonewire.Invalidf("--force needs --confirmed: who is not confirmed is asked by mail, and comes back by answering")
	}
	return nil
}

func newSubscriberAdd(a *app) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "add EMAIL --list SLUG",
		Short: "Give someone a place on a list",
		Long: `Gives someone a place on a list. A mail asks them to confirm it, and until they do it is
pending and gets no digests, unless --confirmed says that they have agreed and --consent
says how.`,
		Example: `  zonewire subscriber add reader@example.org --list morning --confirmed --consent 'paper form, 2026-11-02'
  zonewire subscriber add reader@example.org --list morning --zone jintan-edz --zone wujin-hidz --locale en`,
		Args: exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := parseAddress(args[0]); err != nil {
				return usagef(cmd, "%w", err)
			}
			if err := f.check(); err != nil {
				return usagef(cmd, "%w", err)
			}
			if err := validLocale(f.locale); err != nil {
				return usagef(cmd, "--locale: %w", err)
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error {
				adr, err := db.address(args[0])
				if err != nil {
					return err
				}
				letters, err := a.letters(db)
				if err != nil {
					return err
				}
				sub, result, err := db.Subscribe(cmd.Context(), a.act(), zonewire.NewSubscription{
					Letters: letters, Address: adr, Locale: f.locale, List: f.list, Zones: f.zones, Confirmed: f.confirmed, Consent: f.consent, Force: f.reason,
				})
				if err != nil {
					return err
				}
				if result == zonewire.SubscribeRefused {
					return fmt.Errorf("%s has left list %s or cannot be reached: only they can come back, or --force --reason TEXT", adr.Given, f.list)
				}
				s, err := db.Subscriber(cmd.Context(), adr.Key)
				if err != nil {
					return err
				}
				if sub.State == zonewire.SubPending {
					fmt.Fprintln(a.stderr, "a mail asks them to confirm; if they have agreed already, add --confirmed --consent TEXT")
				}
				return a.out.say(viewSubscriber(s), "%s: %s, %s", result, s.Email, subscriptionText(sub))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.zones, "zone", nil, "only news of the zone `SLUG`; may be given again")
	cmd.Flags().StringVar(&f.locale, "locale", "", "`LOCALE` of their mails, instead of the list's")
	return cmd
}

func validLocale(locale string) error {
	if locale != "" && !slices.Contains(zonewire.Locales(), locale) {
		return zonewire.Invalidf("%q is none of %s", locale, strings.Join(zonewire.Locales(), ", "))
	}
	return nil
}

func newSubscriberLs(a *app) *cobra.Command {
	var q zonewire.SubscriberQuery
	var state string
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List subscribers with their lists",
		Example: "  zonewire subscriber ls --list morning --state pending",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validState(state); err != nil {
				return usagef(cmd, "--state: %w", err)
			}
			q.State = zonewire.SubscriptionState(state)
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if q.List != "" { // a misspelt list is no empty one
					if _, err := db.List(cmd.Context(), q.List); err != nil {
						return err
					}
				}
				people, err := db.Subscribers(cmd.Context(), q)
				if err != nil {
					return err
				}
				var views []subscriberView
				var rows [][]string
				for _, s := range people {
					var places []string
					for _, sub := range s.Subscriptions {
						places = append(places, subscriptionText(sub))
					}
					views = append(views, viewSubscriber(s))
					rows = append(rows, []string{fmt.Sprint(s.ID), s.Email, s.Name, s.Locale, strings.Join(places, "; ")})
				}
				return a.out.list(views, []string{"ID", "EMAIL", "NAME", "LOCALE", "LISTS"}, rows, "no such subscribers")
			})
		},
	}
	cmd.Flags().StringVar(&q.List, "list", "", "only of the list `SLUG`")
	cmd.Flags().StringVar(&state, "state", "", "only with a place in `STATE`: pending, active, paused, unsubscribed or bounced")
	return cmd
}

func validState(state string) error {
	all := []string{"", string(zonewire.SubPending), string(zonewire.SubActive), string(zonewire.SubPaused), string(zonewire.SubUnsubscribed), string(zonewire.SubBounced)}
	if !slices.Contains(all, state) {
		return zonewire.Invalidf("%q is none of %s", state, strings.Join(all[1:], ", "))
	}
	return nil
}

func newSubscriberShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show EMAIL",
		Short:   "Show a subscriber",
		Example: "  zonewire subscriber show reader@example.org",
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSubscriber(cmd, args[0], func(_ *session, _ string, s zonewire.Subscriber) error {
				fields := []field{{"id", fmt.Sprint(s.ID)}, {"email", s.Email}, {"name", s.Name}, {"locale", s.Locale}, {"since", stamp(s.Created)}}
				for _, sub := range s.Subscriptions {
					text := subscriptionText(sub)
					if !sub.Confirmed.IsZero() {
						text += ", confirmed " + stamp(sub.Confirmed)
					}
					if sub.Consent != "" {
						text += ": " + sub.Consent
					}
					fields = append(fields, field{"list", text})
				}
				return a.out.record(viewSubscriber(s), fields...)
			})
		},
	}
}

func newSubscriberEdit(a *app) *cobra.Command {
	var name, locale, email string
	var zones []string
	cmd := &cobra.Command{
		Use:   "edit EMAIL",
		Short: "Change a subscriber's address, name, language or zones",
		Long: `Changes a subscriber. A new address cancels the mails not begun to the old one. --zone
replaces the zones of all their lists; --zone= alone takes in every zone again.`,
		Example: `  zonewire subscriber edit reader@example.org --email reader@example.com
  zonewire subscriber edit reader@example.org --zone jintan-edz --zone wujin-hidz`,
		Args: exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !anyFlag(cmd) {
				return orNothing(cmd, nil)
			}
			if err := validLocale(locale); err != nil {
				return usagef(cmd, "--locale: %w", err)
			}
			return a.withSubscriber(cmd, args[0], func(db *session, key string, _ zonewire.Subscriber) error {
				var e store.SubscriberEdit
				if cmd.Flags().Changed("name") {
					e.Name = &name
				}
				if cmd.Flags().Changed("locale") {
					e.Locale = &locale
				}
				if cmd.Flags().Changed("zone") {
					chosen := slices.DeleteFunc(zones, func(z string) bool { return z == "" })
					e.Zones = &chosen
				}
				if cmd.Flags().Changed("email") {
					adr, err := db.address(email)
					if err != nil {
						return usagef(cmd, "--email: %w", err)
					}
					e.Address = &adr
				}
				s, err := db.EditSubscriber(cmd.Context(), a.act(), key, e)
				if err != nil {
					return err
				}
				return a.out.say(viewSubscriber(s), "changed subscriber %d, %s", s.ID, s.Email)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME`")
	cmd.Flags().StringVar(&locale, "locale", "", "`LOCALE` of their mails; empty for that of each list")
	cmd.Flags().StringVar(&email, "email", "", "new `ADDRESS`")
	cmd.Flags().StringArrayVar(&zones, "zone", nil, "only news of the zone `SLUG`; may be given again")
	return cmd
}

// eachPlace runs change on the person's places that want says, and prints the person.
func (a *app) eachPlace(cmd *cobra.Command, email, none string, want func(zonewire.Subscription) bool, change func(db *session, id int64) error) error {
	return a.withSubscriber(cmd, email, func(db *session, key string, s zonewire.Subscriber) error {
		n := 0
		for _, sub := range s.Subscriptions {
			if !want(sub) {
				continue
			}
			n++
			if err := change(db, sub.ID); err != nil {
				return err
			}
		}
		if n == 0 {
			return fmt.Errorf("%s: %s", s.Email, none)
		}
		s, err := db.Subscriber(cmd.Context(), key)
		if err != nil {
			return err
		}
		var places []string
		for _, sub := range s.Subscriptions {
			places = append(places, subscriptionText(sub))
		}
		return a.out.say(viewSubscriber(s), "%s: %s", s.Email, strings.Join(places, "; "))
	})
}

func newSubscriberPause(a *app) *cobra.Command {
	var until string
	cmd := &cobra.Command{
		Use:     "pause EMAIL",
		Short:   "Send them nothing for a while; what falls into the pause is not mailed later",
		Example: "  zonewire subscriber pause reader@example.org --until 2026-12-24",
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var end time.Time
			act := a.act()
			if until != "" {
				var err error
				if end, err = ahead(until, act.At); err != nil {
					return usagef(cmd, "--until: %w", err)
				}
				if !end.After(act.At) {
					return usagef(cmd, "--until %s: it has passed", until)
				}
			}
			return a.eachPlace(cmd, args[0], "no active place on a list to pause",
				func(sub zonewire.Subscription) bool {
					return sub.State == zonewire.SubActive || sub.State == zonewire.SubPaused
				},
				func(db *session, id int64) error {
					_, err := db.PauseSubscription(cmd.Context(), act, id, end)
					return err
				})
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "resume by itself at `TIME`: a date, RFC 3339, or 14d; else until resumed")
	return cmd
}

func newSubscriberResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "resume EMAIL",
		Short:   "End their pause",
		Example: "  zonewire subscriber resume reader@example.org",
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachPlace(cmd, args[0], "no paused place on a list",
				func(sub zonewire.Subscription) bool { return sub.State == zonewire.SubPaused },
				func(db *session, id int64) error {
					_, err := db.ResumeSubscription(cmd.Context(), a.act(), id)
					return err
				})
		},
	}
}

func newSubscriberUnsubscribe(a *app) *cobra.Command {
	var list string
	cmd := &cobra.Command{
		Use:     "unsubscribe EMAIL",
		Short:   "Take them off a list, or off all, and cancel their mails not begun",
		Example: "  zonewire subscriber unsubscribe reader@example.org --list morning",
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			none := "on no list"
			if list != "" {
				none = "not on list " + list
			}
			return a.eachPlace(cmd, args[0], none,
				func(sub zonewire.Subscription) bool { return list == "" || sub.List == list },
				func(db *session, id int64) error {
					_, err := db.Unsubscribe(cmd.Context(), a.act(), id)
					return err
				})
		},
	}
	cmd.Flags().StringVar(&list, "list", "", "only off the list `SLUG`")
	return cmd
}

func newSubscriberErase(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase EMAIL",
		Short: "Forget a person: only a number and a keyed hash stay",
		Long: `Forgets a person. Their mails not begun are cancelled, their address and name deleted,
also from what servers replied. A number stays, so that counts still sum, and a keyed
hash, so that no import brings the address back. Backups and mails sent are outside.`,
		Example: "  zonewire subscriber erase reader@example.org --yes",
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSubscriber(cmd, args[0], func(db *session, key string, s zonewire.Subscriber) error {
				if err := a.confirm(cmd, yes, "erase %s for ever", s.Email); err != nil {
					return err
				}
				id, err := db.EraseSubscriber(cmd.Context(), a.act(), key)
				if err != nil {
					return err
				}
				return a.out.say(map[string]int64{"id": id}, "erased subscriber %d", id)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newSubscriberExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print every subscription as CSV",
		Example: "  zonewire subscriber export > subscribers.csv",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				people, err := db.Subscribers(cmd.Context(), zonewire.SubscriberQuery{})
				if err != nil {
					return err
				}
				views := []subscriberView{}
				rows := [][]string{{"email", "name", "locale", "list", "state", "zones", "confirmed", "consent"}}
				for _, s := range people {
					if !s.Erased.IsZero() {
						continue
					}
					views = append(views, viewSubscriber(s))
					for _, sub := range s.Subscriptions {
						rows = append(rows, []string{s.Email, s.Name, s.Locale, sub.List, string(sub.State), strings.Join(sub.Zones, ";"), stamp(sub.Confirmed), sub.Consent})
					}
				}
				if a.out.json {
					return a.out.object(views)
				}
				if err := csv.NewWriter(a.out.w).WriteAll(rows); err != nil {
					return fmt.Errorf("write to standard output: %w", err)
				}
				return nil
			})
		},
	}
}
