"""Golden numbers for the evaluators: pycocotools for run-length masks and COCO AP, plain numpy
loops written after the definitions for VOC AP, mean IoU and average best overlap.

    python tests/golden/make_metrics.py        (needs numpy and pycocotools)

Everything is drawn from one fixed seed. Lists of texts are stored as one u8 array and the offset
of each text's end.
"""
import contextlib
import importlib.metadata
import io

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import golden

PYCOCOTOOLS = importlib.metadata.version("pycocotools")
rng = np.random.default_rng(20210620)


def pack_texts(texts):
    data = b"".join(texts)
    ends = np.cumsum([len(t) for t in texts])
    return np.frombuffer(data, np.uint8), ends.astype(np.int64)


def blob_polygon(height, width, size, center=None):
    """A wobbly closed outline, often partly outside the image."""
    vertices = int(rng.integers(3, 16))
    angle = np.sort(rng.random(vertices)) * 2 * np.pi
    radius = size / 2 * rng.uniform(0.5, 1.2, vertices)
    cx, cy = center if center is not None else rng.random(2) * [width, height]
    return np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], 1).ravel()


def clean_rle(polygon, height, width):
    return coco_mask.frPyObjects([list(polygon)], height, width)[0]


# ---------------------------------------------------------------- run-length masks

def make_rle():
    polygons, sizes, rles = [], [], []
    for i in range(120):
        height, width = (int(v) for v in (rng.integers(1, 90, 2) if i % 6 else rng.integers(1, 5, 2)))
        polygon = blob_polygon(height, width, rng.uniform(1, 120))
        if i % 3 == 1:
            polygon = np.round(polygon)  # corners on whole pixels
        if i % 3 == 2:
            polygon = np.round(polygon, 1)  # on the fine grid, where rounding matters
        if i % 5 == 0:
            polygon = rng.permutation(polygon)  # crosses itself
        polygons.append(polygon)
        sizes.append((height, width))
        rles.append(clean_rle(polygon, height, width))
    boxes = np.round(rng.normal(20, 20, (40, 4)), 1)
    boxes[:, 2:] = np.abs(boxes[:, 2:])
    boxes[::2] = np.round(boxes[::2])
    box_rles = coco_mask.frPyObjects(boxes, 40, 50)

    # Random pixels, from empty to full.
    pixels = np.stack([rng.random((23, 31)) < p for p in (0, 0.02, 0.3, 0.5, 0.9, 1)]).astype(np.uint8)
    pixel_rles = coco_mask.encode(np.asfortranarray(pixels.transpose(1, 2, 0)))

    # IoU and merges among masks of one image, with some crowds.
    a = [clean_rle(blob_polygon(60, 80, s, (40, 30)), 60, 80) for s in rng.uniform(5, 90, 12)]
    b = [clean_rle(blob_polygon(60, 80, s), 60, 80) for s in rng.uniform(5, 90, 9)]
    crowd = np.arange(9) % 3 == 0
    merges = [coco_mask.merge([a[i], a[i + 1], b[i]], intersect=k) for i in range(9) for k in (0, 1)]

    arrays = {}
    for name, group in (("polygon", rles), ("box", box_rles), ("pixel", pixel_rles), ("a", a), ("b", b),
                        ("merge", merges)):
        arrays[name + ".texts"], arrays[name + ".text_ends"] = pack_texts([r["counts"] for r in group])
        arrays[name + ".area"] = coco_mask.area(group).astype(np.int64)
        arrays[name + ".xywh"] = np.asarray(coco_mask.toBbox(group)).astype(np.int64)
    arrays |= {
        "polygon.xy": np.concatenate(polygons), "polygon.sizes": np.array(sizes, np.int64),
        "polygon.ends": np.cumsum([len(p) for p in polygons]).astype(np.int64),
        "box.input": boxes, "pixel.input": pixels,
        "crowd": crowd.astype(np.uint8), "iou": coco_mask.iou(a, b, list(crowd.astype(int))),
    }
    golden.save("metrics_rle", arrays, pycocotools=PYCOCOTOOLS)


# ---------------------------------------------------------------- COCO AP

CATEGORIES = (1, 3, 18, 44, 90)  # 44 has no objects, 90 has no detections
CROWDED = 140  # the image with more detections of one category than the limit of 100


