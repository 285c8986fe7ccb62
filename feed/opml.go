package feed

import "zonewire"

// RenderOPML lists the feeds of all open zones, grouped by province (OPML 2.0).
func RenderOPML(site Site, zones []zonewire.Zone) []byte { return nil }
