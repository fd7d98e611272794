"""What a step's end is told as."""

from __future__ import annotations

import errno
from typing import Any, cast

import pytest

from vtid.engine.steps import call
from vtid.engine.wire import Failed
from vtid.errors import MediaError
from vtid.sdk import Context, File, Step, Struct


class Params(Struct):
    """None."""


class Inputs(Struct):
    """Two files, and several under names of their own."""

    video: File
    masks: dict[str, File]


class Outputs(Struct):
    """None."""


class Breaks(Step):
    """Complains of its files by the names that it knows."""

    name = "demo.breaks"

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        """Fails."""
        names = " and ".join(f.path.name for f in (inputs.video, *inputs.masks.values()))
        raise MediaError(f"{names} cannot be read; my-video.ts, out/video.ts and video.ts.part are others.")


def test_an_error_names_the_files_as_people_do() -> None:
    inputs: dict[str, Any] = {
        "video": {"path": "/w/in/video.ts", "name": "Holiday \\1 (cut).ts", "info": None},
        "masks": {"left": {"path": "/w/in/masks_left.png", "name": "links.png"}},
    }
    failed = call(Breaks(), cast("Context", None), {}, inputs)
    assert isinstance(failed, Failed)
    assert failed.message == (
        "Holiday \\1 (cut).ts and links.png cannot be read; my-video.ts, out/video.ts and video.ts.part are others."
    )


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "bug")])
def test_a_full_disk_is_no_bug(number: int, kind: str) -> None:
    class Writes(Breaks):
        """Has no room."""

        def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
            """Fails."""
            raise OSError(number, "said so", "film.mp4")

    failed = call(Writes(), cast("Context", None), {}, {"video": {"path": "/w/a.ts"}, "masks": {}})
    assert isinstance(failed, Failed)
    assert failed.kind == kind
