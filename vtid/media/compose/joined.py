"""A composed film of which some frames are copied: the others are rendered first, then all are put together."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from av.codec.context import Flags
from msgspec.structs import replace

from vtid.domain.excerpt import excerpt
from vtid.domain.timeline import Canvas, Composed, Timeline, Writing
from vtid.media.carry import packet_time
from vtid.media.compose.copying import Arrangement
from vtid.media.compose.material import Material
from vtid.media.compose.softtrack import SoftTrack
from vtid.media.compose.soundcopy import CopiedSound, plain_cut
from vtid.media.compose.soundtrack import SoundTrack
from vtid.media.compose.stack import Decoding, stacked
from vtid.media.containers import (
    keeps_headers_apart,
    open_input,
    open_output,
    output_format,
    removed_on_failure,
)
from vtid.media.decode import main_video
from vtid.media.encoders import new_encoder, open_encoder
from vtid.media.smart.join import add_stream, write_beside
from vtid.media.smart.joints import check_joints
from vtid.media.smart.sequence import Packets, Piece, Row, row_of
from vtid.media.smart.spool import Encoded, Spool

_RENDERING = 0.95
"""Of all the work, as far as progress tells."""


def joined(
    timeline: Timeline,
    target: Path,
    writing: Writing,
    arrangement: Arrangement,
    lead: Material,
    decoding: Decoding,
    *,
    progress: Callable[[int], None],
) -> Composed:
    """Write a film as it is arranged. Nothing is left at `target` when this raises.

    Raises:
        Misfit: what is copied and what is rendered do not fit together.
    """
    threads = decoding.threads
    rendered = sum(piece.frames for piece in arrangement.pieces if piece.origin is None)

    def done(frames: int) -> None:
        progress(int(timeline.frames * _RENDERING * frames / max(1, rendered)))

    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder, removed_on_failure(target):
        pieces = list(_with_parts(timeline, arrangement, lead, target, Path(folder), done, decoding))
        if arrangement.whole:
            row = row_of(pieces, lead.origin.pts, lead.time_base, lead.last_duration, lead.joint)
            write_beside(lead.origin.path, target, row, threads=threads)
            sound, loudness, copied = None, None, lead.has_sound
        else:
            row = row_of(pieces, array("q", range(timeline.frames)), 1 / timeline.canvas.rate, 1, lead.joint)
            sound, loudness, copied = _written(timeline, target, writing, row, lead, threads)
        check_joints(target, row, threads=threads)
    progress(timeline.frames)
    return Composed(
        frames=timeline.frames,
        samples=timeline.samples if sound else 0,
        encoder=lead.joint.encode.encoder,
        audio_encoder=sound,
        loudness=loudness,
        stretches=arrangement.stretches,
        sound_copied=copied,
    )


def _with_parts(
    timeline: Timeline,
    arrangement: Arrangement,
    lead: Material,
    target: Path,
    folder: Path,
    progress: Callable[[int], None],
    decoding: Decoding,
) -> Iterator[Piece]:
    """The pieces, with those rendered that are not copied."""
    encode, count = lead.joint.encode, 0
    alike = replace(timeline, canvas=replace(timeline.canvas, matrix=lead.matrix))
    for piece in arrangement.pieces:
        if piece.origin is not None:
            yield piece
            continue
        frames = stacked(excerpt(alike, piece.first, piece.last), decoding)
        part = folder / str(piece.first)
        encoder = new_encoder(encode, decoding.threads)
        encoder.thread_type = "FRAME"
        if keeps_headers_apart(output_format(target)):
            encoder.flags |= Flags.global_header
        open_encoder(encoder)
        with Spool(part) as spool:
            number = 0
            for number, frame in enumerate(frames, start=1):
                frame.pts, frame.time_base, frame.pict_type = number - 1, encode.time_base, 0
                for packet in encoder.encode(frame):
                    spool.add(Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)))
                progress(count + number)
            for packet in encoder.encode(None):
                spool.add(Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)))
        count += number
        yield replace(piece, part=part)


def _written(
    timeline: Timeline, target: Path, writing: Writing, row: Row, lead: Material, threads: int
) -> tuple[str | None, float | None, bool]:
    """Write all pieces with the mix beside them. Gives the sound's encoder, its loudness, and whether it is copied."""
    path = lead.origin.path
    cut = plain_cut(timeline, output_format(target))
    with ExitStack() as held:
        source = held.enter_context(open_input(path))
        out = held.enter_context(open_output(target, timescale=timescale(timeline.canvas)))
        video = add_stream(out, main_video(source, path.name), row.joint, threads)
        sound: SoundTrack | CopiedSound | None = None
        if timeline.mix is not None:
            sound = CopiedSound(out, cut) if cut else SoundTrack(out, timeline, writing, threads)
            held.enter_context(closing(sound))
        soft = SoftTrack(out, timeline.captions) if timeline.captions else None
        for packet in Packets(row):
            at = packet_time(packet)
            packet.stream = video
            out.mux_one(packet)
            if sound:
                sound.write_until(at + 1 / timeline.canvas.rate)
            if soft:
                soft.write_until(at + 1 / timeline.canvas.rate)
        if soft:
            soft.write_until(timeline.frames / timeline.canvas.rate)
        return (sound.encoder, sound.finish(), cut is not None) if sound else (None, None, False)


def timescale(canvas: Canvas) -> int:
    """Ticks per second of which a whole number is a frame, and that players like."""
    ticks = canvas.rate.numerator
    while ticks < 10_000:
        ticks *= 2
    return ticks
