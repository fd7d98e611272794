"""Every number that this package was tuned with: its unit, and why it has this value.

Most were measured on ten clips from 240p to 720p with synthetic text burned in (so that the truth was known) and then
checked on clips that had no part in it. Lengths that follow the picture are given as shares of the text's height or of
the crop's, never in pixels: a fixed 3 px outline costs 2 dB at 240p and leaves a rim at 1080p.
"""

from __future__ import annotations

# --- detect: how often and how large ----------------------------------------------------------------------------------

SAMPLE_S = 0.4
"""Seconds between looks for text. Subtitles shorter than this are rare; every look costs 40 to 90 ms."""
DETECT_WIDTH = 736
"""Pixels. 640 finds as many subtitles as 1280 at a fifth of the cost but cuts their boxes short; 736 is in between."""
DETECT_SMALL, DETECT_EVERY = 512, 3
"""Pixels of the looks between, which cost half, and how many looks it is from one at the full width, for small text, to
the next. On the tuning clips the same texts are found in the same frames as with every look at the full width."""
NEW_STROKE_PX, NEW_LEVELS = 7, 24
"""Of pictures of that smaller width: pixels that strokes are narrower than, and levels by which they stand out, …"""
NEW_BLOCK = (16, 8)
"""… and pixels across and down of the blocks in which they are counted, …"""
NEW_SHARE, NEW_BLOCKS = 0.1, 2
"""… of which so many must have such a share more of strokes than before: else the look between is left out."""
MIN_SCORE = 0.5
"""Detector's own confidence below which a box is not even followed."""
MIN_TEXT_PX = 7
"""Height of the smallest text followed, in pixels of the coded picture."""
MAX_TEXT_SHARE, MAX_FAINT_SHARE = 0.25, 0.2
"""Of the picture's shorter side: larger "text" is not a caption. In a mean, scenery blurs to large shapes: with as much
there, one of leaves was an M."""
MIN_ASPECT = 0.8
"""Width by height of the smallest box: one broad letter."""
CROP_MARGIN = 1.0
"""Text heights around a box, when it is looked at again at full size."""

LINGER_LOOKS = 6
"""Looks over which faint text is looked for in their mean: six show a mark that none of them shows."""
LINGER_LATER = 2
"""Frames, its own too, until it is asked what their mean shows: at the next look two marks had too few crops left."""
LINGER_MOVES = 4.0
"""Levels by which their pictures differ on average for that to show more than each of them."""
LINGER_MET = 0.7
"""Share of what the mean shows that must have been seen without it, for it to be nothing new: pieces of marks 0.6."""

RAISE = 2.0
"""By how much contrast is raised in that mean. With 2, white letters at an opacity of 0.3 on a bright sky are seen,
with 1 not; and in clips without any text less is seen of what is none."""
RAISE_SMOOTH = 0.027
"""Of the picture's width: the sigma of what counts as around; a large letter's height."""

# --- dbnet: a detector that the operator added ------------------------------------------------------------------------

DB_SIDE = 960
"""Pixels of the longer side that it is shown at most: at 1280 PP-OCR misses lines that it finds at 960."""
DB_CHANCE = 0.3
"""Probability from which a pixel belongs to a line. This and the three below are the paper's, as RapidOCR has them."""
DB_SCORE = 0.5
"""The mean probability of a patch from which RapidOCR takes it for a line."""
DB_MIN_PX = 3
"""Smaller side of a patch, in pixels of the map; smaller ones are noise."""
DB_GROW = 1.6
"""How far a line is grown back: area × this / perimeter, as it was shrunk for training."""

# --- track: from when until when --------------------------------------------------------------------------------------

