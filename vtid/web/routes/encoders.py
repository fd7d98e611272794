"""Which encoders this machine has, each of them tried."""

from __future__ import annotations

import asyncio
from typing import Annotated

from litestar import get
from msgspec import Meta, Struct

from vtid.domain.encoder import Verdict
from vtid.web import openapi
from vtid.web.given import Core
from vtid.web.schemas import iso

TAGS = ["pipelines"]


class EncoderView(Struct):
    """An encoder, and what came of trying it."""

    name: Annotated[str, Meta(description="FFmpeg's: `h264_nvenc`.")]
    codec: str
    family: Annotated[str, Meta(description="`software`, `nvenc`, `vaapi` …")]
    engine: Annotated[str, Meta(description="`pyav`, or `ffmpeg` where it needs that of the machine.")]
    device: str | None
    works: bool
    reason: Annotated[str | None, Meta(description="Why it does not, in the driver's own words where it says any.")]
    psnr: Annotated[float | None, Meta(description="Of its pictures, decoded again, in decibels.")]
    seconds: Annotated[float, Meta(description="That trying took.")]
    tried_at: str


class CardView(Struct):
    """A card that failed lately."""

    card: str
    failures: Annotated[int, Meta(description="In a row.")]
    rests_until: str | None
    reason: str


class EncodersView(Struct):
    """The encoders of the machine on which the API runs."""

    hardware: Annotated[str, Meta(description="`auto`, or `off`: all is encoded in software.")]
    ffmpeg: Annotated[str | None, Meta(description="Of the machine, for VAAPI and Vulkan.")]
    encoders: list[EncoderView]
    cards: list[CardView]


EXAMPLE = {
    "hardware": "auto",
    "ffmpeg": None,
    "encoders": [
        {
            "name": "h264_nvenc",
            "codec": "h264",
            "family": "nvenc",
            "engine": "pyav",
            "device": None,
            "works": False,
            "reason": "Cannot load libcuda.so.1 (h264_nvenc: Operation not permitted)",
            "psnr": None,
            "seconds": 0.41,
            "tried_at": "2025-12-01T10:30:00.000Z",
        }
    ],
    "cards": [],
}


@get(
    "/api/v1/encoders",
    tags=TAGS,
    summary="List encoders",
    responses={200: openapi.answer(EncodersView, EXAMPLE, "Each tried"), **openapi.problems(503)},
)
async def encoders(core: Core) -> EncodersView:
    """Every encoder, software and hardware, with what came of trying it: some frames encoded, decoded, compared.

    The first time, and after drivers or libraries have changed, trying them takes some seconds; then it is known.
    """
    verdicts = await asyncio.to_thread(core.encoders.verdicts)
    cards = await asyncio.to_thread(core.encoders.cards)
    return EncodersView(
        core.config.encoders.hardware,
        core.encoders.ffmpeg,
        [_view(one) for one in verdicts],
        [
            CardView(name, card.failures, iso(card.rests_until) if card.rests_until else None, card.reason)
            for name, card in sorted(cards.items())
        ],
    )


def _view(verdict: Verdict) -> EncoderView:
    encoder = verdict.candidate.encoder
    return EncoderView(
        encoder.name,
        encoder.codec,
        encoder.family,
        encoder.engine,
        verdict.candidate.device or None,
        verdict.works,
        verdict.reason,
        verdict.psnr,
        verdict.seconds,
        iso(verdict.tried_at),
    )


handlers = (encoders,)
