"""Reading and writing media files: the only package that knows PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vtid.domain.media import MediaInfo
from vtid.media import decode
from vtid.media.encoders import encoders
from vtid.media.frame import PlanarFrame, upright
from vtid.media.probe import is_image, probe, require_video
from vtid.media.rewrite import remux, rewrite
from vtid.media.whole import require_whole
from vtid.sdk import EncodeOptions, Frame, Rewritten

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
