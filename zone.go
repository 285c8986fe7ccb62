package zonewire

import (
	"strings"
	"time"
)

// Zone is a development zone (开发区). Its slug is its public name and stays; its Chinese names change and become aliases.
type Zone struct {
	ID       int64
	Slug     string // lower-case letters, digits and hyphens
	Code     string // from the national catalogue, such as G111001: stored, never parsed
	Name     string
	NameEn   string
	Level    string // national, provincial, municipal, other, or empty
	Type     string // etdz, hidz, customs, border, other, or empty
	Province string
	City     string
	Homepage string
	Language string // of its articles, default zh-CN
	Aliases  []string

	Closed     time.Time // zero while open
	MergedInto string    // slug of the zone that took its articles over, if any
	Created    time.Time
	Changed    time.Time // when what readers see of it changed last
}

// DisplayName is the name a reader of the locale sees.
func (z Zone) DisplayName(locale string) string {
	if locale == LocaleEN && z.NameEn != "" {
		return z.NameEn
	}
	return z.Name
}

// Validate reports the first field that cannot be stored, as an [ErrInvalid].
func (z Zone) Validate() error {
	if err := ValidSlug("zone", z.Slug); err != nil {
		return err
	}
	if strings.TrimSpace(z.Name) == "" {
		return Invalidf("zone %s: the name is empty", z.Slug)
	}
	if !oneOf(z.Level, "", "national", "provincial", "municipal", "other") {
		return Invalidf("zone %s: level %q is none of national, provincial, municipal, other", z.Slug, z.Level)
	}
	if !oneOf(z.Type, "", "etdz", "hidz", "customs", "border", "other") {
		return Invalidf("zone %s: type %q is none of etdz, hidz, customs, border, other", z.Slug, z.Type)
	}
	return nil
}

// PendingZone is a zone name that articles carry and that matches no zone yet.
type PendingZone struct {
	Name     string // as the article gave it
	Province string
	City     string
	Articles int
	Latest   time.Time // when the newest of them arrived
}

// A Matcher finds the zone that a name means, given the province and city that the page or the source told, either of
// which may be empty. It answers false rather than guess: an article in the wrong zone is worse than one that waits.
type Matcher func(name, province, city string) (zoneID int64, ok bool)

// ValidSlug reports as [ErrInvalid] a slug that cannot stand in a URL path; noun names the thing in the message.
func ValidSlug(noun, slug string) error {
	if slug == "" || len(slug) > 64 {
		return Invalidf("%s slug %q: it must have 1 to 64 characters", noun, slug)
	}
	for i, r := range slug {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && (r != '-' || i == 0) {
			return Invalidf("%s slug %q: use lower-case letters, digits and hyphens, such as %s", noun, slug, "jintan-edz")
		}
	}
	return nil
}

func oneOf(s string, allowed ...string) bool {
	for _, a := range allowed {
		if s == a {
			return true
		}
	}
	return false
}
