package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"zonewire"
	"zonewire/api"
	"zonewire/ingest"
)

// newZone is "zonewire zone".
func newZone(a *app) *cobra.Command {
	cmd := noun("zone", "Development zones: their names, aliases and feeds",
		newZoneAdd(a), newZoneLs(a), newZoneShow(a), newZoneEdit(a), newZoneRename(a), newZoneClose(a), newZoneAlias(a),
		newZoneImport(a), newZonePending(a))
	cmd.Long = `A zone has a slug, which stands in the addresses of its feeds, and names, by which
articles find it. An article whose zone nobody knows is kept, and filed as soon as a
zone or an alias with that name is added: see zonewire zone pending.`
	return cmd
}

// zoneView is a zone as -o json prints it.
type zoneView struct {
	api.Zone
	Filed *int `json:"filed,omitempty"` // waiting articles that found their zone by this change
}

func viewZone(z zonewire.Zone) zoneView { return zoneView{api.ViewZone(z), nil} }

func zoneState(z zonewire.Zone) string {
	switch {
	case z.Closed.IsZero():
		return "open"
	case z.MergedInto != "":
		return "merged into " + z.MergedInto
	}
	return "closed"
}

// zoneFields are the fields that flags set, by flag.
var zoneFields = []struct {
	flag, help string
	field      func(*zonewire.Zone) *string
}{
	{"name", "Chinese `NAME`", func(z *zonewire.Zone) *string { return &z.Name }},
	{"name-en", "English `NAME`", func(z *zonewire.Zone) *string { return &z.NameEn }},
	{"province", "`PROVINCE`, such as 江苏", func(z *zonewire.Zone) *string { return &z.Province }},
	{"city", "`CITY`, such as 常州", func(z *zonewire.Zone) *string { return &z.City }},
	{"level", "`LEVEL`: national, provincial, municipal or other", func(z *zonewire.Zone) *string { return &z.Level }},
	{"type", "`TYPE`: etdz, hidz, customs, border or other", func(z *zonewire.Zone) *string { return &z.Type }},
	{"code", "`CODE` in the national catalogue", func(z *zonewire.Zone) *string { return &z.Code }},
	{"homepage", "`URL` of its portal", func(z *zonewire.Zone) *string { return &z.Homepage }},
	{"language", "`LANGUAGE` of its articles", func(z *zonewire.Zone) *string { return &z.Language }},
}

func addZoneFlags(flags *pflag.FlagSet) {
	for _, f := range zoneFields {
		flags.String(f.flag, "", f.help)
	}
}

// setZone sets the fields whose flags were given, and reports whether there was one.
func setZone(flags *pflag.FlagSet, z *zonewire.Zone) (bool, error) {
	any := false
	for _, f := range zoneFields {
		if flags.Changed(f.flag) {
			value, err := flags.GetString(f.flag)
			if err != nil {
				return false, err
			}
			*f.field(z), any = strings.TrimSpace(value), true
		}
	}
	return any, nil
}

// filed tells how many waiting articles found their zone, if any did.
func filed(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %s that waited for it filed", count(n, "article"))
}

func newZoneAdd(a *app) *cobra.Command {
	var aliases []string
	cmd := &cobra.Command{
		Use:   "add SLUG --name NAME",
		Short: "Add a zone",
		Example: `  zonewire zone add jintan-edz --name 金坛经济开发区 --province 江苏 --city 常州 --level national
  zonewire zone add linhai-park --name 临海产业园 --alias 临海园区 --alias 临海高新园`,
		Args: exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			z := zonewire.Zone{Slug: args[0], Aliases: aliases}
			if _, err := setZone(cmd.Flags(), &z); err != nil {
				return err
			}
			if err := z.Validate(); err != nil { // before a database is made for nothing
				return usagef(cmd, "%w", err)
			}
			return a.with(cmd.Context(), mayCreate, func(db *session) error {
				added, n, err := db.AddZone(cmd.Context(), a.act(), z)
				if err != nil {
					return err
				}
				view := viewZone(added)
				view.Filed = &n
				return a.out.say(view, "added zone %s, %s%s", added.Slug, added.Name, filed(n))
			})
		},
	}
	addZoneFlags(cmd.Flags())
	cmd.Flags().StringArrayVar(&aliases, "alias", nil, "another `NAME` of it; may be given again")
	require(cmd, "name")
	return cmd
}

