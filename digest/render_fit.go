package digest

import "slices"

// cut says how much of each story a part tells.
type cut struct {
	closing int // stories told among those that close soon
	full    int // other stories told with byline and summary
	titles  int // stories told by title, after those
	summary int // columns of a summary; 0 tells none
}

// cut gives the paper with only that much of it. The stories told are shared out over the zones, so that a busy zone
// leaves room for a quiet one, and those of a zone that close soon are of its share; a zone of which nothing is told is
// counted at the end.
func (p paper) cut(c cut) paper {
	p.More = max(0, len(p.Closing)-c.closing) // cut only when no zone tells anything
	p.Closing = p.Closing[:min(len(p.Closing), c.closing)]
	soon := map[int64]int{}
	for _, s := range p.Closing {
		soon[s.zone]++
	}
	sizes, had := make([]int, len(p.Sections)), make([]int, len(p.Sections))
	for i, s := range p.Sections {
		sizes[i], had[i] = len(s.Stories), soon[s.zone]
	}
	full := share(c.full, sizes, had)
	for i := range sizes {
		sizes[i] -= full[i]
	}
	titles := share(c.titles, sizes, make([]int, len(sizes)))

	all := p.Sections
	p.Sections = nil
	for i, s := range all {
		told := s.Stories[:full[i]+titles[i]]
		more := len(s.Stories) - len(told)
		if len(told) == 0 {
			p.More += more
			continue
		}
		s.Stories, s.Titles, s.More = slices.Clone(told[:full[i]]), told[full[i]:], more
		for j := range s.Stories {
			s.Stories[j].Summary = clip(s.Stories[j].Summary, c.summary)
		}
		p.Sections = append(p.Sections, s)
	}
	return p
}

// share deals n places out to groups of these sizes, one to each in turn; a group that had some already waits for the
// others to come up to it.
func share(n int, sizes, had []int) []int {
	got := make([]int, len(sizes))
	for level, open := 1, true; open && n > 0; level++ {
		open = false
		for i, size := range sizes {
			if got[i] == size {
				continue
			}
			open = true
			if n > 0 && had[i]+got[i] < level {
				got[i]++
				n--
			}
		}
	}
	return got
}

// leads is how many stories keep their summary when the others have shrunk to titles.
const leads = 8

// leastStory is less than any story takes, in bytes: no part within the limit tells more than limit/leastStory.
const leastStory = 64

// parts are the two forms of one mail.
type parts struct{ html, text string }

// fit renders the fullest mail whose parts are within limit bytes each. All fitting, items stories have a summary or are
// among those that close soon, and the others a title. Else summaries get shorter; then stories shrink to titles, down to a
// few leads; then titles are counted; then the leads go too, and at last what closes soon. The last resort tells no story
// at all, and is returned whatever it weighs.
func fit(limit, items int, p paper, render func(cut) (parts, error)) (parts, error) {
	soon := len(p.Closing)
	stories := p.Count - soon
	items, all := min(items-soon, stories), min(stories, limit/leastStory)
	few := min(items, leads)
	steps := []struct {
		lo, hi int
		cut    func(n int) cut
	}{
		{items, items, func(n int) cut { return cut{soon, n, all, summaryColumns} }},
		{few, items, func(n int) cut { return cut{soon, n, all, shortSummary} }},
		{0, all, func(n int) cut { return cut{soon, few, n, shortSummary} }},
		{0, all, func(n int) cut { return cut{closing: soon, titles: n} }},
		{0, soon, func(n int) cut { return cut{closing: n} }},
	}
	for _, step := range steps {
		both, fits, err := most(limit, step.lo, step.hi, func(n int) (parts, error) { return render(step.cut(n)) })
		if err != nil || fits {
			return both, err
		}
	}
	return render(cut{})
}

// most renders the largest n of lo to hi that fits; false if not even lo does.
func most(limit, lo, hi int, render func(n int) (parts, error)) (best parts, fits bool, err error) {
	for n := hi; lo <= hi; n = lo + (hi-lo)/2 { // the whole first: it fits on most days
		both, err := render(n)
		if err != nil {
			return parts{}, false, err
		}
		if max(len(both.html), len(both.text)) <= limit {
			best, fits, lo = both, true, n+1
		} else {
			hi = n - 1
		}
	}
	return best, fits, nil
}
