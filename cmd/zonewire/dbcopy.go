package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"zonewire/ingest"
	"zonewire/store"
)

func newDBCopy(a *app) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "copy --to DSN",
		Short: "Copy everything to an empty database of either engine",
		Long: `Copy everything to another database, a file or a PostgreSQL server, either way. Stop
the daemon first. The target is made if it is not there, and must hold nothing; of a
server the database itself must be there. All is written in one transaction, read
back and compared before it is kept: after a failure or Ctrl-C the target is as
empty as before.

The copy comes up with sending paused, and needs the secret of the original. Once
mail is sent from it, the original must not send any more.`,
		Example: `  zonewire db copy --to postgres://zonewire@db.example.org/zonewire
  zonewire --db postgres://zonewire@db.example.org/zonewire db copy --to zonewire.db`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				return a.copyDatabase(cmd.Context(), db, to)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`DSN` of the target: a file, or postgres://…")
	require(cmd, "to")
	return cmd
}

// copiedView is what a copy prints for scripts.
type copiedView struct {
	To     string        `json:"to"`
	Tables []copiedTable `json:"tables"`
	Rows   int64         `json:"rows"`
	Paused bool          `json:"paused"`
	Secret secretView    `json:"secret"`
	Config string        `json:"config"` // the line for the configuration, its password hidden
}

type copiedTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

type secretView struct {
	Place       string `json:"place"`
	Fingerprint string `json:"fingerprint"`
}

func (a *app) copyDatabase(ctx context.Context, db *session, dsn string) (err error) {
	// A relative path means the folder of the command, but in the configuration that of its file.
	if path, isFile := databaseFile(dsn); isFile {
		if dsn, err = filepath.Abs(path); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
	}
	tables, err := a.copyTo(ctx, db, dsn)
	if err != nil {
		return err
	}
	return a.out.copied(a.viewCopy(db, dsn, tables))
}

// copyTo copies into the database at dsn. A file that it has made for a copy that failed is taken away: left behind, it would
// pass for a new installation.
func (a *app) copyTo(ctx context.Context, db *session, dsn string) ([]store.CopiedTable, error) {
	there, err := databaseExists(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	target, err := store.Open(ctx, dsn, store.Options{Create: true, Matcher: ingest.NewMatcher})
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	bars := copyBars{app: a}
	tables, err := db.Copy(ctx, a.act(), target, bars.tell)
	bars.finish()
	failed := err != nil
	err = errors.Join(err, target.Close())
	if path, isFile := databaseFile(dsn); isFile && !there && failed {
		err = errors.Join(err, os.Remove(path))
	}
	return tables, err
}

func (a *app) viewCopy(db *session, dsn string, tables []store.CopiedTable) copiedView {
	v := copiedView{
		To:     maskPassword(dsn),
		Paused: true,
		Secret: secretView{secretPlace(a.settings), db.secret.Fingerprint()},
		Config: "db = " + strconv.Quote(maskPassword(dsn)),
	}
	for _, t := range tables {
		v.Tables = append(v.Tables, copiedTable{t.Name, t.Rows, t.Hash})
		v.Rows += t.Rows
	}
	return v
}

// copied prints what was copied, and what is left to do.
func (p printer) copied(v copiedView) error {
	if p.json {
		return p.object(v)
	}
	rows := [][]string{{"TABLE", "ROWS", "SHA-256"}}
	for _, t := range v.Tables {
		rows = append(rows, []string{t.Name, strconv.FormatInt(t.Rows, 10), t.SHA256[:16] + "…"})
	}
	return p.write(table(rows) + fmt.Sprintf(`
copied %d rows to %s, and compared them
sending is paused there: zonewire outbox resume starts it
secret: %s (fingerprint %s), as here; the copy needs it
configuration: %s
`, v.Rows, oneLine(v.To), v.Secret.Place, v.Secret.Fingerprint, oneLine(v.Config)))
}

// copyBars shows a bar for each step of a copy.
type copyBars struct {
	app  *app
	what string
	bar  *progressbar.ProgressBar
}

func (b *copyBars) tell(s store.CopyStep) {
	if s.What != b.what {
		b.finish()
		b.what, b.bar = s.What, b.app.bar(int(s.Total), s.What, "rows")
	}
	_ = b.bar.Set64(s.Done) // a bar that cannot be drawn is no reason to stop
}

func (b *copyBars) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
