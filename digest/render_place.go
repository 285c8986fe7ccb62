package digest

import (
	"cmp"
	"strings"

	"zonewire"
)

// place is where a zone lies, as the locale says it, by short names. There are no English names of cities, so English
// tells the province only; a municipality is told once.
func place(z zonewire.Zone, locale string) string {
	province, city := clean(z.Province), strings.TrimSuffix(clean(z.City), "市")
	if name, known := zonewire.Province(locale, province); known {
		if locale == zonewire.LocaleEN {
			return name
		}
		province = name
	}
	if province == "" || city == "" || province == city {
		return cmp.Or(province, city)
	}
	return province + " · " + city
}
