"""Pseudo labels of both presets (METHOD A7) by numpy and pydensecrf, for generated pictures.

Pictures and maps come from formulas that test_pseudo_label_golden.cpp repeats, so that only masks
are stored, eight pixels to a byte. Everything before and after the CRF is written out here from
the method, in double.
"""
import numpy as np
import pydensecrf.densecrf as densecrf

import golden

HEIGHT, WIDTH = 300, 400
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
FILLS = [0.7, 0.8, 0.9, 0.95, 0.96]
LARGE_BOX = (88, 38, 312, 262)
# Pictures and boxes without a map. Of the second the fills cover 0, 17, 23 and 92 %.
BOXES_WITHOUT_MAP = [(112, LARGE_BOX), (90, (250, 60, 350, 160)), (60, (200, 150, 312, 262))]
# Under 1/10 of the image; its fills cover 0, 0, 29 and 93 %.
SMALL_BOX = (112, (250, 60, 350, 160))


def disc_picture(inner):
    """Dark within `inner` pixels of the middle, bright beyond 112, a slope between."""
    d2 = (ROWS - 150) ** 2 + (COLUMNS - 200) ** 2
    slope = 60 + 130 * (d2 - inner**2) // max(112**2 - inner**2, 1)
    level = np.where(d2 < inner**2, 60, np.where(d2 >= 112**2, 190, slope))
    texture = [(ROWS * 7 + COLUMNS * 3 + c) % 4 for c in range(3)]
    return np.stack([level + t for t in texture], -1).astype(np.uint8)


def hill_map(at=(185, 140)):
    """12 x 16 cells of 25 pixels, highest at (x, y): above and left of the disc's middle."""
    y, x = np.mgrid[:12, :16] * 25 + 12.5
    return 0.4 * np.exp(-((y - at[1]) ** 2 + (x - at[0]) ** 2) / (2.0 * 90**2))


def resize_axis(values, out):
    """Bilinear along axis 0, with half-pixel corners."""
    n = values.shape[0]
    at = ((np.arange(out) + 0.5) * n / out - 0.5).clip(0, n - 1)
    low = np.minimum(at.astype(int), n - 2)
    share = (at - low)[:, None]
    return values[low] * (1 - share) + values[low + 1] * share


def in_box(values, box):
    x0, y0, x1, y1 = box
    inside = (COLUMNS >= x0) & (COLUMNS < x1) & (ROWS >= y0) & (ROWS < y1)
    return np.where(inside, values, 0.0)


def at_image_size(coarse):
    return resize_axis(resize_axis(coarse, HEIGHT).T, WIDTH).T


def rescaled_inside(box):
    full = at_image_size(hill_map())
    inside = full[box[1]:box[3], box[0]:box[2]]
    return in_box((full - inside.min()) / (inside.max() - inside.min()), box)


def rescaled_whole(coarse, box):
    coarse = (coarse - coarse.min()) / (coarse.max() - coarse.min())
    return in_box(at_image_size(coarse), box)


def rank_normalised(values, box):
    """Half of the pixels' share below plus half of the share not above."""
    inside = values[box[1]:box[3], box[0]:box[2]].ravel()
    ordered = np.sort(inside)
    below = np.searchsorted(ordered, inside, "left")
    not_above = np.searchsorted(ordered, inside, "right")
    ranks = np.zeros((HEIGHT, WIDTH))
    shape = (box[3] - box[1], box[2] - box[0])
    ranks[box[1]:box[3], box[0]:box[2]] = ((below + not_above) / (2.0 * inside.size)).reshape(shape)
    return ranks


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def divided_by_rank(values, box, theta):
    at_rank = np.sort(values.ravel())[::-1][int(area(box) * (1 - theta))]
    return np.minimum(values / at_rank, 1)


def blurred(values, box):
    # 500: the long side of VOC's photographs, for whose pixels the constants are.
    sigma = int((16 + 48 * np.sqrt(area(box) / (HEIGHT * WIDTH))) * max(HEIGHT, WIDTH) / 500)
    taps = np.exp(-0.5 * (np.arange(-sigma, sigma + 1) / sigma) ** 2)
    taps /= taps.sum()
    padded = np.pad(values, sigma, mode="reflect")
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, taps, "valid")
    return padded


def refined(picture, probability):
    energies = -np.log(np.maximum(np.stack([1 - probability, probability]), 1e-5))
    crf = densecrf.DenseCRF2D(WIDTH, HEIGHT, 2)
    crf.setUnaryEnergy(np.ascontiguousarray(energies.reshape(2, -1), np.float32))
    crf.addPairwiseGaussian(sxy=1, compat=3)
    crf.addPairwiseBilateral(sxy=80, srgb=3, rgbim=picture.copy(), compat=4)
    return np.array(crf.inference(10))[1].reshape(HEIGHT, WIDTH)


def paper(picture, box):
    probability = refined(picture, rank_normalised(rescaled_inside(box), box))
    return probability > 0.8, (probability >= 0.2) & ~(probability > 0.8)


def authors(picture, box, coarse):
    inside = []
    for theta in (0.85, 0.2):
        ranked = divided_by_rank(rescaled_whole(coarse, box), box, theta)
        start = in_box(blurred(ranked, box), box)
        mask = refined(picture, (start - start.min()) / start.max()) > 0.9
        if mask.sum() < area(box) / 5 and area(box) < HEIGHT * WIDTH / 10:
            print("theta", theta, "covers", mask.sum(), "of", area(box), "at first")
            mask = filled(picture, box, FILLS, 1 / 3, certain=mask)[0]
        inside.append(mask)
    return inside[0], inside[1] & ~inside[0]


def filled(picture, box, fills, enough, certain=False):
    """The chosen mask, its fill's index, and the pixels that each fill would leave."""
    starts = [np.where(certain, 1.0, in_box(fill, box)) for fill in fills]
    masks = [refined(picture, start) > 0.9 for start in starts]
    covered = [mask.sum() for mask in masks]
    chosen = next((k for k, n in enumerate(covered) if n > enough * area(box)), len(fills) - 1)
    return masks[chosen], chosen, covered


def main():
    arrays = {}

    def store(name, masks):
        for part, mask in zip(("foreground", "ignore"), masks):
            changes = np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0))
            arrays[f"{name}.{part}"] = changes.astype(np.int32)
            print(name, part, mask.sum())

    for inner in (112, 60):
        store(f"paper_{inner}", paper(disc_picture(inner), LARGE_BOX))
        store(f"authors_{inner}", authors(disc_picture(inner), LARGE_BOX, hill_map()))
    # A small box whose map leaves a small mask, which a second attempt keeps and extends.
    store("second_attempt", authors(disc_picture(60), SMALL_BOX[1], hill_map((330, 80))))
    cases = [(inner, box, FILLS[:4], 1 / 5) for inner, box in BOXES_WITHOUT_MAP]
    cases.append((*SMALL_BOX, FILLS, 1 / 3))
    for k, (inner, box, fills, enough) in enumerate(cases):
        mask, chosen, covered = filled(disc_picture(inner), box, fills, enough)
        store(f"filled_{k}", [mask])
        arrays[f"filled_{k}.chosen"] = np.array([chosen], np.int64)
        print(box, "fill", fills[chosen], [round(n / area(box), 3) for n in covered])
    golden.save("pseudo_label", arrays, pydensecrf="1.0, lucasb-eyer/pydensecrf 2723c7f")


if __name__ == "__main__":
    main()
