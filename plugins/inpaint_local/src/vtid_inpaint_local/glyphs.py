"""Every number by which letters, outlines and shadows are told from the scene: its unit, and why it has this value.

As in `tuning`, most were measured on clips of which the truth was known, and lengths follow the text's height.
"""

from __future__ import annotations

# --- mask: which pixels -----------------------------------------------------------------------------------------------

MASK_PAD = (1.0, 0.5)
"""Text heights left and right, above and below the box, in which strokes are looked for."""
SEED_MIN = 25
"""Luma levels by which a stroke stands out at least."""
VIVID = 30.0
"""Levels from grey from which on letters are coloured, and their colour tells of strokes as well as their luma does."""
COLOUR_SPREAD = 5.0
COLOUR_NEAR = (18.0, 45.0)
"""Levels (largest channel) within which a pixel has the letters' colour: so many times the spread of the surest
strokes, within these. Crisp white letters before a bright sky need it narrow, small and translucent ones broad."""
STABLE = 14
"""Levels of temporal deviation under which a pixel holds still."""
WEAK = 0.45
"""Share of the seeds' threshold down to which a stroke joined to them is followed: thin strokes are half background."""
WEAK_REACH = 0.2
"""Text heights beyond the box within which that holds."""
LETTER_REACH = 0.5
"""Text heights beyond the box to which letters that are joined to others are followed."""
ACCENT = 0.5
"""Text heights: the largest accent above or below the box."""
STOP = 0.08
"""Text heights: the smallest full stop beside the box."""
STROKE = 0.12
"""Text heights around the seeds within which a pixel of the letters' colour is theirs: half a bold stroke. What lies
farther off within the box is scenery of that colour."""
FILLS_CONTRAST = (0.35, 0.15)
"""Contrast of letters against their outline's from which they may be letters: gaps look like what is around the box.
Before a bright scene white letters do so too, and then they must lie as deep as the second of the following. Before a
dark scene only gaps do: those in light Chinese letters lie as deep as letters, and a stroke would stay."""
FILLS = 0.8
"""Share of letters that lies beside an outline's strokes, for these to be an outline, …"""
FILLS_DEPTH = (1.15, 1.4)
"""… how much deeper than those they lie in the shape of both: letters 1.5 to 1.8, gaps up to 1.3, …"""
FILLS_SHARE = 0.3
"""… and how many pixels they have, against it."""
SEEDED = 0.2
"""Share of a joined patch that must be seeds; a patch with fewer is background of the letters' colour."""
RIM_MAX = 0.16
"""Text heights: the broadest outline."""
RIM_SHOWS, RIM_CHANGED = 9.0, 6.0
"""Levels by which it differs from what is far away: the mean luma, and the median change as the text came or went."""
OUTLINE_UNSEEN = 0.05
"""Share of an outline that did not change as the text came, from which on that does not tell of all of it. At 0.3, a
caption that came while black feathers were behind its ends kept its outline there, and lost 6 dB."""
SWAY_SHOWS = 2.0
"""Levels by which the picture far from the letters changes more than they do, to tell where an outline ends."""
SWAY_FREE = 0.85
"""Share of that difference from which on nothing lies over the picture any more."""
SWAY_CLEAR = 10.0
"""Levels by which it changes for that to tell of a shadow too: twice what a shadow must show."""
SWAY_CALM = 0.33
"""Share of the scene's change up to which a pixel that stands out is a stroke: those do 0.1 to 0.3."""
SWAY_NEAR = 0.33
"""Text heights (sigma) around a pixel from which it is taken how much the open scene changes there, …"""
SWAY_KNOWN = 1e-3
"""… and the share of open scene that there must be in them."""
SWAY_PIXELS = 60
"""Pixels that must tell in every direction."""
SWAY_PLAIN = (0.8, 1.2)
"""Between these the scene's change beside a text lies, as a share of what is expected there."""
SWAY_OPEN = 0.9
"""Share of that from which on nothing lies over the picture: through a shadow's last tenth all is seen."""
SWAY_SHORT, SWAY_LEAST = 2.0, 0.5
"""The same where the open scene is not alike all around: so many times less than 1 as it falls short itself (root of
the mean square), and no less than this. An outline of 2 pixels was taken for a shadow of 8 on every side otherwise."""
SHADOW_MAX = 0.40
"""Text heights: the farthest shadow looked for in the change that the text's coming and going makes."""
SHADOW_SHOWS = 5.0
"""Levels by which the mean on one side of the letters differs for a shadow to lie there."""
SHADOW_ROUGH, ROUGH_PX = 4.5, 2.0
"""How often what the scene does from pixel to pixel, it must be darker; and the blur (sigma) that this is left from."""
SHADOW_SLACK = 0.06
"""Text heights beyond the measured reach within which pixels that changed with the text belong to it."""
SHADE, LIT_PIXELS = 0.4, 20
"""Share of the light that shadows take at least, and pixels at each distance that tell how far they reach."""
SHADE_RIM = 0.15
"""Share that their rims take."""
STYLE_HEIGHTS = 1.35
"""Ratio of heights up to which texts may be of one style: a line without ascenders is lower."""
STYLE_MOST, STYLE_LEAST = 75, 25
"""Percentiles of what they show: what mends a guess, and what a text gets at least that showed less."""
STYLE_OFF_PX = 1.2
"""Pixels up to which a guess may reach farther than the style; it is as good then. At 2.0, a guess of 4 pixels stood
where the film's outlines have 2, which cost 1.8 dB."""
STYLE_TOGETHER = 2
"""Frames between which two lines of one caption come, or go."""
STYLE_SHOWN, STYLE_BYTES = 40, 32 << 20
"""Texts whose style is remembered, and what pictures of guessed ones may take until one comes that shows more."""
STIRRED = 8.0
"""Levels (mean of 3×3) by which a text changes a pixel at least as it comes or goes: coding alone does less."""
QUIET = 6.0
"""Levels (80th percentile) by which the picture may change at a text's coming and going for that to be a mask."""
PLAIN, LINES = 0.3, 0.06
"""Share of a crop that must be left without other lines that come or go with the text, to measure that there alone, and
the share of the text's own letters that they must have to be some."""
CHANGED = 5.0
"""Levels beyond that by which a pixel of the text changes at least: coding leaves rings of so many around letters."""
CERTAIN = 15.0
"""Levels beyond that by which single pixels of letters change: a gap between them, smeared by coding, does less."""
GONE = 0.5
"""Amplitude just outside a text's time, against just inside, below which the change tells where its strokes are."""
TAKEN = 0.3
"""Share of a text's strokes in whose colour as many pixels stood in its place before or after it, for another text."""
MARGIN_TEXT_PX = 18.0
"""One more pixel of margin per so much text height, from 1 to 2: 0 px costs 12 dB, 3 px costs 0.7."""
