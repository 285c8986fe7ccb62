package main

import (
	"time"

	"github.com/spf13/cobra"
)

// newAudit is "zonewire audit".
func newAudit(a *app) *cobra.Command {
	return noun("audit", "Who changed what, and when", newAuditLs(a))
}

func newAuditLs(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the latest changes, newest first; people are named by number",
		Example: "  zonewire audit ls --limit 20",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit %d: it must be at least 1", limit)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				entries, err := db.Audit(cmd.Context(), limit)
				if err != nil {
					return err
				}
				type view struct {
					ID     int64     `json:"id"`
					At     time.Time `json:"at"`
					By     string    `json:"by"`
					Action string    `json:"action"`
					Target string    `json:"target"`
					Detail string    `json:"detail"`
				}
				var views []view
				var rows [][]string
				for _, e := range entries {
					views = append(views, view{e.ID, e.At.UTC(), e.By, e.Action, e.Target, e.Detail})
					rows = append(rows, []string{stamp(e.At), e.By, e.Action, e.Target, clip(e.Detail, 60)})
				}
				return a.out.list(views, []string{"AT", "BY", "ACTION", "TARGET", "DETAIL"}, rows, "nothing was changed yet")
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` changes")
	return cmd
}
