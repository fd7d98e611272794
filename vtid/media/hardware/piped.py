"""Encoding by the machine's own `ffmpeg`, frame by frame through a pipe: for what PyAV's FFmpeg does not have."""

from __future__ import annotations

import contextlib
import io
import os
import select
import subprocess
import tempfile
import threading
import time
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av import Packet, VideoFrame
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from vtid.domain.encoder import Candidate
from vtid.errors import HardwareFailed
from vtid.media.encoders import EncodePlan
from vtid.media.output import Track, tag_track
from vtid.media.pixels import to_planar

_CHUNK = 1 << 20
_WORDS = 500
"""Of what it says when it fails, the last so many characters are told."""


class PipedTrack(Track):
    """A track that a process encodes. Raw frames go in, packets come back in NUT, which says which frame each is.

    The header of the stream has to stand in the container before the first frame is encoded: a first process encodes
    one grey frame for it. B frames are off, so that packets come in the order of frames.

    Args:
        out: the container.
        candidate: the encoder.
        plan: how software would encode.
        stall_s: how long the process may take for nothing.

    Raises:
        HardwareFailed: it does not encode, now or later.
    """

    def __init__(self, out: OutputContainer, candidate: Candidate, plan: EncodePlan, stall_s: float) -> None:
        self.encoder = candidate.encoder.name
        self._candidate = candidate
        self._plan = plan
        self._stall_s = stall_s
        self._times: list[int] = []
        self._ready: list[Packet[VideoStream]] = []
        self._lock = threading.Lock()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the track
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._trouble: str | None = None
        self._size = plan.width * plan.height * 3 // 2
        with self._header() as template:
            self.stream = out.add_stream_from_template(template.streams.video[0])
        self.stream.time_base = plan.time_base
        tag_track(self.stream, plan)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        if self._process is not None:
            _close(self._process)
        self._words.close()

    def encode(self, frame: VideoFrame | None) -> list[Packet[VideoStream]]:
        """Hand a frame in, or None at the end; gives the packets that are done."""
        if self._process is None:
            self._process = self._start()
            self._reader = threading.Thread(target=self._read, name="vtid-ffmpeg", daemon=True)
            self._reader.start()
        if frame is not None:
            self._times.append(frame.pts or 0)
            self._write(self._process, _raw(to_planar(frame, "yuv420p")))
        else:
            self._finish(self._process)
        with self._lock:
            ready, self._ready = self._ready, []
        return ready

    def _command(self) -> list[str]:
        plan, it = self._plan, self._candidate
        crf, bit_rate = float(plan.options.get("crf", "23")), int(plan.options.get("b", "0") or 0)
        options = it.encoder.rate if bit_rate else it.encoder.quality
        primaries, transfer, matrix, range_ = plan.colors
        command = [it.ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error"]
        command += [it.filled(text) for text in it.encoder.before]
        command += ["-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", f"{plan.width}x{plan.height}"]
        command += ["-framerate", str(plan.rate), "-color_range", "pc" if range_ == 2 else "tv"]
        command += ["-color_primaries", str(primaries), "-color_trc", str(transfer), "-colorspace", str(matrix)]
        command += ["-i", "pipe:0", "-an", "-fps_mode", "passthrough"]
        command += ["-vf", it.filled(it.encoder.filters)] if it.encoder.filters else []
        command += ["-c:v", it.encoder.name, "-g", str(plan.gop), "-bf", "0", "-flags", "+global_header"]
        for name, text in options.items():
            command += [f"-{name}:v" if name == "b" else f"-{name}", it.filled(text, crf=crf, bit_rate=bit_rate)]
        return [*command, "-f", "nut", "pipe:1"]

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, bufsize=0
            )
        except OSError as error:
            raise HardwareFailed(f"{self._candidate.ffmpeg} cannot be run: {error.strerror}") from error
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _header(self) -> InputContainer:
        """The stream as its encoder describes it."""
        process = self._start()
        grey = bytes([128]) * self._size
        try:
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), True)
            made, _ = process.communicate(grey, timeout=self._stall_s)
            if process.returncode == 0 and made:
                return av.open(io.BytesIO(made), "r", format="nut")
        except subprocess.TimeoutExpired:
            raise self._failed(f"did nothing for {self._stall_s:g} s") from None
        except av.error.FFmpegError as error:
            raise self._failed(f"gave no video ({error})") from error
        finally:
            process.kill()
            process.wait()
            _close(process)
        raise self._failed(_ended(process.returncode))

    def _write(self, process: subprocess.Popen[bytes], data: memoryview) -> None:
        assert process.stdin is not None
        handle = process.stdin.fileno()
        while data:
            if not select.select([], [handle], [], self._stall_s)[1]:
                raise self._failed(f"took no frame for {self._stall_s:g} s")
            try:
                data = data[os.write(handle, data[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                process.wait()
                raise self._failed(_ended(process.returncode)) from None

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert self._reader is not None
        process.stdin.close()
        deadline, seen = time.monotonic() + self._stall_s, len(self._ready)
        while self._reader.is_alive():
            self._reader.join(0.05)
            if len(self._ready) != seen:  # it goes on, however slowly
                deadline, seen = time.monotonic() + self._stall_s, len(self._ready)
            if time.monotonic() > deadline:
                raise self._failed(f"did not end for {self._stall_s:g} s")
        if process.wait() != 0 or self._trouble:
            raise self._failed(self._trouble or _ended(process.returncode))
        if self._times:
            raise self._failed(f"lost {len(self._times)} frames")

    def _read(self) -> None:
        """The packets, each with the time of its frame."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            with av.open(cast("Any", self._process.stdout), "r", format="nut") as source:
                for packet in source.demux(source.streams.video[0]):
                    if packet.size and self._times:
                        self._take(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._trouble = f"gave no video ({error})"

    def _take(self, packet: Packet[VideoStream]) -> None:
        made = cast("Packet[VideoStream]", Packet(bytes(packet)))
        made.stream, made.time_base = self.stream, self._plan.time_base
        made.is_keyframe = packet.is_keyframe
        made.pts = made.dts = self._times.pop(0)
        if self._plan.rate and self._plan.time_base:
            made.duration = max(1, round(1 / (Fraction(self._plan.rate) * self._plan.time_base)))
        with self._lock:
            self._ready.append(made)

    def _failed(self, what: str) -> HardwareFailed:
        self._words.seek(0)
        said = self._words.read().decode("utf-8", "replace").strip()[-_WORDS:]
        words = f": {' / '.join(said.splitlines()[-4:])}" if said else ""
        return HardwareFailed(f"{self.encoder}: ffmpeg {what}{words}")


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    return f"was killed by signal {-code}"


def _raw(frame: VideoFrame) -> memoryview:
    """The planes, one behind another, without what pads their lines."""
    parts = []
    for plane in frame.planes:
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        parts.append(np.ascontiguousarray(lines[: plane.height, : plane.width]).reshape(-1))
    return memoryview(np.concatenate(parts).tobytes())
