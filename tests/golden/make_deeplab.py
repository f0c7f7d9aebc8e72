"""DeepLab-v2 in PyTorch, written from METHOD B5 and the paper, for segmenters/deeplab.h: a thin ResNet-50
of stride 8 with ASPP, its logits at one scale and their maximum over three, the loss, and gradients.

Weights are computed from their names on both sides, as in make_detector.py. Needs torch and Pillow.
"""
import numpy as np
import PIL
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import golden
from make_detector import fill, name_hash, nhwc, sample, uniform

CLASSES = 5
EXTENT = (2, 97, 131, 3)  # odd, and not square
SCALES = (0.5, 0.75)
BLOCKS = (3, 4, 6, 3)
WIDTH = 16  # of the stem


class Block(nn.Module):
    """Bottleneck of the MSRA kind: its stride in the first 1x1, its dilation in the 3x3."""

    def __init__(self, inputs, width, stride, dilation, projects):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        if projects:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride=stride, bias=False),
                                            nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        inputs = WIDTH
        for stage, (blocks, stride, dilation) in enumerate(zip(BLOCKS, (1, 2, 1, 1), (1, 1, 2, 4))):
            width = WIDTH * 2 ** stage
            layer = []
            for block in range(blocks):
                layer.append(Block(inputs, width, stride if block == 0 else 1, dilation, block == 0))
                inputs = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict({"body": Trunk()})
        channels = 32 * WIDTH
        self.aspp = nn.ModuleDict({
            f"c{k}": nn.Conv2d(channels, CLASSES, 3, padding=rate, dilation=rate)
            for k, rate in enumerate((6, 12, 18, 24))})

    def single(self, x):
        features = self.backbone["body"](x)
        return sum(branch(features) for branch in self.aspp.values())

    def forward(self, x):
        outputs = [self.single(x)]
        for scale in SCALES:
            size = [int(scale * extent) for extent in x.shape[2:]]
            outputs.append(self.single(functional.interpolate(x, size, mode="bilinear",
                                                              align_corners=False)))
        resized = [functional.interpolate(y, outputs[0].shape[2:], mode="bilinear",
                                          align_corners=False) for y in outputs[1:]]
        return outputs + [torch.stack([outputs[0]] + resized).amax(0)]


def picture():
    values = 4 * uniform(name_hash("picture"), int(np.prod(EXTENT))) - 2
    values = values.astype(np.float32).reshape(EXTENT).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(values))


def label_map():
    """Patches of 9 x 7 pixels; every seventh is void."""
    n, y, x = np.indices(EXTENT[:3])
    patch = 3 * n + y // 9 + 5 * (x // 7)
    return np.where(patch % 7 == 0, 255, patch % CLASSES).astype(np.uint8)


def nearest(labels, height, width):
    return np.stack([np.asarray(Image.fromarray(label).resize((width, height), Image.NEAREST))
                     for label in labels])


def main():
    model = DeepLab().eval()
    with torch.no_grad():
        fill(model)
    outputs = model(picture())
    labels = label_map()
    losses, out = [], {}
    for output in outputs:
        resized = nearest(labels, *output.shape[2:]).astype(np.int64)
        losses.append(functional.cross_entropy(output, torch.from_numpy(resized), ignore_index=255))
    sum(losses).backward()
    out["losses"] = torch.stack(losses).detach().numpy()
    names = ["scale 1", "scale 0.5", "scale 0.75", "maximum"]
    for name, output in zip(names, outputs):
        out["extent " + name] = np.array(output.shape[2:], np.int64)
        out.update(sample(name, nhwc(output)))
    parameters = dict(model.named_parameters())
    for name in ("backbone.body.conv1.weight", "backbone.body.layer3.0.conv2.weight",
                 "backbone.body.layer4.2.conv2.weight", "aspp.c0.weight", "aspp.c3.weight"):
        out.update(sample("gradient " + name, nhwc(parameters[name].grad)))
    out["gradient aspp.c2.bias"] = parameters["aspp.c2.bias"].grad.numpy()
    for height, width in ((13, 17), (41, 21), (96, 130), (1, 1), (193, 262)):
        out[f"nearest {height} {width}"] = nearest(labels, height, width)[:1]
    for key in sorted(out):
        if key.endswith("moments") or key == "losses":
            print(key, out[key])
    golden.save("deeplab", out, torch=torch.__version__, pillow=PIL.__version__)


main()