MIN_STATIC_S = 0.3
"""A text that does not hold still so long belongs to the scene (or scrolls)."""
STATIC_FRAMES = 4
"""Frames of that in which it stands at full strength; fewer are a stroke of the scene that passes."""
BRIDGE_S = 0.45
"""A text that vanishes for less (a flash, a cut) has not ended."""
FADE_S = 0.8
"""The longest fade that is followed to its end."""
RING_SLACK_S = 0.2
RING_BYTES = 192 << 20
"""What the frames that are kept for looking back may take."""
PRESENT = 0.62
"""Amplitude of the text's high frequencies, against the moment it was found, from which it counts as there."""
PRESENT_CLEAR, PRESENT_LIKE = (0.5, 0.85, 1.2), 0.45
"""Amplitude from which its strokes tell how like the text's they are, and those between which they need not. A darker
scene gives any amplitude to another text. In 500 such frames of 20 clips the text itself had a likeness of 0.57 and
more; another text has 0.1 to 0.4."""
PRESENT_SAME = 0.72
"""Share of stroke pixels that still have their value, which also counts as there, …"""
PRESENT_FLOOR = 0.3
"""… given this amplitude: a white wall has the value of white letters too."""
SAME_LEVELS = 28
"""Luma levels within which a stroke pixel counts as unchanged under compression, …"""
SAME_SHIFT = 10
"""… and within which their median stays: letters that fade over a bright scene change little, but all alike."""
FADE_FLOOR = 0.06
"""Amplitude at which a fading text has gone: below it the background's own texture decides."""
FADE_SCENE = 0.15
"""The most of that floor that a scene's texture may raise."""
FADE_STEP = (0.15, 0.97)
"""A fade's amplitude in one frame lies between these shares of the frame before; less is a cut, more is no fade."""
FADE_FIRST = 0.3
"""The same for a fade's first frame: another text in the same place leaves an amplitude of 0.2."""
FADE_LEFT = (1.25, 0.02)
"""What is seen in a fade's last frame, against its change from frame to frame, up to which the next has none of it, if
less than this is measured there: of fades that end by equal steps 0.00 to 0.01, of one that ends gently 0.04."""
SAME_TEXT = 0.6
"""Share of characters that two readings of one text have in common."""
PIECE_TEXT = 0.8
"""The same of a piece of a line in that line, which is seen by itself while all of it is still faint."""
OTHER_SURE, OTHER_CHARS = 0.9, 4
"""Confidence and letters of two readings from which less than that tells two texts apart."""
GOES_ON_TEXT, GOES_ON_COVER, GOES_ON_FRAMES = 0.9, 0.8, 2
"""The same for two readings of one text that was lost for a moment, the share of each one's box in the other's, and the
frames between them at most."""
PARTS = 12
"""Parts of a line that are compared one by one: as it is sung, a karaoke line changes its colour part by part, …"""
PART_SAME = (0.75, 1.33)
"""… which leaves this amplitude, against a moment before, …"""
PARTS_SAME = 0.6
"""… in so large a share of them. A fade changes all of them at once."""
REFRESH_S = 0.2
"""How long before."""
GROWN = 1.2
"""Amplitude that says that the text was found while still fading in, or already fading out, …"""
GROWN_LIKE = 0.7
"""… where its strokes correlate so much with themselves when they were found."""
SAMPLES = (15, 60)
"""Crops kept per text: the temporal median of 15 hides most backgrounds; marks, which are small, get more, …"""
SAMPLE_BYTES = 6 << 20
"""… as many as go into this."""
TELLING = 1.2
"""How many times more letters must stand out in a chroma channel than in luma, to be followed in that."""
RECOLOURED_BY = 50
"""Levels by which a sung line's letters look different at the end, …"""
RECOLOURED_SHARE = (0.02, 0.4)
"""… as strokes in such a share of its box: letters take a part, another scene all of it."""
RECOLOURED_STROKES = 0.1
"""Of all the strokes at least such a share."""
RECOLOURED = 3
"""Crops of one stretch of a text that changes its colour, masked by itself."""
BARE = 1.8
"""Text heights without a stroke in a line, which no gap between words has."""
STRONG = 0.75
"""Amplitude, against the strongest, from which a crop is taken for the mask."""
VIEW_PAD = (1.8, 2.2)
"""Text heights left and right, above and below the box, in which a caption box is looked for: the box around two lines
reaches so far beyond one of them."""

# --- roll: text that moves --------------------------------------------------------------------------------------------

ROLL_GAP = 2
"""Frames between the pictures that a movement is measured by, …"""
ROLL_STEPS = 3
"""… and how many such steps must agree."""
ROLL_REACH = 0.08
"""Of the picture's longer side: the farthest that text may move in all those steps; a ticker crosses it in 3 s."""
ROLL_LEAST = 3.0
"""Pixels that it moves at least in them; what is slower is as good as still, or trembles."""
ROLL_ALIKE = 0.55
"""Correlation of a text's strokes with themselves a few frames on."""
ROLL_HOLDS = 0.35
"""The same from frame to frame, while most of the strip is scenery."""
ROLL_LOST_S = 0.8
"""Seconds without it after which the text has gone."""
ROLL_SPAN = 2.0
"""Picture lengths that move past in one event: what is kept at a time does not grow with the film."""
ROLL_VIEWS = 12
"""Crops kept while a text crosses the picture."""
ROLL_BEYOND = 6.0
"""Text heights beyond the text that was seen in which more of a ticker is looked for: so far it goes between looks."""
ROLL_BYTES = 64 << 20
"""What they may take."""
ROLL_WIDE = 0.4
"""Share of the picture that moving text fills or travels at least: a lettered bus that drives by does not."""

