"""NMS, RoIAlign, resizes, pooling and normalisation as PyTorch and torchvision compute them.

Images are transposed from NCHW to NHWC. Inputs are random numbers of a fixed seed, kept beside the
results; the code below is the description of each array.
"""
import numpy as np
import torch
import torchvision
from torchvision import ops

from golden import save

torch.manual_seed(11)
versions = dict(torch=torch.__version__, torchvision=torchvision.__version__)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()


def nms():
    """Boxes in clusters, scores in steps of 1/8 so that many tie."""
    arrays = {}
    centres = torch.rand(12, 2) * 100
    boxes = centres[torch.arange(150) % 12] + torch.randn(150, 2) * 4
    sides = 10 + torch.rand(150, 2) * 25
    boxes = torch.cat([boxes - sides / 2, boxes + sides / 2], dim=1)
    boxes[70] = boxes[20]  # the same box twice
    boxes[90, 2:] = boxes[90, :2]  # no area
    scores = torch.randint(0, 9, (150,)) / 8.0
    groups = torch.randint(0, 5, (150,))
    arrays.update(boxes=boxes.numpy(), scores=scores.numpy(), groups=groups.numpy())
    for threshold in (0.3, 0.5, 0.7):
        arrays[f"nms_{threshold}"] = ops.nms(boxes, scores, threshold).numpy()
    # Suppression within each group alone, then one descending stable order over all of them.
    kept = torch.zeros(150, dtype=torch.bool)
    for group in range(5):
        members = torch.nonzero(groups == group)[:, 0]
        kept[members[ops.nms(boxes[members], scores[members], 0.5)]] = True
    order = torch.sort(scores, descending=True, stable=True)[1]
    arrays["batched_0.5"] = order[kept[order]].numpy()
    return arrays


save("nms", nms(), **versions)
