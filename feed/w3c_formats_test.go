package feed_test

import (
	"slices"
	"strings"
)

// What the three formats may hold, element by element, and what is asked of each. What our documents never have (a cloud,
// a rating, a text input) is not here: it would be an UndefinedElement, and a surprise.

var rssSpec = elementSpec{
	attrs: "version",
	rules: []elementRule{required("version", matches(`2\.0`, "InvalidRSSVersion")), needs("channel", "MissingElement")},
	kids:  map[string]elementSpec{"channel": channelSpec},
}

var channelSpec = elementSpec{
	rules: []elementRule{
		needs("title", "MissingTitle"), needs("link", "MissingLink"), needs("description", "MissingDescription"),
		needs("language", "MissingDCLanguage"), selfLink("atom:link", "MissingAtomSelfLink"), after("item", "MisplacedItem", "atom:link"),
	},
	kids: map[string]elementSpec{
		"title":          leaf(filled, plainText("ContainsHTML")),
		"link":           leaf(fullURI),
		"description":    leaf(plainText("ContainsHTML")),
		"language":       leaf(languageCode),
		"lastBuildDate":  leaf(mailDate),
		"pubDate":        leaf(mailDate),
		"generator":      leaf(),
		"docs":           leaf(fullURI),
		"ttl":            leaf(positive),
		"managingEditor": leaf(contact),
		"image":          imageSpec,
		"atom:link":      repeated(linkSpec),
		"item":           repeated(itemSpec),
	},
}

var imageSpec = elementSpec{
	rules: []elementRule{
		needs("title", "MissingTitle"), needs("url", "MissingElement"), needs("link", "MissingLink"),
		func(c *validation, n *xmlNode) {
			if n.get("title") != n.parent.get("title") {
				c.say("ImageTitleDoesntMatch", n.path())
			}
			if n.get("link") != n.parent.get("link") {
				c.say("ImageLinkDoesntMatch", n.path())
			}
		},
	},
	kids: map[string]elementSpec{"title": leaf(filled), "url": leaf(fullURI), "link": leaf(fullURI)},
}

var itemSpec = elementSpec{
	rules: []elementRule{
		needs("guid", "MissingGuid"),
		after("content:encoded", "NeedDescriptionBeforeContent", "description"),
		func(c *validation, n *xmlNode) {
			if !n.has("title") && !n.has("description") {
				c.say("ItemMustContainTitleOrDescription", n.path())
			}
			if n.has("content:encoded") && !n.has("description") {
				c.say("NeedDescriptionBeforeContent", n.path())
			}
			if n.has("author") && n.has("dc:creator") {
				c.say("DuplicateItemSemantics", n.path()+"/dc:creator")
			}
		},
		oneSource,
	},
	kids: map[string]elementSpec{
		"title":           leaf(filled, plainText("ContainsHTML")),
		"link":            leaf(fullURI),
		"description":     leaf(safeHTML, absolute),
		"content:encoded": leaf(safeHTML, absolute),
		"author":          leaf(contact),
		"dc:creator":      repeated(leaf()),
		"dc:source":       leaf(),
		"dc:publisher":    repeated(leaf()),
		"dc:language":     leaf(languageCode),
		"category":        repeated(leaf(filled, plainText("ContainsHTML"))),
		"pubDate":         leaf(mailDate),
		"guid":            guidSpec(),
		"source":          sourceSpec(),
		"enclosure": {
			attrs: "url length type", more: "DuplicateEnclosure", kids: map[string]elementSpec{},
			rules: []elementRule{required("url", webURL), required("length", matches(`\d+`, "InvalidIntegerAttribute")), required("type", mimeAttr)},
		},
		"media:thumbnail": thumbnailSpec,
		"media:content":   mediaSpec,
	},
}

// oneSource wants the source of an item named in one way: the validator takes Dublin Core's for RSS's own, and for Atom's.
func oneSource(c *validation, n *xmlNode) {
	if n.has("source") && n.has("dc:source") {
		c.say("DuplicateItemSemantics", n.path()+"/dc:source")
	}
}

func guidSpec() elementSpec {
	s := leaf(filled, once("guid", "DuplicateValue"), func(c *validation, n *xmlNode, v string) {
		permanent := n.attr["isPermaLink"] != "false"
		switch {
		case permanent && (strings.HasPrefix(strings.ToLower(v), "tag:") || strings.HasPrefix(strings.ToLower(v), "urn:")):
			c.say("InvalidPermalink", n.path()+" "+v)
		case permanent:
			fullURI(c, n, v)
		case len(v) < 9 && strings.Trim(v, "0123456789") == "":
			c.say("NotSufficientlyUnique", n.path()+" "+v)
		}
	})
	s.attrs = "isPermaLink"
	s.rules = append(s.rules, optional("isPermaLink", matches("true|false", "InvalidBooleanAttribute")))
	return s
}

func sourceSpec() elementSpec {
	s := leaf(plainText("ContainsHTML"))
	s.attrs = "url"
	s.rules = append(s.rules, required("url", fullURI))
	return s
}

