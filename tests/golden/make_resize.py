"""Golden numbers for layers/resize: torch.nn.functional.interpolate and its gradient."""
import numpy as np
import torch

import golden

CASES = [(5, 7, 11, 3), (3, 4, 20, 26), (9, 9, 4, 5), (1, 1, 6, 5), (6, 5, 1, 1), (8, 6, 16, 12)]


def main():
    arrays = {}
    for k, (h, w, oh, ow) in enumerate(CASES):
        generator = torch.Generator().manual_seed(k)
        x = torch.randn(1, 2, h, w, dtype=torch.float64, generator=generator, requires_grad=True)
        dy = torch.randn(1, 2, oh, ow, dtype=torch.float64, generator=generator)
        arrays[f"{k}.x"] = x.detach().permute(0, 2, 3, 1).numpy()
        arrays[f"{k}.dy"] = dy.permute(0, 2, 3, 1).numpy()
        for name, options in (("aligned", dict(mode="bilinear", align_corners=True)),
                              ("half", dict(mode="bilinear", align_corners=False)),
                              ("nearest", dict(mode="nearest"))):
            y = torch.nn.functional.interpolate(x, size=(oh, ow), **options)
            (dx,) = torch.autograd.grad(y, x, dy)
            arrays[f"{k}.{name}.y"] = y.detach().permute(0, 2, 3, 1).numpy()
            arrays[f"{k}.{name}.dx"] = dx.permute(0, 2, 3, 1).numpy()
    arrays["cases"] = np.array(CASES, dtype=np.int64)
    golden.save("resize", arrays, torch=torch.__version__)


if __name__ == "__main__":
    main()
