"""What a pro job was asked for, by rows: segments with their sounds, regions with what becomes of their text.

Their two tables stand here and not with the others, since nobody else knows them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Column, Float, Integer, String, Table, Text, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from vtid.db.connect import Database
from vtid.db.tables import job_id, metadata
from vtid.domain.region import Coordinates, Region, RegionType
from vtid.domain.segment import AudioInput, Segment

segments = Table(  # of a pro job: which sound belongs where
    "segments",
    metadata,
    job_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("start_s", Float, nullable=False),
    Column("end_s", Float, nullable=False),
    Column("ref_id", String(200), nullable=False),  # as the client named the sound
    Column("asset_id", String(36), nullable=False, index=True),
    Column("audio_start_s", Float),
    Column("audio_end_s", Float),
    Column("label", Text),
    Column("color", Text),
)

regions = Table(  # of a pro job: where text goes, or stays; boxes in fractions of the picture
    "regions",
    metadata,
    job_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("start_s", Float, nullable=False),
    Column("end_s", Float),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
)


class Editing(Struct, frozen=True):
    """What is to be done where."""

    segments: Sequence[Segment] = ()
    regions: Sequence[Region] = ()
    """In fractions of the picture."""
    sounds: dict[str, str] = {}
    """The asset of each sound, by the refId of the segments."""


class Edits:
    """What pro jobs were asked for."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, job_id: str) -> Editing:
        """What a job was asked for; empty of one that was asked otherwise."""
        async with self._db.read() as c:
            wanted = select(segments).where(segments.c.job_id == job_id).order_by(segments.c.position)
            cut = (await c.execute(wanted)).all()
            boxes = select(regions).where(regions.c.job_id == job_id).order_by(regions.c.position)
            found = (await c.execute(boxes)).all()
        return Editing(
            [
                Segment(
                    row.start_s,
                    row.end_s,
                    AudioInput(row.ref_id, None, row.audio_start_s, row.audio_end_s),
                    row.label,
                    row.color,
                )
                for row in cut
            ],
            [
                Region(RegionType(row.type), Coordinates(row.x, row.y, row.width, row.height), row.start_s, row.end_s)
                for row in found
            ],
            {row.ref_id: row.asset_id for row in cut},
        )


async def keep_edits(connection: AsyncConnection, job_id: str, wanted: Editing) -> None:
    """Store what a job is asked for, in the transaction that adds it."""
    cut = [
        {
            "job_id": job_id,
            "position": position,
            "start_s": one.start_time,
            "end_s": one.end_time,
            "ref_id": one.audio_input.ref_id,
            "asset_id": wanted.sounds[one.audio_input.ref_id],
            "audio_start_s": one.audio_input.start_time,
            "audio_end_s": one.audio_input.end_time,
            "label": one.label,
            "color": one.color,
        }
        for position, one in enumerate(wanted.segments)
    ]
    boxes = [
        {
            "job_id": job_id,
            "position": position,
            "type": one.type.value,
            "start_s": one.start_time,
            "end_s": one.end_time,
            "x": one.coordinates.x,
            "y": one.coordinates.y,
            "width": one.coordinates.width,
            "height": one.coordinates.height,
        }
        for position, one in enumerate(wanted.regions)
    ]
    if cut:
        await connection.execute(insert(segments), cut)
    if boxes:
        await connection.execute(insert(regions), boxes)
