"""Every number of what people ask for and get back: its unit, and why it has this value.

`tuning` has those of finding and filling. These were measured on 32 clips with captions, marks and tickers burned in,
and on signs and jerseys drawn into the scenes of the same clips.
"""

from __future__ import annotations

# --- policy: laid over the picture, or in the scene -------------------------------------------------------------------

GONE_LIKE = 0.6
"""Largest correlation with a text that may remain near its place for it to have been switched off. Captions on 32 clips
leave at most 0.5 (the next caption). Jerseys and boards that moved on leave 0.89 to 0.99, beside the old place."""
GONE_AROUND = 0.4
"""Largest change of the picture around the letters at that moment, as a share of theirs, or somebody stepped before a
sign. Most captions on the same clips: 0 to 0.4; a few edges of them up to 1.15, and those go by other proof."""
MOVED_LIKE = 0.88
"""Correlation beside its old place from which a text is taken to have moved there."""
SLID = 0.5
"""Text heights from one frame to the next from which nothing moves that stands a moment later, but captions that slide
in or out; the picture around a sign would change with it."""
ANEW_FRAMES, ANEW_ROW, ANEW_LONGER = 1, 0.25, 0.5
"""Frames between two texts that follow each other, text heights by which their rows differ, and by which one is longer,
for a caption that grew and was centred anew."""
AT_CUT = 2
"""Frames around a cut in which a text's beginning or end says nothing: a sign comes and goes with its shot."""
BEHIND = 0.5
"""Share of the pixels between the letters that move while the letters stand, for the text to lie over the picture."""
BEHIND_LEVELS = 6.0
"""Levels of deviation from which one counts as moving: compression stays below."""
STANDS_LEVELS, STANDS = 12.0, (0.5, 0.8)
"""Levels of deviation up to which a stroke holds still, and shares of one kind of strokes, bright or dark, up to which
they are gaps, and from which the other kind are letters. Of fading captions over fast pans 0.1 and 0.94."""
BEHIND_FROM_PX = 2.0
"""Pixels from the strokes: nearer, coding mixes."""
BEHIND_GAP = 0.9
"""Text heights: the widest gap that counts as one between letters or words."""
BEHIND_PIXELS = 20
"""Fewer say nothing."""
DISPLACED_PX = 3
"""Pixels around its place in which a text is looked for in every sample."""
DISPLACED_LIKE = 0.7
"""Correlation from which a sample shows it clearly."""
DISPLACED = 0.25
"""Share of the samples in which it lies beside its place, for it to belong to the scene; captions never do."""
SLANT = 2.0
"""Degrees off the level from which an unproven text is a sign seen from the side."""
STYLE_HEIGHT = 0.2
STYLE_ROWS = 1.6
"""By how much of its height, and by how many lines, a text may differ from a proven caption to be one of the same."""
FOOT = 0.72
FOOT_CENTRE = 0.04
FOOT_HEIGHT = 0.13
"""A caption's place: from so far down, so close to the middle, no higher than this (shares of the picture)."""
CORNER = (0.2, 0.15)
"""A mark's place: its centre so close to a side, and to the top or bottom (shares of the picture)."""
MARK_S = 15.0
"""Seconds from which a text is a mark: subtitles end after 7, by every broadcaster's rules."""
MARK_SHARE = 0.8
"""Of the film, which for a short clip says the same, where the text is not in a caption's place."""

# --- subtitles: what was read -----------------------------------------------------------------------------------------

READ_SURE = 0.93
"""Confidence from which a reading is given as text: PP-OCR reads its own scripts at 0.94 to 1 on 32 clips, and Cyrillic
at up to 0.91, as Latin junk."""
PIECE_INSIDE = 0.6
"""Share of a text's box that lies in another's for both to be the same text."""
PIECE_GAP = 15
"""Frames after which the same text in the same place is another caption."""
PIECE_ALIKE = 0.8
"""Ratio of matching letters (Ratcliff and Obershelp) from which two readings are of one text."""
LINE_FRAMES = 3
"""Frames by which lines of one caption may come or go apart."""
LINE_HEIGHTS = 1.8
"""Ratio of heights up to which lines are of one caption: a line without ascenders is lower."""
LINE_GAP = 1.0
WORD_GAP = 2.0
"""Text heights between lines, and between pieces of a line, up to which they belong together."""

# --- outside: what changed where nothing was to change ----------------------------------------------------------------

OUTSIDE_FRAMES = 32
"""Frames of a film that are compared, spread evenly."""
OUTSIDE_BLOCK = 8
"""Pixels of the side of a block whose mean is compared; 32 small copies of a 720p frame take 2 MB."""
OUTSIDE_MARGIN_PX = 8
"""Pixels around what was painted that do not count: coding blocks straddle the edge."""
OUTSIDE_LEVELS = 8.0
"""Levels beyond which a block counts as changed."""

# --- masks: what a person marked --------------------------------------------------------------------------------------

MASK_ASPECT = 0.02
"""By how much a mask's shape may differ from the picture's: rounding of scaled sizes."""
MASK_SHORT_S = 0.2
"""Seconds by which a mask video may end before the film: containers disagree about lengths."""
MASK_DOT_PX, MASK_DOTS = 3, 0.5
"""The largest dot, and the share of a mask's white in dots from which what they dot is meant, …"""
MASK_DOT_GAP_PX = 6
"""… where they are so near each other: filled from what shows between them, nothing would change."""
MASK_APART_PX = 24
"""Pixels between patches from which each is filled by itself."""
MASK_STRETCH_S = 8.0
"""Seconds of a mask video that are divided into patches at once."""

# --- preview ----------------------------------------------------------------------------------------------------------

PREVIEW_S = 3.0
"""Seconds around the time of a still that are looked at: as far as most fills reach."""

# --- page -------------------------------------------------------------------------------------------------------------

PAGE_PAIRS = 80
"""Pairs of pictures on a page: some 5 MB."""
PAGE_WIDTH = 640
"""Pixels of a picture's width."""
PAGE_VIEW = 0.5
"""Share of the picture's width that is shown at least, so that one sees where it is."""
PAGE_SEEK_S = 10.0
"""Seconds between two pictures from which seeking is quicker than decoding on."""
