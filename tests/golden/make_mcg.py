"""MCG proposal files as scipy writes and reads them; read by tests/datasets/test_mcg_file.cpp.

Files K.file (u8): "compressed" and "plain" (MATLAB 5), and "v73" (MATLAB 7.3, made with h5py as
MATLAB lays it out). "doubles" has all numbers as double, labels in a row and no scores. What all of
them say: superpixels (H, W) i32 from 1, regions i32 one list after the other, lengths i32, scores f64.
"""
import io

import h5py
import numpy as np
import scipy
from scipy.io import loadmat, savemat

from golden import save

random = np.random.default_rng(11)
height, width = 9, 13
superpixels = random.permuted(np.arange(height * width).reshape(height, width) // 2 + 1, axis=1)
lengths = random.integers(1, 40, 25)
regions = [np.sort(random.choice(superpixels.max(), n, replace=False)) + 1 for n in lengths]
regions[3] = np.array([1])
lengths[3] = 1
scores = random.random(len(regions))


def cells(dtype, shape):
    labels = np.empty(len(regions), object)
    for k, region in enumerate(regions):
        labels[k] = region.astype(dtype).reshape(1, -1)
    return labels.reshape(shape)


def v5(labels, superpixels, compressed, **others):
    buffer = io.BytesIO()
    savemat(buffer, {**others, "labels": labels, "superpixels": superpixels},
            do_compression=compressed)
    loaded = loadmat(io.BytesIO(buffer.getvalue()))
    assert np.array_equal(loaded["superpixels"], superpixels)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def v73():
    """512 bytes of header, then HDF5 whose matrices are transposed and say what class they are."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        def set_class(item, kind):  # as MATLAB does: "terminated" text without a place for the zero
            text = h5py.h5t.C_S1.copy()
            text.set_size(len(kind))
            space = h5py.h5s.create(h5py.h5s.SCALAR)
            h5py.h5a.create(item.id, b"MATLAB_class", text, space).write(np.array(kind), mtype=text)

        def matrix(group, name, values, kind):
            item = group.create_dataset(name, data=np.ascontiguousarray(values.T))
            set_class(item, kind)
            return item

        matrix(file, "superpixels", superpixels.astype(np.uint32), b"uint32")
        matrix(file, "scores", scores[:, None], b"double")
        refs = file.create_group("#refs#")
        links = [matrix(refs, f"r{k}", r.astype(np.uint32)[None, :], b"uint32").ref
                 for k, r in enumerate(regions)]
        labels = file.create_dataset("labels", (1, len(links)), dtype=h5py.ref_dtype)
        labels[0, :] = links
        set_class(labels, b"cell")
    data = bytearray(buffer.getvalue())
    header = b"MATLAB 7.3 MAT-file, made for a test".ljust(116, b" ")
    data[:128] = header + bytes(8) + b"\x00\x02IM"
    return np.frombuffer(bytes(data), np.uint8)


save("mcg", {
    "compressed.file": v5(cells(np.uint32, (-1, 1)), superpixels.astype(np.uint16), True,
                          scores=scores[:, None], bboxes=np.zeros((4, 4))),
    "plain.file": v5(cells(np.uint32, (-1, 1)), superpixels.astype(np.uint16), False,
                     scores=scores[:, None]),
    "doubles.file": v5(cells(np.float64, (1, -1)), superpixels.astype(np.float64), True),
    "v73.file": v73(),
    "superpixels": superpixels.astype(np.int32),
    "regions": np.concatenate(regions).astype(np.int32),
    "lengths": lengths.astype(np.int32),
    "scores": scores,
}, scipy=scipy.__version__, h5py=h5py.__version__)
