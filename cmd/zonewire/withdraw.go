package main

import "github.com/spf13/cobra"

func newArticleWithdraw(a *app) *cobra.Command {
	var reason string
	var purge, yes bool
	cmd := &cobra.Command{
		Use:   "withdraw ID",
		Short: "Take an article back for good",
		Long: `Takes an article back for good. It leaves the feeds, and every mail not begun is composed
again without it, and so is the page of a digest that carried it. --purge also deletes
its text.`,
		Example: "  zonewire article withdraw 12 --reason 数据有误 --yes",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(cmd, "article", args[0])
			if err != nil {
				return err
			}
			return a.withEngine(cmd.Context(), func(e *engine) error {
				art, err := e.db.Article(cmd.Context(), id)
				if err != nil {
					return err
				}
				verb := "withdraw"
				if purge {
					verb = "withdraw and delete the text of"
				}
				if err := a.confirm(cmd, yes, "%s article %d, %s", verb, id, art.Title); err != nil {
					return err
				}
				n, err := e.db.WithdrawArticle(cmd.Context(), a.act(), id, reason, purge, e.planner)
				if err != nil {
					return err
				}
				return a.out.say(map[string]any{"id": id, "reason": reason, "purged": purge, "recut": n},
					"withdrew article %d, %s composed again", id, count(n, "mail"))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that says why")
	cmd.Flags().BoolVar(&purge, "purge", false, "also delete its text and what it was before")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