# --- accept: is it text -----------------------------------------------------------------------------------------------

READ_SCORE = 0.6
READ_CHARS = 2
HITS = 0.5
"""Share of looks, while it was there, that found the text. Stands in for reading in scripts that the reader lacks."""
HIT_SCORE = 0.6
HIT_ASPECT = 1.5
"""What cannot be read must at least be a line: so much longer than it is high."""

# --- fill: what was behind --------------------------------------------------------------------------------------------

CHUNK = 7
"""Frames filled at once; the result does not depend on it. Each time, pointers are followed through `LOOK` frames more,
which takes little; 12 would keep 40 MB more of frames waiting in both processes."""
LOOK = 12
"""Frames looked ahead and back for a source; 12 is 0.1 dB behind 90 where anything moves, 8 is 0.5."""
AGE = 125
"""Frames for which a source behind is remembered once it was found: on a still background the only one there is lies
before the text came. Of so old frames only those that something points to are kept."""
SOURCE_PX = 16
"""Pixels kept around what pointers point to in a frame that is kept for them alone: they move by fractions of a pixel
from frame to frame, by `ALIGN_MOST`, and are sampled with their neighbours."""
WINDOW_BYTES = 320 << 20
"""What the decoded frames waiting in the window may take; large pictures look less far."""
RING_PX = 5
"""Pixels around the hole that are known on both sides: they measure how well a source fits."""
KEEP_OFF_PX = 3
"""Pixels around the hole that are no source. With the whole ring forbidden, the gaps between letters close, and
sources lie a word away instead of a letter: that costs 1 to 3 dB under slow motion."""
CROP_PAD = (32, 0.1)
"""Pixels, or share of the picture's height if that is more, around a hole: the flow needs surroundings."""
SMOOTH = (10.0, 40.0)
"""Sigma in pixels for completing flow and errors under the mask: a + crop height / b. The largest single gain
(4 dB on a static scene) came from raising this from 5."""
FLOW_STRIDE, FLOW_STEPS = 6, 12
"""Of DIS, on pictures at half the size: pixels between patches of 8, and steps of descent. Patches nearer than 6 cost
up to twice the time and gain nothing under the smoothing that follows, farther ones lose 0.1 dB each; a quarter of the
size loses 1.2 dB. 4 steps take a sixth less time, and single films lose by them: a car that drives past, 1.5 dB.
Each pair is measured one way only, and the motion turned round for the other: half the time, for 0.1 dB."""
INVERSE_STEPS = 2
"""To turn a flow round; it is so smooth that a third moves nothing by a hundredth of a pixel."""
FLOW_CLEAR_PX, FLOW_NEAR = 5.0, 0.05
"""Pixels from the hole at which the flow is believed in full, and the share (squared) to which it is beside it, where
its patches saw the closed hole, which moves as the text does. Gains 0.8 dB under fast pans, costs 0.5 where nothing
moves."""
ALIGN_SMOOTH = 0.6
"""Of the smoothness above, for taking drift back; 1.0 gains 0.01 dB less."""
ALIGN_MOST = 2.0
"""Pixels by which drift is taken back at most; farther off, the linear step means nothing."""
ALIGN_RIDGE = 2.0
"""Squared gradient, levels per pixel, below which nothing is moved: coding noise has as much."""
GUESS_RIM = 2
"""Pixels around a hole that the spatial guess is made of; of 20 filmed jobs 16 gain by it, up to 0.7 dB."""
SPATIAL_STEP = 3
"""Pixels apart at which known pixels are compared, to tell how well the spatial guess can do."""
SPATIAL_ERROR = (2.0, 0.8, 0.13, 0.53)
"""Squared error expected of the spatial guess: a · (1 + squared difference at that step)^b · (1 + variance)^c · (pixels
into the hole)^d. Fitted, with the following, on nine clips whose truth was known."""
TEMPORAL_ERROR = (0.88, 0.16, 0.59)
"""Of a temporal guess: (1 + squared error on the ring)^a · (1 + squared distance of both directions)^b · (1 + age, in
frames)^c."""
WEIGHT_POWER = 1.63
"""Weights are error^-power. 1 would be best if errors were known; what is only guessed is better trusted more."""
APART_SIGMA = 4.0
"""Pixels over which the distance of both directions is averaged."""
RING_SEEN = 0.003
"""Share of ring in the surroundings below which a guess has not been checked; its weight is nothing."""
UNCHECKED = 1e6
"""Squared error that stands for that."""
ALONE, ALONE_SHARE = 0.5, 0.05
"""Weight of the spatial guess from which a pixel is little more than that, and the share of such pixels in a hole from
which on edges are carried on through them."""
DIFFUSE_LUMA, DIFFUSE_CHROMA = ((2, 3, 7, 1.0, 0.7), (1, 1, 5, 1.5, 1.0)), ((4, 3, 7, 1.0, 0.7),)
"""Stages: how many times smaller, cycles, steps in each, pixels (sigma) over which edges are looked for, and levels per
pixel from which a slope is one. Against the smooth guess alone 0.4 to 1.2 dB on three clips that hold still; ten times
as much at full size would gain 0.3 more. With all steps alike, 8 and 2 times 6 and 5 give the same to 0.01 dB, and take
more than twice as long."""
DIFFUSE_PACE = 0.24
"""Of one step, if all were alike; from 0.25 on the equation is not stable."""
DIFFUSE_LEAST, DIFFUSE_AROUND_PX = 0.05, 8
"""Weight below which a pixel needs no more, and pixels around the others that say where edges lie."""
STEADY = 0.35
"""Share of the frame before in each filled pixel, where both are alike: of ten filmed jobs, flicker falls by 1 to 3 %
in nine, and PSNR moves by -0.08 to 0.1 dB; at 0.6 a car that passes loses by it, and flickers more."""
STEADY_NOISE, STEADY_SIGMA = 60.0, 2.0
"""Squared difference, in levels, at which that share is down to a third, and pixels (sigma) over which it is taken."""
STEADY_STILL = 0.3
"""Pixels below which a motion is none: what stands still must not be moved to and fro by a flow's errors, which costs a
locked camera a tenth more flicker."""
REST_BETTER, REST_SHARE = 2.0, 0.05
"""What stands still is asked only where its squared error on the ring is below so much of what the flow leaves there,
in so large a share of the surroundings: elsewhere it would change nothing. At 0.7 it came and went, which flickers."""
CUT_LEVELS = 14.0
CUT_RATIO = 2.2
"""A cut: most parts of the thumbnails differ by more levels than this, and so many times more than around it."""

