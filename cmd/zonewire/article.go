package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/ingest"
)

// newArticle is "zonewire article".
func newArticle(a *app) *cobra.Command {
	return noun("article", "Articles: bring them in, look at them, correct them, take them back",
		newArticleImport(a), newArticleLs(a), newArticleShow(a), newArticleEdit(a), newArticleWithdraw(a))
}

// articleView is an article as -o json prints it.
type articleView struct {
	ID            int64   `json:"id"`
	Zone          string  `json:"zone"`
	ZoneRaw       string  `json:"zone_raw"`
	ExternalID    string  `json:"external_id"`
	URL           string  `json:"url"`
	Title         string  `json:"title"`
	Summary       string  `json:"summary"`
	ContentHTML   string  `json:"content_html"`
	Source        string  `json:"source"`
	Author        string  `json:"author"`
	City          string  `json:"city"`
	Category      string  `json:"category"`
	Language      string  `json:"language"`
	Published     string  `json:"published"` // in the offset that the publisher gave
	DatePrecision string  `json:"date_precision"`
	Updated       string  `json:"updated"`
	Received      string  `json:"received"`
	Withdrawn     *string `json:"withdrawn"`
}

func viewArticle(a zonewire.Article) articleView {
	updated := a.Updated
	if updated.IsZero() {
		updated = a.Received
	}
	return articleView{a.ID, a.Zone, a.ZoneRaw, a.ExternalID, a.URL, a.Title, a.Summary, a.ContentHTML, a.Source, a.Author,
		a.City, a.Category, a.Language, a.Published.Format(time.RFC3339), string(a.Precision), stamp(updated),
		stamp(a.Received), stampOrNull(a.Withdrawn)}
}

var articleHead = []string{"ID", "ZONE", "PUBLISHED", "TITLE", "SOURCE"}

func articleRow(v articleView) []string {
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
				var views []articleView
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
						v := viewArticle(art)
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
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show an article",
		Example: "  zonewire article show 12",
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
				v := viewArticle(art)
				withdrawn := ""
				if v.Withdrawn != nil {
					withdrawn = strings.TrimSpace(*v.Withdrawn + " " + art.Reason)
				}
				var files []string
				for _, f := range art.Attachments {
					files = append(files, f.URL)
				}
				return a.out.record(v,
					field{"id", args[0]}, field{"title", v.Title}, field{"zone", v.Zone}, field{"zone_raw", v.ZoneRaw},
					field{"published", articleRow(v)[2]}, field{"source", v.Source}, field{"author", v.Author},
					field{"category", v.Category}, field{"city", v.City}, field{"language", v.Language}, field{"url", v.URL},
					field{"external_id", v.ExternalID}, field{"received", v.Received}, field{"updated", v.Updated},
					field{"withdrawn", withdrawn}, field{"summary", v.Summary}, field{"attachments", strings.Join(files, " ")},
					field{"text", ingest.PlainText(v.ContentHTML)})
			})
		},
	}
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
				return a.out.say(viewArticle(art), "changed article %d, %s", art.ID, art.Title)
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
