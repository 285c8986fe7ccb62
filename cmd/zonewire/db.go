package main

import (
	"github.com/spf13/cobra"
)

// newDB is "zonewire db".
func newDB(a *app) *cobra.Command {
	return noun("db", "Make, upgrade, verify and move the database", newDBMigrate(a), newDBVerify(a), newDBCopy(a))
}

func newDBMigrate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Make the database and its secret, or bring an older schema up to date",
		Long: `Make the database and its secret if there are none, or bring an older schema up to
date. A newer schema than this program knows is refused. The secret is the second
thing to keep beside the database: without it no link in a mail already sent works.`,
		Example: `  zonewire --db /var/lib/zonewire/zonewire.db db migrate
  zonewire --db postgres://zonewire@db.example.org/zonewire db migrate`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mayMigrate, func(db *session) error {
				version, err := db.SchemaVersion(cmd.Context())
				if err != nil {
					return err
				}
				what := "up to date"
				if db.Created() {
					what = "made, with its secret " + secretPlace(a.settings)
				}
				return a.out.say(map[string]any{"created": db.Created(), "schema": version}, "database %s: %s, schema %d", maskPassword(a.cfg.DB), what, version)
			})
		},
	}
}
