package ingest

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed places.txt
var placesFile string

// places are the provinces and prefecture-level cities of China: every spelling leads to the short one.
var places = sync.OnceValue(func() (p struct{ provinces, cities map[string]string }) {
	p.provinces, p.cities = map[string]string{}, map[string]string{}
	for l := range strings.Lines(placesFile) {
		if strings.HasPrefix(l, "#") {
			continue
		}
		names, cities, _ := strings.Cut(l, ":")
		provinces := strings.Fields(names)
		for _, spelling := range provinces {
			p.provinces[spelling] = provinces[0]
		}
		for _, c := range strings.Fields(cities) {
			short, full, special := strings.Cut(c, "/")
			if !special {
				full = short + "市"
			} else if strings.HasSuffix(full, "州") {
				p.cities[short+"州"] = short
			}
			p.cities[short], p.cities[full] = short, short
		}
	}
	return p
})

func provinceNames() map[string]string { return places().provinces }
func cityNames() map[string]string     { return places().cities }
