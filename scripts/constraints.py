"""Write constraints.txt anew: the newest versions that pyproject.toml allows, the same on every Python.

`make constraints`. It needs each Python that vtid supports on the PATH. What pip chooses on the oldest is held on the
others, which may only add what they alone need, with an environment marker; where they cannot take a version, pip says
so here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = "dev,otio,postgres,redis"
ALSO = ('async-timeout==5.0.1 ; python_full_version < "3.11.3"',)
"""What only earlier patch releases need: asyncpg and redis ask for it there, and Debian 12 has Python 3.11.2."""
HEADER = f"""\
# The exact versions that vtid is built and tested with, on Python {", ".join(PYTHONS)}.
# Made by `make constraints`, which asks pip for the newest that pyproject.toml allows; do not edit.
# The extra `easyocr` is not in here: which build of torch is right depends on the machine.
"""


def main() -> None:
    """Freeze the oldest, then the others under what it gave; write."""
    pins: list[str] = [*ALSO]
    for version in PYTHONS:
        known = {pin.partition("==")[0] for pin in pins}
        added = [pin for pin in freeze(version, pins) if pin.partition("==")[0] not in known]
        pins += added if version == PYTHONS[0] else [f'{pin} ; python_version >= "{version}"' for pin in added]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(sorted(pins)) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(pins)} versions")


def freeze(version: str, held: list[str]) -> list[str]:
    """`name==version` of all that an installation on that Python consists of."""
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        sys.exit(f"constraints: python{version} is not on the PATH; all of {', '.join(PYTHONS)} are needed.")
    with tempfile.TemporaryDirectory(prefix="vtid-constraints-") as folder:
        constraints = Path(folder, "held.txt")
        constraints.write_text("\n".join(held), encoding="utf-8")
        subprocess.run([python, "-m", "venv", f"{folder}/venv"], check=True)
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "--constraint", constraints, f"{ROOT}[{EXTRAS}]"], check=True)
        told = subprocess.run([*pip, "freeze", "--exclude", "vtid"], check=True, capture_output=True, text=True)
    return [line.lower().replace("_", "-") for line in told.stdout.splitlines() if "==" in line]


if __name__ == "__main__":
    main()
