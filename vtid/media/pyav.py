"""What steps get as their `Media`: everything of this package, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vtid.domain.media import MediaInfo, writable_ending
from vtid.media import decode, smart
from vtid.media.captions import captions
from vtid.media.compose import compose, explain
from vtid.media.hardware import Hardware
from vtid.media.previews import Previews
from vtid.media.probe import probe
from vtid.media.rewrite import rewrite
from vtid.sdk import Caption, Composed, EncodeOptions, Frame, Part, RenderPlan, Rewritten, Stretch, Timeline, Writing


class PyAVMedia:
    """`vtid.sdk.Media` by PyAV, which carries its own FFmpeg.

    Args:
        threads: how many decoder and encoder may each use.
        hardware: that may encode films and proxies instead, and what is written anew as a whole. Where copied and
            rendered frames meet, all is encoded in software: their headers must be the same.
    """

    def __init__(self, threads: int = 1, hardware: Hardware | None = None) -> None:
        self._threads = max(1, threads)
        self._hardware = hardware or Hardware()

    def __reduce__(self) -> tuple[type[PyAVMedia], tuple[int]]:
        """In another process it is without hardware: spans are rendered there, always in software."""
        return type(self), (self._threads,)

    def probe(self, path: Path) -> MediaInfo:
        """See `vtid.sdk.Media.probe`."""
        return probe(path)

    def frames(self, path: Path, *, start_s: float | None = None, end_s: float | None = None) -> Iterator[Frame]:
        """See `vtid.sdk.Media.frames`; `end_s` itself is left out."""
        return decode.frames(path, start_s=start_s, end_s=end_s, threads=self._threads)

    @property
    def previews(self) -> Previews:
        """See `vtid.sdk.Media.previews`."""
        return Previews(self._threads, self._hardware)

    def ending(self, source: Path) -> str:
        """See `vtid.sdk.Media.ending`."""
        return writable_ending(source)

    def rewrite(
        self,
        source: Path,
        target: Path,
        edit: Callable[[Iterator[Frame]], Iterable[Frame]],
        *,
        options: EncodeOptions = EncodeOptions(),  # noqa: B008 - frozen
    ) -> Rewritten:
        """See `vtid.sdk.Media.rewrite`."""
        return rewrite(source, target, edit, options, threads=self._threads, hardware=self._hardware)

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
        options: EncodeOptions = EncodeOptions(),  # noqa: B008 - frozen
    ) -> RenderPlan:
        """See `vtid.sdk.Media.plan`."""
        return smart.plan(
            source,
            target,
            touched,
            splits=splits,
            least_frames=least_frames,
            counted=counted,
            copy=copy,
            options=options,
            threads=self._threads,
        )

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
        """See `vtid.sdk.Media.render`."""
        return smart.render(source, plan, number, part, edit, before=before, after=after, threads=threads)

    def join(self, source: Path, target: Path, plan: RenderPlan, parts: Sequence[Part]) -> Rewritten:
        """See `vtid.sdk.Media.join`."""
        return smart.join(source, target, plan, parts, threads=self._threads)

    def compose(
        self,
        timeline: Timeline,
        target: Path,
        writing: Writing = Writing(),  # noqa: B008 - frozen
        *,
        progress: Callable[[int], None] = lambda _frames: None,
    ) -> Composed:
        """See `vtid.sdk.Media.compose`."""
        return compose(timeline, target, writing, progress=progress, threads=self._threads, hardware=self._hardware)

    def explain(
        self,
        timeline: Timeline,
        target: Path,
        writing: Writing = Writing(),  # noqa: B008 - frozen
    ) -> tuple[Stretch, ...]:
        """See `vtid.sdk.Media.explain`."""
        return explain(timeline, target, writing)

    def captions(self, path: Path) -> tuple[Caption, ...]:
        """See `vtid.sdk.Media.captions`."""
        return captions(path)
