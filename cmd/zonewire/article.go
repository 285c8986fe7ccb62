package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/api"
	"zonewire/ingest"
)

// newArticle is "zonewire article".
func newArticle(a *app) *cobra.Command {
	return noun("article", "Articles: bring them in, look at them, correct them, take them back",
		newArticleImport(a), newArticleLs(a), newArticleShow(a), newArticleEdit(a), newArticleWithdraw(a))
}

var articleHead = []string{"ID", "ZONE", "PUBLISHED", "TITLE", "SOURCE"}

func articleRow(v api.Article) []string {
	zone, published, title := v.Zone, v.Published, clip(v.Title, 60)
	if zone == "" {
		zone = "? " + v.ZoneRaw
	}
	if v.DatePrecision == string(zonewire.PrecisionDay) {
		published, _, _ = strings.Cut(published, "T")
	}
	if v.Withdrawn != nil {
		title = "(withdrawn) " + title
	}
	return []string{fmt.Sprint(v.ID), zone, published, title, v.Source}
}

func newArticleLs(a *app) *cobra.Command {
	var zone, since, query string
	var limit int
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List articles, the latest change first",
		Example: `  zonewire article ls --zone jintan-edz --since 7d
  zonewire article ls --query 签约 --limit 0 -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := zonewire.ArticleQuery{Text: query, Unfiled: zone == "", Withdrawn: true}
			if since != "" {
				t, err := ago(since, time.Now())
				if err != nil {
					return usagef(cmd, "--since: %w", err)
				}
				q.Since = t
			}
			if limit < 0 {
				return usagef(cmd, "--limit %d: it must not be negative", limit)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if zone != "" {
					z, err := db.Zone(cmd.Context(), zone)
					if err != nil {
						return err
					}
					q.ZoneID = z.ID
				}
				var views []api.Article
				var rows [][]string
				for {
					const page = 500
					q.Limit = page
					if limit > 0 {
						q.Limit = min(page, limit-len(views))
					}
					articles, err := db.Articles(cmd.Context(), q)
					if err != nil {
						return err
					}
					for _, art := range articles {
						v := api.ViewArticle(art)
						views, rows = append(views, v), append(rows, articleRow(v))
						q.Before = art.Change
					}
					if len(articles) < q.Limit || len(views) == limit {
						break
					}
				}
				return a.out.list(views, articleHead, rows, "no such articles")
			})
		},
	}
	cmd.Flags().StringVar(&zone, "zone", "", "only of the zone `SLUG`")
	cmd.Flags().StringVar(&since, "since", "", "only what arrived since `TIME`: a date, RFC 3339, or 7d")
	cmd.Flags().StringVar(&query, "query", "", "only with `TEXT` in the title or summary")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` articles, 0 for all")
	return cmd
}

func newArticleShow(a *app) *cobra.Command {
	var history bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show an article, and how its page was read",
		Long: `Show an article. "read by" says which layer of its page each field came from: a selector of
the operator, a meta tag, a label, the address. "also at" are the other portals that tell the
same story. --history adds what it said before it was corrected, the latest first.`,
		Example: "  zonewire article show 12\n  zonewire article show 12 --history",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(cmd, "article", args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				art, err := db.Article(cmd.Context(), id)
				if err != nil {
					return err
				}
				copies, err := db.Copies(cmd.Context(), cmp.Or(art.DupOf, art.ID))
				if err != nil {
					return err
				}
				var revisions []zonewire.Revision
				if history {
					if revisions, err = db.Revisions(cmd.Context(), id); err != nil {
						return err
					}
				}
				return a.showArticle(art, copies, revisions, history)
			})
		},
	}
	cmd.Flags().BoolVar(&history, "history", false, "also what it said before it was corrected")
	return cmd
}

// revisionView is an earlier text of an article as -o json prints it.
type revisionView struct {
	Replaced    string `json:"replaced"`
	Title       string `json:"title"`
	Summary     string `json:"summary"`
	ContentHTML string `json:"content_html"`
}

