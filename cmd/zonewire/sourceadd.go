package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/api"
	"zonewire/ingest"
	"zonewire/internal/outbound"
	"zonewire/poll"
)

// poller asks the sources of a database, which may be nil for a trial.
func (a *app) poller(db *session, options poll.Options) *poll.Poller {
	options.Version, options.BaseURL, options.AllowPrivate = buildVersion(), trimSlash(a.cfg.HTTP.BaseURL), a.cfg.Ingest.AllowPrivate
	client := outbound.Client(outbound.Options{AllowPrivate: a.cfg.Ingest.AllowPrivate})
	if db == nil {
		return poll.New(nil, client, options)
	}
	options.Readers = db.Readers
	return poll.New(db.DB, client, options)
}

func newSourceAdd(a *app) *cobra.Command {
	var f sourceFlags
	var kind string
	var dryRun, untried bool
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Add a feed or a list page, after a look at what it gives",
		Long: `Add a feed or the list page of a portal. Its address is asked once, and what it would give is
shown: what the list has, and the first articles with the layer of the page that each field
came from. Where that is wrong, name the place by a selector; --dry-run only looks.

An address that cannot be used now is not added; --no-try adds it unseen. From then on the
daemon asks it: see zonewire source --help.`,
		Example: `  zonewire source add https://portal.example/rss.xml --zone jintan-edz
  zonewire source add https://portal.example/news/ --kind page --zone jintan-edz --dry-run
  zonewire source add https://portal.example/news/ --kind page --zone jintan-edz \
    --list-selector '.news li a' --date-selector '.info .time' --body-selector '#zoom'`,
		Args: exactly("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := zonewire.Source{Kind: zonewire.SourceKind(kind), URL: strings.TrimSpace(args[0]), Next: time.Now()}
			if s.Kind != "" && s.Kind != zonewire.FeedSource && s.Kind != zonewire.PageSource {
				return usagef(cmd, "--kind %q is neither feed nor page", kind)
			}
			if untried && s.Kind == "" {
				return usagef(cmd, "--kind is missing: without a look nobody knows whether it is a feed or a page")
			}
			if _, err := outbound.CheckURL(s.URL); err != nil {
				return usagef(cmd, "%w", err) // without the address, which may hold a password
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			if dryRun {
				return a.trySource(cmd, nil, &s, &f)
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error { return a.addSource(cmd, db, s, &f, untried) })
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&kind, "kind", "", "`KIND`: feed or page, default what it is found to be")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only look, and show what it would give")
	cmd.Flags().BoolVar(&untried, "no-try", false, "add it unseen, as when the portal is down")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "no-try")
	return cmd
}

func (a *app) addSource(cmd *cobra.Command, db *session, s zonewire.Source, f *sourceFlags, untried bool) error {
	all, err := db.Sources(cmd.Context())
	if err != nil {
		return err
	}
	for _, other := range all { // before anybody is asked
		if other.URL == s.URL {
			return fmt.Errorf("%s is source %d: %w", s.URL, other.ID, zonewire.ErrExists)
		}
	}
	if !untried {
		if err := a.trySource(cmd, db, &s, f); err != nil {
			return err
		}
	} else if err := f.apply(cmd, db, &s); err != nil {
		return err
	}
	added, err := db.AddSource(cmd.Context(), a.act(), s)
	if err != nil {
		return err
	}
	if a.out.json {
		return a.out.object(viewSource(added))
	}
	return a.out.say(nil, "added source %d, %s; `zonewire serve` asks it from now on", added.ID, added.URL)
}

// trialView is a look at an address as -o json prints it.
type trialView struct {
	Kind     string        `json:"kind"`
	URL      string        `json:"url"` // that answered
	Status   int           `json:"status"`
	Title    string        `json:"title"`
	Charset  string        `json:"charset"`
	Items    int           `json:"items"`
	Hub      string        `json:"hub"`
	Feeds    []string      `json:"feeds"` // that a page offers
	Articles []triedView   `json:"articles"`
	Rejects  []triedReject `json:"rejects"`
}