def coco_scene():
    """Objects with polygons and detections that are shifted, resized or misnamed copies of them."""
    objects, detections = [], []
    images = [int(i) for i in rng.permutation(np.arange(1, 400, 6))[:48]] + [CROWDED]
    sizes = {image: (int(rng.integers(90, 170)), int(rng.integers(90, 220))) for image in images}
    for image in images:
        height, width = sizes[image]
        for _ in range(int(rng.integers(0, 7))):
            category = int(rng.choice([1, 1, 3, 18, 90]))
            size = float(np.exp(rng.uniform(np.log(8), np.log(160))))
            center = rng.uniform(0.1, 0.9, 2) * [width, height]
            polygon = np.round(blob_polygon(height, width, size, center), 2)
            rle = clean_rle(polygon, height, width)
            if coco_mask.area(rle) == 0:
                continue
            kind = rng.random()
            objects.append(dict(image_id=image, category_id=category, rle=rle, size=(height, width),
                                crowd=kind < 0.12, ignore=0.12 < kind < 0.2,
                                area=float(coco_mask.area(rle)) * rng.uniform(0.95, 1.05)))
            for _ in range(int(rng.choice([0, 1, 1, 2, 3]))):
                noise = rng.choice([0.02, 0.1, 0.25])
                moved = (polygon.reshape(-1, 2) - center) * rng.normal(1, noise, 2)
                moved = moved + center + rng.normal(0, noise * size / 2, 2)
                detections.append((image, category if rng.random() < 0.9 else 44, moved.ravel(), noise))
        for _ in range(int(rng.integers(0, 4))):
            polygon = blob_polygon(height, width, rng.uniform(8, 100))
            detections.append((image, int(rng.choice([1, 3, 18])), polygon, 0.5))
    for _ in range(130):
        polygon = blob_polygon(*sizes[CROWDED], rng.uniform(4, 20))
        detections.append((CROWDED, 3, polygon, 0.5))
    results = []
    for k in rng.permutation(len(detections)):
        image, category, polygon, noise = detections[k]
        rle = clean_rle(polygon, *sizes[image])
        if coco_mask.area(rle) > 0 and category != 90:
            # One decimal only: many scores are equal.
            score = round(float(np.clip(rng.normal(0.9 - noise, 0.2), 0, 1)), 1)
            results.append(dict(image_id=image, category_id=category, score=score, rle=rle))
    return images, sizes, objects, results


