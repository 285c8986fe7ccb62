package api

import "slices"

// Routes lists what the API serves, "GET /articles", sorted.
func Routes() []string {
	var all []string
	for _, rt := range routes() {
		all = append(all, rt.method+" "+rt.path)
	}
	slices.Sort(all)
	return all
}
