package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zonewire"
	"zonewire/feed"
	"zonewire/ingest"
	"zonewire/internal/address"
)

//go:embed sample/zones.csv
var sampleZones []byte

//go:embed sample/articles.ndjson
var sampleArticles []byte

// The demo's one list and its one reader.
const (
	demoList   = "morning"
	demoReader = "reader@example.com"
)

// newDemo is "zonewire demo".
func newDemo(a *app) *cobra.Command {
	var dir, addr string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole job with sample news: feeds, pages, and a digest in a Maildir",
		Long: `Fill a folder with sample zones and articles, a list and a subscriber; plan a digest
at once and write it to the Maildir DIR/mail; then serve until interrupted. Nothing
leaves this machine. Run again on the same folder it goes on with what is there.`,
		Example: `  zonewire demo
  zonewire demo --dir /tmp/zw --listen 127.0.0.1:9000`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ln, err := listenDemo(addr, cmd.Flags().Changed("listen"))
			if err != nil {
				return err
			}
			return runDemo(cmd.Context(), a, dir, ln)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "zonewire-demo", "`DIR` that holds everything")
	cmd.Flags().StringVar(&addr, "listen", "127.0.0.1:8080", "`ADDR` to serve on; if taken and not asked for, another")
	return cmd
}

// listenDemo takes another port when the usual one is taken: a demo should not fail for that.
func listenDemo(addr string, asked bool) (net.Listener, error) {
	ln, err := listen(addr)
	if err == nil || asked {
		return ln, err
	}
	return listen("127.0.0.1:0")
}

func runDemo(ctx context.Context, a *app, dir string, ln net.Listener) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.Join(fmt.Errorf("demo folder: %w", err), ln.Close())
	}
	a.cfg.DB = filepath.Join(dir, "zonewire.db")
	a.cfg.SecretFile = filepath.Join(dir, defaultSecretFile)
	a.values["secret_file"] = a.cfg.SecretFile
	a.cfg.HTTP.Listen, a.cfg.HTTP.BaseURL, a.cfg.HTTP.MetricsListen = ln.Addr().String(), "http://"+ln.Addr().String(), ""
	a.cfg.Mail.Transport, a.cfg.Mail.Maildir, a.cfg.Mail.From = "maildir", filepath.Join(dir, "mail"), "开发区要闻 <news@zonewire.example>"
	a.cfg.Log.Level = "warn" // the screen is for what to open
	return a.with(ctx, mayMigrate, func(db *session) error {
		e, err := newEngine(ctx, a, db, a.logger())
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		if err := fillDemo(ctx, a, e); err != nil {
			return errors.Join(err, ln.Close())
		}
		if err := tellDemo(ctx, a, db); err != nil {
			return errors.Join(err, ln.Close())
		}
		return e.serve(ctx, a, ln)
	})
}

// fillDemo puts in the samples and sends the first digest. On a folder that has been filled it changes nothing but to
// send what is new.
func fillDemo(ctx context.Context, a *app, e *engine) error {
	act, db := a.act(), e.db
	zones, rejects := ingest.ZonesCSV(bytes.NewReader(sampleZones))
	if len(rejects) > 0 {
		return fmt.Errorf("sample zones, line %d: %w", rejects[0].Line, rejects[0].Err)
	}
	if _, err := db.ImportZones(ctx, act, zones); err != nil {
		return err
	}
	if err := addDemoList(ctx, db, act); err != nil {
		return err
	}
	articles, err := demoArticles(act.At)
	if err != nil {
		return err
	}
	if _, err := db.PutArticles(ctx, act, articles); err != nil {
		return err
	}
	_, err = db.CutDigest(ctx, act, demoList, act.At.UTC().Truncate(time.Second), e.planner)
	if err != nil && !errors.Is(err, zonewire.ErrExists) {
		return err
	}
	tr, err := a.transport()
	if err != nil {
		return err
	}
	_, err = e.agent(tr).Drain(ctx, nil)
	return err
}

