"""Tiny ONNX files, byte by byte: what the tests of models need of the format, so that they need no package for it.

Field numbers are those of onnx.proto3 (github.com/onnx/onnx); the wire format is protobuf's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FLOAT, DOUBLE = 1, 11
Shape = Sequence[int | str]


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _port(name: str, shape: Shape, type_: int) -> bytes:
    dims = b"".join(_field(1, _field(1, n) if isinstance(n, int) else _field(2, n)) for n in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, type_) + _field(2, dims)))


def _constant(name: str, values: Any) -> bytes:
    array = np.asarray(values, np.float32)
    dims = b"".join(_field(1, n) for n in array.shape)
    return dims + _field(2, FLOAT) + _field(8, name) + _field(9, array.tobytes())


def _attribute(name: str, value: Sequence[int] | int) -> bytes:
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    return _field(1, name) + b"".join(_field(8, n) for n in value) + _field(20, 7)


def node(op: str, inputs: str, output: str, **attributes: Sequence[int] | int) -> bytes:
    """One operation; `inputs` are names with spaces between."""
    named = b"".join(_field(1, name) for name in inputs.split()) + _field(2, output) + _field(4, op)
    return named + b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())


def write(
    path: Path,
    nodes: Sequence[bytes],
    inputs: dict[str, Shape],
    outputs: dict[str, Shape],
    constants: dict[str, Any],
    *,
    type_: int = FLOAT,
) -> Path:
    """A model of these operations, in their order; a size that is a text is free."""
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, "tiny")
    graph += b"".join(_field(5, _constant(name, values)) for name, values in constants.items())
    graph += b"".join(_field(11, _port(name, shape, type_)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _port(name, shape, type_)) for name, shape in outputs.items())
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(2, 13)))
    return path


def inpainter(
    path: Path,
    colour: tuple[float, float, float],
    *,
    size: Shape = ("h", "w"),
    white: float = 1,
    mask_first: bool = False,
) -> Path:
    """Paints what is masked in one colour (R, G, B in 0..1)."""
    ports: dict[str, Shape] = {"image": (1, 3, *size), "mask": (1, 1, *size)}
    return write(
        path,
        [
            node("Sub", "one mask", "known"),
            node("Mul", "image known", "kept"),
            node("Mul", "colour mask", "new"),
            node("Add", "kept new", "mixed"),
            node("Mul", "mixed white", "out"),
        ],
        dict(reversed(ports.items())) if mask_first else ports,
        {"out": (1, 3, *size)},
        {"one": [1.0], "white": [white], "colour": np.reshape(np.array(colour), (1, 3, 1, 1))},
    )


def detector(path: Path, *, size: Shape = ("h", "w"), level: float = 0.8, reach: int = 15) -> Path:
    """Takes what is brighter than `level` (of -1..1) for text, and joins what is nearer in its row than `reach` pixels."""
    return write(
        path,
        [
            node("Conv", "x mean", "grey"),
            node("MaxPool", "grey", "wide", kernel_shape=[1, reach], pads=[0, reach // 2] * 2),
            node("Sub", "wide level", "above"),
            node("Mul", "above steep", "steeper"),
            node("Sigmoid", "steeper", "out"),
        ],
        {"x": ("n", 3, *size)},
        {"out": ("n", 1, *size)},
        {"mean": np.full((1, 3, 1, 1), 1 / 3), "level": [level], "steep": [40.0]},
    )
