package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/outbox"
	"zonewire/store"
)

// newOutbox is "zonewire outbox".
func newOutbox(a *app) *cobra.Command {
	return noun("outbox", "Watch, send, pause and mend deliveries",
		newOutboxLs(a), newOutboxDrain(a), newOutboxRetry(a), newOutboxSettle(a), newOutboxPause(a), newOutboxResume(a))
}

// deliveryView is a delivery as -o json prints it.
type deliveryView struct {
	ID        int64   `json:"id"`
	Digest    int64   `json:"digest"`
	Email     string  `json:"email"`
	Provider  string  `json:"provider"`
	State     string  `json:"state"`
	Verdict   string  `json:"verdict"`
	Reason    string  `json:"reason,omitempty"`
	Attempts  int     `json:"attempts"`
	Next      *string `json:"next"`
	Code      int     `json:"code"`
	Enhanced  string  `json:"enhanced"`
	Reply     string  `json:"reply"`
	MessageID string  `json:"message_id"`
}

func newOutboxLs(a *app) *cobra.Command {
	var q store.DeliveryQuery
	var by string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List deliveries, or what waits by provider and why",
		Long: `List deliveries. With --by provider, count what waits for each provider group instead: how
fast it is sent to, whether its breaker is open, until when, and what it said.`,
		Example: `  zonewire outbox ls --digest 12
  zonewire outbox ls --state rejected -o json
  zonewire outbox ls --by provider`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch by {
			case "":
			case "provider":
				return a.with(cmd.Context(), mustExist, func(db *session) error { return a.listProviders(cmd, db) })
			default:
				return usagef(cmd, "--by %q: only provider is known", by)
			}
			if q.State != "" {
				if _, err := zonewire.ParseDeliveryState(q.State); err != nil {
					return usagef(cmd, "--state: %w", err)
				}
			}
			return a.withEngine(cmd.Context(), func(e *engine) error {
				all, err := e.db.Deliveries(cmd.Context(), q)
				if err != nil {
					return err
				}
				hosts := map[int64]string{}
				views, rows := make([]deliveryView, len(all)), make([][]string, len(all))
				for i, d := range all {
					host, known := hosts[d.Digest]
					if !known {
						if v, err := e.db.WebVariant(cmd.Context(), d.Digest, ""); err == nil {
							host = v.Mail.Host
						} else if !errors.Is(err, zonewire.ErrNotFound) {
							return err
						}
						hosts[d.Digest] = host
					}
					v := deliveryView{ID: d.ID, Digest: d.Digest, Email: d.Email, Provider: d.Provider, State: d.State.String(), Verdict: string(d.Verdict), Reason: d.Reason, Attempts: d.Attempts, Code: d.Code, Enhanced: d.Enhanced, Reply: d.Reply}
					if d.State.Open() {
						v.Next = stampOrNull(d.Next)
					}
					if host != "" {
						v.MessageID = e.db.secret.MessageID(zonewire.Job{Kind: zonewire.DigestJob, ID: d.ID, Digest: d.Digest, Subscriber: d.Subscriber}, host)
					}
					next := ""
					if v.Next != nil {
						next = *v.Next
					}
					views[i] = v
					rows[i] = []string{strconv.FormatInt(d.ID, 10), strconv.FormatInt(d.Digest, 10), d.Email, v.State, strconv.Itoa(d.Attempts), next, replyText(d)}
				}
				return a.out.list(views, []string{"ID", "DIGEST", "EMAIL", "STATE", "TRIES", "NEXT", "REPLY"}, rows, "no such deliveries")
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "count what waits by `WHAT`: provider")
	cmd.Flags().Int64Var(&q.Digest, "digest", 0, "only of the digest `ID`")
	cmd.Flags().StringVar(&q.State, "state", "", "only in `STATE`: pending, leased, deferred, accepted, rejected, uncertain, suppressed, cancelled, empty or expired")
	cmd.Flags().IntVar(&q.Limit, "limit", 1000, "at most `N` deliveries, 0 for all")
	return cmd
}

func (a *app) listProviders(cmd *cobra.Command, db *session) error {
	open, err := db.OpenByProvider(cmd.Context())
	if err != nil {
		return err
	}
	paces, err := db.Providers(cmd.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	views := viewProviders(open, paces, now)
	rows := make([][]string, len(views))
	for i, v := range views {
		rows[i] = []string{v.Provider, strconv.Itoa(v.Pending), strconv.Itoa(v.Leased), strconv.Itoa(v.Deferred), v.State, clip(oneLine(v.why()), 90)}
	}
	return a.out.list(views, []string{"PROVIDER", "PENDING", "LEASED", "DEFERRED", "STATE", "WHY"}, rows, "nothing waits, and no provider has complained")
}

// replyText is the server's last word, or why there was none.
func replyText(d zonewire.Delivery) string {
	text := d.Reply
	if d.Enhanced != "" {
		text = d.Enhanced + " " + text
	}
	if d.Code != 0 {
		text = strconv.Itoa(d.Code) + " " + text
	}
	if text == "" {
		text = d.Reason
	}
	return clip(oneLine(text), 60)
}

func newOutboxDrain(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "drain",
		Short: "Send all that is due, then exit",
		Long: `Send all mail that is due now, then exit. It may run beside the daemon: each mail is
sent by one of them. What is deferred is tried again by the daemon, or by a later drain.`,
		Example: `  zonewire outbox drain`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			tr, err := a.transport()
			if err != nil {
				return err
			}
			return a.withEngine(cmd.Context(), func(e *engine) error {
				if reason, err := e.db.SendingPaused(cmd.Context()); err != nil {
					return err
				} else if reason != "" {
					return zonewire.Invalidf("sending is paused (%s): `zonewire outbox resume` lets it go on", reason)
				}
				began := time.Now()
				bar := a.bar(-1, "sending", "mails")
				counts, err := e.agent(tr).Drain(cmd.Context(), func(p outbox.Progress) {
					bar.ChangeMax(p.Total)
					_ = bar.Set(p.Done) // a bar that cannot be drawn is no reason to stop sending
				})
				_ = bar.Finish()
				took := time.Since(began)
				view := map[string]any{"counts": viewCounts(counts), "seconds": took.Seconds()}
				what := countsText(counts)
				if what == "" {
					what = "nothing is due"
				}
				held, heldErr := e.db.Due(cmd.Context(), time.Now())
				if held > 0 && err == nil {
					if counts.Sum() == 0 {
						what = "nothing may go now"
					}
					view["held"] = held
					what += fmt.Sprintf(", %d held back for providers that refuse us (see `zonewire outbox ls --by provider`)", held)
				}
				return errors.Join(err, heldErr, a.out.say(view, "%s, in %s", what, took.Round(time.Millisecond)))
			})
		},
	}
}

