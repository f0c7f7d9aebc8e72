"""Marginals of pydensecrf, for a generated picture and for photographs at a sample of pixels.

Unary energies come from a formula over the integers that test_dense_crf.cpp repeats, so that only
marginals need to be stored. The photographs are not stored; their cases are made where
$BBAM_SHARED (or ../shared) has them.
"""
import os
import pathlib

import numpy as np
import pydensecrf.densecrf as densecrf
from PIL import Image

import golden

GOLDEN_RATIO = 0x9E3779B97F4A7C15
PHOTOGRAPHS = ["2008_001885", "2009_004316"]  # a smooth and a textured one


def mix_bits(x):
    x = np.asarray(x, np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def random_bits(seed, salt, k):
    """tensor/random.h: Random(seed, salt).bits(k)."""
    with np.errstate(over="ignore"):
        step = np.uint64(GOLDEN_RATIO)
        key = mix_bits(np.uint64(seed) + step * mix_bits([salt + 1]))
        return mix_bits(key + step * (np.asarray(k, np.uint64) + np.uint64(1)))


def unary_energies(height, width, labels):
    """Low around a centre of each label, with noise; multiples of 1/64 from 0 to 5."""
    k = np.arange(labels)
    centre_x = (random_bits(7, 1, 2 * k) % np.uint64(width)).astype(np.int64)
    centre_y = (random_bits(7, 1, 2 * k + 1) % np.uint64(height)).astype(np.int64)
    noise = random_bits(7, 2, np.arange(height * width * labels)) >> np.uint64(57)
    y, x, l = np.meshgrid(np.arange(height), np.arange(width), k, indexing="ij")
    distance = (x - centre_x[l]) ** 2 + (y - centre_y[l]) ** 2
    pull = np.minimum(192, distance * 192 // (width * width // 16))
    energy = (noise.reshape(height, width, labels).astype(np.int64) + pull) / 64.0
    return energy.astype(np.float32)


def generated_picture(height, width):
    y, x = np.mgrid[:height, :width]
    noise = random_bits(3, 1, np.arange(height * width * 3)).reshape(height, width, 3)
    picture = np.stack([60 + x, 200 - 2 * y, 90 + (x + y) // 2], -1)
    picture[(x - 20) ** 2 + (y - 22) ** 2 < 150] = (200, 60, 40)
    picture[10:30, 38:52] = (30, 90, 190)
    return (picture + (noise % np.uint64(12)).astype(np.int64)).clip(0, 255).astype(np.uint8)


def marginals(picture, labels, sigma_xy, iterations=10):
    height, width = picture.shape[:2]
    unary = unary_energies(height, width, labels)
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(-1, labels).T))
    crf.addPairwiseGaussian(sxy=1, compat=3)
    crf.addPairwiseBilateral(sxy=sigma_xy, srgb=3, rgbim=picture.copy(), compat=4)
    return np.array(crf.inference(iterations), np.float32).T  # (H W, L)


def main():
    arrays = {"picture": generated_picture(45, 60)}
    arrays["pixels"] = np.arange(0, 45 * 60, 3, dtype=np.int64)
    for labels, sigma in ((2, 80), (21, 67)):
        result = marginals(arrays["picture"], labels, sigma)
        arrays[f"marginals_{labels}"] = result[arrays["pixels"]]

    folder = pathlib.Path(os.environ.get("BBAM_SHARED", "../shared"))
    for name in PHOTOGRAPHS:
        path = folder / "data/voc2012_subset/JPEGImages" / f"{name}.jpg"
        picture = np.asarray(Image.open(path).convert("RGB"))
        pixels = random_bits(5, 1, np.arange(500)) % np.uint64(picture.shape[0] * picture.shape[1])
        arrays[f"{name}.pixels"] = pixels.astype(np.int64)
        arrays[f"{name}.sum"] = np.array([picture.sum()], np.int64)
        for labels, sigma in ((2, 80), (21, 67)):
            result = marginals(picture, labels, sigma)
            arrays[f"{name}.marginals_{labels}"] = result[arrays[f"{name}.pixels"]]
    golden.save("dense_crf", arrays,
                pydensecrf="1.0, lucasb-eyer/pydensecrf 2723c7f", pillow=Image.__version__)


if __name__ == "__main__":
    main()
