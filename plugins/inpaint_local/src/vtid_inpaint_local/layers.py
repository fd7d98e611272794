"""Every number of half-transparent layers, the boxes behind captions and marks: its unit, and why it has this value.

As in `tuning`, most were measured on clips of which the truth was known, and lengths follow the text's height.
"""

from __future__ import annotations

# --- caption: the box behind ------------------------------------------------------------------------------------------

BOX_INSIDE = 0.3
"""Text heights by which the detector's box may reach beyond the caption box; 0.25 were seen."""
BOX_STEP = 3.0
"""Luma levels by which the temporal mean steps at the box's edges at least."""
BOX_STRAIGHT = 0.75
"""Share of an edge's pixels that step the same way."""
BOX_CORNER = (0.7, 0.4)
"""The same of the ends of the two edges across, taken together, up to where the edge might be else; there they step by
such a share of what they do in the median at least."""
BOX_APART = 3
"""Pixels to both sides of an edge at which the picture is compared; compression mixes what is nearer."""
BOX_ALONG = 9
"""Pixels along an edge that are averaged for the comparison."""
BOX_PAIRS = 500
"""Comparisons kept per caption and kind."""
BOX_CLEAR = (0.12, 0.93)
"""Share of the background that shows through, for a box to be one and not to be opaque."""
BOX_DENSE = 0.22
"""Share of the background below which a box that hugs its text is filled too: computed, coding's noise is five times as
strong and more."""
BOX_ALIKE = 0.6
"""Correlation across the edges; beside a sign in the scene there is none."""
BOX_CONTRAST = 6.0
"""Levels by which the background varies at least, else the slope means nothing."""
BOX_OFF = 7.0
"""Levels (median) within which a film's style must explain a caption's edges."""
BLACK = (16.0, 128.0, 128.0)
BLACK_NEAR = (10.0, 6.0, 6.0)
"""Y, U, V of the colour that nearly all caption boxes have, and how near an estimate must be to mean it."""
BOX_RIM = 0
"""Pixels to both sides of the box's edge that are filled, not computed: 2 were worth 25 dB where algebra, with chroma
mixed as encoders do, gives 27 to 34 in the very edge and 36 beside it."""
BOX_MARGIN = 2
"""Pixels around a box in which its chroma is looked after."""
BOX_HOLDS = 0.8
"""Share of a line that lies in a box, for the line to be one of its."""
WHITE = (235.0, 128.0, 128.0)
BOX_OVER = 14.0
"""Levels by which letters are brighter than white, or darker than black, would be through the box."""
BOX_WRITTEN = 0.04
"""Share of a line's box that such letters cover at least; others have their mask from elsewhere."""
BOX_STROKE_PX = 30.0
"""One pixel of margin per so much text height, at least one: on a box whose picture is known, fat masks cost most."""
MIXED_PX = 3
"""Pixels around letters on a veil whose chroma is mixed with theirs, …"""
MIXED = (0.5, 1.5)
"""… which has such a share beside them, and falls by e in so many pixels, …"""
MIXED_NEAR = 6
"""… and pixels (sigma) over which it is taken how much colours vary there. With these, the squared error of chroma
beside letters fell from 17.6, 13.6 and 40.1 to 7.4, 13.1 and 30.7 on three clips; farther pixels alone leave 5.6, 26.7
and 31.2."""
MIXED_NOISE = 0.5
"""Squared levels of coding noise in what is taken from farther off."""
CALM_ERROR = 20.0
"""Squared error, by coding, behind a mark of opacity 0.5; it goes with the square of opacity / (1 - opacity). With 60
as little is left of a mark, but that costs 0.3 dB where 20 gains 0.5."""
EDGE_ALONG, EDGE_NOISE = 8.0, 0.5
"""Pixels (sigma) along a caption box's edge over which it is asked how much of a line is left, and squared levels of
rounding."""
VEIL_CHROMA = 0.6
"""Chroma samples (sigma) over which a veil's opacity is averaged for chroma, beyond the sample's own pixels."""

# --- ground: the label or banner that a text stands on ----------------------------------------------------------------

