"""Compiles `kernels.c` as the plugin is installed, if there is a C compiler; without one it does the same in NumPy.

The library needs neither Python's headers nor its version: it is called through ctypes.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "src" / "vtid_inpaint_local"
FLAGS = ["-O3", "-shared", "-fPIC", "-fno-math-errno", "-ffp-contract=off"]


def compile_kernels(package: Path = PACKAGE) -> bool:
    """Compile the package's `kernels.c` beside it.

    Returns:
        Whether there is a library now. Where there is no compiler, that is no error; where it complains, it is shown.
    """
    source, library = package / "kernels.c", package / "_kernels.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    library.unlink(missing_ok=True)
    if shutil.which(compiler[0]) is None:
        return False
    stamp = f'-DSOURCE="{sha256(source.read_bytes()).hexdigest()[:16]}"'
    part = library.with_name(f"{library.name}.{os.getpid()}.part")
    done = subprocess.run([*compiler, *FLAGS, stamp, source, "-o", part, "-lm"], capture_output=True, check=False)
    if done.returncode:
        sys.stderr.write(f"kernels.c was not compiled:\n{done.stderr.decode(errors='replace')}")
        part.unlink(missing_ok=True)
        return False
    part.replace(library)
    return True


class KernelsHook(BuildHookInterface[Any]):
    """Of wheels, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say for which machines the wheel is then."""
        if self.target_name == "wheel" and compile_kernels():
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())
