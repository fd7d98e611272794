"""Decodes and encodes a film by vtid's own means without looking at it: what any edit of all of it costs at least.

python -m benchmarks.inpaint.floor SOURCE TARGET THREADS
"""

import sys
from pathlib import Path

from vtid.domain.rendering import EncodeOptions
from vtid.media import PyAVMedia

if __name__ == "__main__":
    source, target, threads = sys.argv[1:]
    PyAVMedia(int(threads)).rewrite(
        Path(source), Path(target), lambda frames: frames, options=EncodeOptions(quick=True)
    )
