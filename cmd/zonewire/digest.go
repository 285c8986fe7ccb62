package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/api"
	"zonewire/digest"
	"zonewire/internal/address"
	"zonewire/store"
)

// newDigest is "zonewire digest".
func newDigest(a *app) *cobra.Command {
	return noun("digest", "Preview, cut, test and watch digests",
		newDigestPreview(a), newDigestCut(a), newDigestTest(a), newDigestLs(a), newDigestShow(a), newDigestCancel(a))
}

// digestView is a digest as -o json prints it; counts sum to recipients.
type digestView struct {
	api.Digest
	// Expired lists the first of those whose time ran out, only in digest show.
	Expired []expiredView `json:"expired,omitempty"`
}

// expiredView is a delivery that was tried until 48 hours after its slot.
type expiredView struct {
	ID       int64  `json:"id"`
	Email    string `json:"email"`
	Attempts int    `json:"attempts"`
	Reply    string `json:"reply"`
}

const expiredShown = 20

func viewDigest(d zonewire.Digest) digestView { return digestView{api.ViewDigest(d), nil} }

func viewCounts(c zonewire.Counts) map[string]int {
	m := make(map[string]int, len(c))
	for _, s := range zonewire.DeliveryStates() {
		m[s.String()] = c[s]
	}
	return m
}

// countsText names the states that have deliveries: "98 accepted, 2 deferred".
func countsText(c zonewire.Counts) string {
	var parts []string
	for _, s := range zonewire.DeliveryStates() {
		if c[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[s], s))
		}
	}
	return strings.Join(parts, ", ")
}

func stateText(d zonewire.Digest) string {
	if d.Reason != "" {
		return string(d.State) + " (" + d.Reason + ")"
	}
	return string(d.State)
}

// withEngine opens the database and wires the rooms on it, quiet but for warnings.
func (a *app) withEngine(ctx context.Context, fn func(e *engine) error) error {
	return a.with(ctx, mustExist, func(db *session) error {
		e, err := newEngine(ctx, a, db, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			return err
		}
		return fn(e)
	})
}

