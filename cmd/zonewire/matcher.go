package main

import "zonewire"

// newMatcher knows slugs and exact names only.
func newMatcher(zones []zonewire.Zone) zonewire.Matcher {
	ids := map[string]int64{}
	for _, z := range zones {
		ids[z.Slug], ids[z.Name] = z.ID, z.ID
	}
	return func(name, _, _ string) (int64, bool) {
		id, ok := ids[name]
		return id, ok
	}
}
