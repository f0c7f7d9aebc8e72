"""A whole Faster R-CNN of torchvision on two small pictures: features, RPN, proposals, box head,
detections, losses and gradients, for detectors/faster_rcnn.h.

The 41 million weights are not stored: both sides compute them from their names, by the counter-based
generator of tensor/random.h. Needs torch and torchvision; about a minute.
"""
import re

import numpy as np
import torch
import torchvision
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList

import golden

SEED = 2021
CLASSES = 20
SIZES = [(128, 192), (112, 160)]  # height, width; the batch is padded to the first
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


def mix_bits(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(salt, count):
    """Random(SEED, salt).uniform(k) for k < count."""
    one = np.uint64(1)
    salt = np.array([salt], dtype=np.uint64)
    key = mix_bits(np.uint64(SEED) + GOLDEN_RATIO * mix_bits(salt + one))
    k = np.arange(1, count + 1, dtype=np.uint64)
    return (mix_bits(key + GOLDEN_RATIO * k) >> np.uint64(11)).astype(np.float64) * 2.0 ** -53


def name_hash(name):
    """64-bit FNV-1a."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2 ** 64
    return value


def value_range(name, shape):
    """The same rule as in tests/golden_weights.h."""
    if name.endswith("running_var"):
        return 0.5, 1.5
    if len(shape) == 1:
        if name.endswith("bn3.weight"):
            return 0.2, 0.6
        return (0.8, 1.2) if name.endswith("weight") else (-0.1, 0.1)
    fan_in = np.prod(shape[1:])
    if "bbox_pred" in name:
        bound = (0.2 if "rpn" in name else 1.0) * np.sqrt(3.0 / fan_in)
    elif "cls_" in name:
        bound = 2.0 * np.sqrt(3.0 / fan_in)
    else:
        bound = np.sqrt((0.3 if "fpn" in name else 6.0) / fan_in)
    return -bound, bound


def our_name(name):
    name = re.sub(r"(inner_blocks|layer_blocks)\.(\d)\.0\.", r"\1.\2.", name)
    name = re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", name)
    return name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")


def our_shape(name, shape):
    """(Cout, Cin, kh, kw) -> (Cout, kh, kw, Cin); fc6 reads rows, columns, channels."""
    if len(shape) == 4:
        return shape[0], shape[2], shape[3], shape[1]
    return tuple(shape)


def to_torch(name, values):
    if values.ndim == 4:
        return values.transpose(0, 3, 1, 2)
    if name.endswith("fc6.weight"):
        return values.reshape(-1, 7, 7, 256).transpose(0, 3, 1, 2).reshape(len(values), -1)
    return values


def fill(model, prefix=""):
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 0:  # num_batches_tracked
            continue
        name = prefix + our_name(name)
        shape = our_shape(name, tensor.shape)
        low, high = value_range(name, shape)
        values = low + (high - low) * uniform(name_hash(name), int(np.prod(shape)))
        values = values.reshape(shape).astype(np.float32)
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(to_torch(name, values))))


def pictures():
    """(2, H, W, 3): waves and noise, 0 behind the smaller picture."""
    height, width = SIZES[0]
    noise = uniform(name_hash("images"), 2 * height * width * 3).reshape(2, height, width, 3)
    n, y, x, c = np.indices(noise.shape)
    waves = np.sin((0.11 + 0.05 * n) * x + 0.7 * c) + np.cos((0.07 + 0.03 * c) * y + n)
    images = (waves + 2 * noise - 1).astype(np.float32)
    for k, (h, w) in enumerate(SIZES):
        images[k, h:] = 0
        images[k, :, w:] = 0
    return images


BOXES = [[[10, 20, 90, 100], [60, 5, 180, 60], [100, 60, 130, 120]], [[30, 10, 150, 110]]]
LABELS = [[3, 7, 12], [20]]
ROIS = np.array([[0, 10, 20, 90, 100], [1, 5, 5, 60, 40], [0, 0, 0, 192, 128],
                 [1, 100.5, 30.25, 150.75, 90.5], [0, 2, 3, 500, 480], [1, -20, -30, 250, 260]],
                np.float32)  # the last two reach beyond the picture, for the coarser levels


def sample(name, nhwc, count=48):
    """Mean, standard deviation and values at places drawn by name."""
    flat = np.ascontiguousarray(nhwc).reshape(-1)
    places = (uniform(name_hash(name), count) * len(flat)).astype(np.int64)
    return {name + ".moments": np.array([flat.mean(), flat.std()], np.float32),
            name + ".values": flat[places]}


def nhwc(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def make_model(**options):
    # What fasterrcnn_resnet50_fpn builds when it has weights: its batch norms are frozen.
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=5)
    model = FasterRCNN(backbone, CLASSES + 1,
                       rpn_pre_nms_top_n_train=300, rpn_pre_nms_top_n_test=300,
                       rpn_post_nms_top_n_train=100, rpn_post_nms_top_n_test=100, **options)
    with torch.no_grad():
        fill(model)
    return model


def stages(model, images, out):
    """Inference, and everything on the way."""
    model.eval()
    batch = ImageList(images, SIZES)
    with torch.no_grad():
        features = model.backbone(images)
        for level, feature in zip(["P2", "P3", "P4", "P5", "P6"], features.values()):
            out.update(sample(level, nhwc(feature)))
        logits, deltas = model.rpn.head(list(features.values()))
        for k, (a, b) in enumerate(zip(logits, deltas)):
            out.update(sample(f"rpn.objectness.{k}", nhwc(a)))
            out.update(sample(f"rpn.deltas.{k}", nhwc(b)))
        proposals, _ = model.rpn(batch, features)
        for n, boxes in enumerate(proposals):
            out[f"proposals.{n}"] = boxes.numpy()

        pooled = model.roi_heads.box_roi_pool(
            features, [torch.from_numpy(ROIS[ROIS[:, 0] == n, 1:]) for n in range(2)], SIZES)
        class_logits, box_deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
        out["rois"] = np.concatenate([ROIS[ROIS[:, 0] == n] for n in range(2)])
        out["class_logits"], out["box_deltas"] = class_logits.numpy(), box_deltas.numpy()

        results, _ = model.roi_heads(features, proposals, SIZES)
        for n, result in enumerate(results):
            for key in ["boxes", "scores", "labels"]:
                out[f"detections.{n}.{key}"] = result[key].numpy()
            print(f"image {n}: {len(proposals[n])} proposals, {len(result['boxes'])} detections")


def check_stable(a, b):
    """The same decisions from pictures that differ by rounding: no score or IoU is at a threshold."""
    for key in a:
        assert a[key].shape == b[key].shape, key
        if "proposals" in key or "detections" in key:
            far = np.abs(a[key][:, None] - b[key][None]).reshape(len(a[key]), len(b[key]), -1)
            lonely = far.max(axis=2).min(axis=1).max()
            assert lonely < 0.05, (key, lonely)  # as sets: equal scores may swap
        else:
            assert np.allclose(a[key], b[key], rtol=1e-3, atol=1e-3), key


def training(images, out):
    """Losses with every candidate sampled, so that nothing is random; and gradients of some. In
    double: a ReLU that rounding switches changes gradients of the first layers by 0.2 % in float."""
    model = make_model(rpn_batch_size_per_image=10 ** 6, box_batch_size_per_image=10 ** 6)
    model.double().train()
    images = images.double()
    targets = [{"boxes": torch.tensor(b, dtype=torch.float64), "labels": torch.tensor(l)}
               for b, l in zip(BOXES, LABELS)]
    features = model.backbone(images)
    proposals, losses = model.rpn(ImageList(images, SIZES), features, targets)
    _, second = model.roi_heads(features, proposals, SIZES, targets)
    losses.update(second)
    for key, value in losses.items():
        out[key] = np.array([value.item()], np.float32)
        print(key, value.item())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        name = our_name(name)
        if name in GRADIENTS:
            gradient = parameter.grad.numpy()
            if gradient.ndim == 4:
                gradient = gradient.transpose(0, 2, 3, 1)
            out.update(sample("gradient." + name, gradient.astype(np.float32)))


GRADIENTS = ["backbone.body.conv1.weight", "backbone.body.layer1.0.conv2.weight",
             "backbone.body.layer3.5.conv3.weight", "backbone.fpn.inner_blocks.1.weight",
             "backbone.fpn.layer_blocks.0.bias", "rpn.head.conv.weight",
             "rpn.head.bbox_pred.bias", "roi_heads.box_head.fc7.weight",
             "roi_heads.box_predictor.cls_score.weight", "roi_heads.box_predictor.bbox_pred.bias"]


def main():
    out = {}
    pixels = pictures()
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    stages(make_model(), images, out)
    training(images, out)
    moved = {}
    nearly = images * (1 + 1e-5 * torch.randn(images.shape, generator=torch.manual_seed(0)))
    stages(make_model(), nearly, moved)
    training(nearly, moved)
    check_stable(out, moved)
    for key in sorted(out):
        if key.endswith("moments"):
            print(f"{key:60} mean {out[key][0]:10.4f} std {out[key][1]:10.4f}")
    golden.save("detector", out, torch=torch.__version__, torchvision=torchvision.__version__)


if __name__ == "__main__":
    main()
