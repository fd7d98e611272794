"""The figures as tables: each beside the bar that it has to clear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .burn import KINDS
from .jobs import ORACLE_CRF, Bound, Row
from .speed import Speed


class Bar(NamedTuple):
    """A line of the table."""

    what: str
    must: str
    here: str
    met: bool


def bars(rows: Sequence[Row], speed: Speed | None, failed: int = 0) -> Iterator[Bar]:
    """Everything that was promised and can be said about these jobs, of which so many failed and have no figures."""
    count = len(rows) + failed
    yield Bar("clips that came back whole", "all", f"{len(rows)} of {count}", not failed)
    subtitles = [row for row in rows if row.subtitle]
    if subtitles:
        gains = _of(subtitles, lambda row: row.gain_box)
        middle, low = float(np.median(gains)), float(np.percentile(gains, 10))
        yield Bar(
            "PSNR in the text boxes, gain over Telea in the true boxes, subtitles: median / p10, dB",
            "≥ +7 / +4",
            f"{middle:+.2f} / {low:+.2f}",
            middle >= 7 and low >= 4,
        )
    if rows:
        yield from _over_all(rows)
    yield from _by_kind(rows)
    if rows:
        residual = 100 * float(np.mean(_of(rows, lambda row: row.ours.residual)))
        chance = 100 * float(np.mean(_of(rows, lambda row: row.ours.chance)))
        what = f"residual text, mean, % (of the clean film itself, coded as JPEG: {chance:.2f})"
        yield Bar(what, "≤ 0.5", f"{residual:.2f}", residual <= 0.5)
        collateral = _of(rows, lambda row: row.ours.collateral)
        middle, worst = float(np.median(collateral)), float(collateral.max())
        yield Bar(
            "collateral, median / worst clip, ppm",
            "≤ 20 / 100",
            f"{middle:.0f} / {worst:.0f}",
            middle <= 20 and worst <= 100,
        )
    if speed is not None:
        yield from _of_speed(speed)


def _over_all(rows: Sequence[Row]) -> Iterator[Bar]:
    gain = float(np.median(_of(rows, lambda row: row.gain_stroke)))
    yield Bar("gain over Telea in the true strokes, all: median, dB", "≥ +4", f"{gain:+.2f}", gain >= 4)
    ratios = _of(rows, lambda row: row.flicker_ratio)
    middle, high = float(np.median(ratios)), float(np.percentile(ratios, 90))
    yield Bar(
        "flicker, ratio to Telea in the boxes, all: median / p90",
        "≤ 0.50 / 0.70",
        f"{middle:.2f} / {high:.2f}",
        middle <= 0.5 and high <= 0.7,
    )
    ratio = float(np.median(_of(rows, lambda row: row.ssim_ratio)))
    yield Bar("1 − SSIM, ratio to Telea in the boxes, all: median", "≤ 0.45", f"{ratio:.2f}", ratio <= 0.45)


def _by_kind(rows: Sequence[Row]) -> Iterator[Bar]:
    by_box, by_stroke = (lambda row: row.gain_box), (lambda row: row.gain_stroke)
    if gains := [row.gain_box for row in rows if row.kind == "box"]:
        yield Bar("caption boxes, gain: mean, dB", "≥ +9", f"{np.mean(gains):+.2f}", float(np.mean(gains)) >= 9)
    if fades := [row for row in rows if row.kind == "fade"]:
        mean, least = float(_of(fades, by_box).mean()), float(_of(fades, by_box).min())
        met = mean >= 6 and least >= 3
        yield Bar("fades, gain: mean / least, dB", "≥ +6 / +3", f"{mean:+.2f} / {least:+.2f}", met)
    marks = [row for row in rows if row.kind == "mark"]
    if moving := [row for row in marks if row.moves]:
        mean = float(_of(moving, by_box).mean())
        yield Bar("marks on a moving background, gain: mean, dB", "≥ +8", f"{mean:+.2f}", mean >= 8)
    if still := [row for row in marks if not row.moves]:
        least = float(_of(still, by_stroke).min())
        what = "marks on a static background, gain over Telea in the strokes: least, dB"
        yield Bar(what, "≥ −0.3", f"{least:+.2f}", least >= -0.3)
    if tickers := [row for row in rows if row.kind == "ticker"]:
        mean = float(_of(tickers, by_box).mean())
        yield Bar("tickers, gain: mean, dB", "≥ +4", f"{mean:+.2f}", mean >= 4)


def _of_speed(speed: Speed) -> Iterator[Bar]:
    text, plain = speed.seconds / speed.text.wall_s, speed.seconds / speed.plain.wall_s
    film = f"{speed.seconds:.0f} s of 720p at 25 fps"
    yield Bar(f"{film} with large text nearly always on, times real time", "≥ 1.5", f"{text:.2f}", text >= 1.5)
    yield Bar("the same film without text, times real time", "≥ 6", f"{plain:.2f}", plain >= 6)
    exact = speed.plain_is_exact
    yield Bar("the same film without text, packets", "the same", "the same" if exact else "others", exact)
    peak = max(speed.text.peak_mb, speed.plain.peak_mb)
    yield Bar("peak memory of all its processes, MB", "≤ 900", f"{peak:.0f}", peak <= 900)


def table(found: Iterable[Bar]) -> str:
    """In Markdown."""
    lines = [f"| {bar.what} | {bar.must} | {bar.here} | {'met' if bar.met else 'MISSED'} |" for bar in found]
    return "\n".join(["| | must | here | |", "|---|---:|---:|---|", *lines])


def kinds(rows: Sequence[Row]) -> str:
    """Each kind of text by itself, in Markdown."""
    groups = {kind: [row for row in rows if row.kind == kind] for kind in KINDS}
    groups |= {"subtitles": [row for row in rows if row.subtitle], "all": list(rows)}
    columns = (
        *("clips", "over box Telea: mean", "least", "over stroke Telea: median", "least", "flicker: median", "p90"),
        *("1 − SSIM: median", "residual, %", "collateral: worst, ppm"),
    )
    lines = [f"| | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for name, group in groups.items():
        if group:
            box, stroke = _of(group, lambda row: row.gain_box), _of(group, lambda row: row.gain_stroke)
            flicker, ssim = _of(group, lambda row: row.flicker_ratio), _of(group, lambda row: row.ssim_ratio)
            residual = 100 * _of(group, lambda row: row.ours.residual).mean()
            collateral = _of(group, lambda row: row.ours.collateral).max()
            lines.append(
                f"| {name} | {len(group)} | {box.mean():+.2f} | {box.min():+.2f} | {np.median(stroke):+.2f} "
                f"| {stroke.min():+.2f} | {np.median(flicker):.2f} | {np.percentile(flicker, 90):.2f} "
                f"| {np.median(ssim):.2f} | {residual:.1f} | {collateral:.0f} |"
            )
    return "\n".join(lines)


def bounds(found: Sequence[Bound]) -> str:
    """What a perfect remover would measure, in Markdown."""
    residual = 100 * float(np.mean([one.oracle.residual for one in found]))
    seen = 100 * float(np.mean([one.seen for one in found]))
    ratios = np.array([one.flicker_ratio for one in found])
    middle, high = float(np.median(ratios)), float(np.percentile(ratios, 90))
    return "\n".join(
        [
            f"| of the clean films themselves, coded at CRF {ORACLE_CRF} | must | here |",
            "|---|---:|---:|",
            f"| residual text, mean, % | ≤ 0.5 | {residual:.2f} |",
            f"| flicker, ratio to Telea in the boxes: median / p90 | ≤ 0.50 / 0.70 | {middle:.2f} / {high:.2f} |",
            f"| text that the detector sees while it is there, mean, % | | {seen:.1f} |",
        ]
    )


def bound_line(one: Bound) -> str:
    """A job as it is done."""
    return (
        f"{one.job:17s} psnr {one.oracle.psnr:5.2f} (box Telea {one.box.psnr:5.2f})  flicker {one.oracle.flicker:.2f} "
        f"({one.flicker_ratio:.2f} of box Telea)  residual {one.oracle.residual:.2f}  "
        f"seen while there {one.seen:.2f}"
    )


def costs(speed: Speed) -> str:
    """What the films took, beside the floor, in Markdown."""
    lines = ["| | times real time | CPU ms a frame | to the floor | peak memory, MB |", "|---|---:|---:|---:|---:|"]
    for name, cost in (
        ("with text", speed.text),
        ("without text", speed.plain),
        ("floor: decode and encode alone", speed.floor),
    ):
        lines.append(
            f"| {name} | {speed.seconds / cost.wall_s:.2f} | {1000 * cost.cpu_s / speed.frames:.1f} "
            f"| {cost.cpu_s / speed.floor.cpu_s:.2f} | {cost.peak_mb:.0f} |"
        )
    return "\n".join(lines)


def line(row: Row) -> str:
    """A job as it is done."""
    return (
        f"{row.job:17s} psnr {row.ours.psnr:5.2f}  box {row.gain_box:+6.2f}  stroke {row.gain_stroke:+6.2f}  "
        f"1-ssim {row.ssim_ratio:.2f}  flicker {row.flicker_ratio:.2f}  residual {row.ours.residual:.2f}  "
        f"collateral {row.ours.collateral:.0f} ppm  {1000 * row.cost.cpu_s / row.frames:.0f} CPU ms/frame  "
        f"{row.times_real:.2f}x  {row.cost.peak_mb:.0f} MB"
    )


def _of(rows: Sequence[Row], value: Callable[[Row], float]) -> np.ndarray:
    return np.array([value(row) for row in rows])