func addDemoList(ctx context.Context, db *session, act zonewire.Act) error {
	l := zonewire.List{
		Slug: demoList, Title: "开发区早报", Schedule: "0 8 * * *", Timezone: zonewire.DefaultTimezone, All: true,
		MaxItems: zonewire.DefaultMaxItems, MaxAge: zonewire.DefaultMaxAge, CatchUp: zonewire.DefaultCatchUp, Locale: zonewire.LocaleZH,
	}
	if err := reschedule(&l, act.At, nil); err != nil {
		return err
	}
	if _, err := db.AddList(ctx, act, l, time.Time{}); err != nil && !errors.Is(err, zonewire.ErrExists) {
		return err
	}
	reader, err := address.Parse(demoReader)
	if err != nil {
		return err
	}
	reader.Hash = db.secret.AddressHash(reader.Key)
	_, _, err = db.Subscribe(ctx, act, zonewire.NewSubscription{Address: reader, List: demoList, Confirmed: true, Consent: "demo"})
	return err
}

// demoArticles reads the samples and moves their dates by whole days, so that the newest is of the last day.
func demoArticles(now time.Time) ([]zonewire.Article, error) {
	var articles []zonewire.Article
	for r := range ingest.Read("articles.ndjson", bytes.NewReader(sampleArticles), ingest.Options{Now: now, Format: ingest.NDJSON}) {
		if r.Err != nil {
			return nil, fmt.Errorf("sample articles, line %d: %w", r.Line, r.Err)
		}
		// The portal of the samples does not exist: headlines lead to the demo's own pages.
		r.Article.URL, r.Article.URLCanon = "", ""
		articles = append(articles, r.Article)
	}
	newest := slices.MaxFunc(articles, func(a, b zonewire.Article) int { return a.Published.Compare(b.Published) })
	days := int(now.Sub(newest.Published) / (24 * time.Hour))
	for i := range articles {
		articles[i].Published = articles[i].Published.AddDate(0, 0, days)
	}
	slices.SortStableFunc(articles, func(a, b zonewire.Article) int { return a.Published.Compare(b.Published) })
	return articles, nil
}

// tellDemo prints what to open.
func tellDemo(ctx context.Context, a *app, db *session) error {
	zones, err := db.Zones(ctx)
	if err != nil {
		return err
	}
	latest, err := db.Articles(ctx, zonewire.ArticleQuery{Limit: 1000})
	if err != nil {
		return err
	}
	digests, err := db.Digests(ctx, demoList, 10)
	if err != nil {
		return err
	}
	mails, err := filepath.Glob(filepath.Join(a.cfg.Mail.Maildir, "new", "*"))
	if err != nil {
		return fmt.Errorf("list the Maildir: %w", err)
	}
	if len(zones) == 0 || len(latest) == 0 {
		return errors.New("demo: the samples did not go in")
	}
	base := a.cfg.HTTP.BaseURL
	zone := base + "/zones/" + latest[0].Zone
	lines := [][2]string{{"All zones", base + "/"}, {"A zone", zone}}
	label := "Its feeds"
	for _, f := range feed.Formats() {
		lines = append(lines, [2]string{label, base + feed.Path(latest[0].Zone, f)})
		label = ""
	}
	lines = append(lines, [2]string{"All feeds", base + feed.ListPath})
	lines = append(lines, [2]string{"The list", base + "/lists/" + demoList})
	for _, d := range digests {
		if d.Items > 0 {
			lines = append(lines, [2]string{"Its digest", fmt.Sprintf("%s/digests/%d", base, d.ID)})
			break
		}
	}
	if len(mails) > 0 {
		lines = append(lines, [2]string{"The mail", mails[len(mails)-1]})
	}
	lines = append(lines, [2]string{"Try", os.Args[0] + " --db " + a.cfg.DB + " digest ls"})
	var b strings.Builder
	fmt.Fprintf(&b, "zonewire demo: %s, %s, one list, one subscriber, %s sent\n\n", count(len(zones), "zone"), count(len(latest), "article"), count(len(mails), "mail"))
	for _, l := range lines {
		fmt.Fprintf(&b, "  %-11s %s\n", l[0], l[1])
	}
	b.WriteString("\nCtrl-C stops it. Everything is in " + filepath.Dir(a.cfg.DB) + ".\n")
	return a.out.write(b.String())
}
