"""pydensecrf on the picture and the probabilities of bench/bench_crf.cpp; one thread, as it has."""
import time

import numpy as np
from pydensecrf import densecrf

SETTINGS = {2: 80, 21: 67}  # labels: sigma of the appearance kernel in pixels


def read_ppm(path):
    with open(path, "rb") as file:
        data = file.read()
    _, size, _, pixels = data.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def bumps(height, width, labels):
    y, x = np.mgrid[:height, :width]
    rows = [0.02 + np.exp(-((x - (l * 97 + 31) % width) ** 2 + (y - (l * 57 + 43) % height) ** 2) / 5000)
            for l in range(labels)]
    p = np.stack(rows)
    return (p / p.sum(0)).astype(np.float32)


def once_ms(image, unary, sigma_px):
    height, width, _ = image.shape
    start = time.perf_counter()
    crf = densecrf.DenseCRF2D(width, height, unary.shape[0])
    crf.setUnaryEnergy(unary)
    crf.addPairwiseGaussian(sxy=1, compat=3)
    crf.addPairwiseBilateral(sxy=sigma_px, srgb=3, rgbim=image, compat=4)
    crf.inference(10)
    return 1e3 * (time.perf_counter() - start)


def compare(ours):
    image = read_ppm(ours["picture"]).copy()  # pydensecrf wants memory that could be written
    print("\ndense CRF, set-up included: ours on one and on all threads, pydensecrf on its one")
    print(f"{'labels':<10} {'ours ms':>10} {'all ms':>10} {'peer ms':>10} {'ratio':>7} {'all':>7}")
    for labels, sigma_px in SETTINGS.items():
        p = np.maximum(bumps(*image.shape[:2], labels), 1e-5)
        unary = np.ascontiguousarray(-np.log(p).reshape(labels, -1))
        once_ms(image, unary, sigma_px)
        theirs = sorted(once_ms(image, unary, sigma_px) for _ in range(5))[2]
        one = ours[f"labels_{labels}_one_thread"]["median_ms"]
        every = ours[f"labels_{labels}"]["median_ms"]
        print(f"{labels:<10} {one:>10.1f} {every:>10.1f} {theirs:>10.1f} {theirs / one:>7.2f} "
              f"{theirs / every:>7.2f}   (target 2 per thread)")
