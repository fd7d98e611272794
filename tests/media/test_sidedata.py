"""What frames carry beside their picture, where PyAV knows it and where not."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from PIL import Image

from vtid.media.sidedata import display_matrix, hdr_options, is_mirrored


def test_exif_is_no_obstacle(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "A camera"
    Image.new("RGB", (32, 16), "red").save(tmp_path / "photo.jpg", exif=exif)
    with av.open(tmp_path / "photo.jpg") as file:
        frame = next(file.decode(video=0))
    with pytest.raises(ValueError, match="31"):
        frame.side_data  # noqa: B018 - once PyAV knows Exif, the way around it can go
    assert display_matrix(frame) is None
    assert not is_mirrored(frame)
    assert hdr_options("libx265", frame) == {}
