"""The mask branch of torchvision's Mask R-CNN on random features: pooling, head, losses on seeds with
their gradients, and masks pasted into a picture, for segmenters/.

Weights and features are not stored: both sides compute them from their names (make_detector.py).
Needs torch and torchvision; seconds.
"""
import numpy as np
import torch
import torchvision
from torch.nn import functional as F
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import MultiScaleRoIAlign

import golden
from make_detector import (ROIS, SIZES, fill, name_hash, nhwc, our_name, sample, uniform)

CHANNELS, WIDTH, CLASSES = 8, 6, 3
LABELS = [2, 1, 3, 1, 2, 3]


def features():
    """P2 to P5 of two pictures, in [-16, 16)."""
    levels = {}
    for k in range(4):
        shape = 2, SIZES[0][0] >> (k + 2), SIZES[0][1] >> (k + 2), CHANNELS
        values = 32 * uniform(name_hash(f"features.{k}"), int(np.prod(shape))) - 16
        values = values.astype(np.float32).reshape(shape).transpose(0, 3, 1, 2)
        levels[str(k)] = torch.from_numpy(np.ascontiguousarray(values)).double().requires_grad_()
    return levels


def grown(seeds, p):
    """Seeds grown by probabilities: METHOD A11 in the order of the authors' program."""
    foreground = ((seeds == 1) | (p > 0.9)) & (seeds != 0)
    background = ((seeds == 0) | (p < 0.1)) & (seeds != 1)
    kernel = torch.ones(1, 1, 3, 3, dtype=p.dtype)
    kernel[..., 1, 1] = 0
    result = torch.full_like(seeds, 255)
    for label, cells in ((1, foreground), (0, background)):
        neighbours = F.conv2d(cells[:, None].to(p.dtype), kernel, padding=1)[:, 0]
        result[cells & (neighbours > 0)] = label
    return result


def balanced(logits, labels):
    loss = F.binary_cross_entropy_with_logits(logits, (labels == 1).to(logits.dtype),
                                              reduction="none")
    return (loss[labels == 1].mean() + loss[labels == 0].mean()) / 2


def head(out):
    model = torch.nn.ModuleDict({"mask_head": MaskRCNNHeads(CHANNELS, [WIDTH] * 4, 1),
                                 "mask_predictor": MaskRCNNPredictor(WIDTH, WIDTH, CLASSES + 1)})
    with torch.no_grad():
        fill(model, "roi_heads.")
    model.double()  # a ReLU that rounding switches changes gradients
    levels = features()
    rois = np.concatenate([ROIS[ROIS[:, 0] == n] for n in range(2)])
    boxes = [torch.from_numpy(rois[rois[:, 0] == n, 1:]).double() for n in range(2)]
    pool = MultiScaleRoIAlign(list(levels), output_size=14, sampling_ratio=2)
    logits = model["mask_predictor"](model["mask_head"](pool(levels, boxes, [SIZES[0]] * 2)))
    out.update(rois=rois, labels=np.array(LABELS))
    out.update(sample("logits", nhwc(logits).astype(np.float32), 200))

    logits = logits[range(len(rois)), LABELS]
    p = torch.sigmoid(logits.detach())
    out.update(sample("probabilities", p.numpy().astype(np.float32), 200))
    assert min((p - 0.9).abs().min(), (p - 0.1).abs().min()) > 5e-6  # rounding decides nothing
    kinds = np.array([0, 1, 255, 255], np.uint8)
    seeds = kinds[(4 * uniform(name_hash("seeds"), p.numel())).astype(np.int64)].reshape(p.shape)
    out["seeds"] = seeds
    seeds = torch.from_numpy(seeds)
    labels = grown(seeds, p)
    out["grown"] = labels.numpy()
    print("cells that grew", int(((labels != 255) & (seeds == 255)).sum()), "of", p.numel())
    has_seed = seeds != 255
    losses = dict(plain=F.binary_cross_entropy_with_logits(logits[has_seed],
                                                           seeds[has_seed].double()),
                  balanced=balanced(logits, seeds), grown=balanced(logits, labels))
    for name, loss in losses.items():
        out["loss_" + name] = np.array([loss.item()], np.float32)
        print(name, loss.item())
    losses["grown"].backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.numpy()
        if gradient.ndim == 4:
            gradient = gradient.transpose(0, 2, 3, 1)
        name = "roi_heads." + our_name(name)
        out.update(sample("gradient." + name, gradient.astype(np.float32)))
    for name, level in levels.items():
        out.update(sample("gradient.features." + name, nhwc(level.grad).astype(np.float32)))


def paste(out):
    """Half-open boxes inside, across every edge and below a pixel of a picture of 40 x 50."""
    boxes = np.array([[10.3, 5.2, 31.9, 27.4], [-7.5, -3.25, 12.6, 18.2], [30.1, 22.7, 61.3, 55.8],
                      [20.4, 10.6, 21.1, 11.2], [0, 0, 50, 40],
                      [-20.2, 8.1, 80.7, 13.3]], np.float32)
    masks = uniform(name_hash("masks"), 6 * 14 * 14).astype(np.float32).reshape(6, 14, 14)
    # Of a half-open box torchvision's rules, like maskrcnn-benchmark's, want the last pixel.
    last = torch.from_numpy(boxes - np.array([0, 0, 1, 1], np.float32))
    pasted = paste_masks_in_image(torch.from_numpy(masks)[:, None], last, (40, 50), padding=1)
    out.update({"paste.boxes": boxes, "paste.masks": masks, "paste.pasted": pasted[:, 0].numpy()})


def main():
    out = {}
    head(out)
    paste(out)
    golden.save("mask_rcnn", out, torch=torch.__version__, torchvision=torchvision.__version__)


if __name__ == "__main__":
    main()
