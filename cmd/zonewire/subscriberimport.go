package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/ingest"
)

func newSubscriberImport(a *app) *cobra.Command {
	var f joinFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv --list SLUG",
		Short: "Give many people a place on a list; - is standard input",
		Long: `Gives everyone in a CSV file a place on a list. The first line names the columns: email,
and if there are name, locale and zones (with ; between the slugs). A row that cannot be
used is told with its line; the others go in. Each new one is asked by mail to confirm,
unless --confirmed says that all have agreed and --consent says how. Who left the list, complained, or whose mail
bounced, is counted as refused and not brought back, unless --force says why with --reason.`,
		Example: `  zonewire subscriber import readers.csv --list morning --confirmed --consent 'trade fair, 2026-10'
  zonewire subscriber import readers.csv --list morning --dry-run`,
		Args: exactly("FILE.csv"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usagef(cmd, "%w", err)
			}
			text, err := readInput(args[0], a.stdin)
			if err != nil {
				return err
			}
			rows, err := readSubscribers(args[0], text)
			if err != nil {
				return err
			}
			mode := mayCreate
			if dryRun {
				mode = mustExist
			}
			return a.with(cmd.Context(), mode, func(db *session) error {
				list, err := db.List(cmd.Context(), f.list)
				if err != nil {
					return err
				}
				letters, err := a.letters(db)
				if err != nil {
					return err
				}
				join := func(row subscriberRow, adr zonewire.Address) (zonewire.SubscribeResult, error) {
					if dryRun {
						return tryImport(cmd.Context(), db, f, list, row, adr)
					}
					_, result, err := db.Subscribe(cmd.Context(), a.act(), zonewire.NewSubscription{
						Letters: letters, Address: adr, Name: row.name, Locale: row.locale, List: f.list, Zones: row.zones, Confirmed: f.confirmed, Consent: f.consent, Force: f.reason,
					})
					return result, err
				}
				return a.importSubscribers(db, rows, dryRun, join)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

// subscriberRow is one row of the file, or the reason why it cannot be used.
type subscriberRow struct {
	path                string
	line                int
	email, name, locale string
	zones               []string
	err                 error
}

// subscriberColumns are the heads that name a column.
var subscriberColumns = map[string]string{
	"email": "email", "e-mail": "email", "mail": "email", "邮箱": "email", "电子邮箱": "email", "电子邮件": "email",
	"name": "name", "姓名": "name", "locale": "locale", "语言": "locale", "zones": "zones", "zone": "zones", "开发区": "zones",
}

// readSubscribers reads the file, in whatever encoding an office program wrote it.
func readSubscribers(path string, text []byte) ([]subscriberRow, error) {
	decoded, err := ingest.Decode(text, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := csv.NewReader(strings.NewReader(decoded.Text))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, zonewire.Invalidf("%s: %v", path, err)
	}
	column := map[string]int{}
	for i, name := range head {
		if known, ok := subscriberColumns[strings.ToLower(strings.TrimSpace(name))]; ok {
			column[known] = i
		}
	}
	if _, ok := column["email"]; !ok {
		return nil, zonewire.Invalidf("%s:1: the first line must name the columns: email, and if there are name, locale, zones", path)
	}
	var rows []subscriberRow
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		row := subscriberRow{path: path}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			row.line, row.err = parse.StartLine, zonewire.Invalidf("%v", parse.Err)
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		} else {
			row.line, _ = r.FieldPos(0)
			cell := func(name string) string {
				if i, ok := column[name]; ok && i < len(cells) {
					return strings.TrimSpace(cells[i])
				}
				return ""
			}
			row.email, row.name, row.locale = cell("email"), cell("name"), cell("locale")
			row.zones = strings.FieldsFunc(cell("zones"), func(r rune) bool { return strings.ContainsRune(";,；，、 ", r) })
		}
		rows = append(rows, row)
	}
}

// subscriberImportResult is what subscriber import did.
type subscriberImportResult struct {
	Read      int            `json:"read"`
	Added     int            `json:"added"`
	Confirmed int            `json:"confirmed"`
	Revived   int            `json:"revived"`
	Unchanged int            `json:"unchanged"`
	Refused   int            `json:"refused"`
	Rejected  int            `json:"rejected"`
	Rejects   []importReject `json:"rejects"`
}

func (r *subscriberImportResult) add(result zonewire.SubscribeResult) {
	switch result {
	case zonewire.SubscribeAdded:
		r.Added++
	case zonewire.SubscribeConfirmed:
		r.Confirmed++
	case zonewire.SubscribeRevived:
		r.Revived++
	case zonewire.SubscribeRefused:
		r.Refused++
	default:
		r.Unchanged++
	}
}

// importSubscribers calls join for each row that can be used, and tells what became of all.
func (a *app) importSubscribers(db *session, rows []subscriberRow, dryRun bool, join func(subscriberRow, zonewire.Address) (zonewire.SubscribeResult, error)) error {
	result := subscriberImportResult{Rejects: []importReject{}}
	bar := a.bar(max(1, len(rows)), "importing", "people")
	var failure error
	for _, row := range rows {
		_ = bar.Add(1) // a bar that cannot be drawn is no failure of the import
		result.Read++
		adr, err := row.address(db)
		var done zonewire.SubscribeResult
		if err == nil {
			done, err = join(row, adr)
		}
		switch {
		case err == nil:
			result.add(done)
			continue
		case !errors.Is(err, zonewire.ErrInvalid) && !errors.Is(err, zonewire.ErrNotFound) && !errors.Is(err, zonewire.ErrGone):
			failure = fmt.Errorf("%s:%d: %w (what was stored before stays; run it again)", row.path, row.line, err)
		}
		if failure != nil {
			break
		}
		_ = bar.Clear()
		reject := importReject{row.path, row.line, err.Error()}
		result.Rejected++
		result.Rejects = append(result.Rejects, reject)
		a.tellRejects([]importReject{reject})
	}
	would := ""
	if dryRun {
		would = "would have: "
	}
	revived := ""
	if result.Revived > 0 {
		revived = fmt.Sprintf("%d brought back, ", result.Revived)
	}
	err := errors.Join(failure, bar.Finish(), a.out.say(result, "%sread %d: %d added, %d confirmed, %s%d unchanged, %d refused, %d rejected",
		would, result.Read, result.Added, result.Confirmed, revived, result.Unchanged, result.Refused, result.Rejected))
	if err == nil && result.Rejected > 0 {
		err = errReported
	}
	return err
}

// address checks the row and reads its address.
func (row subscriberRow) address(db *session) (zonewire.Address, error) {
	if row.err != nil {
		return zonewire.Address{}, row.err
	}
	if err := validLocale(row.locale); err != nil {
		return zonewire.Address{}, fmt.Errorf("locale: %w", err)
	}
	return db.address(row.email)
}

// tryImport says what an import would do with the row.
func tryImport(ctx context.Context, db *session, f joinFlags, list zonewire.List, row subscriberRow, adr zonewire.Address) (zonewire.SubscribeResult, error) {
	for _, slug := range row.zones {
		z, err := db.Zone(ctx, slug)
		if err != nil {
			return "", err
		}
		if !list.Covers(z) {
			return "", zonewire.Invalidf("list %s does not carry zone %s", list.Slug, slug)
		}
	}
	barred, err := db.Suppressed(ctx, adr.Hash)
	if err != nil {
		return "", err
	}
	if barred && f.confirmed {
		if f.force {
			return zonewire.SubscribeRevived, nil
		}
		return zonewire.SubscribeRefused, nil
	}
	s, err := db.Subscriber(ctx, adr.Key)
	if errors.Is(err, zonewire.ErrNotFound) {
		return zonewire.SubscribeAdded, nil
	}
	if err != nil {
		return "", err
	}
	for _, sub := range s.Subscriptions {
		switch {
		case sub.ListID != list.ID:
		case sub.State == zonewire.SubPending && f.confirmed:
			return zonewire.SubscribeConfirmed, nil
		case f.confirmed && (sub.State == zonewire.SubUnsubscribed || sub.State == zonewire.SubBounced):
			if f.force {
				return zonewire.SubscribeRevived, nil
			}
			return zonewire.SubscribeRefused, nil
		default:
			return zonewire.SubscribeUnchanged, nil
		}
	}
	return zonewire.SubscribeAdded, nil
}