# --- painter: a network as the spatial guide --------------------------------------------------------------------------

PAINT_TILE = 512
"""Pixels of the side of the largest window, which bounds the memory; LaMa is mostly exported for just this size."""
PAINT_MULTIPLE = 32
"""Windows are filled up to multiples of this by reflection; LaMa needs 8, U-shaped networks of five levels 32."""
PAINT_AROUND = 0.125
"""Share of a window left on each side for what surrounds the hole."""

# --- spans: how the film is divided among processes -------------------------------------------------------------------

SPANS = 8
"""Into how many spans a short film is divided, so that every core of a small machine has some, …"""
SPAN_FRAMES = (50, 250)
"""… none shorter than the first of these: each reads `LOOK` frames more on both sides; and long films no finer than the
second."""
CODER_THREADS = 1
"""Threads of decoder and encoder, whatever the machine has: x264 with two writes other bits than with one, and now and
then other bits than the time before."""
PROGRESS_S = 0.5
"""Seconds between two looks at how far the processes are."""

# --- verify -----------------------------------------------------------------------------------------------------------

VERIFY_LOOKS = 3
"""Frames of every text's time in which the result is looked at."""
VERIFY_OVERLAP = 0.3
"""Share of a found box that must lie in the removed text's box to count as that text."""
VERIFY_TALLER = 1.4
"""Heights of the removed text beyond which a found box is not what is left of it."""
VERIFY_TIMES, VERIFY_PART = 200, 0.2
"""Frames of a text's time in which it is asked how much of it a region has stay, and the share of its box that must go
for a frame to be looked at."""
WIDEN = 0.12
"""Text heights by which the mask grows at the second try."""
AHEAD = 8
"""Frames decoded ahead of whoever looks at them, who often waits for the detector."""
AHEAD_BYTES = 48 << 20
"""What frames decoded ahead of the first pass may take. With two looks' worth of them the detector never waits."""
SEEK_S = 2.0
"""Seconds between two frames from which it is quicker to seek than to decode what lies between."""
SAME_TIME_S = 0.002
"""Seconds within which two times are the same: containers round them to a millisecond, and so do callers."""
