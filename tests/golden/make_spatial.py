"""NMS, RoIAlign, pooling and transposed convolution as PyTorch and torchvision compute them.

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


def roi_align():
    """RoIs inside, partly and wholly outside, tiny, of no size, and larger than the image."""
    x = torch.randn(2, 3, 9, 13, dtype=torch.float64)
    rois = torch.tensor([
        [0, 10.3, 7.1, 60.9, 50.2], [1, 0, 0, 207, 143], [1, -30.5, -20.25, 50, 40],
        [0, 150, 100, 400, 300], [0, 500, 500, 600, 650], [1, 33.3, 44.4, 35.1, 45.5],
        [0, 64, 64, 64, 64], [1, 100.7, 20.2, 190.4, 30.3], [0, -200, -200, 500, 500],
    ], dtype=torch.float32)
    arrays = dict(x=nhwc(x), rois=rois.numpy())
    for aligned in (False, True):
        for sampling in (0, 2, 3):
            leaf = x.clone().requires_grad_()
            y = ops.roi_align(leaf, rois.double(), (3, 4), 1 / 16, sampling, aligned)
            dy = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(
                y.permute(0, 2, 3, 1).shape)
            y.backward(dy.permute(0, 3, 1, 2))
            key = f"{'aligned' if aligned else 'legacy'}_{sampling}"
            arrays[f"{key}.y"] = nhwc(y)
            arrays[f"{key}.dx"] = nhwc(leaf.grad)
    return arrays


def pool2d():
    """cases: rows of kernel, stride, padding, ceil mode, padding counted; k.max and k.average."""
    x = torch.randn(2, 3, 7, 10, dtype=torch.float64)
    thin = torch.randn(1, 2, 1, 3, dtype=torch.float64)  # lower than the window
    cases = [(3, 2, 1, 0, 1), (3, 2, 1, 1, 1), (3, 2, 1, 1, 0), (2, 2, 0, 1, 1), (3, 3, 0, 1, 1),
             (2, 3, 1, 1, 1), (3, 1, 1, 0, 0), (5, 4, 2, 1, 0), (1, 2, 0, 0, 1)]
    # Behind a ReLU and in steps of 1/2: windows of zeros, and maxima that occur more than once.
    ties = torch.relu(torch.round(2 * torch.randn(2, 2, 8, 9, dtype=torch.float64) - 1)) / 2
    arrays = {"cases": np.array(cases), "x": nhwc(x), "thin": nhwc(thin), "ties": nhwc(ties)}
    pool = torch.nn.functional

    def add(key, image, kernel, stride, padding, ceil, count):
        for kind in ("max", "average"):
            leaf = image.clone().requires_grad_()
            y = (pool.max_pool2d(leaf, kernel, stride, padding, 1, bool(ceil)) if kind == "max" else
                 pool.avg_pool2d(leaf, kernel, stride, padding, bool(ceil), bool(count)))
            dy = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(
                y.permute(0, 2, 3, 1).shape)
            y.backward(dy.permute(0, 3, 1, 2))
            arrays[f"{key}.{kind}.y"], arrays[f"{key}.{kind}.dx"] = nhwc(y), nhwc(leaf.grad)

    for k, case in enumerate(cases):
        add(k, x, *case)
    add("thin", thin, 2, 2, 0, 1, 1)
    add("ties", ties, 3, 2, 1, 0, 1)
    add("pairs", ties, 2, 2, 0, 0, 1)
    return arrays


def conv_transpose():
    """cases: rows of kernel, stride, padding, dilation, output padding, Cin, Cout, bias or none.
    w: (Cin, k, k, Cout)."""
    cases = [(2, 2, 0, 1, 0, 5, 4, 1), (3, 2, 1, 1, 1, 5, 4, 1), (3, 2, 1, 1, 0, 5, 4, 0),
             (3, 1, 2, 2, 0, 4, 3, 1), (3, 2, 1, 2, 1, 3, 16, 1), (4, 3, 2, 1, 2, 4, 3, 0),
             (3, 3, 0, 3, 2, 2, 3, 1), (1, 2, 0, 1, 1, 3, 2, 1)]
    arrays = {"cases": np.array(cases)}
    for k, (kernel, stride, padding, dilation, extra, cin, cout, has_bias) in enumerate(cases):
        draw = [torch.randn(2, cin, 3, 4), torch.randn(cin, cout, kernel, kernel), torch.randn(cout)]
        x, w, bias = [t.double().requires_grad_() for t in draw]
        y = torch.nn.functional.conv_transpose2d(x, w, bias if has_bias else None, stride, padding,
                                                 extra, 1, dilation)
        dy = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(
            y.permute(0, 2, 3, 1).shape)
        y.backward(dy.permute(0, 3, 1, 2))
        arrays.update({f"{k}.x": nhwc(x), f"{k}.w": nhwc(w), f"{k}.bias": bias.detach().numpy(),
                       f"{k}.y": nhwc(y), f"{k}.dx": nhwc(x.grad), f"{k}.dw": nhwc(w.grad)})
        if has_bias:
            arrays[f"{k}.dbias"] = bias.grad.numpy()
    return arrays


save("nms", nms(), **versions)
save("roi_align", roi_align(), **versions)
save("pool2d", pool2d(), **versions)
save("conv_transpose2d", conv_transpose(), **versions)
