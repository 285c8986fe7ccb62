package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"zonewire"
)

// newSuppression is "zonewire suppression".
func newSuppression(a *app) *cobra.Command {
	cmd := noun("suppression", "Addresses that get no mail, whatever they subscribe to",
		newSuppressionAdd(a), newSuppressionRemove(a), newSuppressionLs(a), newSuppressionImport(a))
	cmd.Long = `A suppressed address gets no digest. Addresses that do not exist, and those of people who
complained, are suppressed by themselves. Only a keyed hash of the address is kept, so that
it outlives the person's erasure; it is lifted by remove, by --force, or when the owner of
the address confirms a subscription.`
	return cmd
}

func newSuppressionAdd(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "add EMAIL --reason TEXT",
		Short:   "Send nothing more to an address; what waits for it is closed at once",
		Example: `  zonewire suppression add reader@example.org --reason 'asked by phone, 2026-11-02'`,
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef(cmd, "--reason is empty: say why, such as --reason 'asked by phone'")
			}
			if _, err := parseAddress(args[0]); err != nil {
				return usagef(cmd, "%w", err)
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error {
				adr, err := db.address(args[0])
				if err != nil {
					return err
				}
				added, err := db.AddSuppression(cmd.Context(), a.act(), adr.Hash, reason)
				if err != nil {
					return err
				}
				what := "is suppressed"
				if !added {
					what = "was suppressed before"
				}
				return a.out.say(map[string]any{"email": adr.Given, "added": added}, "%s %s", adr.Given, what)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, as `TEXT`: it is shown with each digest that is not sent")
	require(cmd, "reason")
	return cmd
}

func newSuppressionRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Let mail go to an address again",
		Long: `Let mail go to an address again. Places on lists that ended because its mail bounced stand
again; who left or complained does not come back by this.`,
		Example: `  zonewire suppression remove reader@example.org`,
		Args:    exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := parseAddress(args[0]); err != nil {
				return usagef(cmd, "%w", err)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				adr, err := db.address(args[0])
				if err != nil {
					return err
				}
				err = db.RemoveSuppression(cmd.Context(), a.act(), adr.Hash)
				if errors.Is(err, zonewire.ErrNotFound) {
					return fmt.Errorf("%s is not suppressed: %w", adr.Given, zonewire.ErrNotFound)
				}
				if err != nil {
					return err
				}
				return a.out.say(map[string]string{"email": adr.Given}, "%s gets mail again", adr.Given)
			})
		},
	}
}

func newSuppressionLs(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List suppressed addresses, oldest first",
		Long:    "List suppressed addresses, oldest first. One that no subscriber has is known by its hash only.",
		Example: `  zonewire suppression ls`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit %d: it must be at least 1", limit)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				all, err := db.Suppressions(cmd.Context(), limit)
				if err != nil {
					return err
				}
				type view struct {
					Email      string `json:"email"` // empty: nobody has it now
					Subscriber int64  `json:"subscriber"`
					Hash       string `json:"hash"`
					Reason     string `json:"reason"`
					Created    string `json:"created"`
				}
				var views []view
				var rows [][]string
				for _, s := range all {
					views = append(views, view{s.Email, s.Subscriber, s.Hash, s.Reason, stamp(s.Created)})
					shown := s.Email
					if shown == "" {
						shown = "(hash " + s.Hash[:min(12, len(s.Hash))] + "…)"
					}
					rows = append(rows, []string{shown, s.Reason, stamp(s.Created)})
				}
				return a.out.list(views, []string{"EMAIL", "REASON", "SINCE"}, rows, "no address is suppressed")
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 1000, "at most `N` addresses")
	return cmd
}

func newSuppressionImport(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Suppress many addresses; - is standard input",
		Long: `Suppress every address of a file: one a line, or a CSV whose first line names the column
email. A line that holds no address is told, and the others go in.`,
		Example: `  zonewire suppression import old-system-bounces.txt --reason 'bounced at the former provider'`,
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readInput(args[0], a.stdin)
			if err != nil {
				return err
			}
			rows, err := suppressionRows(args[0], text)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error { return a.importSuppressions(cmd, db, rows, reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "imported", "why, as `TEXT`")
	return cmd
}

// suppressionRows reads a list of addresses as a table of subscribers without its head.
func suppressionRows(path string, text []byte) ([]subscriberRow, error) {
	first, _, _ := strings.Cut(string(text), "\n")
	added := 0
	if strings.Contains(first, "@") {
		text, added = append([]byte("email\n"), text...), 1
	}
	rows, err := readSubscribers(path, text)
	for i := range rows {
		rows[i].line -= added
	}
	return rows, err
}

func (a *app) importSuppressions(cmd *cobra.Command, db *session, rows []subscriberRow, reason string) error {
	var added, unchanged int
	rejects := []importReject{}
	bar := a.bar(max(1, len(rows)), "importing", "addresses")
	for _, row := range rows {
		_ = bar.Add(1) // a bar that cannot be drawn is no failure of the import
		adr, err := row.address(db)
		if err != nil {
			_ = bar.Clear()
			rejects = append(rejects, importReject{row.path, row.line, err.Error()})
			a.tellRejects(rejects[len(rejects)-1:])
			continue
		}
		fresh, err := db.AddSuppression(cmd.Context(), a.act(), adr.Hash, reason)
		switch {
		case err != nil:
			return errors.Join(fmt.Errorf("%s:%d: %w (what was stored before stays; run it again)", row.path, row.line, err), bar.Finish())
		case fresh:
			added++
		default:
			unchanged++
		}
	}
	view := map[string]any{"read": len(rows), "added": added, "unchanged": unchanged, "rejected": len(rejects), "rejects": rejects}
	err := errors.Join(bar.Finish(), a.out.say(view, "read %s: %d added, %d unchanged, %d rejected", strconv.Itoa(len(rows)), added, unchanged, len(rejects)))
	if err == nil && len(rejects) > 0 {
		err = errReported
	}
	return err
}
