"""An ONNX file that the operator added: opened, looked at, run. ONNX Runtime behind one small face."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vtid.sdk import InvalidInput, NeedsAttention

from . import subnormal
from .arrays import Floats


class Port(NamedTuple):
    """An input or output of a network."""

    name: str
    shape: tuple[int | None, ...]
    """None where the size is free."""
    type: str

    def __str__(self) -> str:
        return f"{self.name} {'×'.join('?' if n is None else str(n) for n in self.shape)}"


class Network:
    """A network on ONNX Runtime.

    Args:
        path: of the file.
        threads: that one run may use.
        arena: keep the memory of the largest picture for good. Without, it is asked of the system anew for each.

    Raises:
        InvalidInput: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1, *, arena: bool = False) -> None:
        self._path = path
        self._session = _session(path, threads, arena=arena)
        self.inputs = tuple(map(_port, self._session.get_inputs()))
        self.outputs = tuple(map(_port, self._session.get_outputs()))

    @property
    def metadata(self) -> dict[str, str]:
        """What its maker wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, *arrays: Floats) -> Floats:
        """The first output for these inputs, in the network's own order. May be called from several threads.

        Raises:
            NeedsAttention: the network does not run.
        """
        given = {port.name: array for port, array in zip(self.inputs, arrays, strict=True)}
        try:
            with subnormal.as_zero():
                return np.asarray(self._session.run(None, given)[0])
        except Exception as error:  # the runtime's exceptions have no common base but this one
            raise NeedsAttention(f"The model {self._path} does not run: {_words(error)}") from error


def tried(network: Network, *arrays: Floats) -> Floats:
    """What the network makes of a trial's arrays.

    Raises:
        InvalidInput: it does not run on them, or makes something else than numbers.
    """
    try:
        out = network.run(*arrays)
    except NeedsAttention as error:
        shapes = ", ".join("×".join(map(str, a.shape)) for a in arrays)
        raise InvalidInput(f"The model cannot be used: it does not run on {shapes} ({error.message})") from error
    if out.dtype != np.float32 or not np.isfinite(out).all():
        raise InvalidInput("The model cannot be used: what it gives is not finite 32-bit numbers.")
    return out


def refuse_unless(fits: bool, network: Network, wanted: str) -> None:
    """Complain about a network with other inputs or outputs than its kind needs.

    Raises:
        InvalidInput: it has.
    """
    if not fits:
        takes, gives = (", ".join(map(str, ports)) or "nothing" for ports in (network.inputs, network.outputs))
        raise InvalidInput(f"The model cannot be used: {wanted}. This one takes {takes} and gives {gives}.")


def is_picture(port: Port, channels: int) -> bool:
    """Whether a port is N×channels×H×W of 32-bit numbers, one at a time."""
    return (
        port.type == "tensor(float)"
        and len(port.shape) == 4
        and port.shape[0] in (1, None)
        and port.shape[1] == channels
    )


def _session(path: Path, threads: int, *, arena: bool) -> Any:
    import onnxruntime  # noqa: PLC0415 - 0.2 s, only where a model is used

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.use_deterministic_compute = True
    # Threads that spin while they have nothing to do take the cores from whoever decodes beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(subnormal.SESSION, "1")
    options.log_severity_level = 4
    try:
        with subnormal.as_zero():
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise InvalidInput(
            f"The file cannot be loaded as an ONNX model: {_words(error)}",
            suggestion="A model is one .onnx file with its weights inside.",
        ) from error


def _words(error: Exception) -> str:
    """The first line of what the runtime says, without its own bookkeeping."""
    line = str(error).strip().splitlines()[0].rpartition(" : ")[2]
    return re.sub(r"^Load model from .* failed:\s*", "", line)[:300]


def _port(port: Any) -> Port:
    return Port(port.name, tuple(n if isinstance(n, int) else None for n in port.shape), port.type)
