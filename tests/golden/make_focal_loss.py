"""torchvision's sigmoid focal loss in double: sums and gradients, for layers/losses.h."""
import numpy as np
import torch
import torchvision
from torchvision.ops import sigmoid_focal_loss

import golden

SPECS = [(0.25, 2.0), (0.5, 0.5), (0.75, 0.0)]  # alpha, gamma


def main():
    random = np.random.default_rng(3)
    rows, classes = 12, 5
    logits = random.normal(0, 3, (rows, classes))
    labels = random.integers(0, classes + 1, rows)  # 0: background
    targets = np.zeros((rows, classes))
    for row, label in enumerate(labels):
        if label > 0:
            targets[row, label - 1] = 1
    out = {"logits": logits, "labels": labels.astype(np.int64)}
    for k, (alpha, gamma) in enumerate(SPECS):
        x = torch.tensor(logits, requires_grad=True)
        loss = sigmoid_focal_loss(x, torch.tensor(targets), alpha, gamma, "sum")
        loss.backward()
        out[f"spec.{k}"] = np.array([alpha, gamma])
        out[f"loss.{k}"] = np.array([loss.item()])
        out[f"gradient.{k}"] = x.grad.numpy()
    golden.save("focal_loss", out, torch=torch.__version__, torchvision=torchvision.__version__)


if __name__ == "__main__":
    main()
