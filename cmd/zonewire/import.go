package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/api"
	"zonewire/ingest"
)

// An import commits after so many articles, or after so many bytes of them, or after so long if they come slowly: what is
// committed stays, whatever happens next, and a second run is harmless.
const (
	importBatch = 500
	importBytes = 8 << 20
	importWait  = 250 * time.Millisecond
)

func newArticleImport(a *app) *cobra.Command {
	var format, zone string
	var createZones, dryRun bool
	cmd := &cobra.Command{
		Use:   "import PATH...",
		Short: "Store articles from files, folders or standard input (-)",
		Long: `Reads articles from NDJSON, CSV, portal pages (HTML or their text, WeChat's too), feeds and
WordPress exports, and stores them. A folder is walked, - is standard input. The same
article again, by zone and id or by URL, is an update if it differs.

A row that cannot be used is told with file, line and reason; the others go in, and
the exit code is 1. An article whose zone nobody knows is kept and waits: see
zonewire zone pending. What was stored before a failure stays; run it again.`,
		Example: `  zonewire article import news.ndjson pages/
  zonewire article import --zone jintan-edz --dry-run page.html
  curl -s https://cms.example.org/export | zonewire article import --format ndjson -`,
		Args: atLeastOne("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := ingest.ParseFormat(format)
			if err != nil {
				return usagef(cmd, "--format: %w", err)
			}
			in, err := openInputs(args, a.stdin)
			if err != nil {
				return err
			}
			return a.importArticles(cmd.Context(), in, ingest.Options{Now: time.Now(), Zone: zone, Format: f}, createZones, dryRun)
		},
	}
	cmd.Flags().StringVar(&format, "format", "auto", "`FORMAT` of the files: auto, ndjson, csv, page or feed")
	cmd.Flags().StringVar(&zone, "zone", "", "`SLUG` of the zone of articles that name none")
	cmd.Flags().BoolVar(&createZones, "create-zones", false, "add a zone for each name that nobody knows")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be stored, and store nothing")
	return cmd
}

