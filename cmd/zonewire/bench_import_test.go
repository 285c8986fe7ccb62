package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire/ingest"
	"zonewire/store"
)

var benchArticles = flag.Int("articles", 20_000, "how many articles BenchmarkImport imports")

// BenchmarkImport runs the real `zonewire article import` over NDJSON of 7 KB articles, no two alike: half clean HTML, a
// quarter the HTML of a CMS, a quarter text. The yardstick is the sqlite3 shell, which reads the rows that came of it as
// INSERT statements, 500 a transaction, into a database of the same schema with the same pragmas.
func BenchmarkImport(b *testing.B) {
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		b.Skip("no sqlite3 (Debian package sqlite3)")
	}
	bin, err := realBinary()
	if err != nil {
		b.Fatal(err)
	}
	n := *benchArticles
	news := filepath.Join(b.TempDir(), "news.ndjson")
	if err := writeTo(news, func(w io.Writer) error { return newsFile(w, 0, n, 10) }); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(news)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	var rates, yards, ratios, peaks, costs, yardCosts []float64
	for b.Loop() {
		dir := b.TempDir()
		mine, theirs, script := filepath.Join(dir, "mine.db"), filepath.Join(dir, "theirs.db"), filepath.Join(dir, "rows.sql")
		for i := range 10 {
			add := exec.Command(bin, "--db", mine, "zone", "add", fmt.Sprintf("zone-%d", i), "--name", fmt.Sprintf("第%d经济开发区", i))
			if out, err := add.CombinedOutput(); err != nil {
				b.Fatalf("%v: %v: %s", add.Args, err, out)
			}
		}
		work := watched(b, exec.Command(bin, "--db", mine, "article", "import", news))
		if !strings.Contains(work.said, fmt.Sprintf("read %d: %d added", n, n)) {
			b.Fatal(work.said)
		}
		db, err := store.Open(b.Context(), theirs, store.Options{Create: true, Matcher: ingest.NewMatcher})
		if err != nil {
			b.Fatal(err)
		}
		addBenchZones(b, db)
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		if err := writeTo(script, func(w io.Writer) error { return inserts(w, mine) }); err != nil {
			b.Fatal(err)
		}
		rows, err := os.Open(script)
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(shell, "-bail", theirs)
		cmd.Stdin = rows
		yard := watched(b, cmd)
		if err := errors.Join(rows.Close(), sameRows(mine, theirs)); err != nil {
			b.Fatal(err)
		}
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
		rates, yards = append(rates, 1e6/each(work.took)), append(yards, 1e6/each(yard.took))
		ratios, peaks = append(ratios, yard.took.Seconds()/work.took.Seconds()), append(peaks, work.peak)
		costs, yardCosts = append(costs, each(work.busy)), append(yardCosts, each(yard.busy))
		b.Logf("%.0f articles/s, shell %.0f/s, ratio %.2f", 1e6/each(work.took), 1e6/each(yard.took), yard.took.Seconds()/work.took.Seconds())
		if err := os.RemoveAll(dir); err != nil { // gigabytes
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(rates), "articles/s")
	b.ReportMetric(median(yards), "shell-articles/s")
	b.ReportMetric(median(ratios), "of-shell")
	b.ReportMetric(median(peaks), "peak-MB")
	b.ReportMetric(median(costs), "cpu-µs/article")
	b.ReportMetric(median(yardCosts), "shell-cpu-µs/article")
	b.ReportMetric(0, "ns/op")
}

func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(write(w), w.Flush(), f.Sync(), f.Close())
}

// inserts writes the articles of a database as the shell would dump them.
func inserts(w io.Writer, path string) error {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	var columns string
	if err := db.QueryRow(`SELECT group_concat('quote(' || name || ')', '||'',''||') FROM pragma_table_info('article')`).Scan(&columns); err != nil {
		return err
	}
	rows, err := db.Query("SELECT " + columns + " FROM article ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	fmt.Fprintln(w, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000;\nBEGIN;")
	n := 0
	for rows.Next() {
		var values sql.RawBytes
		if err := rows.Scan(&values); err != nil {
			return err
		}
		if n++; n%importBatch == 0 {
			fmt.Fprintln(w, "COMMIT;\nBEGIN;")
		}
		if _, err := fmt.Fprintf(w, "INSERT INTO article VALUES(%s);\n", values); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "COMMIT;")
	return rows.Err()
}

// sameRows compares what is in two databases.
func sameRows(paths ...string) error {
	var sums []string
	for _, path := range paths {
		db, err := sql.Open("sqlite3", "file:"+path)
		if err != nil {
			return err
		}
		var sum string
		err = db.QueryRow(`SELECT count(*) || ' articles, ' || sum(length(content_html)) || ' characters, ' || sum(change) || ', ' || sum(story_a % 1000003) FROM article`).Scan(&sum)
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("the import stored %s, the shell %s", sums[0], sums[1])
	}
	return nil
}

// newsFile writes n articles of about 7 KB as NDJSON, from a number on, spread over zones, the same at each run.
func newsFile(w io.Writer, from, n, zones int) error {
	writer := newInventor()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := from; i < from+n; i++ {
		row := map[string]string{
			"zone": fmt.Sprintf("zone-%d", i%zones), "id": fmt.Sprint(i), "url": fmt.Sprintf("https://news.example.com/art/2026/11/%d.html", i),
			"title": writer.words(12), "source": "融媒体中心", "author": writer.words(2), "category": "文字新闻",
			"published": benchNow.Add(-time.Duration(i) * time.Minute).Format("2006-01-02 15:04"),
		}
		switch i % 4 {
		case 0, 1:
			row["content_html"] = writer.body(16, "<p>", "</p>\n", "")
		case 2:
			row["content_html"] = `<div class="TRS_Editor">` + writer.body(11, `<p style="text-indent: 2em; line-height: 1.75em;"><span style="font-size: 16px; font-family: 宋体, SimSun;">　　`,
				"</span></p>\n", "&nbsp;<strong>") + `<p style="text-align: center;"><img src="./W020261124.jpg" OLDSRC="W020261124.jpg" /></p></div>`
		case 3:
			row["content_text"] = writer.body(16, "　　", "\n\n", "")
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// inventor writes Chinese that means nothing, of words that come again as words do and sentences that never do.
type inventor struct {
	r          *rand.Rand
	vocabulary []string
}

func newInventor() *inventor {
	v := &inventor{r: rand.New(rand.NewPCG(20, 26))}
	for range 3000 {
		word := make([]rune, 2+v.r.IntN(2))
		for i := range word {
			word[i] = rune(0x4e00 + v.r.IntN(4000))
		}
		v.vocabulary = append(v.vocabulary, string(word))
	}
	return v
}

func (v *inventor) words(n int) string {
	var b bytes.Buffer
	for range n {
		b.WriteString(v.vocabulary[v.r.IntN(len(v.vocabulary))])
	}
	return b.String()
}

// body is so many paragraphs of some 150 characters between open and end; emphasis, if any, begins a part of each that
// ends in </strong>.
func (v *inventor) body(paragraphs int, open, end, emphasis string) string {
	var b bytes.Buffer
	for range paragraphs {
		b.WriteString(open)
		for range 6 {
			fmt.Fprintf(&b, "%s，%s %d %s。", v.words(4), v.words(2), v.r.IntN(1000), v.words(2))
		}
		if emphasis != "" {
			b.WriteString(emphasis + v.words(4) + "</strong>")
		}
		b.WriteString(end)
	}
	return b.String()
}
