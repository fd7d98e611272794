"""Facts of media files."""

from __future__ import annotations

import pytest

from vtid.domain.media import MediaInfo, VideoStream


@pytest.mark.parametrize(
    ("duration_s", "frames", "worth_s"),
    [(30.0, 750, 30.0), (30.0, None, 30.0), (10.0, 2400, 10.0), (0.1, 750, 3.125)],
)
def test_a_file_cannot_say_that_it_is_short(duration_s: float, frames: int | None, worth_s: float) -> None:
    picture = VideoStream(0, "h264", 64, 36, "yuv420p", 8, "1/25", frames=frames)
    assert MediaInfo("mp4", 1, duration_s, video=(picture,)).worth_s == worth_s


def test_sound_counts_as_long_as_it_is() -> None:
    assert MediaInfo("wav", 1, 5.0).worth_s == 5.0
