"""The process that looks at files may begin before the first file."""

from __future__ import annotations

import pytest

from vtid.engine.prober import Prober, folder_in
from vtid.errors import UnsupportedMedia


@pytest.fixture
def prober(tmp_path):
    made = Prober(folder_in(tmp_path / "data"))
    yield made
    made.close()


def test_what_has_begun_looks_at_the_first_file(prober, tmp_path):
    prober.begin()
    begun = prober._child
    assert begun is not None
    words = tmp_path / "words.mp4"
    words.write_text("no film")
    with pytest.raises(UnsupportedMedia):
        prober.probe(words, "video")
    assert prober._child is begun
    prober.close()
    assert begun.process.poll() is not None
    assert not list(folder_in(tmp_path / "data").iterdir())


def test_what_cannot_begin_is_told_by_the_first_file(prober, tmp_path):
    (tmp_path / "data").write_text("no folder")
    prober.begin()
    with pytest.raises(OSError, match="data"):
        prober.probe(tmp_path / "film.mp4")
