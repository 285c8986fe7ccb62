package api

import (
	"bytes"
	"net/http"
	"slices"

	"zonewire"
	"zonewire/ingest"
)

// lineResult is what became of one article of a bulk.
type lineResult struct {
	Line       int      `json:"line"`   // counted from 1, empty lines too
	Status     int      `json:"status"` // what a POST of it would have answered
	Result     string   `json:"result"` // of zonewire.PutResult, or "rejected" or "failed"
	ID         int64    `json:"id,omitempty"`
	Zone       string   `json:"zone,omitempty"`
	ExternalID string   `json:"external_id,omitempty"`
	Waiting    bool     `json:"waiting,omitempty"`
	Error      string   `json:"error,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// bulkSummary is the last line of the answer to a bulk. Added, Updated, Unchanged and Rejected sum to Read.
type bulkSummary struct {
	Read      int  `json:"read"`
	Added     int  `json:"added"`
	Updated   int  `json:"updated"`
	Unchanged int  `json:"unchanged"`
	Rejected  int  `json:"rejected"` // for whatever reason
	Errors    bool `json:"errors"`
}

// bulk stores the articles of many lines. Each is answered by a line, in their order; nothing is stored of a body that is
// too long.
func (h *handler) bulk(c *call) (answer, error) {
	records, err := c.records()
	if err != nil {
		return answer{}, err
	}
	slugs, err := h.slugs(c.Context())
	if err != nil {
		return answer{}, err
	}
	results := make([]lineResult, len(records))
	var good []int
	for i, r := range records {
		results[i] = lineResult{Line: r.Line, ExternalID: r.Article.ExternalID, Warnings: r.Warnings}
		if r.Err != nil {
			results[i].Status, results[i].Result, results[i].Error = http.StatusUnprocessableEntity, "rejected", r.Err.Error()
			continue
		}
		good = append(good, i)
	}
	partial := false
	for n, part := range slices.Collect(slices.Chunk(good, batch)) {
		as := make([]zonewire.Article, len(part))
		for j, i := range part {
			as[j] = records[i].Article
		}
		stored, err := h.store.PushArticles(c.Context(), c.act(), zonewire.Push{Only: c.key.Zones}, as)
		if err != nil && n == 0 {
			return answer{}, err
		}
		if err != nil { // what is stored is stored, and the sender must learn how far it came
			h.Log.Error("api bulk failed midway", "key", c.key.Name, "err", err)
			partial = true
		}
		for j, i := range part {
			if err != nil {
				p := problemOf(err)
				results[i].Status, results[i].Result, results[i].Error = p.Status, "failed", p.Detail
				continue
			}
			results[i].settle(c.key, as[j], stored[j], slugs)
		}
	}
	return bulkAnswer(results, partial)
}

// records reads the articles of a bulk. More than maxLines is 413.
func (c *call) records() ([]ingest.Record, error) {
	switch kind, _ := c.mediaType(); kind {
	case linesType, "application/ndjson", "application/jsonl", "application/x-jsonlines", "text/plain", jsonType, "":
	default:
		return nil, problemf(http.StatusUnsupportedMediaType, "send Content-Type: %s, an article a line, not %q", linesType, zonewire.Shorten(kind, 80))
	}
	var all []ingest.Record
	opts := ingest.Options{Now: c.now, Zone: c.onlyZone(), Format: ingest.NDJSON}
	for r := range ingest.Read("", bytes.NewReader(c.body), opts) {
		if len(all) == maxLines {
			return nil, problemf(http.StatusRequestEntityTooLarge, "the body holds more than %d articles: nothing was stored", maxLines)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, problemf(http.StatusBadRequest, "the body holds no article")
	}
	return all, nil
}

// settle tells what the store did with the article of a line.
func (r *lineResult) settle(key zonewire.APIKey, a zonewire.Article, s zonewire.Stored, slugs map[int64]string) {
	r.Result, r.Zone = s.Result.String(), slugs[s.ZoneID]
	switch s.Result {
	case zonewire.Refused:
		r.Status, r.Error = http.StatusForbidden, refusal(key, slugs[s.ZoneID], a.ZoneRaw)
	case zonewire.Dead:
		r.Status, r.Error, r.ID = http.StatusGone, withdrawnBefore, s.ID
	case zonewire.Added:
		r.Status, r.ID, r.Waiting = http.StatusCreated, s.ID, s.ZoneID == 0
	default:
		r.Status, r.ID, r.Waiting = http.StatusOK, s.ID, s.ZoneID == 0
	}
}

func bulkAnswer(results []lineResult, partial bool) (answer, error) {
	sum := bulkSummary{Read: len(results)}
	var lines bytes.Buffer
	write := func(v any) error {
		b, err := text(v)
		lines.Write(b)
		return err
	}
	for _, r := range results {
		switch r.Result {
		case zonewire.Added.String():
			sum.Added++
		case zonewire.Updated.String():
			sum.Updated++
		case zonewire.Unchanged.String():
			sum.Unchanged++
		default:
			sum.Rejected++
		}
		if err := write(r); err != nil {
			return answer{}, err
		}
	}
	sum.Errors = sum.Rejected > 0
	err := write(sum)
	return answer{status: http.StatusOK, kind: linesType, body: lines.Bytes(), partial: partial}, err
}
