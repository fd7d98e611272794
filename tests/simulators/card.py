"""A graphics card that there is not: an `ffmpeg` that takes frames and gives video as the real one does, with moods.

Its mood stands in a file beside it, so that it can change while a daemon runs: `works`, `fails`, `hangs`, `wrong` (its
pictures are), `crashes` (whoever started it), `dies 40` and `stalls 40` (after so many frames of one film).
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from vtid.domain.encoder import Encoder

_SCRIPT = """#!{python}
import os, signal, sys, time
from fractions import Fraction
from pathlib import Path
here = Path(__file__).parent
mood, _, count = (here / "mood").read_text().partition(" ")
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
if "-vaapi_device" in arguments:
    assert arguments["-vaapi_device"] == str(here / "card0"), arguments
with (here / "calls").open("a") as calls:
    calls.write(f"{{os.getpid()}} {{mood}}\\n")
if mood == "fails":
    sys.exit("[h264_card @ 0x55d0] Failed to initialise VAAPI connection: -1 (unknown libva error)")
if mood == "hangs":
    time.sleep(600)
if mood == "crashes":
    os.kill(os.getppid(), signal.SIGSEGV)
    time.sleep(5)
import av, numpy as np
width, height = map(int, arguments["-video_size"].split("x"))
rate = Fraction(arguments["-framerate"])
with av.open(sys.stdout.buffer, "w", format="nut") as out:
    stream = out.add_stream("libx264", rate=rate, options={{"crf": "18", "bf": "0", "preset": "ultrafast", "tune": "zerolatency"}})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.gop_size = int(arguments["-g"])
    number = 0
    while data := sys.stdin.buffer.read(width * height * 3 // 2):
        if count and number == int(count):
            if mood == "stalls":
                time.sleep(600)
            sys.exit("[h264_card @ 0x55d0] GPU reset")
        planes = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
        if mood == "wrong":
            planes = 255 - planes
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
        frame.pts, frame.time_base = number, 1 / rate
        out.mux(stream.encode(frame))
        number += 1
    out.mux(stream.encode(None))
"""


class Card:
    """The card, and the `ffmpeg` that drives it, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ffmpeg = folder / "ffmpeg"
        self.ffmpeg.write_text(_SCRIPT.format(python=sys.executable))
        self.ffmpeg.chmod(0o755)
        self.device = folder / "card0"
        self.device.touch()
        self.be("works")

    def be(self, mood: str) -> None:
        """Change its mood."""
        (self.folder / "mood").write_text(mood)

    @property
    def calls(self) -> int:
        """How often it was started."""
        log = self.folder / "calls"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def encoder(self) -> Encoder:
        """As a plugin tells of it."""
        return Encoder(
            name="h264_card",
            codec="h264",
            family="card",
            engine="ffmpeg",
            devices=(str(self.device),),
            before=("-vaapi_device", "{device}"),
            quality={"qp": "{crf}"},
        )

    def plugin(self, folder: Path) -> Path:
        """A plugin that brings the card; gives the folder of plugins.

        Its module has a name of its own: a process imports a name once, and several tests of one have a card.
        """
        home, module = folder / "plugins" / "card", f"vtid_card_{uuid.uuid4().hex}"
        (home / "src" / module).mkdir(parents=True)
        (home / "pyproject.toml").write_text(
            f'[project]\nname = "vtid-card"\nversion = "1"\n[project.entry-points.vtid]\ncard = "{module}"\n'
        )
        (home / "src" / module / "__init__.py").write_text(
            '"""A card."""\nfrom vtid.sdk import Encoder, hookimpl\n\n@hookimpl\ndef vtid_encoders():\n'
            f'    """The card."""\n    return [{self.encoder!r}]\n'
        )
        return folder / "plugins"