def run_pycocotools(kind, images, sizes, objects, results, thresholds):
    def rle_dict(entry):
        return {"size": entry["rle"]["size"], "counts": entry["rle"]["counts"]}

    truth = COCO()
    truth.dataset = {
        "info": {}, "categories": [{"id": c} for c in CATEGORIES],
        "images": [{"id": i, "height": sizes[i][0], "width": sizes[i][1]} for i in images],
        # pycocotools has no way to ignore an object but its area; this one is in no range.
        "annotations": [dict(id=k + 1, image_id=o["image_id"], category_id=o["category_id"],
                             iscrowd=int(o["crowd"]), segmentation=rle_dict(o),
                             area=1e11 if o["ignore"] else o["area"], bbox=o["bbox"])
                        for k, o in enumerate(objects)],
    }
    geometry = (lambda r: {"bbox": r["bbox"]}) if kind == "bbox" else (lambda r: {"segmentation": rle_dict(r)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([dict(image_id=r["image_id"], category_id=r["category_id"],
                                    score=r["score"], **geometry(r)) for r in results])
        evaluation = COCOeval(truth, found, kind)
        evaluation.params.iouThrs = thresholds
        evaluation.evaluate()
        evaluation.accumulate()
        if len(thresholds) == 10:
            evaluation.summarize()
    return evaluation


def make_coco():
    images, sizes, objects, results = coco_scene()
    for entry in objects + results:
        exact = coco_mask.toBbox(entry["rle"])
        jitter = 0 if rng.random() < 0.5 else rng.uniform(-0.5, 0.5, 4)
        entry["bbox"] = [float(v) for v in np.round(exact + jitter, 2)]
    arrays = {}
    for name, group in (("object", objects), ("detection", results)):
        arrays[name + ".texts"], arrays[name + ".text_ends"] = pack_texts([e["rle"]["counts"] for e in group])
        arrays[name + ".sizes"] = np.array([e["rle"]["size"] for e in group], np.int64)
        arrays[name + ".xywh"] = np.array([e["bbox"] for e in group])
        arrays[name + ".ids"] = np.array([(e["image_id"], e["category_id"]) for e in group], np.int64)
    arrays["object.area"] = np.array([o["area"] for o in objects])
    arrays["object.crowd_ignore"] = np.array([(o["crowd"], o["ignore"]) for o in objects], np.uint8)
    arrays["detection.score"] = np.array([r["score"] for r in results])
    standard = np.linspace(0.5, 0.95, 10)
    for kind in ("bbox", "segm"):
        case = (kind, images, sizes, objects, results)
        arrays[kind + ".stats"] = np.asarray(run_pycocotools(*case, standard).stats)
        evaluation = run_pycocotools(*case, np.concatenate([[0.25], standard])).eval
        arrays[kind + ".ap"] = evaluation["precision"].mean(axis=1)  # over the recalls
        arrays[kind + ".recall"] = evaluation["recall"]
    arrays["iou_thresholds"] = standard
    arrays["categories"] = np.array(CATEGORIES, np.int64)
    print(len(objects), "objects,", len(results), "detections; AP", arrays["bbox.stats"][0],
          arrays["segm.stats"][0])
    golden.save("metrics_coco", arrays, pycocotools=PYCOCOTOOLS)


# ---------------------------------------------------------------- VOC AP

def voc_class_ap(objects, detections, threshold, extra):
    """objects: image, box, difficult; detections: image, score, box. Both rules, and the count."""
    order = np.argsort([-d[1] for d in detections], kind="stable")
    count = sum(not o[2] for o in objects)
    found, tp, fp = set(), [], []
    for image, _, box in (detections[i] for i in order):
        best, best_iou = None, -1.0
        for k, (other, truth, _) in enumerate(objects):
            if other != image:
                continue
            w = min(box[2], truth[2]) - max(box[0], truth[0]) + extra
            h = min(box[3], truth[3]) - max(box[1], truth[1]) + extra
            if w > 0 and h > 0:
                union = ((box[2] - box[0] + extra) * (box[3] - box[1] + extra)
                         + (truth[2] - truth[0] + extra) * (truth[3] - truth[1] + extra) - w * h)
                if w * h / union > best_iou:
                    best, best_iou = k, w * h / union
        hit = best is not None and best_iou >= threshold
        if hit and objects[best][2]:
            tp.append(0), fp.append(0)
        else:
            tp.append(int(hit and best not in found)), fp.append(1 - tp[-1])
            if hit:
                found.add(best)
    if count == 0:
        return 0, -1.0, -1.0
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    recall, precision = tp / count, tp / np.maximum(tp + fp, 1)
    eleven = sum(precision[recall >= t].max(initial=0.0) for t in np.arange(0.0, 1.1, 0.1)) / 11
    recall = np.concatenate([[0], recall, [1]])
    envelope = np.maximum.accumulate(np.concatenate([[0], precision, [0]])[::-1])[::-1]
    steps = np.nonzero(np.diff(recall))[0] + 1
    return count, float(eleven), float(((recall[steps] - recall[steps - 1]) * envelope[steps]).sum())


def make_voc():
    objects, detections = [], []  # image, class, difficult, box | image, class, score, box
    for image in rng.permutation(60):
        for _ in range(int(rng.integers(0, 5))):
            label = int(rng.choice([1, 1, 2, 3, 5]))  # 4 is only detected, 5 never
            x, y, w, h = np.round(rng.uniform([0, 0, 10, 10], [200, 150, 200, 150]))
            box = np.array([x, y, x + w, y + h], np.float32)
            objects.append((int(image), label, bool(rng.random() < 0.15), box))
            for _ in range(int(rng.choice([0, 1, 1, 2]))):
                noisy = box + rng.normal(0, rng.choice([2, 8, 25]), 4)
                name = label if rng.random() < 0.9 else 4
                detections.append((int(image), name, round(float(rng.beta(5, 2)), 1), noisy))
        for _ in range(int(rng.integers(0, 3))):
            x, y, w, h = rng.uniform([0, 0, 10, 10], [200, 150, 200, 150])
            detections.append((int(image), int(rng.integers(1, 5)), round(float(rng.beta(2, 4)), 1),
                               np.array([x, y, x + w, y + h])))
    detections = [detections[k] for k in rng.permutation(len(detections)) if detections[k][1] != 5]
    detections = [(i, c, s, np.round(b).astype(np.float32)) for i, c, s, b in detections]
    rows = []
    for threshold in (0.25, 0.5, 0.75):
        for extra in (0, 1):
            for label in range(1, 6):
                count, eleven, area = voc_class_ap(
                    [(i, b.astype(float), d) for i, c, d, b in objects if c == label],
                    [(i, s, b.astype(float)) for i, c, s, b in detections if c == label], threshold, extra)
                rows.append((threshold, extra, label, count, eleven, area))
    golden.save("metrics_voc", {
        "object.image_class_difficult": np.array([o[:3] for o in objects], np.int64),
        "object.box": np.stack([o[3] for o in objects]),
        "detection.image_class": np.array([d[:2] for d in detections], np.int64),
        "detection.score": np.array([d[2] for d in detections]),
        "detection.box": np.stack([d[3] for d in detections]),
        "expected": np.array(rows),  # threshold, inclusive, class, objects, eleven points, area
    })


# ---------------------------------------------------------------- masks and label maps

def make_masks():
    truth = np.zeros((3, 40, 50), np.uint8)
    predicted = np.zeros_like(truth)
    for n in range(3):
        for _ in range(6):
            label = int(rng.choice([1, 2, 7, 15, 20]))
            y, x = rng.integers(0, 30, 2)
            h, w = rng.integers(5, 25, 2)
            truth[n, y:y + h, x:x + w] = label
            y, x = y + rng.integers(-2, 3), x + rng.integers(-2, 3)
            predicted[n, max(y, 0):y + h, max(x, 0):x + w] = label if rng.random() < 0.8 else 11
    truth[rng.random(truth.shape) < 0.05] = 255
    predicted[rng.random(truth.shape) < 0.01] = 255
    counted = truth != 255
    iou = np.full(21, -1.0)
    for c in range(21):
        union = (((truth == c) | (predicted == c)) & counted).sum()
        if union:
            iou[c] = ((truth == c) & (predicted == c)).sum() / union
    void = (rng.random((40, 50)) < 0.1).astype(np.uint8)
    pair = [(truth[0] > 0) & counted[0], (predicted[0] > 0) & (predicted[0] < 255)]
    pair_iou = [(pair[0] & pair[1] & keep).sum() / ((pair[0] | pair[1]) & keep).sum()
                for keep in (np.ones_like(void, bool), void == 0)]

    # Average best overlap over whole bitmaps.
    objects = [(int(rng.integers(0, 5)), int(rng.choice([1, 2, 4])), coco_mask.decode(
        clean_rle(blob_polygon(36, 44, rng.uniform(8, 40)), 36, 44))) for _ in range(30)]
    guesses = []
    for image, label, mask in objects:
        for _ in range(int(rng.choice([0, 1, 2]))):
            moved = np.roll(mask, rng.integers(-5, 6, 2), (0, 1))
            guesses.append((image, label if rng.random() < 0.8 else 3, moved))
    per_class = {}
    for image, label, mask in objects:
        best = 0.0
        for other, name, guess in guesses:
            if (other, name) == (image, label) and (mask | guess).any():
                best = max(best, (mask & guess).sum() / (mask | guess).sum())
        per_class.setdefault(label, []).append(best)
    golden.save("metrics_masks", {
        "truth": truth, "predicted": predicted, "class_iou": iou,
        "pair": np.stack(pair).astype(np.uint8), "void": void, "pair_iou": np.array(pair_iou),
        "object.ids": np.array([o[:2] for o in objects], np.int64),
        "object.masks": np.packbits(np.stack([o[2] for o in objects]), axis=None),
        "guess.ids": np.array([g[:2] for g in guesses], np.int64),
        "guess.masks": np.packbits(np.stack([g[2] for g in guesses]), axis=None),
        "abo": np.array([(c, len(v), np.mean(v)) for c, v in sorted(per_class.items())]),
    })


make_rle()
make_coco()
make_voc()
make_masks()