func newZoneLs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List every zone",
		Example: "  zonewire zone ls\n  zonewire zone ls -o json",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				zones, err := db.Zones(cmd.Context())
				if err != nil {
					return err
				}
				var views []zoneView
				var rows [][]string
				for _, z := range zones {
					views = append(views, viewZone(z))
					rows = append(rows, []string{z.Slug, z.Name, z.Province, z.City, z.Level, z.Type, zoneState(z), strings.Join(z.Aliases, "、")})
				}
				return a.out.list(views, []string{"SLUG", "NAME", "PROVINCE", "CITY", "LEVEL", "TYPE", "STATE", "ALIASES"}, rows,
					"no zones yet: add one with `zonewire zone add`, or many with `zonewire zone import`")
			})
		},
	}
}

func newZoneShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show SLUG",
		Short:   "Show a zone",
		Example: "  zonewire zone show jintan-edz",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				z, err := db.Zone(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				base := strings.TrimRight(a.cfg.HTTP.BaseURL, "/")
				return a.out.record(viewZone(z),
					field{"slug", z.Slug}, field{"name", z.Name}, field{"name_en", z.NameEn}, field{"province", z.Province},
					field{"city", z.City}, field{"level", z.Level}, field{"type", z.Type}, field{"code", z.Code},
					field{"homepage", z.Homepage}, field{"language", z.Language}, field{"aliases", strings.Join(z.Aliases, "、")},
					field{"state", zoneState(z)}, field{"feed", base + "/zones/" + z.Slug + "/feed.atom"})
			})
		},
	}
}

func newZoneEdit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "edit SLUG",
		Short:   "Change fields of a zone",
		Example: "  zonewire zone edit jintan-edz --name-en 'Jintan Economic Development Zone' --level national",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if given, err := setZone(cmd.Flags(), &zonewire.Zone{}); err != nil || !given {
				return orNothing(cmd, err)
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				z, n, err := db.EditZone(cmd.Context(), a.act(), args[0], func(z *zonewire.Zone) error {
					_, err := setZone(cmd.Flags(), z)
					return err
				})
				if err != nil {
					return err
				}
				view := viewZone(z)
				view.Filed = &n
				return a.out.say(view, "changed zone %s%s", z.Slug, filed(n))
			})
		},
	}
	addZoneFlags(cmd.Flags())
	return cmd
}

func newZoneRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "rename OLD NEW",
		Short:   "Change a zone's slug; the old one leads to the new one for ever",
		Example: "  zonewire zone rename jintan-edz jintan",
		Args:    exactly("OLD", "NEW"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if err := db.RenameZone(cmd.Context(), a.act(), args[0], args[1]); err != nil {
					return err
				}
				return a.out.say(map[string]string{"old": args[0], "slug": args[1]}, "renamed zone %s to %s", args[0], args[1])
			})
		},
	}
}

func newZoneClose(a *app) *cobra.Command {
	var into string
	var yes bool
	cmd := &cobra.Command{
		Use:   "close SLUG",
		Short: "Close a zone for good",
		Long: `Closes a zone for good. With --into its articles, its place in lists and the readers
who chose it go to another zone; without, they stay as they are and nothing new is
filed under it.`,
		Example: "  zonewire zone close jintan-edz --into changzhou-edz --yes",
		Args:    exactly("SLUG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			what := "close zone " + args[0] + " for good"
			if into != "" {
				what += " and move its articles to " + into
			}
			if err := a.confirm(cmd, yes, "%s", what); err != nil {
				return err
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				n, err := db.CloseZone(cmd.Context(), a.act(), args[0], into)
				if err != nil {
					return err
				}
				moved := ""
				if into != "" {
					moved = fmt.Sprintf(", %s moved to %s", count(n, "article"), into)
				}
				return a.out.say(map[string]any{"slug": args[0], "into": into, "moved": n}, "closed zone %s%s", args[0], moved)
			})
		},
	}
	cmd.Flags().StringVar(&into, "into", "", "`SLUG` of the zone that takes over")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newZoneAlias(a *app) *cobra.Command {
	add := &cobra.Command{
		Use:     "add SLUG NAME",
		Short:   "Add a name, and file the articles that waited under it",
		Example: "  zonewire zone alias add jintan-edz 金坛开发区",
		Args:    exactly("SLUG", "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				n, err := db.AddAlias(cmd.Context(), a.act(), args[0], args[1])
				if err != nil {
					return err
				}
				return a.out.say(map[string]any{"slug": args[0], "alias": args[1], "filed": n},
					"zone %s is also %s%s", args[0], args[1], filed(n))
			})
		},
	}
	remove := &cobra.Command{
		Use:     "remove SLUG NAME",
		Short:   "Remove a name; what was filed by it stays",
		Example: "  zonewire zone alias remove jintan-edz 金坛开发区",
		Args:    exactly("SLUG", "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if err := db.RemoveAlias(cmd.Context(), a.act(), args[0], args[1]); err != nil {
					return err
				}
				return a.out.say(map[string]any{"slug": args[0], "alias": args[1]}, "zone %s is no longer %s", args[0], args[1])
			})
		},
	}
	return noun("alias", "Other names of a zone", add, remove)
}