func newDigestPreview(a *app) *cobra.Command {
	var at, email, format string
	cmd := &cobra.Command{
		Use:   "preview LIST",
		Short: "Show the next digest without planning it",
		Long: `Show what a digest of the list would say now: what has come since its last one.
Nothing is planned, stored or sent. With --subscriber it is that person's mail.`,
		Example: `  zonewire digest preview jiangsu-morning
  zonewire digest preview jiangsu-morning --format html > preview.html
  zonewire digest preview jiangsu-morning --subscriber wang@example.com --format eml`,
		Args: exactly("LIST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "html" && format != "eml" {
				return usagef(cmd, "format %q is none of text, html, eml", format)
			}
			now := time.Now()
			slot, err := slotFlag(at, now)
			if err != nil {
				return usagef(cmd, "--at: %w", err)
			}
			return a.withEngine(cmd.Context(), func(e *engine) error {
				mail, job, err := e.preview(cmd.Context(), args[0], email, slot, now)
				if err != nil {
					return err
				}
				return e.writePreview(a.out.w, format, digest.Sample(mail), job)
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "as of `TIME`, RFC 3339 (default now)")
	cmd.Flags().StringVar(&email, "subscriber", "", "as the subscriber `EMAIL` gets it")
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT`: text, html or eml")
	return cmd
}

// slotFlag reads --at: a moment in whole seconds.
func slotFlag(at string, now time.Time) (time.Time, error) {
	if at == "" {
		return now.UTC().Truncate(time.Second), nil
	}
	t, err := parseTime(at)
	return t.UTC().Truncate(time.Second), err
}

// preview composes the list's next mail for one person, or for someone with all zones and the list's locale.
func (e *engine) preview(ctx context.Context, list, email string, slot, now time.Time) (zonewire.Mail, zonewire.Job, error) {
	l, err := e.db.List(ctx, list)
	if err != nil {
		return zonewire.Mail{}, zonewire.Job{}, err
	}
	audience := zonewire.Audience{Locale: l.Locale, Size: 1}
	job := zonewire.Job{Slot: slot, ListID: l.ID, Email: "reader@example.com", Subscription: 1}
	if email != "" {
		s, sub, err := e.subscription(ctx, email, list)
		if err != nil {
			return zonewire.Mail{}, job, err
		}
		if s.Locale != "" {
			audience.Locale = s.Locale
		}
		audience.Zones = zonewire.ZoneSet(sub.ZoneIDs)
		job.Email, job.Subscriber, job.Subscription = s.Email, s.ID, sub.ID
	}
	plan, err := e.db.PreviewDigest(ctx, list, slot, now, []zonewire.Audience{audience}, e.planner)
	if err != nil {
		return zonewire.Mail{}, job, err
	}
	for _, v := range plan.Variants {
		if v.Locale == audience.Locale && v.Zones == audience.Zones {
			return v.Mail, job, nil
		}
	}
	return zonewire.Mail{}, job, fmt.Errorf("list %s: nothing new since its last digest: a digest now would be skipped", list)
}

func (e *engine) subscription(ctx context.Context, email, list string) (zonewire.Subscriber, zonewire.Subscription, error) {
	addr, err := address.Parse(email)
	if err != nil {
		return zonewire.Subscriber{}, zonewire.Subscription{}, err
	}
	s, err := e.db.Subscriber(ctx, addr.Key)
	if err != nil {
		return s, zonewire.Subscription{}, err
	}
	for _, sub := range s.Subscriptions {
		if sub.List == list {
			return s, sub, nil
		}
	}
	return s, zonewire.Subscription{}, fmt.Errorf("subscriber %d on list %s: %w", s.ID, list, zonewire.ErrNotFound)
}

// writePreview prints a mail that [digest.Sample] has filled.
func (e *engine) writePreview(w io.Writer, format string, mail zonewire.Mail, job zonewire.Job) error {
	var err error
	switch format {
	case "html":
		_, err = io.WriteString(w, mail.HTML[0])
	case "eml":
		to, parseErr := address.Parse(job.Email)
		if parseErr != nil {
			return parseErr
		}
		job.Kind, job.Subscription = zonewire.NoticeJob, 0
		env, composeErr := e.composer.Compose(mail, job, to)
		if composeErr != nil {
			return composeErr
		}
		_, err = w.Write(env.Message)
	default:
		_, err = fmt.Fprintf(w, "%s\n\n%s", mail.Subject, mail.Text[0])
	}
	return err
}

func newDigestCut(a *app) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "cut LIST",
		Short: "Plan a digest now, besides the schedule",
		Long: `Plan a digest of what has come since the list's last one, now. The schedule stays as
it is; the next scheduled digest takes what comes after this one.`,
		Example: `  zonewire digest cut jiangsu-morning
  zonewire outbox drain`,
		Args: exactly("LIST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			act := a.act()
			slot, err := slotFlag(at, act.At)
			if err != nil {
				return usagef(cmd, "--at: %w", err)
			}
			return a.withEngine(cmd.Context(), func(e *engine) error {
				d, err := e.db.CutDigest(cmd.Context(), act, args[0], slot, e.planner)
				if err != nil {
					return err
				}
				if d.State == zonewire.DigestSkipped {
					return a.out.say(viewDigest(d), "digest %d of list %s: skipped, %s", d.ID, d.List, d.Reason)
				}
				return a.out.say(viewDigest(d), "digest %d of list %s: %s for %s", d.ID, d.List, count(d.Items, "article"), count(d.Recipients, "recipient"))
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "the slot's `TIME`, RFC 3339 (default now)")
	return cmd
}

func newDigestTest(a *app) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "test LIST --to EMAIL",
		Short: "Mail the next digest to one address, as a test",
		Long: `Queue the list's next digest for one address, ahead of all digests. Nothing is
planned: the list's readers get nothing, and its next digest holds the same.
The links to leave in it do nothing.`,
		Example: `  zonewire digest test jiangsu-morning --to admin@example.com`,
		Args:    exactly("LIST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := address.Parse(to)
			if err != nil {
				return usagef(cmd, "--to: %w", err)
			}
			act := a.act()
			return a.withEngine(cmd.Context(), func(e *engine) error {
				mail, _, err := e.preview(cmd.Context(), args[0], "", act.At.UTC().Truncate(time.Second), act.At)
				if err != nil {
					return err
				}
				id, err := e.db.AddNotice(cmd.Context(), act, "test", 0, addr.Given, digest.Sample(mail))
				if err != nil {
					return err
				}
				return a.out.say(map[string]int64{"notice": id}, "queued as notice %d: it goes with the next mails of `zonewire serve`, or now with `zonewire outbox drain`", id)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the `EMAIL` that gets it")
	if err := cmd.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag stands one line above
	}
	return cmd
}

func newDigestLs(a *app) *cobra.Command {
	var list string
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List digests, newest first",
		Example: `  zonewire digest ls --list jiangsu-morning`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if list != "" {
					if _, err := db.List(cmd.Context(), list); err != nil {
						return err
					}
				}
				all, err := db.Digests(cmd.Context(), list, limit)
				if err != nil {
					return err
				}
				views, rows := make([]digestView, len(all)), make([][]string, len(all))
				for i, d := range all {
					views[i] = viewDigest(d)
					rows[i] = []string{strconv.FormatInt(d.ID, 10), d.List, stamp(d.Slot), stateText(d), strconv.Itoa(d.Items), strconv.Itoa(d.Recipients), countsText(d.Counts)}
				}
				return a.out.list(views, []string{"ID", "LIST", "SLOT", "STATE", "ITEMS", "RECIPIENTS", "DELIVERIES"}, rows, "no digests yet")
			})
		},
	}
	cmd.Flags().StringVar(&list, "list", "", "only of the list `SLUG`")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` digests")
	return cmd
}

func newDigestShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a digest: every recipient is accounted for",
		Example: `  zonewire digest show 12`,
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(cmd, "digest", args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				d, err := db.Digest(cmd.Context(), id)
				if err != nil {
					return err
				}
				fields := []field{
					{"id", strconv.FormatInt(d.ID, 10)}, {"list", d.List}, {"slot", stamp(d.Slot)}, {"state", stateText(d)},
					{"items", strconv.Itoa(d.Items)}, {"recipients", strconv.Itoa(d.Recipients)},
				}
				for _, s := range zonewire.DeliveryStates() {
					if d.Counts[s] > 0 {
						fields = append(fields, field{"  " + s.String(), strconv.Itoa(d.Counts[s])})
					}
				}
				view := viewDigest(d)
				if d.Counts[zonewire.Expired] > 0 {
					lost, err := db.Deliveries(cmd.Context(), store.DeliveryQuery{Digest: d.ID, State: zonewire.Expired.String(), Limit: expiredShown})
					if err != nil {
						return err
					}
					for _, x := range lost {
						view.Expired = append(view.Expired, expiredView{x.ID, x.Email, x.Attempts, replyText(x)})
						fields = append(fields, field{"expired " + strconv.FormatInt(x.ID, 10), x.Email + ": " + replyText(x)})
					}
					if more := d.Counts[zonewire.Expired] - len(lost); more > 0 {
						fields = append(fields, field{"expired …", fmt.Sprintf("and %d more: `zonewire outbox ls --digest %d --state expired`", more, d.ID)})
					}
				}
				err = a.out.record(view, fields...)
				if sum := d.Counts.Sum(); sum != d.Recipients {
					err = errors.Join(err, fmt.Errorf("digest %d: %d deliveries for %d recipients: the ledger does not sum", d.ID, sum, d.Recipients))
				}
				return err
			})
		},
	}
}

func newDigestCancel(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel the mails of a digest that have not begun",
		Long: `Cancel every delivery of the digest that has not begun. What is with the mail server
finishes; what was accepted cannot be called back.`,
		Example: `  zonewire digest cancel 12 --yes`,
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(cmd, "digest", args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				d, err := db.Digest(cmd.Context(), id)
				if err != nil {
					return err
				}
				if err := a.confirm(cmd, yes, "cancel up to %s of digest %d", count(d.Counts.Open(), "open mail"), id); err != nil {
					return err
				}
				n, err := db.CancelDigest(cmd.Context(), a.act(), id)
				if err != nil {
					return err
				}
				return a.out.say(map[string]int{"cancelled": n}, "digest %d: %s cancelled", id, count(n, "mail"))
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
