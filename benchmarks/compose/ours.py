"""A film by vtid, in a process of its own: python -m benchmarks.compose.ours FOLDER TARGET THREADS [--crf] [--spec].

The reference job, or what a document describes that calls its files `asset:NAME` and has them beside it as NAME.mp4.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from msgspec.structs import replace

from benchmarks.compose.job import DOCUMENT, laid, make
from vtid.media import PyAVMedia


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--crf", type=float)
    parser.add_argument("--spec", type=Path)
    args = parser.parse_args()
    paths, document = (make(args.folder), DOCUMENT)
    if args.spec:
        document = json.loads(args.spec.read_text())
        named = {clip["video_url"].removeprefix("asset:") for clip in document["clips"]}
        paths = {name: args.folder / f"{name}.mp4" for name in named}
    found, overlays = laid(paths, document)
    writing = found.writing if args.crf is None else replace(found.writing, crf=args.crf)
    PyAVMedia(args.threads).compose(found.timeline(overlays), args.target, writing)


if __name__ == "__main__":
    main()
