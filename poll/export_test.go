package poll

import (
	"time"

	"zonewire/ingest"
)

// LookEvery sets how often it looks while nothing is due: weeks pass faster by the minute.
func (p *Poller) LookEvery(d time.Duration) { p.idle = d }

// ReadFeedsBy replaces the reader of feeds.
func (p *Poller) ReadFeedsBy(read func([]byte, ingest.Options) (ingest.FeedDoc, error)) {
	p.readers.feed = read
}

// ReadPagesBy replaces the reader of article pages.
func (p *Poller) ReadPagesBy(read func([]byte, ingest.Options) ingest.Record) { p.readers.page = read }
