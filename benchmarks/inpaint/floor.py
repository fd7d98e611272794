"""Decodes and encodes a film by vtid's own means without looking at it: what any edit of all of it costs at least.

python -m benchmarks.inpaint.floor SOURCE TARGET THREADS
"""

import sys
from pathlib import Path

from vtid.media import PyAVMedia

if __name__ == "__main__":
    PyAVMedia(int(sys.argv[3])).rewrite(Path(sys.argv[1]), Path(sys.argv[2]), lambda frames: frames)
