"""Encoding on a graphics card, where one works and is free; else in software.

Which encoders work was found out beforehand, by trying each in a process of its own (`trial`). A failure in the middle
raises `HardwareFailed`: whoever started the step has it done again in software.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
from av.container import OutputContainer
from msgspec import structs

from vtid.domain.encoder import CODECS, Candidate, Choices
from vtid.errors import HardwareFailed
from vtid.media.encoders import EncodePlan
from vtid.media.hardware.piped import PipedTrack
from vtid.media.hardware.slots import free_slot
from vtid.media.output import Track

__all__ = ["Hardware", "Tell", "planned"]

Tell = Callable[[Candidate | None], None]
"""Is told which card is used from now on; None: none any more."""

LEAST_WIDTH, LEAST_HEIGHT = 160, 128
"""Smaller pictures some cards refuse."""


def _nobody(_candidate: Candidate | None) -> None:
    pass


class Hardware:
    """The encoders that a step may use.

    Args:
        choices: what works; nothing: all is encoded in software.
        tell: see `Tell`.
    """

    def __init__(self, choices: Choices | None = None, tell: Tell = _nobody) -> None:
        self._choices = choices or Choices()
        self._tell = tell

    @contextmanager
    def track(
        self, out: OutputContainer, plan: EncodePlan, threads: int, *, frame_threads: bool = False
    ) -> Iterator[Track]:
        """Add the encoded video to a container: by a card where one suits and is free, else as planned.

        Raises:
            HardwareFailed: inside the block, when the card does.
        """
        for candidate in self._choices.candidates:
            if not suits(candidate, plan):
                continue
            with free_slot(self._choices, candidate.card) as free:
                if not free:
                    continue
                self._tell(candidate)
                try:
                    with _opened(out, candidate, plan, threads, self._choices.stall_s) as track:
                        yield track
                finally:
                    self._tell(None)
                return
        yield Track(out, plan, threads, frame_threads=frame_threads)


@contextmanager
def _opened(
    out: OutputContainer, candidate: Candidate, plan: EncodePlan, threads: int, stall_s: float
) -> Iterator[Track]:
    name = candidate.encoder.name
    if candidate.encoder.engine == "ffmpeg":
        with PipedTrack(out, candidate, plan, stall_s) as track:
            yield track
        return
    try:
        yield Track(out, planned(candidate, plan), threads)
    except av.codec.codec.UnknownCodecError as error:
        raise HardwareFailed(f"PyAV's FFmpeg has no {name} on this system") from error
    except av.error.FFmpegError as error:
        raise HardwareFailed(f"{name}: {error.strerror or error}") from error


def suits(candidate: Candidate, plan: EncodePlan) -> bool:
    """Whether a card may stand in: 8 bits, 4:2:0, progressive, BT.709 or so, and not too small."""
    return (
        CODECS.get(plan.encoder) == candidate.encoder.codec
        and plan.pixel_format == "yuv420p"
        and plan.field_order is None
        and min(plan.width / LEAST_WIDTH, plan.height / LEAST_HEIGHT) >= 1
        and not plan.width % 2
        and not plan.height % 2
    )


def planned(candidate: Candidate, plan: EncodePlan) -> EncodePlan:
    """The same for a card: its own options for the same quality or rate."""
    encoder = candidate.encoder
    crf, bit_rate = float(plan.options.get("crf", "23")), int(plan.options.get("b", "0") or 0)
    chosen = encoder.rate if bit_rate else encoder.quality
    options = {name: candidate.filled(text, crf=crf, bit_rate=bit_rate) for name, text in chosen.items()}
    if "bf" in plan.options:
        options["bf"] = plan.options["bf"]
    return structs.replace(plan, encoder=encoder.name, pixel_format=encoder.pixel_format, options=options)