// triedView is an article of a trial, with the layer that each field came from.
type triedView struct {
	api.Article
	Layers map[string]string `json:"layers"`
}

type triedReject struct {
	URL    string `json:"url"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// trySource asks the source once and shows what it gives. The kind and the title that it finds go into s.
func (a *app) trySource(cmd *cobra.Command, db *session, s *zonewire.Source, f *sourceFlags) error {
	found := *s
	found.Kind = cmp.Or(found.Kind, zonewire.PageSource) // to be valid; it is found out
	if db == nil {
		f.zone = "" // nobody knows zones without a database; the trial shows what the page names
	}
	if err := f.apply(cmd, db, &found); err != nil {
		return err
	}
	found.Kind = s.Kind
	t, err := a.poller(nil, poll.Options{}).Try(cmd.Context(), found, time.Now())
	for _, feed := range t.Feeds {
		fmt.Fprintf(a.stderr, "it offers a feed: zonewire source add %s\n", feed)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.URL, explainTrial(err))
	}
	found.Kind, found.Title = t.Kind, cmp.Or(found.Title, zonewire.Shorten(t.Title, 200))
	*s = found
	return a.showTrial(t, db == nil)
}

// explainTrial adds what can be done about an address that gave nothing.
func explainTrial(err error) error {
	if errors.Is(err, zonewire.ErrInvalid) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (--no-try adds it unseen)", err)
}

// showTrial prints a trial; alone says that nothing else is printed.
func (a *app) showTrial(t poll.Trial, alone bool) error {
	view := trialView{
		Kind: string(t.Kind), URL: t.URL, Status: t.Status, Title: t.Title, Charset: t.Charset, Items: t.Items, Hub: t.Hub,
		Feeds: append([]string{}, t.Feeds...), Articles: []triedView{}, Rejects: []triedReject{},
	}
	fields := []field{
		{"kind", view.Kind}, {"url", t.URL}, {"title", t.Title}, {"charset", t.Charset},
		{map[zonewire.SourceKind]string{zonewire.FeedSource: "items", zonewire.PageSource: "links"}[t.Kind], strconv.Itoa(t.Items)}, {"hub", t.Hub},
	}
	if t.Wait > 2*time.Second {
		fields = append(fields, field{"crawl delay", t.Wait.String()})
	}
	blocks := []string{recordText(fields)}
	for _, r := range t.Records {
		if r.Err != nil {
			view.Rejects = append(view.Rejects, triedReject{r.Article.URL, r.Article.Title, r.Err.Error()})
			blocks = append(blocks, recordText([]field{{"title", r.Article.Title}, {"url", r.Article.URL}, {"cannot be used", r.Err.Error()}}))
			continue
		}
		view.Articles = append(view.Articles, triedView{api.ViewArticle(r.Article), r.Article.Layers})
		blocks = append(blocks, recordText(triedFields(r)))
	}
	if !a.out.json {
		return a.out.write(strings.Join(blocks, "\n") + "\n")
	}
	if !alone {
		return nil // the source is what the command prints
	}
	return a.out.object(view)
}

// triedFields shows each field of an article with the layer that it came from.
func triedFields(r ingest.Record) []field {
	art := r.Article
	v := api.ViewArticle(art)
	text := zonewire.Shorten(strings.Join(strings.Fields(ingest.PlainText(v.ContentHTML)), " "), 120)
	if text != "" {
		text += fmt.Sprintf(" (%s)", count(len([]rune(ingest.PlainText(v.ContentHTML))), "character"))
	}
	var fields []field
	for _, f := range []struct{ name, layer, value string }{
		{"title", "title", v.Title}, {"url", "url", v.URL}, {"published", "published", articleRow(v)[2]}, {"source", "source", v.Source},
		{"author", "author", v.Author}, {"zone", "zone", v.ZoneRaw}, {"city", "city", v.City}, {"category", "category", v.Category},
		{"image", "image", art.Image}, {"attachments", "attachments", attachmentNames(art)}, {"text", "content", text},
	} {
		if layer := art.Layers[f.layer]; layer != "" && f.value != "" {
			f.value += "  [" + layer + "]"
		}
		fields = append(fields, field{f.name, f.value})
	}
	for _, w := range r.Warnings {
		fields = append(fields, field{"note", w})
	}
	return fields
}

func attachmentNames(art zonewire.Article) string {
	var names []string
	for _, f := range art.Attachments {
		names = append(names, cmp.Or(f.Name, f.URL))
	}
	return strings.Join(names, ", ")
}

func newSourcePoll(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "poll [ID...]",
		Short: "Ask sources now, all that are due or those named",
		Long: `Ask sources now and wait for what comes. Without an ID, all that are due are asked; a named
one whatever its timer says, after the pause between two requests that its host is owed. A host
that has asked to be left alone for longer is left alone.`,
		Example: "  zonewire source poll 3\n  zonewire source poll",
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []int64
			for _, arg := range args {
				id, err := parseID(cmd, "source", arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error { return a.pollSources(cmd.Context(), db, ids) })
		},
	}
}

// polledView is a poll as `source poll -o json` prints it.
type polledView struct {
	ID int64 `json:"id"`
	pollView
	State  string  `json:"state"`
	Reason string  `json:"reason"`
	Next   *string `json:"next"`
	Error  string  `json:"error,omitempty"` // it was not asked, and why
}

func (a *app) pollSources(ctx context.Context, db *session, ids []int64) error {
	if len(ids) == 0 {
		all, err := db.Sources(ctx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.State.Polled() && !s.Next.After(time.Now()) {
				ids = append(ids, s.ID)
			}
		}
	}
	p := a.poller(db, poll.Options{Log: a.logger()})
	var views []polledView
	var rows [][]string
	failed := false
	bar := a.bar(len(ids), "polling", "sources")
	for _, id := range ids {
		v, row, err := pollOne(ctx, p, id)
		if ctx.Err() != nil {
			return errors.Join(bar.Finish(), ctx.Err())
		}
		if err != nil {
			failed = true
			v.Error = err.Error()
			row = []string{strconv.FormatInt(id, 10), "-", "-", "-", "-", "-", v.Error}
		}
		failed = failed || v.Status != 200 && v.Status != 304
		views, rows = append(views, v), append(rows, row)
		if err := bar.Add(1); err != nil {
			return err
		}
	}
	if err := errors.Join(bar.Finish(), a.out.list(views, []string{"ID", "STATUS", "ITEMS", "ADDED", "UPDATED", "REJECTED", "NOTE"}, rows, "no source is due")); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}

// patienceOf is how long a person waits for the pause between two requests to a host.
const patienceOf = 35 * time.Second

// pollOne asks one source, after the pause that its host is owed.
func pollOne(ctx context.Context, p *poll.Poller, id int64) (polledView, []string, error) {
	polled, stored, err := p.Visit(ctx, id)
	var wait *zonewire.WaitError
	if errors.As(err, &wait) && time.Until(wait.Until) < patienceOf {
		select {
		case <-time.After(time.Until(wait.Until)):
			polled, stored, err = p.Visit(ctx, id)
		case <-ctx.Done():
		}
	}
	if err != nil {
		return polledView{ID: id}, nil, err
	}
	l := polled.Log
	l.Added, l.Updated, l.Unchanged = zonewire.Tally(stored)
	v := polledView{ID: id, pollView: viewPoll(l), State: string(polled.State), Reason: polled.Reason, Next: stampOrNull(polled.Next)}
	row := []string{strconv.FormatInt(id, 10), strconv.Itoa(l.Status), strconv.Itoa(l.Items), strconv.Itoa(l.Added), strconv.Itoa(l.Updated), strconv.Itoa(l.Rejected), l.Note}
	return v, row, nil
}

// layersText writes which layer each field came from.
func layersText(layers map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		all = append(all, name+"="+layers[name])
	}
	return strings.Join(all, " ")
}
