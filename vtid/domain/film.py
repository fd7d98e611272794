"""What `ctx.media` offers a step: films, and the frames of them. `vtid.media` is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vtid.domain.media import MediaInfo
from vtid.domain.previewing import Previewing
from vtid.domain.rendering import EncodeOptions, Part, RenderPlan, Rewritten
from vtid.domain.timeline import Caption, Composed, Stretch, Timeline, Writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the coded picture; x1 and y1 lie outside."""


class Frame(Protocol):
    """One decoded picture, in the video's own pixel format. Editing it edits what will be encoded."""

    index: int
    """Position in presentation order, from 0 for the first frame of the stream."""
    pts: int
    time_s: float
    """Presentation time in seconds from the first frame."""
    width: int
    height: int
    bit_depth: int

    def bgr(self, max_width: int | None = None) -> NDArray[np.uint8]:
        """The picture as 8-bit BGR, H×W×3, scaled down to `max_width` where it is wider. A copy."""

    def luma(self, box: Box | None = None) -> NDArray[np.uint8]:
        """The Y plane as 8 bits, H×W, of the box or of the whole picture. May be a view: do not write to it."""

    def yuv(self, box: Box) -> NDArray[np.float32]:
        """Y, U and V of the box as float32 h×w×3 on the 8-bit scale (10-bit values divided by 4). A copy.

        Chroma is upsampled. Work done in these numbers never passes through RGB, so that no colour matrix or transfer
        curve can shift them.
        """

    def yuv8(self, box: Box) -> NDArray[np.uint8]:
        """The same rounded to 8 bits: of 8-bit video all there is, and quicker. A copy."""

    def paint(self, box: Box, yuv: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Write the pixels of `yuv` (h×w×3, as `yuv()` gives them) where `mask` (h×w) is true; nothing else changes.

        A chroma sample is written when any luma pixel over it is masked, as the mean of the masked ones.
        """


class Media(Protocol):
    """Reading and writing media files. `vtid.media` is behind it; tests may put a fake there."""

    def probe(self, path: Path) -> MediaInfo:
        """The facts of a file. Raises `InvalidInput` where it cannot be read."""

    def frames(self, path: Path, *, start_s: float | None = None, end_s: float | None = None) -> Iterator[Frame]:
        """The frames of the first video stream in presentation order, decoded one by one.

        With `start_s`, begins at the first frame at or after that time; `index` still counts from the first frame of
        the file where the container tells, so use `time_s` or `pts` to identify frames across calls.
        """

    @property
    def previews(self) -> Previewing:
        """Making what an editor needs of a film before it edits it."""

    def ending(self, source: Path) -> str:
        """The ending, with its dot, of a result that is made of this file: its own, or `.mkv`.

        GIF, WMV and MPEG program streams are read and not written; Matroska holds nearly everything.
        """

    def rewrite(
        self,
        source: Path,
        target: Path,
        edit: Callable[[Iterator[Frame]], Iterable[Frame]],
        *,
        options: EncodeOptions = ...,
    ) -> Rewritten:
        """Write `source` to `target` with its first video stream edited and everything else carried over.

        Args:
            source: a video file.
            target: does not exist yet; its ending says the container.
            edit: takes the frames in order and yields every one of them in order, edited or not. It may look ahead
                as far as it keeps frames itself; the caller holds none.
            options: of the encoder.

        Timestamps, colour tags, rotation, aspect, metadata, chapters and all other streams stay as they are.
        """

    def plan(
        self,
        source: Path,
        target: Path,
        touched: Sequence[tuple[int, int]],
        *,
        splits: Sequence[int] = (),
        least_frames: int = 50,
        counted: int | None = None,
        copy: bool = True,
        options: EncodeOptions = ...,
    ) -> RenderPlan:
        """Divide a film into spans that are copied bit for bit and spans that are rendered: smart render.

        Reads the packets of the source once and decodes one frame.

        Args:
            source: a video file.
            target: where the result will lie; only the ending counts, and says the container.
            touched: frame ranges that will be edited, in presentation order from 0, the last frame outside.
            splits: frames at which a rendered stretch may be divided, such as the first ones behind a cut. Any frame
                will do, at the price of a key frame there.
            least_frames: a stretch is not divided into pieces shorter than this, and no shorter head of a group of
                pictures that is touched further on is copied.
            counted: how many frames decoding the whole film gave. Where the packets tell another number (damaged
                films), they are not believed: the frames are counted again by decoding.
            copy: False renders every span and takes nothing from the packets; for what `Misfit` was raised about.
            options: of the encoder. Whatever keeps rendered and copied frames from being one stream, another codec for
                one, ends in `reason`, and all is rendered.

        Raises:
            MediaError: the source is cut off, doesn't decode, or can't be kept as it is in the target's container.
            InvalidInput: the target's ending or the codec asked for won't do.
        """

    def render(
        self,
        source: Path,
        plan: RenderPlan,
        number: int,
        part: Path,
        edit: Callable[[Iterator[Frame]], Iterable[Frame]],
        *,
        before: int = 0,
        after: int = 0,
        threads: int = 1,
    ) -> Part:
        """Render one span into a file of its own. Spans may be rendered in any order, each in any process.

        Args:
            source: as planned.
            plan: of `plan()`.
            number: of the span.
            part: does not exist yet; any name will do. Nothing is left there when this raises.
            edit: takes the frames from `before` frames before the span to `after` frames behind it, as far as the film
                has them, each with its true `index`, `pts` and `time_s`; yields those of the span, in order.
            before: frames.
            after: frames.
            threads: of decoder and encoder each. Encoders may write other bits with other numbers of threads.

        Raises:
            Misfit: frames do not come as the packets said; plan again with `copy=False`.
            RuntimeError: the edit lost, doubled or reordered frames.
        """

    def join(self, source: Path, target: Path, plan: RenderPlan, parts: Sequence[Part]) -> Rewritten:
        """Put copied and rendered spans together, with all other streams, chapters and metadata of the source.

        The result is decoded around each joint: the frames must be there at their times, and copied ones the same to
        the bit as in the source. Nothing is left at `target` when this raises. The parts stay.

        Args:
            source: as planned.
            target: does not exist yet; ends as planned.
            plan: of `plan()`.
            parts: one for each rendered span, in any order.

        Raises:
            Misfit: a joint is bad, or the parts are not those of the plan; plan again with `copy=False`.
            MediaError: the target's container cannot hold the source's sound.
        """

    def compose(
        self,
        timeline: Timeline,
        target: Path,
        writing: Writing = ...,
        *,
        progress: Callable[[int], None] = ...,
    ) -> Composed:
        """Make a film of clips, drawings and sounds; each is read when its time comes.

        Args:
            timeline: what is seen and heard, to the frame and to the sample.
            target: does not exist yet; its ending says the container: of a video, an animation (gif), a still, which is
                the first frame (png, jpg), or sound alone (m4a, mp3, wav, ogg). Nothing is left there when this raises.
            writing: how it is encoded.
            progress: is told how many frames are written, after each.

        Raises:
            MediaError: a file has no such picture or sound, or cannot be read.
            InvalidInput: the target's ending won't do, or its container does not hold the codec.
        """

    def explain(self, timeline: Timeline, target: Path, writing: Writing = ...) -> tuple[Stretch, ...]:
        """How each stretch of a film would come about: copied or rendered, and why. Arguments as for `compose`.

        Reads the packets of those sources once from which something might be copied.
        """

    def captions(self, path: Path) -> tuple[Caption, ...]:
        """The lines of a subtitle file (SRT, WebVTT, ASS) in order of time.

        Raises:
            UnsupportedMedia: it is no subtitle file.
        """
