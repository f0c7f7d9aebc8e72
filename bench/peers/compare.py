"""Runs the peers that are installed beside what `make bench` measured, and prints the ratios.

    python3 bench/peers/compare.py build/bench.json

PyTorch and torchvision: one BBAM iteration, frozen detector, no RPN, gradients to the mask alone.
pydensecrf: the pseudo-label CRF on the same generated picture.
"""
import json
import sys
import time

BOXES = {"small": (300, 200, 380, 280), "medium": (200, 150, 400, 350), "large": (60, 40, 620, 470)}


def median_ms(work, repeats=7):
    work()
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        samples.append(1e3 * (time.perf_counter() - start))
    return sorted(samples)[len(samples) // 2]


def torch_iteration(threads, box):
    """A function that does one iteration for one object, as plainly as PyTorch allows."""
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=21).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for layer in ("layer2", "layer3", "layer4"):  # stride in the 1x1, as in ours: less arithmetic
        block = model.backbone.body[layer][0]
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    image = (torch.arange(512 * 683 * 3) % 251 - 125.0).reshape(1, 3, 512, 683)
    x0, y0, x1, y1 = box
    side = torch.tensor([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    proposals = torch.tensor(box, dtype=torch.float32) + (torch.rand(100, 4) - 0.5) * 0.6 * side
    proposals = torch.stack([proposals[:, 0].clamp(0, 683), proposals[:, 1].clamp(0, 512),
                             proposals[:, 2].clamp(0, 683), proposals[:, 3].clamp(0, 512)], 1)

    def predict(x):
        features = model.backbone(x)
        pooled = model.roi_heads.box_roi_pool(features, [proposals], [(512, 683)])
        logits, deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
        return torch.softmax(logits, 1)[:, 1], deltas.reshape(100, 21, 4)[:, 1]

    with torch.no_grad():
        target_p, target_t = predict(image)
    mask = torch.ones(1, 1, 16, 21, requires_grad=True)
    optimizer = torch.optim.Adam([mask], lr=0.02)

    def iteration():
        optimizer.zero_grad()
        whole = torch.nn.functional.interpolate(mask, (512, 683), mode="bilinear", align_corners=False)
        p, t = predict(image * whole)
        loss = 0.007 * mask.sum() + (p - target_p).abs().mean() + (t - target_t).abs().sum(1).mean()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            mask.clamp_(0, 1)

    return iteration


def compare_bbam(ours, threads):
    import torch
    import torchvision

    print(f"\none BBAM iteration, one object: ours against PyTorch {torch.__version__}, "
          f"torchvision {torchvision.__version__}, {threads} threads")
    print(f"{'box':<12} {'ours ms':>10} {'torch ms':>10} {'ratio':>7}")
    for name, box in BOXES.items():
        ours_ms = ours[f"{name}_1"]["median_ms"]
        torch_ms = median_ms(torch_iteration(threads, box))
        print(f"{name:<12} {ours_ms:>10.1f} {torch_ms:>10.1f} {torch_ms / ours_ms:>7.2f}   (target 1.5)")


def main():
    with open(sys.argv[1]) as file:
        measured = json.load(file)
    try:
        if "bbam" in measured:
            compare_bbam(measured["bbam"], measured["threads"])
    except ImportError as error:
        print(f"PyTorch is not at hand ({error}); its column is left out")
    try:
        import crf_peer

        if "crf" in measured:
            crf_peer.compare(measured["crf"])
    except ImportError as error:
        print(f"pydensecrf is not at hand ({error}); its column is left out")


if __name__ == "__main__":
    main()
