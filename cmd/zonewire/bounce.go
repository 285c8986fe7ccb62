package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/bounce"
	"zonewire/store"
)

// bouncesKnownFor is how long the return address of a mail takes mail: later reports say nothing about today.
const bouncesKnownFor = 60 * 24 * time.Hour

// bounceSink records what the listener takes in.
type bounceSink struct{ db *store.DB }

func (s bounceSink) Known(ctx context.Context, job zonewire.JobRef, subscription int64) (bool, error) {
	return s.db.AddressKnown(ctx, job, subscription, bouncesKnownFor, time.Now())
}

func (s bounceSink) Record(ctx context.Context, b zonewire.Bounce) error {
	_, _, err := s.db.RecordBounce(ctx, zonewire.Act{At: time.Now(), By: "bounce"}, b)
	return err
}

// bounceListener receives returned mail, if the configuration says where; nil if it does not.
func (e *engine) bounceListener() (*bounce.Listener, error) {
	if e.cfg.Bounce.Listen == "" {
		return nil, nil
	}
	return bounce.Listen(bounce.Options{Listen: e.cfg.Bounce.Listen, Domain: e.cfg.Mail.BounceDomain, Log: e.log},
		bounce.Reader{Secret: e.db.secret}, bounceSink{e.db.DB})
}

// newBounce is "zonewire bounce".
func newBounce(a *app) *cobra.Command {
	cmd := noun("bounce", "Returned mail: reports, complaints, replies", newBounceImport(a), newBounceLs(a))
	cmd.Long = `Returned mail comes in through bounce.listen, or by bounce import. A report marks its
delivery as rejected; an address that does not exist is suppressed, a full mailbox pauses
after two weeks, a complaint ends all that the person gets, a reply that asks to leave
(退订, unsubscribe) ends that subscription. What nobody understands is kept and listed.`
	return cmd
}

// bounceView is a returned mail as -o json prints it.
type bounceView struct {
	ID         int64    `json:"id,omitempty"` // of what is stored
	Path       string   `json:"path,omitempty"`
	Received   *string  `json:"received,omitempty"`
	Kind       string   `json:"kind"`
	Verdict    string   `json:"verdict"`
	Recipients []string `json:"recipients"`
	Status     string   `json:"status"`
	Code       int      `json:"code"`
	Delivery   int64    `json:"delivery"` // 0: none, or nobody knows
	Effect     string   `json:"effect"`
	Text       string   `json:"text"`
	Known      bool     `json:"known,omitempty"` // it was imported before
}

func viewBounce(r zonewire.BounceRecord) bounceView {
	return bounceView{
		ID: r.ID, Received: stampOrNull(r.Received), Kind: string(r.Kind), Verdict: string(r.Verdict), Recipients: append([]string{}, r.Recipients...),
		Status: r.Status, Code: r.Code, Delivery: r.Delivery, Effect: r.Effect, Text: r.Text,
	}
}

func newBounceImport(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import PATH...",
		Short: "Read returned mail from .eml files, mboxes and Maildirs",
		Long: `Read returned mail from .eml files, mboxes and Maildirs, and act on it. Nothing is moved or
deleted; a mail that was read before changes nothing, so the same mailbox may be read again.`,
		Example: `  zonewire bounce import ~/Maildir
  zonewire bounce import --dry-run returned.eml -o json`,
		Args: atLeastOne("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				reader := bounce.Reader{Secret: db.secret}
				var views []bounceView
				for _, path := range args {
					err := bounce.Files(path, func(path string, raw []byte) error {
						v, err := takeBounce(cmd.Context(), db, a.act(), reader.Parse(raw, ""), dryRun)
						v.Path = path
						views = append(views, v)
						return err
					})
					if err != nil {
						return fmt.Errorf("%w (what was read before stays; run it again)", err)
					}
				}
				return a.listBounces(views, []string{"PATH", "KIND", "VERDICT", "STATUS", "DELIVERY", "EFFECT", "RECIPIENTS"}, "no mail found")
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what each mail is, and do nothing")
	return cmd
}

// takeBounce records a returned mail, or only says what it is.
func takeBounce(ctx context.Context, db *session, act zonewire.Act, b zonewire.Bounce, dryRun bool) (bounceView, error) {
	if !dryRun {
		r, added, err := db.RecordBounce(ctx, act, b)
		v := viewBounce(r)
		v.Known = !added
		return v, err
	}
	v := viewBounce(zonewire.BounceRecord{
		Kind: b.Kind, Verdict: b.Judgement.Verdict, Recipients: b.Recipients, Status: b.Status, Code: b.Code, Text: b.Text,
	})
	if b.Job.Kind == zonewire.DigestJob {
		v.Delivery = b.Job.ID
	}
	return v, nil
}

func (a *app) listBounces(views []bounceView, head []string, none string) error {
	rows := make([][]string, len(views))
	for i, v := range views {
		first := filepath.Base(v.Path)
		if v.Path == "" {
			first = strconv.FormatInt(v.ID, 10)
		}
		delivery := ""
		if v.Delivery != 0 {
			delivery = strconv.FormatInt(v.Delivery, 10)
		}
		effect := v.Effect
		if v.Known {
			effect = "read before"
		}
		status := v.Status
		if status == "" && v.Code != 0 {
			status = strconv.Itoa(v.Code)
		}
		rows[i] = []string{first, v.Kind, v.Verdict, status, delivery, effect, clip(strings.Join(v.Recipients, ", "), 50)}
	}
	return a.out.list(views, head, rows, none)
}

func newBounceLs(a *app) *cobra.Command {
	var kind string
	var limit int
	var kinds []string
	for _, k := range zonewire.BounceKinds() {
		kinds = append(kinds, string(k))
	}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List returned mail, newest first",
		Example: `  zonewire bounce ls
  zonewire bounce ls --kind unknown`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kind != "" && !slices.Contains(kinds, kind) {
				return usagef(cmd, "--kind %q is none of %s", kind, strings.Join(kinds, ", "))
			}
			if limit < 1 {
				return usagef(cmd, "--limit %d: it must be at least 1", limit)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				all, err := db.Bounces(cmd.Context(), zonewire.BounceKind(kind), limit)
				if err != nil {
					return err
				}
				views := make([]bounceView, len(all))
				for i, r := range all {
					views[i] = viewBounce(r)
				}
				return a.listBounces(views, []string{"ID", "KIND", "VERDICT", "STATUS", "DELIVERY", "EFFECT", "RECIPIENTS"}, "no mail came back yet")
			})
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "only of `KIND`: "+strings.Join(kinds, ", "))
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` mails")
	return cmd
}
