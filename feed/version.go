package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zonewire"
)

// version is what one feed serves in one format: the document, and what the store knows of it. It never changes.
type version struct {
	doc  rendered
	meta zonewire.FeedVersion // its Body is doc's, packed
}

// making is how documents come to be that belong together: the formats of a feed, or one archive.
type making struct {
	names  []string // in the store
	state  string
	of     zonewire.Generation
	gone   []int64  // of each, the change of the latest departure that it does not tell of
	topics []string // of each, where it is told of; nil = nobody is
	render func(context.Context) ([]rendered, error)
	hold   bool // errHeld rather than a version that comes too early
}

// made is what came of it.
type made struct {
	versions []version
	state    string // of the versions; empty if they are of several
	ours     bool   // this program has rendered them, just now
	fresh    bool   // they were recorded as something new
	// failed is why they could not be recorded; they are served all the same.
	failed error
}

var (
	// errHeld means that a feed changed twice within a second. Its next version waits for the next second, for two with one
	// Last-Modified would leave a reader that sends no ETag on the first.
	errHeld = errors.New("held until the next second")
	// errOvertaken means that the store was told of a newer version, and has lost its document since.
	errOvertaken = errors.New("overtaken by another version")
)

// notOvertaken tries again, from the reading on, while somebody else is faster.
func notOvertaken(try func() error) error {
	for n := 1; ; n++ {
		if err := try(); !errors.Is(err, errOvertaken) || n == 3 {
			return err
		}
	}
}

// settle gives what the store says stands once it knows of the state. What is stored under that state is served as it is,
// whatever program has rendered it: replicas of two versions must not take turns.
func (s *Server) settle(ctx context.Context, m making, now time.Time) (made, error) {
	stored, err := s.src.FeedVersions(ctx, m.names)
	if err != nil {
		return made{}, fmt.Errorf("read feed %s: %w", m.names[0], err)
	}
	if versions, ok := restore(stored, m.state); ok {
		return made{versions: versions, state: m.state}, nil
	}
	if m.hold && tooEarly(stored, now) {
		return made{}, errHeld
	}
	start := time.Now()
	docs, err := m.render(ctx)
	if err != nil {
		return made{}, err
	}
	puts := make([]zonewire.FeedPut, len(docs))
	for i, doc := range docs {
		packed, err := s.coder.pack(gzipForm, doc.body)
		if err != nil {
			return made{}, err
		}
		puts[i].FeedVersion = zonewire.FeedVersion{
			Feed: m.names[i], Hash: hashOf(doc.body), State: m.state, Channel: doc.channel, Of: m.of,
			Body: packed, Layout: encodeLayout(doc.layout),
		}
		if m.gone != nil {
			puts[i].Gone = m.gone[i]
		}
		if m.topics != nil {
			puts[i].Topic, puts[i].Hubs = m.topics[i], s.hubs
		}
	}
	s.stats.rendered(time.Since(start))
	return s.record(ctx, docs, puts, stored, now)
}

// record writes versions down and gives what stands.
func (s *Server) record(ctx context.Context, docs []rendered, puts []zonewire.FeedPut, stored []zonewire.FeedVersion, now time.Time) (made, error) {
	m := made{versions: make([]version, len(docs)), state: puts[0].State, ours: true}
	stands, err := s.src.PutFeedVersions(ctx, puts, now)
	if ctx.Err() != nil {
		return made{}, ctx.Err()
	}
	if err != nil {
		// News goes before validators that outlive a restart: a full disk does not stop the feeds.
		m.failed = fmt.Errorf("record feed %s: %w", puts[0].Feed, err)
		stands = unrecorded(puts, stored, now)
	}
	for i, v := range stands {
		if v.Hash == puts[i].Hash {
			m.fresh = m.fresh || err == nil && stored[i].Hash != v.Hash && puts[i].Topic != ""
			v.Body, v.Layout = puts[i].Body, nil
			m.versions[i] = version{docs[i], shared(v)}
			continue
		}
		// Another replica has seen more of the store than we have.
		m.ours = false
		if v.State != m.state {
			m.state = ""
		}
		if m.versions[i], err = restoreOne(v); err != nil {
			return made{}, fmt.Errorf("read feed %s: %w", v.Feed, errOvertaken)
		}
	}
	return m, nil
}

// unrecorded is what would stand, had the store taken it.
func unrecorded(puts []zonewire.FeedPut, stored []zonewire.FeedVersion, now time.Time) []zonewire.FeedVersion {
	stands := make([]zonewire.FeedVersion, len(puts))
	for i, p := range puts {
		v, old := p.FeedVersion, stored[i]
		v.Modified, v.Bases = now.Truncate(time.Second), old.Bases
		switch {
		case old.Hash == v.Hash:
			v.Modified = old.Modified
		case old.Hash != "":
			if !v.Modified.After(old.Modified) {
				v.Modified = old.Modified.Add(time.Second)
			}
			v.Bases = append([]zonewire.FeedBase{{Hash: old.Hash, Change: old.Of.Articles, Channel: old.Channel}}, old.Bases...)
		}
		stands[i] = v
	}
	return stands
}

// restore gives stored documents if all of them are of a state.
func restore(stored []zonewire.FeedVersion, state string) ([]version, bool) {
	versions := make([]version, len(stored))
	for i, v := range stored {
		if v.State != state || v.Hash == "" || len(v.Body) == 0 {
			return nil, false
		}
		var err error
		if versions[i], err = restoreOne(v); err != nil {
			return nil, false // it is rendered again
		}
	}
	return versions, true
}

func restoreOne(v zonewire.FeedVersion) (version, error) {
	body, err := unpack(v.Body)
	if err != nil {
		return version{}, err
	}
	doc, err := restored(body, v.Layout, v.Channel)
	v.Layout = nil
	return version{doc, shared(v)}, err
}

// shared has one copy of a text that is the same in most bases.
func shared(v zonewire.FeedVersion) zonewire.FeedVersion {
	for i := range v.Bases {
		if v.Bases[i].Channel == v.Channel {
			v.Bases[i].Channel = v.Channel
		}
	}
	return v
}

// tooEarly reports whether a new version would come in the second of the one before it. The moment may lie a second
// ahead, where the store has put it after another. More is a clock that was set back.
func tooEarly(stored []zonewire.FeedVersion, now time.Time) bool {
	for _, v := range stored {
		if wait := v.Modified.Add(time.Second).Sub(now); v.Hash != "" && wait > 0 && wait <= 2*time.Second {
			return true
		}
	}
	return false
}