func newOutboxRetry(a *app) *cobra.Command {
	var digest, id int64
	cmd := &cobra.Command{
		Use:   "retry (--digest ID | --id ID)",
		Short: "Try rejected, uncertain and expired deliveries again",
		Example: `  zonewire outbox retry --digest 12
  zonewire outbox retry --id 4711`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				n, err := db.RetryDeliveries(cmd.Context(), a.act(), digest, id)
				if err != nil {
					return err
				}
				return a.out.say(map[string]int{"retried": n}, "%s will be tried again", count(n, "mail"))
			})
		},
	}
	cmd.Flags().Int64Var(&digest, "digest", 0, "all of the digest `ID`")
	cmd.Flags().Int64Var(&id, "id", 0, "the delivery `ID`")
	cmd.MarkFlagsOneRequired("digest", "id")
	cmd.MarkFlagsMutuallyExclusive("digest", "id")
	return cmd
}

func newOutboxSettle(a *app) *cobra.Command {
	var id int64
	cmd := &cobra.Command{
		Use:   "settle --id ID accepted|rejected",
		Short: "Close an uncertain delivery as you have found it",
		Long: `Close a delivery whose reply was lost, after you have looked whether the mail arrived,
such as in the log of the mail server under its Message-ID.`,
		Example: `  zonewire outbox settle --id 4711 accepted`,
		Args:    exactly("accepted|rejected"),
		RunE: func(cmd *cobra.Command, args []string) error {
			as, err := zonewire.ParseDeliveryState(args[0])
			if err != nil || as != zonewire.Accepted && as != zonewire.Rejected {
				return usagef(cmd, "%q is neither accepted nor rejected", args[0])
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if err := db.SettleDelivery(cmd.Context(), a.act(), id, as); err != nil {
					return err
				}
				return a.out.say(map[string]any{"id": id, "state": as.String()}, "delivery %d is %s", id, as)
			})
		},
	}
	cmd.Flags().Int64Var(&id, "id", 0, "the delivery `ID`")
	if err := cmd.MarkFlagRequired("id"); err != nil {
		panic(err) // the flag stands one line above
	}
	return cmd
}

func newOutboxPause(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "pause",
		Short:   "Stop all mail at once",
		Long:    `Stop all mail at once. What is with the mail server finishes; digests go on being planned.`,
		Example: `  zonewire outbox pause`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if err := db.PauseSending(cmd.Context(), a.act(), "by the operator"); err != nil {
					return err
				}
				return a.out.say(map[string]bool{"paused": true}, "sending is paused: `zonewire outbox resume` lets it go on")
			})
		},
	}
}

func newOutboxResume(a *app) *cobra.Command {
	var yes, fromNow bool
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let mail go again, after saying what waits",
		Long: `Let mail go again. It says how many mails and articles wait, and asks. With --from-now
nothing that waited is sent: open deliveries expire, and each list begins at the present.`,
		Example: `  zonewire outbox resume
  zonewire outbox resume --from-now --yes`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				w, err := db.WaitingMail(cmd.Context())
				if err != nil {
					return err
				}
				what := "send " + count(w.Deliveries, "waiting mail") + " and plan digests of " + count(w.Articles, "waiting article")
				if fromNow {
					what = "expire " + count(w.Deliveries, "waiting mail") + " and skip " + count(w.Articles, "waiting article") + " in digests"
				}
				if err := a.confirm(cmd, yes, "%s", what); err != nil {
					return err
				}
				if err := db.ResumeSending(cmd.Context(), a.act(), fromNow); err != nil {
					return err
				}
				return a.out.say(map[string]any{"paused": false, "mails": w.Deliveries, "articles": w.Articles}, "sending goes on: %s, %s",
					count(w.Deliveries, "waiting mail"), count(w.Articles, "waiting article"))
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&fromNow, "from-now", false, "send nothing that waited")
	return cmd
}