func (a *app) showArticle(art zonewire.Article, copies []zonewire.Article, revisions []zonewire.Revision, history bool) error {
	v := api.ViewArticle(art)
	withdrawn := ""
	if v.Withdrawn != nil {
		withdrawn = strings.TrimSpace(*v.Withdrawn + " " + art.Reason)
	}
	var files, also []string
	for _, f := range art.Attachments {
		files = append(files, f.URL)
	}
	for _, c := range copies {
		if c.ID != art.ID {
			also = append(also, strings.TrimSpace(fmt.Sprintf("%d %s", c.ID, orElse(c.Source, c.Zone))))
		}
	}
	deadline := ""
	if v.Deadline != nil {
		deadline = *v.Deadline
	}
	from := ""
	if art.SourceID != 0 {
		from = fmt.Sprintf("source %d", art.SourceID)
	}
	fields := []field{
		{"id", fmt.Sprint(art.ID)}, {"title", v.Title}, {"zone", v.Zone}, {"zone_raw", v.ZoneRaw},
		{"published", articleRow(v)[2]}, {"deadline", deadline}, {"source", v.Source}, {"author", v.Author},
		{"category", v.Category}, {"city", v.City}, {"language", v.Language}, {"url", v.URL},
		{"external_id", v.ExternalID}, {"polled from", from}, {"also at", strings.Join(also, ", ")},
		{"received", v.Received}, {"updated", v.Updated},
		{"withdrawn", withdrawn}, {"charset", art.Charset}, {"read by", layersText(art.Layers)},
		{"summary", v.Summary}, {"attachments", strings.Join(files, " ")}, {"text", ingest.PlainText(v.ContentHTML)},
	}
	for _, r := range revisions {
		fields = append(fields, field{"until " + stamp(r.Replaced), r.Title}, field{"", ingest.PlainText(r.ContentHTML)})
	}
	if !history {
		return a.out.record(v, fields...)
	}
	earlier := []revisionView{}
	for _, r := range revisions {
		earlier = append(earlier, revisionView{stamp(r.Replaced), r.Title, r.Summary, r.ContentHTML})
	}
	return a.out.record(struct {
		api.Article
		Revisions []revisionView `json:"revisions"`
	}{v, earlier}, fields...)
}

// articleFields are the fields that article edit sets, by flag.
var articleFields = []struct {
	flag, help string
	field      func(*zonewire.Article) *string
}{
	{"title", "`TITLE`", func(a *zonewire.Article) *string { return &a.Title }},
	{"summary", "`SUMMARY`", func(a *zonewire.Article) *string { return &a.Summary }},
	{"source", "`SOURCE` named under the title", func(a *zonewire.Article) *string { return &a.Source }},
	{"author", "`AUTHOR`", func(a *zonewire.Article) *string { return &a.Author }},
	{"category", "`CATEGORY`", func(a *zonewire.Article) *string { return &a.Category }},
}

func newArticleEdit(a *app) *cobra.Command {
	var zone, published string
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Correct an article; a new zone makes it new to that zone's lists",
		Example: `  zonewire article edit 12 --zone jintan-edz
  zonewire article edit 12 --title 金坛新增三个签约项目 --published 2026-11-24`,
		Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(cmd, "article", args[0])
			if err != nil {
				return err
			}
			given := map[string]string{}
			for _, f := range articleFields {
				if cmd.Flags().Changed(f.flag) {
					value, err := cmd.Flags().GetString(f.flag)
					if err != nil {
						return err
					}
					given[f.flag] = ingest.PlainText(value)
				}
			}
			if title, ok := given["title"]; ok && title == "" {
				return usagef(cmd, "--title: it is empty")
			}
			if len(given) == 0 && zone == "" && published == "" {
				return orNothing(cmd, nil)
			}
			var date time.Time
			var precision zonewire.Precision
			if published != "" {
				var ok bool
				if date, precision, ok = ingest.ParseDate(published, time.Now()); !ok {
					return usagef(cmd, "--published %q: write it as 2026-11-24 or 2026-11-24T08:00:00+08:00", published)
				}
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				var z zonewire.Zone
				if zone != "" {
					if z, err = db.Zone(cmd.Context(), zone); err != nil {
						return err
					}
					if !z.Closed.IsZero() {
						return fmt.Errorf("zone %s is closed: %w", z.Slug, zonewire.ErrGone)
					}
				}
				art, err := db.EditArticle(cmd.Context(), a.act(), id, func(art *zonewire.Article) error {
					for _, f := range articleFields {
						if value, ok := given[f.flag]; ok {
							*f.field(art) = value
						}
					}
					if zone != "" {
						art.ZoneID, art.Province, art.City = z.ID, z.Province, z.City
					}
					if published != "" {
						art.Published, art.Precision, art.Suspect = date, precision, false
					}
					ingest.Identify(art)
					return nil
				})
				if err != nil {
					return err
				}
				return a.out.say(api.ViewArticle(art), "changed article %d, %s", art.ID, art.Title)
			})
		},
	}
	for _, f := range articleFields {
		cmd.Flags().String(f.flag, "", f.help)
	}
	cmd.Flags().StringVar(&zone, "zone", "", "file it into the zone `SLUG`")
	cmd.Flags().StringVar(&published, "published", "", "`DATE` it was published, as a page may write it")
	return cmd
}