GROUND_NOISE, GROUND_SHARE = 10.0, 0.8
"""Levels within which it is one colour, and the share of the pixels beside the text that must have it, and of those
between its letters in every crop."""
GROUND_BESIDE, GROUND_TALL = 0.1, 0.3
"""Text heights at both ends of a line, at least three pixels, that its ground must show, for letters end there; and
above and below it, in which it may."""
GROUND_ENDS = 0.5
"""Text heights from both ends of the box inwards, at least three pixels, within which its ground must begin to show."""
GROUND_COLOURS = 3
"""The most frequent in a line's box, of which one may be its ground's."""
GROUND_LINES = 2
"""Rows of pixels over a line, and under it, in which its ground shows from end to end: as good as beside it."""
GROUND_SAME = 6.0
"""Levels up to which two grounds are of one colour."""
GROUND_COVERS, GROUND_CHANGE = 0.85, 40.0
"""Opacity that the change of a plain scene's brightness must prove, and levels of it at least. Boxes that let through
less than that are filled as well (`BOX_DENSE`)."""
GROUND_EDGE, GROUND_SMOOTH = 2, 8
"""Pixels at its upper and lower end that are no longer its own colour, and pixels (sigma) over which it is smoothed."""
GROUND_ROW, GROUND_ROWS = 0.2, 0.6
"""Share of a row of pixels that shows the ground between the letters, and of the box's height that has such rows."""
GROUND_PICTURE, GROUND_CLEAR = 8.0, 0.12
"""Deviation, levels, of what is a picture and no wall, and the share of it that may shine through: more is a half-
transparent box's (`BOX_CLEAR`)."""
GROUND_STILL = 1.5
"""The same in levels: what coding leaves of a plain ground."""
GROUND_OFF, GROUND_WIDEN = 5.0, 3
"""Levels from the ground's colour from which on a pixel is not it, and pixels by which coding smears letters."""
LATE_FRAMES = 6
"""Frames of a text's end in which boxes are looked for that reach farther than its crops."""
LABEL_INSIDE, LABEL_HOLDS = 0.95, 0.75
"""Share of the pixels of a label that lie near its caption's lines, and share of a line's box that lies on it."""
LABEL_GAP, LABEL_BESIDE = 1.5, 3
"""Text heights of letters at most that cut a label into pieces, and pixels beside it that are not of its colour."""
LABEL_ROOM = 1.0
"""Text heights to the left and right up to which that is near; above and below it is `LABEL_PAD`."""
LABEL_AREA, LABEL_PAD = 2.5, 1.0
"""Times the text's own area, and text heights above and below it, up to which a ground hugs it; then it goes too. Of a
banner that is larger than that nobody would take the hole for a picture."""

# --- mark: the text that is itself half-transparent -------------------------------------------------------------------

