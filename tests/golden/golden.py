"""Writes golden files: safetensors with provenance, read by tests/golden.h.

The scripts of this folder are run by hand (make golden) where the oracle is installed; the tests
only read what they wrote. Arrays are numpy; every file says which script and versions made it.
"""
import json
import pathlib
import struct
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).parent
TYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8"}


def save(name, arrays, **versions):
    """arrays: name -> numpy array; versions: the oracles used, e.g. torch="1.13.1"."""
    header, blobs, offset = {}, [], 0
    provenance = {"script": pathlib.Path(sys.argv[0]).name, "numpy": np.__version__, **versions}
    header["__metadata__"] = {k: str(v) for k, v in provenance.items()}
    for key in sorted(arrays):
        array = np.asarray(arrays[key])
        shape, array = list(array.shape), np.ascontiguousarray(array)
        blob = array.tobytes()
        header[key] = {"dtype": TYPES[array.dtype.name], "shape": shape,
                       "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")
