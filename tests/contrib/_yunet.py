"""A model of the kind YuNet in a few hundred bytes: its faces are what is red, in cells of 32 pixels.

OpenCV's own models come with no package. This one is ONNX, written field by field, so that the real detector
reads it and does all that it does with any other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_STRIDES = (8, 16, 32)
#: Outputs, and how many numbers there are to a cell: of being a face twice, its box, eyes and nose and mouth.
_HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
#: What tells red from all else; and half a cell, so that the box lies on its cell.
_RED, _THRESHOLD, _HALF = (-0.005, 0.0, 0.005), -0.275, 0.5
_FLOAT, _INT64 = 1, 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, dims: Sequence[int], values: Sequence[float]) -> bytes:
    is_shape = len(dims) == 1 and name.startswith("shape")
    kind, code = (_INT64, "q") if is_shape else (_FLOAT, "f")
    raw = struct.pack(f"<{len(values)}{code}", *values)
    return b"".join(_field(1, dim) for dim in dims) + (
        _field(2, kind) + _field(8, name) + _field(9, raw)
    )


def _ints(name: str, *values: int) -> bytes:
    packed = b"".join(_field(8, value) for value in values)
    return _field(5, _field(1, name) + packed + _field(20, 7))


def _node(operator: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    named = b"".join(_field(1, name) for name in inputs)
    return _field(1, named + _field(2, output) + _field(4, operator) + b"".join(attributes))


def _port(name: str, *dims: int) -> bytes:
    shape = b"".join(_field(1, _field(1, dim)) for dim in dims)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))


def _head(head: str, stride: int) -> tuple[bytes, bytes, bytes]:
    """Return nodes, tensors and the output of one head for cells of so many pixels."""
    name, size = f"{head}_{stride}", _HEADS[head]
    is_score = size == 1
    weights = (_RED if is_score and stride == 32 else (0.0, 0.0, 0.0)) * size
    bias = (
        [_THRESHOLD] if is_score else [_HALF, _HALF, 0.0, 0.0] if head == "bbox" else [0.0] * size
    )
    nodes = [
        _node(
            "Conv",
            [f"cells_{stride}", f"w_{name}", f"b_{name}"],
            f"conv_{name}",
            _ints("kernel_shape", 1, 1),
        ),
    ]
    before = f"conv_{name}"
    if is_score:
        nodes.append(_node("Relu", [before], f"relu_{name}"))
        before = f"relu_{name}"
    nodes.append(_node("Transpose", [before], f"last_{name}", _ints("perm", 0, 2, 3, 1)))
    nodes.append(_node("Reshape", [f"last_{name}", f"shape_{name}"], name))
    tensors = [
        _tensor(f"w_{name}", (size, 3, 1, 1), weights),
        _tensor(f"b_{name}", (size,), bias),
        _tensor(f"shape_{name}", (3,), (1, -1, size)),
    ]
    output = _field(12, _port(name, 1, (320 // stride) ** 2, size))
    return b"".join(nodes), b"".join(_field(5, each) for each in tensors), output


def make_yunet() -> bytes:
    """Return the model, as its file has it."""
    nodes = tensors = outputs = b""
    for stride in _STRIDES:
        sides = _ints("kernel_shape", stride, stride), _ints("strides", stride, stride)
        nodes += _node("AveragePool", ["input"], f"cells_{stride}", *sides)
    for head in _HEADS:
        for stride in _STRIDES:
            more = _head(head, stride)
            nodes, tensors, outputs = nodes + more[0], tensors + more[1], outputs + more[2]
    graph = (
        nodes + _field(2, "faces") + tensors + _field(11, _port("input", 1, 3, 320, 320)) + outputs
    )
    return _field(1, 7) + _field(7, graph) + _field(8, _field(2, 13))
