"""How well `inpaint_local` removes text, and at what cost: `make bench-inpaint`.

Films scenes that it draws itself, burns text into them, runs `vtid run remove-text` on each, and measures the result
against the film that never had text, beside what anybody gets from `cv2.inpaint` at the true places. Then the speed
on a longer 720p film, with its text and without. Same seed, same clips.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import jobs, report, speed
from .measures import text_finder
from .processes import Failed


def main() -> int:
    """Measure and print. Returns 1 where a job failed; a bar that is missed is told, and no failure."""
    parser = argparse.ArgumentParser(prog="benchmarks/inpaint", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", default="", metavar="PATTERN", help="only jobs with this in their name, and no film")
    parser.add_argument("--quick", action="store_true", help="a job of each kind on small pictures, and no film")
    parser.add_argument("--seed", type=int, default=0, help="other scenes, texts, sizes, fades and times")
    parser.add_argument(
        "--oracle",
        action="store_true",
        help="remove nothing: measure what a perfect remover would get, and what bounds it",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the clips, the results and sheets to look at")
    args = parser.parse_args()
    chosen = [job for job in (jobs.QUICK if args.quick else jobs.JOBS) if args.jobs in job]
    if not chosen:
        parser.error(f"no job has {args.jobs} in its name; there are {', '.join(jobs.JOBS)}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(
        f"{len(chosen)} clips, seed {args.seed}, {cores} cores, Python {sys.version.split()[0]}; load average before: "
        f"{os.getloadavg()[0]:.1f}. Times and speeds say little where other work runs beside.\n",
        flush=True,
    )
    with ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vtid-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        if args.oracle:
            print("", report.bounds(run_bounds(chosen, folder, args.seed)), sep="\n")
            return 0
        rows, failed = run_jobs(chosen, folder, args.seed, keep=args.keep is not None)
        film = None if args.quick or args.jobs else speed.measure(folder, args.seed, cores)
    found = list(report.bars(rows, film, len(failed)))
    print("", report.table(found), "", report.kinds(rows), sep="\n")
    if film is not None:
        print("", report.costs(film), sep="\n")
    for job, why in failed.items():
        print(f"\n{job} FAILED and is not in the tables: {why}")
    if args.json:
        args.json.write_text(json.dumps(as_json(rows, failed, film, found), indent=1))
    return 1 if failed else 0


def run_jobs(chosen: list[str], folder: Path, seed: int, *, keep: bool) -> tuple[list[jobs.Row], dict[str, str]]:
    """Run each; tell how it went; go on after one that failed."""
    find, rows, failed = text_finder(), [], {}
    scenes = {name: jobs.film(name, folder, seed) for name in dict.fromkeys(job.split("-")[0] for job in chosen)}
    for job in chosen:
        clip = jobs.make(job, scenes[job.split("-")[0]], seed)
        out = clip.burned.with_suffix(".out.mp4")
        try:
            row = jobs.run(clip, out, find)
        except Failed as error:
            failed[job] = str(error)
            print(f"{job:17s} FAILED: {error}", flush=True)
            continue
        rows.append(row)
        print(report.line(row), flush=True)
        if keep:
            jobs.sheet(clip, out, folder / f"{job}.png")
    return rows, failed


def run_bounds(chosen: list[str], folder: Path, seed: int) -> list[jobs.Bound]:
    """Measure what bounds each job, without removing anything."""
    find, found = text_finder(), []
    scenes = {name: jobs.film(name, folder, seed) for name in dict.fromkeys(job.split("-")[0] for job in chosen)}
    for job in chosen:
        found.append(jobs.bound(jobs.make(job, scenes[job.split("-")[0]], seed), find))
        print(report.bound_line(found[-1]), flush=True)
    return found


def as_json(
    rows: list[jobs.Row], failed: dict[str, str], film: speed.Speed | None, found: list[report.Bar]
) -> dict[str, Any]:
    """Every figure, by name."""
    derived = ("gain_box", "gain_stroke", "flicker_ratio", "ssim_ratio", "times_real")
    parts = ("ours", "box", "stroke", "cost")
    return {
        "bars": [bar._asdict() for bar in found],
        "jobs": [
            row._asdict()
            | {name: getattr(row, name)._asdict() for name in parts}
            | {name: getattr(row, name) for name in derived}
            for row in rows
        ],
        "failed": failed,
        "film": film and film._asdict() | {name: getattr(film, name)._asdict() for name in ("text", "plain", "floor")},
    }


if __name__ == "__main__":
    sys.exit(main())
