"""Reading and writing media files: the only package that knows PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vtid.domain.media import MediaInfo
from vtid.media import decode, smart
from vtid.media.containers import writable_ending
from vtid.media.encoders import encoders
from vtid.media.frame import PlanarFrame, upright
from vtid.media.probe import is_image, probe, require_video
from vtid.media.rewrite import remux, rewrite
from vtid.media.whole import require_whole
from vtid.sdk import EncodeOptions, Frame, Part, RenderPlan, Rewritten

__all__ = [
    "PlanarFrame",
    "PyAVMedia",
    "encoders",
    "is_image",
    "probe",
    "remux",
    "require_video",
    "require_whole",
    "rewrite",
    "upright",
    "writable_ending",
]


class PyAVMedia:
    """`vtid.sdk.Media` by PyAV, which carries its own FFmpeg.

    Args:
        threads: how many decoder and encoder may each use.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = max(1, threads)

    def probe(self, path: Path) -> MediaInfo:
        """See `vtid.sdk.Media.probe`."""
        return probe(path)

    def frames(self, path: Path, *, start_s: float | None = None, end_s: float | None = None) -> Iterator[Frame]:
        """See `vtid.sdk.Media.frames`; `end_s` itself is left out."""
        return decode.frames(path, start_s=start_s, end_s=end_s, threads=self._threads)

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
        return rewrite(source, target, edit, options, threads=self._threads)

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