MARK_SAMPLES = 20
"""Crops from which on a text may be a mark: shorter ones are captions."""
MARK_LOOKS = 24
"""Crops in which its outline is sought; more do not move it."""
MARK_PAD = (1.8, 1.0)
"""Text heights left and right, above and below the box, in which it is sought: beside letters there may be a sign."""
MARK_FIRST_LOOKS = 8
MARK_TALL = 24
"""Most captions are no marks: the first look is at few crops, made smaller by so many pixels of text height each."""
MARK_NOISE = 8.0
"""Levels added to distances before their logarithm is taken: near the mark's own colour there is only noise."""
MARK_NOISE_LUMA = 2.0
"""The same for the soft edges; more would lower their plateau by a tenth."""
MARK_SURE = 6.0
"""Most that a single gap may say for or against an outline, natural logarithm: codecs break every law now and then."""
MARK_EDGE = 1.0
"""Price of an outline per gap, natural logarithm: keeps leaves and branches out; from 0.3 to 1.2 little changes."""
MARK_ROUNDS = 200
"""Of the descent; 800 find the same shape."""
MARK_CORE = 40
"""Pixels that a shape must have left without its edge, for the edge to be left out of the measurement."""
MARK_BESIDE = 2.0
"""Pixels (sigma) over which inside and outside are averaged, when they are compared across the outline, …"""
MARK_NEAR = 0.12
"""… and the share of that neighbourhood which each must fill."""
MARK_FIRST = (0.22, 0.42)
"""Opacities with which the first shape is sought; it measures itself from then on, and two rounds settle it."""
MARK_CHANCE = 1.25
"""Evidence per gap without which the first shape is nothing: on captions with outlines it reaches 1.3, on marks 1.4 to
3.6."""
MARK_HOPE_ALIKE, MARK_HOPE_SPREAD = 0.35, 0.2
"""Correlation and spread, explained below, that the first shape of a mark hardly misses; half of all captions do."""
MARK_HOPE_WEIGHT = 2.0
"""Evidence per gap from which they are not asked: of a few small pictures of busy scenery they say little."""
MARK_WEIGHT = 1.4
"""Evidence per gap of the settled shape; marks have 1.6 and more."""
MARK_SPREAD = 0.13
"""Most that single places may disagree about the opacity; marks 0.02 to 0.12, other things 0.05 to 0.5."""
MARK_ALIKE = 0.5
"""Correlation across the outline: marks 0.6 to 0.95, opaque letters up to 0.5 …"""
MARK_SLOPE = (0.7, 1.35)
"""… and with another slope: marks 0.8 to 1.1."""
MARK_FLAT = 0.03
"""Contrast (of the logarithm) below which there is nothing to compare, and any opacity gives the same picture, …"""
MARK_FLAT_SPREAD = 0.04
"""… if it is one opacity."""
MARK_DULL = 0.2
"""Contrast below which grain makes the correlation small; the slope still tells opaque letters, …"""
MARK_DULL_SPREAD = 0.07
MARK_DULL_WEIGHT = 2.5
"""… if the opacity is one, and the evidence per gap is as much as this."""
MARK_STROKE = 0.12
"""Text heights: half of the broadest stroke that an outline encloses."""
MARK_LETTERED = 0.4
"""Share of what the shape encloses that is lighter than what is around a dark layer, or darker than around a light one,
for it to be letters: of outlined captions 0.7, of marks up to 0.2."""
MARK_OPAQUE, MARK_OPAQUE_SHARE = 0.15, 0.04
"""Share of the scene's change that lets a pixel beside the shape count as opaque, and the share of such pixels in the
text's box from which the shape is a shadow: of one that passed all else 0.095, of 25 marks 0.000."""
MARK_ALPHA = (0.12, 0.8)
"""Opacities between which a mark can be taken off; one more opaque has nothing behind it left."""
MARK_SPECK = 0.02
"""Squared text heights: the smallest piece."""
MARK_DOUBT = 0.5
"""Share of the shape's evidence per gap which each piece must have, …"""
MARK_ROW = 0.12
"""… unless it begins and ends where the others do, within such a share of their height: over a still scene letters have
a fifth to a half of what a ring beside them has, and two of eight stayed."""
MARK_OFF = 0.25
"""Share of a piece that may lie off the line: wires and branches of the mark's colour cross it."""
MARK_FILLS = 0.08
"""Share of a text's box that its pieces cover at least; letters cover 0.15 to 0.4."""
MARK_STRAYS = 0.15
"""Deviation from one plateau, as a share of it, up to which the sums alone are the mark: over moving scenes it is 0.05
to 0.1, over still ones 0.3 and more."""
MARK_HELD, MARK_CUT_OFF = 0.4, 0.5
"""Share of a piece in the text's box for the box to be made as high as the piece, and text heights by which it may grow
each time, to both sides: a box that lacked half of the letters' height left 35 dB at 31, or nothing was found."""
MARK_PLATEAU = 0.01
"""Deviation of the logarithm on the plateau and beside the mark."""
MARK_REWEIGHTS = 8
MARK_FRINGE = 2
"""Pixels around the shape that may be a little opaque."""
MARK_LEVEL_PX, MARK_LEVEL_MOST = 3, 1.35
"""Pixels around a place in which its letters reach the mark's opacity somewhere, and how many times fainter they may be
to be brought up to it. On two clips 0.4 and 0.6 dB, on two others nothing."""
LAST_SEEN = 0.05
"""Expected step (of the logarithm) below which a mark cannot be told from its background: white on snow."""
LAST_LEAST = 0.2
"""Strength from which on a mark is there: with it, single frames measured 0.4 to 1.2; without it, -0.1 to 0.1."""
LAST_FULL = 0.8
"""Share of its usual strength below which, at its beginning or its end, it is fading."""
LAST_FAINT = 0.05
"""Strength down to which a fade is followed."""
MARK_SAME = 0.7
"""Share of a text's box in a mark's for the text to be a piece of the mark."""
MARK_BRIDGE_S = 3.0
"""Seconds for which a mark may drown in the scene between two pieces."""

# --- carved: marks that only their shape shows ------------------------------------------------------------------------

CARVED_CORNER = (0.4, 0.2)
"""Width and height, shares of the picture, of the corners in which they are looked for: a mark's centre lies within
half as much of it (`bounds.CORNER`)."""
CARVED_ALPHA = 0.34
"""Opacity whose shape is cut: from 0.45 on detectors see the mark itself, and at 0.22 the shape is none they see. Marks
of 0.3 to 0.57 came out whole with it."""
CARVED_ROUNDS = 50
"""Of the descent to it: a first shape need not be exact."""
CARVED_AGAIN = 3
"""How many times as long corners must have been watched as at the last look, for the next."""
CARVED_LATER = 2
"""Looks until it is asked for what they show: the search takes as long, and the ring reaches back over them."""
CARVED_MET = 0.1
"""Share of a shape in which a text was followed for the shape to be nothing new: another measure of a known mark
may be a worse one."""
CARVED_SPECK = 8
"""Pixels of the smallest piece, in a picture as small as the detector is shown."""
CARVED_ASPECT = 2.0
"""Width by height of the least that is a word; shapes of scenery mostly are as high as they are wide."""
CARVED_READ = (3, 0.8)
"""Letters, and the reader's confidence, that make a word of it: black on white everything reads with ease."""