// importResult is what an import did.
type importResult struct {
	Read      int            `json:"read"`
	Added     int            `json:"added"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Rejected  int            `json:"rejected"`
	Rejects   []importReject `json:"rejects"`
	Articles  *[]api.Article `json:"articles,omitempty"` // of a dry run
}

type importReject struct {
	Path   string `json:"path"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (r importReject) String() string {
	if r.Line == 0 {
		return r.Path + ": " + r.Reason
	}
	return fmt.Sprintf("%s:%d: %s", r.Path, r.Line, r.Reason)
}

// importer takes records in and keeps count.
type importer struct {
	app         *app
	db          *session // nil in a dry run without a database
	createZones bool
	dryRun      bool
	bar         *progressbar.ProgressBar

	zones   map[int64]string // slugs, for a dry run
	result  importResult
	waiting map[string]int // articles without a zone, by the name they gave
	made    []zonewire.Zone
	notes   map[string]int // how often each was given
}

func (a *app) importArticles(ctx context.Context, in inputs, opts ingest.Options, createZones, dryRun bool) error {
	im := &importer{app: a, createZones: createZones, dryRun: dryRun, waiting: map[string]int{}, notes: map[string]int{}}
	im.result.Rejects = []importReject{}
	mode := mayCreate
	if dryRun {
		im.result.Articles = &[]api.Article{}
		if exists, err := databaseExists(ctx, a.cfg.DB); err == nil && !exists {
			return im.run(ctx, in, opts) // a dry run makes no database
		}
		mode = mustExist
	}
	return a.with(ctx, mode, func(db *session) error {
		im.db = db
		zones, err := db.Zones(ctx)
		if err != nil {
			return err
		}
		im.zones = make(map[int64]string, len(zones))
		for _, z := range zones {
			im.zones[z.ID] = z.Slug
		}
		if opts.Zone != "" && !createZones {
			z, err := db.Zone(ctx, opts.Zone)
			if err != nil {
				return fmt.Errorf("--zone: %w: see `zonewire zone ls`, or add --create-zones", err)
			}
			opts.Zone = z.Slug
		}
		return im.run(ctx, in, opts)
	})
}

// run imports everything and tells the result, also when it failed on the way.
func (im *importer) run(ctx context.Context, in inputs, opts ingest.Options) error {
	im.bar = im.app.bar(in.size, "importing", "")
	failure := im.consume(ctx, in, opts)
	if err := errors.Join(im.bar.Finish(), im.report()); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil {
		return fmt.Errorf("%w (what was stored before stays; run it again)", failure)
	}
	if im.result.Rejected > 0 {
		return errReported
	}
	return nil
}

// consume stores what is read. When it fails it does not wait for the reader, which may hang in a read of standard input
// that nothing can interrupt: the process ends right after.
func (im *importer) consume(ctx context.Context, in inputs, opts ingest.Options) error {
	reading, stop := context.WithCancel(ctx)
	records, wait := in.parse(reading, opts, im.bar)
	defer wait()
	defer stop()
	var batch []zonewire.Article
	var held int64 // bytes of input that batch came from
	var due <-chan time.Time
	flush := func(ctx context.Context) error {
		err := im.store(ctx, batch)
		records.free(held)
		batch, held, due = nil, 0, nil
		return err
	}
	for {
		select {
		case next, more := <-records.next:
			if !more {
				return errors.Join(flush(context.WithoutCancel(ctx)), ctx.Err())
			}
			r, err := next.record(reading)
			if err != nil {
				continue // ctx has ended
			}
			im.result.Read++
			if r.Err != nil || len(r.Warnings) > 0 {
				im.tell(r)
			}
			if r.Err != nil {
				records.free(next.bytes)
				continue
			}
			if batch, held = append(batch, r.Article), held+next.bytes; len(batch) == 1 {
				due = time.After(importWait)
			}
			if len(batch) < importBatch && held < importBytes {
				continue
			}
		case <-due:
		case <-ctx.Done():
			return errors.Join(flush(context.WithoutCancel(ctx)), ctx.Err())
		}
		if err := flush(ctx); err != nil {
			return err
		}
	}
}

// tell notes a reject, and for people also what was mended in an article that goes in.
func (im *importer) tell(r record) {
	_ = im.bar.Clear() // of a terminal: nothing can be done about it
	if r.Err != nil {
		reject := importReject{r.path, r.Line, r.Err.Error()}
		im.result.Rejected++
		im.result.Rejects = append(im.result.Rejects, reject)
		im.app.tellRejects([]importReject{reject})
	}
	for _, warning := range r.Warnings {
		if im.notes[warning]++; im.notes[warning] <= sameNotes {
			im.app.tellRejects([]importReject{{r.path, r.Line, "note: " + warning}})
		}
	}
}

// sameNotes is how many notes of one text are told line by line: a file without dates would have one for each line.
const sameNotes = 3

// store commits a batch, or tries it in a dry run.
func (im *importer) store(ctx context.Context, batch []zonewire.Article) error {
	if len(batch) == 0 {
		return nil
	}
	var stored []zonewire.Stored
	var err error
	switch {
	case im.db == nil:
		stored = make([]zonewire.Stored, len(batch))
		for i := range stored {
			stored[i].Result = zonewire.Added
		}
	case im.dryRun:
		stored, err = im.db.TryArticles(ctx, im.app.act(), batch)
	default:
		stored, err = im.db.PutArticles(ctx, im.app.act(), batch)
	}
	if err != nil {
		return err
	}
	added, updated, unchanged := zonewire.Tally(stored)
	im.result.Added += added
	im.result.Updated += updated
	im.result.Unchanged += unchanged
	for i, s := range stored {
		a := batch[i]
		if s.ZoneID == 0 {
			im.waiting[a.ZoneRaw]++
		}
		if im.dryRun {
			a.ID, a.ZoneID, a.Zone = 0, s.ZoneID, im.zones[s.ZoneID]
			if s.Result != zonewire.Added {
				a.ID = s.ID
			}
			*im.result.Articles = append(*im.result.Articles, api.ViewArticle(a))
		}
	}
	if im.createZones && !im.dryRun {
		return im.addZones(ctx, batch, stored)
	}
	return nil
}

// addZones adds a zone for each name in the batch that nobody knows, which files the articles that gave it.
func (im *importer) addZones(ctx context.Context, batch []zonewire.Article, stored []zonewire.Stored) error {
	for i, a := range batch {
		named := func(z zonewire.Zone) bool { return z.Name == a.ZoneRaw }
		if stored[i].ZoneID != 0 || a.ZoneRaw == "" || slices.ContainsFunc(im.made, named) {
			continue
		}
		z := zonewire.Zone{Name: a.ZoneRaw, Province: a.Province, City: a.City}
		added, err := im.addZone(ctx, z)
		if err != nil {
			return err
		}
		im.made = append(im.made, added)
		delete(im.waiting, a.ZoneRaw)
	}
	return nil
}

// addZone gives the zone its name as slug if it can be one, else the next free zone-N: `zone rename` makes a better
// one, and the first goes on to work.
func (im *importer) addZone(ctx context.Context, z zonewire.Zone) (zonewire.Zone, error) {
	z.Slug = strings.ToLower(z.Name)
	if zonewire.ValidSlug("zone", z.Slug) != nil {
		z.Slug = fmt.Sprintf("zone-%d", len(im.zones)+len(im.made)+1)
	}
	for n := len(im.zones) + len(im.made) + 2; ; n++ {
		added, _, err := im.db.AddZone(ctx, im.app.act(), z)
		if !errors.Is(err, zonewire.ErrExists) || n > 1_000_000 {
			return added, err
		}
		z.Slug = fmt.Sprintf("zone-%d", n)
	}
}

// report prints the result, and what waits for a person.
func (im *importer) report() error {
	p, r := im.app.out, im.result
	would := ""
	if im.dryRun {
		would = "would have: "
		if err := im.preview(); err != nil {
			return err
		}
	}
	err := p.say(r, "%sread %d: %d added, %d updated, %d unchanged, %d rejected", would, r.Read, r.Added, r.Updated, r.Unchanged, r.Rejected)
	for _, text := range slices.Sorted(maps.Keys(im.notes)) {
		if more := im.notes[text] - sameNotes; more > 0 && !im.app.out.json {
			fmt.Fprintf(im.app.stderr, "and %d more: note: %s\n", more, text)
		}
	}
	for _, z := range im.made {
		fmt.Fprintf(im.app.stderr, "added zone %s, %s: `zonewire zone rename` gives it a better slug\n", z.Slug, z.Name)
	}
	if len(im.waiting) > 0 && im.db != nil {
		articles := 0
		for _, k := range im.waiting {
			articles += k
		}
		fmt.Fprintf(im.app.stderr, "no zone is known for %s: see `zonewire zone pending`\n", count(articles, "article"))
	}
	return err
}

// preview shows people the first articles of a dry run.
func (im *importer) preview() error {
	const most = 20
	all := *im.result.Articles
	if im.app.out.json || len(all) == 0 {
		return nil
	}
	var rows [][]string
	for _, v := range all[:min(most, len(all))] {
		rows = append(rows, articleRow(v)[1:])
	}
	if err := im.app.out.list(nil, articleHead[1:], rows, ""); err != nil {
		return err
	}
	if len(all) > most {
		return im.app.out.write(fmt.Sprintf("and %d more: -o json prints all\n", len(all)-most))
	}
	return nil
}

// readInput reads one small file whole; - is standard input.
func readInput(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	}
	return text, nil
}

// tellRejects tells people which rows were left out; scripts find them in the JSON.
func (a *app) tellRejects(rejects []importReject) {
	for _, r := range rejects {
		if !a.out.json {
			fmt.Fprintln(a.stderr, oneLine(r.String()))
		}
	}
}
