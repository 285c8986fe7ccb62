package feed

// Names for the tests, which stand outside like every other caller.
type (
	Piece    = piece
	Rendered = rendered
)

const Places = places

var (
	RenderAll    = renderAll
	RenderOne    = renderOne
	Cut          = cut
	EncodeLayout = encodeLayout
	DecodeLayout = decodeLayout
	Restored     = restored
)

func (r rendered) Body() []byte    { return r.body }
func (r rendered) Layout() []piece { return r.layout }
func (r rendered) Channel() string { return r.channel }