// zoneImportResult is what zone import did.
type zoneImportResult struct {
	Read      int            `json:"read"`
	Added     int            `json:"added"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Rejected  int            `json:"rejected"`
	Filed     int            `json:"filed"`
	Rejects   []importReject `json:"rejects"`
}

func newZoneImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Add and update many zones; - is standard input",
		Long: `Adds the zones of a CSV file, and updates those whose slug is known. The first line names
the columns: slug, code, name, name_en, level, type, province, city, homepage, language,
aliases (with ; between them), or their Chinese names. A row that cannot be used is told
with its line; the others go in together.`,
		Example: "  zonewire zone import zones.csv",
		Args:    exactly("FILE.csv"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readInput(args[0], a.stdin)
			if err != nil {
				return err
			}
			zones, rejects := ingest.ZonesCSV(bytes.NewReader(text))
			r := zoneImportResult{Read: len(zones) + len(rejects), Rejected: len(rejects), Rejects: []importReject{}}
			for _, reject := range rejects {
				r.Rejects = append(r.Rejects, importReject{args[0], reject.Line, reject.Err.Error()})
			}
			if len(zones) > 0 {
				err := a.with(cmd.Context(), mayCreate, func(db *session) error {
					n, err := db.ImportZones(cmd.Context(), a.act(), zones)
					r.Added, r.Updated, r.Unchanged, r.Filed = n.Added, n.Updated, n.Unchanged, n.Filed
					return err
				})
				if err != nil {
					return err
				}
			}
			a.tellRejects(r.Rejects)
			waited := ""
			if r.Filed > 0 {
				waited = fmt.Sprintf(", %s that waited filed", count(r.Filed, "article"))
			}
			err = a.out.say(r, "read %d: %d added, %d updated, %d unchanged, %d rejected%s", r.Read, r.Added, r.Updated, r.Unchanged, r.Rejected, waited)
			if err == nil && r.Rejected > 0 {
				err = errReported
			}
			return err
		},
	}
}

func newZonePending(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "pending",
		Short: "List the zone names of articles that match no zone",
		Long: `Lists the zone names that articles carry and that match no zone. Their articles wait.
File them with zonewire zone alias add, or with zonewire zone add for a new zone.`,
		Example: "  zonewire zone pending\n  zonewire zone alias add jintan-edz 金坛开发区",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				pending, err := db.PendingZones(cmd.Context())
				if err != nil {
					return err
				}
				type view struct {
					Name     string    `json:"name"`
					Province string    `json:"province"`
					City     string    `json:"city"`
					Articles int       `json:"articles"`
					Latest   time.Time `json:"latest"`
				}
				var views []view
				var rows [][]string
				for _, p := range pending {
					views = append(views, view{p.Name, p.Province, p.City, p.Articles, p.Latest.UTC()})
					name := p.Name
					if name == "" {
						name = "(none named)"
					}
					rows = append(rows, []string{name, p.Province, p.City, fmt.Sprint(p.Articles), stamp(p.Latest)})
				}
				return a.out.list(views, []string{"NAME", "PROVINCE", "CITY", "ARTICLES", "LATEST"}, rows, "every article has found its zone")
			})
		},
	}
}
