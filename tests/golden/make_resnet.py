"""The trunks that the detector of make_detector.py does not have, as torchvision computes them: other
depths, strides in the first convolution of a bottleneck, group norm, a bilinear top-down path.

Weights are computed from their names on both sides, as there; the file holds samples of every level.
"""
import numpy as np
import torch
import torchvision
from torch.nn import functional
from torchvision.models import resnet
from torchvision.ops import FeaturePyramidNetwork

import golden
from make_detector import fill, name_hash, nhwc, sample, uniform

EXTENT = (1, 72, 100, 3)  # not a multiple of 32


def picture():
    noise = 4 * uniform(name_hash("picture"), int(np.prod(EXTENT))) - 2
    values = noise.astype(np.float32).reshape(EXTENT).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(values))


def group_norm(channels):
    return torch.nn.GroupNorm(32, channels)


def stride_in_1x1(model):
    """As in the weights of MSRA and Caffe."""
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return model


def levels(model):
    model.eval()
    fill(model)
    x = model.maxpool(model.relu(model.bn1(model.conv1(picture()))))
    out = []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        x = stage(x)
        out.append(x)
    return out


class BilinearPyramid(FeaturePyramidNetwork):
    """torchvision's modules; the coarser level comes by half-pixel bilinear resizing."""

    def forward(self, features):
        path = None
        out = []
        for level in reversed(range(len(features))):
            lateral = self.inner_blocks[level](features[level])
            if path is not None:
                lateral = lateral + functional.interpolate(path, lateral.shape[-2:],
                                                           mode="bilinear", align_corners=False)
            path = lateral
            out.insert(0, self.layer_blocks[level](path))
        return out


@torch.no_grad()
def main():
    models = {"resnet18": resnet.resnet18(), "resnet34": resnet.resnet34(),
              "resnet50_3x3": resnet.resnet50(), "resnet50_1x1": stride_in_1x1(resnet.resnet50()),
              "resnet101": resnet.resnet101(),
              "resnet18_group": resnet.resnet18(norm_layer=group_norm),
              "resnet50_group": resnet.resnet50(norm_layer=group_norm)}
    out = {}
    for name, model in models.items():
        features = levels(model)
        for k, feature in enumerate(features):
            out.update(sample(f"{name}.C{k + 2}", nhwc(feature)))
        if name == "resnet18":
            pyramid = BilinearPyramid([64, 128, 256, 512], 32)
            fill(pyramid, "fpn.")
            for k, level in enumerate(pyramid(features)):
                out.update(sample(f"bilinear.P{k + 2}", nhwc(level)))
    for key in sorted(out):
        if key.endswith("moments"):
            print(f"{key:30} mean {out[key][0]:12.5f} std {out[key][1]:12.5f}")
    golden.save("resnet", out, torch=torch.__version__, torchvision=torchvision.__version__)


main()
