package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkTold is how long a subscriber of the hub waits for a new article: from the end of its import by another process
// to the delivery, whose signature is checked. Imports come at every part of a second.
func BenchmarkTold(b *testing.B) {
	bin, err := realBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv("ZONEWIRE_WEBSUB_ALLOW_PRIVATE", "true")
	w := &wire{b: b, bin: bin, dir: b.TempDir(), zones: 20, etags: map[string]string{}}
	w.fill(400)
	w.start()
	reader := &subscriber{secret: "geheim", agrees: true}
	callback := httptest.NewServer(reader)
	defer callback.Close()
	res, err := http.PostForm("http://"+w.addr+"/hub", url.Values{
		"hub.mode": {"subscribe"}, "hub.topic": {"https://news.example.org/zones/zone-0/feed.atom"}, "hub.callback": {callback.URL}, "hub.secret": {reader.secret},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusAccepted {
		b.Fatalf("subscribe: %s, %v", res.Status, err)
	}
	time.Sleep(2 * time.Second) // verified
	var took []time.Duration
	n := 0
	for b.Loop() {
		n++
		title := fmt.Sprintf("第 %d 条快讯", n)
		news := filepath.Join(w.dir, "one.ndjson")
		if err := os.WriteFile(news, fmt.Appendf(nil, `{"zone":"zone-0","id":"told-%d","title":"%s","content_text":"正文。"}`, n, title), 0o600); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Duration(1500+n*170%1000) * time.Millisecond)
		if out, err := exec.Command(bin, "--db", filepath.Join(w.dir, "zonewire.db"), "article", "import", news).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		began := time.Now()
		for {
			if _, ok := reader.told(title); ok {
				break
			}
			if time.Since(began) > 20*time.Second {
				b.Fatal("not told after 20 seconds")
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, time.Since(began))
	}
	w.stop()
	b.ReportMetric(micros(took, 50)/1000, "ms-told-p50")
	b.ReportMetric(float64(slices.Max(took).Milliseconds()), "ms-told-max")
	b.ReportMetric(0, "ns/op")
}