var thumbnailSpec = elementSpec{
	attrs: "url height width time", many: true, kids: map[string]elementSpec{},
	rules: []elementRule{required("url", fullURI), optional("height", positive), optional("width", positive)},
}

var mediaSpec = elementSpec{
	attrs: "url type medium fileSize height width lang isDefault", many: true, kids: map[string]elementSpec{},
	rules: []elementRule{
		required("url", fullURI), optional("type", mimeAttr), optional("fileSize", positive),
		optional("medium", matches("image|audio|video|document|executable", "InvalidMediaMedium")),
	},
}

// contact is a mail address with a name behind it.
func contact(c *validation, n *xmlNode, v string) {
	matches(`[\w.+'-]+@(?:[\w-]+\.)+[\w-]+ \([^()]+\)`, "InvalidContact")(c, n, v)
}

// after wants some elements before the first of another name, where there is one.
func after(name, finding string, before ...string) elementRule {
	return func(c *validation, n *xmlNode) {
		seen := false
		for _, k := range n.kids {
			seen = seen || k.name == name
			if seen && slices.Contains(before, k.name) {
				c.say(finding, k.path())
			}
		}
	}
}

// selfLink wants a link to where the document is.
func selfLink(element, finding string) elementRule {
	return func(c *validation, n *xmlNode) {
		if !slices.ContainsFunc(n.all(element), func(k *xmlNode) bool { return k.attr["rel"] == "self" }) {
			c.say(finding, n.path())
		}
	}
}

// The relations that the validator knows, and those of them that lead from document to document (RFC 5005).
var (
	paging    = strings.Fields("current first last next next-archive prev-archive previous")
	relations = append(strings.Fields("alternate describedby edit enclosure hub license payment related replies search self service up via"), paging...)
)

// linkSpec is Atom's link, in RSS too.
var linkSpec = elementSpec{
	attrs: "href rel type title length hreflang", many: true, kids: map[string]elementSpec{},
	rules: []elementRule{
		attribute("href", "MissingHref", []judge{fullURI}),
		optional("rel", filledAttribute, func(c *validation, n *xmlNode, v string) {
			switch {
			case !slices.Contains(relations, v) && !uriForm.MatchString(v):
				c.say("UnregisteredAtomLinkRel", n.path()+" "+v)
			case n.parent.name == "entry" && slices.Contains(paging, v):
				c.say("FeedHistoryRelInEntry", n.path()+" "+v)
			}
		}),
		optional("type", mimeType, func(c *validation, n *xmlNode, v string) {
			if n.attr["rel"] == "self" && v != "application/atom+xml" && v != "application/rss+xml" {
				c.say("SelfNotAtom", n.path()+" "+v)
			}
		}),
		optional("title", filledAttribute, plainText("ContainsHTML")),
		optional("length", notNegative),
		optional("hreflang", languageCode),
	},
}

var metadata = map[string]elementSpec{
	"title":     textConstruct(),
	"subtitle":  textConstruct(),
	"id":        leaf(noSpace, canonical),
	"updated":   leaf(noSpace, atomDate),
	"generator": withAttributes("uri version", leaf(filled, plainText("ContainsHTML"))),
	"icon":      leaf(filled, fullURI),
	"logo":      leaf(filled, fullURI),
	"author":    repeated(authorSpec),
	"category":  repeated(categorySpec),
	"link":      linkSpec,
}

var atomSpec = elementSpec{
	rules: []elementRule{
		needs("title", "MissingElement"), needs("id", "MissingElement"), needs("updated", "MissingElement"),
		selfLink("link", "MissingSelf"), after("entry", "MisplacedMetadata", "title", "subtitle", "id", "updated", "generator", "icon", "logo", "author", "category", "link"),
		oneAlternate, archived,
	},
	kids: with(metadata, map[string]elementSpec{
		"entry":       repeated(entrySpec),
		"fh:archive":  {kids: map[string]elementSpec{}},
		"fh:complete": {kids: map[string]elementSpec{}},
	}),
}

// archived holds an archive to RFC 5005: it leads on, and to the present. The validator asks the former of every archive,
// be it the only one.
func archived(c *validation, n *xmlNode) {
	leads := func(rels ...string) bool {
		return slices.ContainsFunc(n.all("link"), func(k *xmlNode) bool { return slices.Contains(rels, k.attr["rel"]) })
	}
	if n.has("fh:complete") && leads(paging...) {
		c.say("FeedRelInCompleteFeed", n.path())
	}
	if !n.has("fh:archive") || n.has("fh:complete") {
		return
	}
	if !leads("prev-archive", "next-archive") {
		c.say("ArchiveIncomplete", n.path())
	}
	if !leads("current") {
		c.say("MissingCurrentInArchive", n.path())
	}
}

// oneAlternate wants no two of a type and a language (RFC 4287 section 4.1.1).
func oneAlternate(c *validation, n *xmlNode) {
	seen := map[string]bool{}
	for _, k := range n.all("link") {
		key := k.attr["type"] + " " + k.attr["hreflang"]
		if rel, told := k.attr["rel"]; told && rel != "alternate" {
			continue
		}
		if seen[key] {
			c.say("DuplicateAtomLink", k.path()+" "+key)
		}
		seen[key] = true
	}
}

