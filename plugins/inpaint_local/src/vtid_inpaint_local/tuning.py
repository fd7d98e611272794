"""Every number that this package was tuned with: its unit, and why it has this value.

Most were measured on ten clips from 240p to 720p with synthetic text burned in (so that the truth was known) and then
checked on clips that had no part in it. Lengths that follow the picture are given as shares of the text's height or of
the crop's, never in pixels: a fixed 3 px outline costs 2 dB at 240p and leaves a rim at 1080p.
"""

from __future__ import annotations

# --- detect: how often and how large ----------------------------------------------------------------------------------

SAMPLE_S = 0.4
"""Seconds between looks for text. Subtitles shorter than this are rare; every look costs 40 to 130 ms."""
DETECT_WIDTH = 736
"""Pixels. 640 finds as many subtitles as 1280 at a fifth of the cost but cuts their boxes short; 736 is in between."""
MIN_SCORE = 0.5
"""Detector's own confidence below which a box is not even followed."""
MIN_TEXT_PX = 7
"""Height of the smallest text followed, in pixels of the coded picture."""
MAX_TEXT_SHARE = 0.2
"""Of the picture's height: larger "text" is not a caption."""
MIN_ASPECT = 0.8
"""Width by height of the smallest box: one broad letter."""
CROP_MARGIN = 1.0
"""Text heights around a box, when it is looked at again at full size."""

# --- track: from when until when --------------------------------------------------------------------------------------

MIN_STATIC_S = 0.3
"""A text that does not hold still so long belongs to the scene (or scrolls)."""
BRIDGE_S = 0.45
"""A text that vanishes for less (a flash, a cut) has not ended."""
FADE_S = 0.8
"""The longest fade that is followed to its end."""
RING_SLACK_S = 0.2
RING_BYTES = 192 << 20
"""What the frames that are kept for looking back may take."""
PRESENT = 0.62
"""Amplitude of the text's high frequencies, against the moment it was found, from which it counts as there."""
PRESENT_SAME = 0.72
"""Share of stroke pixels that still have their value, which also counts as there, …"""
PRESENT_FLOOR = 0.3
"""… given this amplitude: a white wall has the value of white letters too."""
SAME_LEVELS = 28
"""Luma levels within which a stroke pixel counts as unchanged under compression."""
FADE_FLOOR = 0.06
"""Amplitude at which a fading text has gone: below it the background's own texture decides."""
FADE_STEP = (0.15, 0.97)
"""A fade's amplitude in one frame lies between these shares of the frame before; less is a cut, more is no fade."""
FADE_FIRST = 0.3
"""The same for a fade's first frame: another text in the same place leaves an amplitude of 0.2."""
GROWN = 1.2
"""Amplitude that says that the text was found while still fading in."""
SAMPLES = (15, 60)
"""Crops kept per text: the temporal median of 15 hides most backgrounds; marks, which are small, get more, …"""
SAMPLE_BYTES = 6 << 20
"""… as many as go into this."""
VIEW_PAD = (1.8, 2.2)
"""Text heights left and right, above and below the box, in which a caption box is looked for: the box around two lines
reaches so far beyond one of them."""

# --- accept: is it text -----------------------------------------------------------------------------------------------

READ_SCORE = 0.6
READ_CHARS = 2
HITS = 0.5
"""Share of looks, while it was there, that found the text. Stands in for reading in scripts that the reader lacks."""
HIT_SCORE = 0.6
HIT_ASPECT = 1.5
"""What cannot be read must at least be a line: so much longer than it is high."""

# --- mask: which pixels -----------------------------------------------------------------------------------------------

MASK_PAD = (1.0, 0.5)
"""Text heights left and right, above and below the box, in which strokes are looked for."""
SEED_MIN = 25
"""Luma levels by which a stroke stands out at least."""
COLOUR_NEAR = 45
"""Levels (largest channel) within which a pixel has the letters' colour."""
STABLE = 14
"""Levels of temporal deviation under which a pixel holds still."""
WEAK = 0.45
"""Share of the seeds' threshold down to which a stroke joined to them is followed: thin strokes are half background."""
WEAK_REACH = 0.2
"""Text heights beyond the box within which that holds."""
LETTER_REACH = 0.5
"""Text heights beyond the box to which letters that are joined to others are followed."""
SEEDED = 0.2
"""Share of a joined patch that must be seeds; a patch with fewer is background of the letters' colour."""
RIM_MAX = 0.16
"""Text heights: the broadest outline."""
SHADOW_MAX = 0.40
"""Text heights: the farthest shadow looked for in the change that the text's coming and going makes."""
QUIET = 6.0
"""Levels (80th percentile) by which the picture may change at a text's coming and going for that to be a mask."""
CHANGED = 4.0
"""Levels beyond that by which a pixel of the text changes at least; shadows change little."""
MARGIN_TEXT_PX = 18.0
"""One more pixel of margin per so much text height, from 1 to 2: 0 px costs 12 dB, 3 px costs 0.7."""

