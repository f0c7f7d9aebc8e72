"""torchvision's RetinaNet on two small pictures: features, head, anchors, detections, losses and
gradients, for detectors/retinanet.h.

As in make_detector.py, whose helpers it uses, both sides compute the weights from their names. The
extent of the batch is a multiple of 128, so that torchvision's strides of anchors are powers of 2.
Needs torch and torchvision; about a minute.
"""
import numpy as np
import torch
import torchvision
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.resnet import resnet50
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

import golden
import make_detector
from make_detector import BOXES, CLASSES, LABELS, check_stable, nhwc, our_name, sample

SIZES = make_detector.SIZES = [(128, 256), (112, 160)]  # height, width; padded to the first


def make_model():
    # What retinanet_resnet50_fpn builds when it has weights: its batch norms are frozen.
    trunk = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = _resnet_fpn_extractor(trunk, 5, returned_layers=[2, 3, 4],
                                     extra_blocks=LastLevelP6P7(256, 256))
    model = RetinaNet(backbone, CLASSES, topk_candidates=60, detections_per_img=50)
    with torch.no_grad():
        make_detector.fill(model)
        # Smaller, by exact factors: else the best scores are all 1 in float, and no order is right.
        model.head.classification_head.cls_logits.weight.mul_(0.25)
        model.head.regression_head.bbox_reg.weight.mul_(0.125)
    return model


def rows(tensor):
    """(N, H W A, C) as the sample of an NHWC map."""
    return tensor.detach().numpy()


def inference(model, images, out):
    model.eval()
    batch = ImageList(images, SIZES)
    with torch.no_grad():
        features = list(model.backbone(images).values())
        for level, feature in zip(range(3, 8), features):
            out.update(sample(f"P{level}", nhwc(feature)))
        heads = model.head(features)
        out.update(sample("cls_logits", rows(heads["cls_logits"])))
        out.update(sample("bbox_regression", rows(heads["bbox_regression"])))
        anchors = model.anchor_generator(batch, features)
        out.update(sample("anchors", anchors[0].numpy()))
        per_level = [f.shape[2] * f.shape[3] * 9 for f in features]
        split = {key: list(value.split(per_level, dim=1)) for key, value in heads.items()}
        results = model.postprocess_detections(split, [list(a.split(per_level)) for a in anchors],
                                               SIZES)
        for n, result in enumerate(results):
            for key in ["boxes", "scores", "labels"]:
                out[f"detections.{n}.{key}"] = result[key].numpy()
            print(f"image {n}: {len(result['boxes'])} detections")


def training(images, out):
    """Losses, and gradients of some, in double; see make_detector.py."""
    model = make_model().double().train()
    images = images.double()
    targets = [{"boxes": torch.tensor(b, dtype=torch.float64), "labels": torch.tensor(l) - 1}
               for b, l in zip(BOXES, LABELS)]  # torchvision counts classes from 0
    features = list(model.backbone(images).values())
    anchors = model.anchor_generator(ImageList(images, SIZES), features)
    losses = model.compute_loss(targets, model.head(features), anchors)
    for key, value in losses.items():
        out["loss." + key] = np.array([value.item()], np.float32)
        print(key, value.item())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        name = our_name(name)
        if name in GRADIENTS:
            gradient = parameter.grad.numpy()
            if gradient.ndim == 4:
                gradient = gradient.transpose(0, 2, 3, 1)
            out.update(sample("gradient." + name, gradient.astype(np.float32)))


GRADIENTS = ["backbone.body.layer3.5.conv3.weight",
             "backbone.fpn.inner_blocks.0.weight", "backbone.fpn.extra_blocks.p6.weight",
             "backbone.fpn.extra_blocks.p7.bias", "head.classification_head.conv.0.0.weight",
             "head.classification_head.cls_logits.bias", "head.regression_head.conv.3.0.weight",
             "head.regression_head.bbox_reg.weight"]


def main():
    pixels = make_detector.pictures()
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    nearly = images * (1 + 1e-5 * torch.randn(images.shape, generator=torch.manual_seed(0)))
    out, moved = {}, {}
    for seen, into in ((images, out), (nearly, moved)):
        inference(make_model(), seen, into)
        training(seen, into)
    check_stable(*({key: value / np.abs(value).max() if key.startswith("gradient") else value
                    for key, value in one.items()} for one in (out, moved)))
    for key in sorted(out):
        if key.endswith("moments"):
            print(f"{key:60} mean {out[key][0]:10.4f} std {out[key][1]:10.4f}")
    golden.save("retinanet", out, torch=torch.__version__, torchvision=torchvision.__version__)


if __name__ == "__main__":
    main()