var entrySpec = elementSpec{
	rules: []elementRule{
		needs("title", "MissingElement"), needs("id", "MissingElement"), needs("updated", "MissingElement"), oneAlternate, oneSource,
		func(c *validation, n *xmlNode) {
			if !n.has("author") && !n.parent.has("author") {
				c.say("MissingElement", n.path()+"/author")
			}
			if n.has("content") {
				return
			}
			if !n.has("summary") {
				c.say("MissingTextualContent", n.path())
			}
			if !slices.ContainsFunc(n.all("link"), func(k *xmlNode) bool { return k.attr["rel"] == "alternate" }) {
				c.say("MissingContentOrAlternate", n.path())
			}
		},
	},
	kids: map[string]elementSpec{
		"title":           textConstruct(),
		"id":              leaf(noSpace, canonical, once("id", "DuplicateEntries")),
		"updated":         leaf(noSpace, atomDate, once("updated", "DuplicateUpdated")),
		"published":       leaf(noSpace, atomDate),
		"summary":         textConstruct(),
		"content":         textConstruct(),
		"author":          repeated(authorSpec),
		"category":        repeated(categorySpec),
		"link":            linkSpec,
		"dc:source":       leaf(),
		"dc:publisher":    repeated(leaf()),
		"dc:language":     leaf(languageCode),
		"media:thumbnail": thumbnailSpec,
		"media:content":   mediaSpec,
		"source": {kids: metadata, rules: []elementRule{
			needs("title", "MissingSourceElement"), needs("id", "MissingSourceElement"), needs("updated", "MissingSourceElement"), oneAlternate,
		}},
	},
}

var authorSpec = elementSpec{
	rules: []elementRule{needs("name", "MissingElement")},
	kids:  map[string]elementSpec{"name": leaf(filled, plainText("ContainsHTML")), "uri": leaf(filled, fullURI)},
}

var categorySpec = elementSpec{
	attrs: "term scheme label", kids: map[string]elementSpec{},
	rules: []elementRule{required("term", filled), optional("scheme", fullURI), optional("label", plainText("ContainsHTML"))},
}

// textConstruct is text that says what it is (RFC 4287 section 3.1).
func textConstruct() elementSpec {
	s := leaf(filled, func(c *validation, n *xmlNode, v string) {
		if n.lang == "" {
			c.say("MissingDCLanguage", n.path())
		}
		switch n.attr["type"] {
		case "html":
			safeHTML(c, n, v)
			absolute(c, n, v)
		case "", "text":
			plainText("ContainsUndeclaredHTML")(c, n, v)
		default: // ours are of no other type
			c.say("InvalidTextType", n.path()+" "+n.attr["type"])
		}
	})
	s.attrs = "type"
	return s
}

func withAttributes(attrs string, s elementSpec) elementSpec { s.attrs = attrs; return s }

func with(kids, more map[string]elementSpec) map[string]elementSpec {
	for name, s := range kids {
		more[name] = s
	}
	return more
}

var opmlSpec = elementSpec{
	attrs: "version",
	rules: []elementRule{required("version", matches(`2\.0`, "InvalidOPMLVersion")), needs("head", "MissingElement"), needs("body", "MissingElement")},
	kids: map[string]elementSpec{
		"head": {kids: map[string]elementSpec{
			"title": leaf(safeHTML), "dateCreated": leaf(mailDate), "dateModified": leaf(mailDate), "ownerName": leaf(safeHTML),
			"ownerId": leaf(webURL),
		}},
		"body": {rules: []elementRule{needs("outline", "MissingElement")}, kids: map[string]elementSpec{"outline": outlineSpec(8)}},
	},
}

// outlineSpec is an outline with others in it, so many deep.
func outlineSpec(depth int) elementSpec {
	s := elementSpec{
		attrs: "text title type xmlUrl htmlUrl language description category created", many: true, kids: map[string]elementSpec{},
		rules: []elementRule{
			required("text", safeHTML), optional("title", safeHTML), optional("description", safeHTML), optional("xmlUrl", fullURI), optional("htmlUrl", fullURI),
			optional("language", languageCode), optional("created", mailDate), optional("type", matches("rss", "InvalidOutlineType")),
			func(c *validation, n *xmlNode) {
				if n.attr["type"] == "" {
					for _, name := range strings.Fields("description htmlUrl language title xmlUrl") {
						if _, told := n.attr[name]; told {
							c.say("MissingOutlineType", n.path()+" with "+name)
							break
						}
					}
					return
				}
				if n.attr["xmlUrl"] == "" {
					c.say("MissingXmlURL", n.path())
				}
				if n.attr["title"] == "" {
					c.say("MissingTitleAttr", n.path())
				}
			},
		},
	}
	if depth > 0 {
		s.kids["outline"] = outlineSpec(depth - 1)
	}
	return s
}