# --- caption: the box behind ------------------------------------------------------------------------------------------

BOX_INSIDE = 0.15
"""Text heights by which the detector's box may reach beyond the caption box."""
BOX_STEP = 3.0
"""Luma levels by which the temporal mean steps at the box's edges at least."""
BOX_STRAIGHT = 0.75
"""Share of an edge's pixels that step the same way."""
BOX_APART = 3
"""Pixels to both sides of an edge at which the picture is compared; compression mixes what is nearer."""
BOX_ALONG = 9
"""Pixels along an edge that are averaged for the comparison."""
BOX_PAIRS = 500
"""Comparisons kept per caption and kind."""
BOX_CLEAR = (0.12, 0.93)
"""Share of the background that shows through, for a box to be one and not to be opaque."""
BOX_ALIKE = 0.6
"""Correlation across the edges; beside a sign in the scene there is none."""
BOX_CONTRAST = 6.0
"""Levels by which the background varies at least, else the slope means nothing."""
BOX_OFF = 7.0
"""Levels (median) within which a film's style must explain a caption's edges."""
BLACK = (16.0, 128.0, 128.0)
BLACK_NEAR = (10.0, 6.0, 6.0)
"""Y, U, V of the colour that nearly all caption boxes have, and how near an estimate must be to mean it."""
BOX_RIM = 2
"""Pixels to both sides of the box's edge that are filled, not computed."""

# --- mark: the text that is itself half-transparent -------------------------------------------------------------------

MARK_SAMPLES = 20
"""Crops without which the temporal mean still shows the scene."""
MARK_MOVES = 10.0
"""Levels of temporal deviation around it from which the background counts as moving."""
MARK_ALPHA = (0.12, 0.8)
"""Opacities between which a mark can be taken off; one more opaque has nothing behind it left."""
MARK_SHOWS = 0.2
"""How far the movement seen through it, as a share of that around it, may lie off what its opacity lets through."""
MARK_LEFT = 0.15
"""Share of its shape's energy that may stay."""
MARK_LIGHT = (135.0, 256.0, 10.0)
MARK_DARK = (0.0, 105.0, 10.0)
"""Lumas tried for marks lighter and darker than what is around: first, end, step."""
MARK_SAME = 0.7
"""Share of a text's box in a mark's for the text to be a piece of the mark."""
MARK_BRIDGE_S = 3.0
"""Seconds for which a mark may drown in the scene between two pieces."""
WHITE = 235.0
WHITE_GOOD = 1.25
"""White is taken where it leaves no more than so many times what the best guess leaves."""
MARK_STEPS = (0.1, 0.86, 0.025)
"""Opacities tried."""
MARK_SIGMA = 6.0
"""Pixels: what is smoother than this is not the shape's detail."""

# --- fill: what was behind --------------------------------------------------------------------------------------------

CHUNK = 18
"""Frames filled at once; twice as many wait: one chunk is filled while the one before is encoded."""
LOOK = 28
"""Frames looked ahead and back for a source; 30 is as good as 90 where anything moves, 8 loses 0.5 dB."""
AGE = 125
"""Frames for which a source behind is remembered once it was found: on a still background the only one there is lies
before the text came. Of so old frames only those that something points to are kept."""
WINDOW_BYTES = 320 << 20
"""What the decoded frames waiting in the window may take; large pictures look less far."""
RING_PX = 6
"""Pixels around the hole that are known on both sides: they measure how well a source fits."""
KEEP_OFF_PX = 3
"""Pixels around the hole that are no source. With the whole ring forbidden (6), the gaps between letters close, and
sources lie a word away instead of a letter: that costs 1 to 3 dB under slow motion."""
CROP_PAD = (32, 0.1)
"""Pixels, or share of the picture's height if that is more, around a hole: the flow needs surroundings."""
SMOOTH = (10.0, 40.0)
"""Sigma in pixels for completing flow and errors under the mask: a + crop height / b. The largest single gain
(4 dB on a static scene) came from raising this from 5."""
SPATIAL_TRUST = 0.7
"""Error expected of the spatial fill, as a share of the surroundings' standard deviation."""
ERROR_FLOOR = 4.0
"""Squared levels: no source is trusted more than coding noise allows."""
WEIGHT_POWER = 2.0
"""Weights are error^-power."""
CUT_LEVELS = 14.0
CUT_RATIO = 2.2
"""A cut: most parts of the thumbnails differ by more levels than this, and so many times more than around it."""

# --- verify -----------------------------------------------------------------------------------------------------------

VERIFY_LOOKS = 3
"""Frames of every text's time in which the result is looked at."""
VERIFY_OVERLAP = 0.3
"""Share of a found box that must lie in the removed text's box to count as that text."""
VERIFY_TALLER = 1.4
"""Heights of the removed text beyond which a found box is not what is left of it."""
WIDEN = 0.12
"""Text heights by which the mask grows at the second try."""
