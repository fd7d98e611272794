"""What there is to know about containers: what may be opened, what can be written, and their short names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.format import ContainerFormat
from av.format import Flags as FormatFlags

from vtid.domain.media import WRITABLE
from vtid.errors import InvalidInput, MediaError, Problem, UnsupportedMedia, VtidError

IMAGES = {"png": "png", "jpeg": "jpg", "webp": "webp", "bmp": "bmp", "tiff": "tif"}
"""FFmpeg's demuxer for a still picture (less its `_pipe`) -> short name."""

_SHORT = {"mpegts": "ts", "mpeg": "mpg", "asf": "wmv", "rawvideo": "yuv", "mpegvideo": "m2v", "ogg": "ogv"}

_READABLE = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,gif,ivf,h264,hevc,av1,obu,nut,"
    "dv,m4v,y4m,yuv4mpegpipe,wav,w64,aiff,mp3,aac,ac3,eac3,flac,caf,amr," + ",".join(f"{name}_pipe" for name in IMAGES)
)
"""Only containers that hold their own bytes. Playlists (HLS, DASH, concat) would let a stranger's file name other files
and addresses, which the daemon would then read."""

ADVICE = {
    "video": "Give a video, such as MP4, MOV, MKV, WebM, AVI or TS.",
    "audio": "Give a sound, such as WAV, MP3, M4A, FLAC or OGG.",
}
"""What to give instead of a file that is none, by what is wanted."""


def explain(path: Path, error: Exception) -> MediaError:
    """Any failure inside FFmpeg as words for a person."""
    return MediaError(
        f"{path.name} cannot be read: {_reason(error)}. Give one that plays from start to end, or convert it anew.",
        problems=[Problem("", str(error), code="decode_failed")],
    )


def _reason(error: Exception) -> str:
    """The short form: PyAV's own text repeats the path and an error number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:].rstrip(".")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever FFmpeg raises inside into `MediaError`.

    Damaged files make PyAV raise UnicodeDecodeError, MemoryError, PermissionError and more, so nothing narrower than
    Exception will do. `Cancelled` and `Suspended` are BaseExceptions and pass.
    """
    try:
        yield
    except VtidError:
        raise
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {path.name}.") from error
    except Exception as error:
        raise explain(path, error) from error


def open_input(path: Path, wanted: str = "video", *, packets_only: bool = False) -> InputContainer:
    """Open a file for reading.

    Args:
        path: of the file.
        wanted: `video` or `audio`, for the words of complaints.
        packets_only: no picture of it will be decoded. Of MP4 and MOV, whose headers tell all else, none is decoded on
            opening either then.

    Raises:
        InvalidInput: there is no such file.
        UnsupportedMedia: not a media file.
        MediaError: empty, or damaged beyond opening.
    """
    _refuse_empty(path)
    options = {"format_whitelist": _READABLE, "protocol_whitelist": "file"}
    with reading(path):
        try:
            return av.open(
                f"file:{path}",
                "r",
                options={"skip_frame": "all"} if packets_only and _is_mp4(path) else {},
                container_options=options,
                metadata_errors="replace",
            )
        except (av.error.InvalidDataError, av.error.ArgumentError, EOFError) as error:
            raise _unopened(path, ADVICE[wanted]) from error


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _refuse_empty(path: Path) -> None:
    with reading(path):
        size = path.stat().st_size
    if not size:
        raise MediaError(
            f"{path.name} is empty: it has 0 bytes. Send the whole file again.",
            problems=[Problem("", "0 bytes", code="empty_file")],
        )


def _unopened(path: Path, advice: str) -> VtidError:
    """Why FFmpeg could not open it: a container it knows, but cut off; or nothing it knows."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:3] == b"\xff\xd8\xff":  # FFmpeg takes a JPEG for one of a numbered row, which is not let in
        return MediaError(
            f"{path.name} is a still picture. {advice}",
            problems=[Problem("", "is a still picture", code="still_picture")],
        )
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") or head[:4] == b"\x1aE\xdf\xa3":
        return MediaError(
            f"{path.name} is incomplete: its index is missing, so the copy or recording was cut off before the end. "
            "Send the whole file again.",
            problems=[Problem("", "the index (moov, or the Matroska header) is missing", code="cut_off")],
        )
    return UnsupportedMedia(
        f"{path.name} is not a media file: no video, audio or picture format was recognised in it. {advice}",
        problems=[Problem("", "no known format", code="unsupported_media")],
    )


def short_name(container: InputContainer, path: Path) -> str:
    """The container as a file's ending would say it: mp4, mov, mkv, webm, avi, ts, png and so on."""
    name = container.format.name
    if name.startswith("mov,"):
        return _isobmff(container, path)
    if name.startswith("matroska"):
        with path.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    name = name.removesuffix("_pipe")
    return IMAGES.get(name) or _SHORT.get(name, name.split(",")[0])


def _isobmff(container: InputContainer, path: Path) -> str:
    if container.metadata.get("major_brand", "").strip() == "qt":
        return "mov"
    ending = path.suffix.lower().lstrip(".")
    return ending if ending in ("m4a", "m4v", "3gp", "mov") else "mp4"


def output_format(path: Path) -> str:
    """FFmpeg's name of the container that a path's ending asks for. Raises `InvalidInput` where there is none."""
    try:
        return WRITABLE[path.suffix.lower()]
    except KeyError:
        known = ", ".join(ending[1:] for ending in WRITABLE)
        raise InvalidInput(
            f'The ending "{path.suffix}" of {path.name} names no container that can be written. Use one of: {known}.'
        ) from None


def keeps_headers_apart(name: str) -> bool:
    """Whether a container, by FFmpeg's name, has its codecs' headers in one place and not before each key frame."""
    return bool(FormatFlags(ContainerFormat(name, "w").flags) & FormatFlags.global_header)


def open_output(path: Path, *, timescale: int | None = None, keep_tags: bool = False) -> OutputContainer:
    """Open a file for writing; the ending says the container.

    Args:
        path: of the file.
        timescale: of the video track in an MP4 or MOV, in ticks per second.
        keep_tags: keep metadata under names of the maker's own (`com.apple.…`), which MP4 and MOV else drop.
    """
    name = output_format(path)
    options: dict[str, str] = {}
    if name in ("mp4", "mov", "3gp"):
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if keep_tags else "")
        if timescale:
            options["video_track_timescale"] = str(timescale)
    if name == "mpegts":
        options["mpegts_copyts"] = "1"  # or the muxer moves everything 1.4 s later
    return av.open(str(path), "w", format=name, container_options=options)


@contextmanager
def removed_on_failure(target: Path) -> Iterator[None]:
    """An exception would still close the file properly: a shorter video that plays, and looks like the real one."""
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise
