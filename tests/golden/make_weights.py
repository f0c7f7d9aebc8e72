"""Small weights files of every container, written by PyTorch and NumPy, and what they hold.

weights_zip.pth, weights_legacy.pth: torch.save in its two containers; weights_python2.pkl,
weights_protocol0.pkl, weights_protocol4.pkl: dicts of arrays as Detectron and Detectron2 write them.
weights.safetensors: the tensors of the first two; weights_numpy.safetensors: those of the others.
"""
import collections
import pickle
import struct

import numpy as np
import torch

import golden


class Python2Pickler(pickle._Pickler):
    """Writes str and bytes as Python 2 did: one type, BINSTRING."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, obj):
        data = obj.encode("latin1") if isinstance(obj, str) else obj
        short = len(data) < 256
        self.write((b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(obj)

    dispatch[str] = save_string
    dispatch[bytes] = save_string


def torch_object():
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    state = collections.OrderedDict()
    state["module.conv.weight"] = torch.nn.Parameter(torch.randn(2, 3, 3, 5))
    state["module.f64"] = torch.randn(3, dtype=torch.float64)
    state["module.f16"] = torch.tensor([1.0, -2.5, 65504.0, 2.0**-24, float("-inf")]).half()
    state["module.bf16"] = torch.tensor([1.0, -3.140625, 3e38]).bfloat16()
    state["module.i32"] = torch.tensor([[-(2**31), 2**31 - 1]], dtype=torch.int32)
    state["module.i64"] = torch.tensor([-(2**63), 2**63 - 1])
    state["module.u8"] = torch.arange(250, 256, dtype=torch.uint8)
    state["module.bool"] = torch.tensor([True, False, True])
    state["module.scalar"] = torch.tensor(7)
    state["module.empty"] = torch.zeros(0, 3)
    state["module.base"] = base
    state["module.transposed"] = base.t()
    state["module.part"] = base[1:3, 2:5]
    state["module.stepped"] = base[::2, 1::3]
    state["module.expanded"] = base[2:3, 1:2].expand(3, 2)
    return {"state_dict": state, "epoch": 12, "best": 91.78, "name": "small", "nothing": None,
            "optimizer": {"state": {0: {"momentum": torch.ones(2)}}, "lr": [0.1, True]},
            "shape": torch.Size([2, 3])}


def flat(value, name=""):
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{name}{key}.").items()}
    if not isinstance(value, torch.Tensor):
        return {}
    value = value.detach()
    value = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    value = value.byte() if value.dtype == torch.bool else value
    return {name[:-1]: value.numpy()}


def arrays():
    r = np.random.RandomState(0)
    return {"conv1_w": r.randn(2, 3, 3, 3).astype("f4"), "conv1_b": r.randn(2),
            "fortran": np.asfortranarray(r.randn(3, 4, 2).astype("f4")),
            "i4": np.array([-1, 2**31 - 1], "i4"), "i8": np.array([[2**40]], "i8"),
            "u1": np.arange(256, dtype="u1"), "f2": np.array([0.5, -3], "f2"),
            "b1": np.array([True, False]), "scalar_shaped": np.float32([5]).reshape(())}


def main():
    obj, blobs = torch_object(), arrays()
    torch.save(obj, golden.FOLDER / "weights_zip.pth")
    torch.save(obj, golden.FOLDER / "weights_legacy.pth", _use_new_zipfile_serialization=False)
    golden.save("weights", flat(obj), torch=torch.__version__)

    with open(golden.FOLDER / "weights_python2.pkl", "wb") as file:
        Python2Pickler(file, 2).dump({"blobs": blobs, "cfg": "TRAIN: x" * 40})
    for protocol in (0, 4):
        with open(golden.FOLDER / f"weights_protocol{protocol}.pkl", "wb") as file:
            pickle.dump({"model": blobs, "__author__": "it's\n\u00e9 \\ me", "acc": np.float64(0.5),
                         "matching_heuristics": True, "n": -5, "big": 2**40, "x": 1e-3}, file, protocol)
    golden.save("weights_numpy", {k: v.astype("f4") if v.dtype == "f2" else v.astype("u1") if v.dtype == "?"
                                  else v for k, v in blobs.items()})


if __name__ == "__main__":
    main()
