"""Superpixels and colour spaces as scikit-image has them; read by tests/segmenters/test_superpixels.cpp
and test_color_spaces.cpp.

noise (H, W, 3) f32 in 0 to 255; K_M.labels (H, W) i32, its segmentation at scale K with at least M
pixels, not smoothed; smooth.S (H, W, 3) f32, the noise smoothed with sigma S.
rgb (N, 1, 3) u8 colours; lab and hsv (N, 1, 3) f64 in scikit-image's units.
"""
import numpy as np
import scipy
import skimage
from scipy.ndimage import gaussian_filter
from skimage import color
from skimage.segmentation import felzenszwalb

from golden import save

random = np.random.default_rng(3)
height, width = 37, 52
y, x = np.mgrid[0:height, 0:width]
clean = np.stack([x * 3.0, y * 4.0, 100 + 60.0 * ((x // 13 + y // 9) % 2)], axis=2)
noise = np.clip(clean + random.normal(0, 12, clean.shape), 0, 255).astype(np.float32)
arrays = {"noise": noise}
for scale, least in [(20, 1), (100, 1), (100, 20), (300, 60)]:
    # It divides the scale by 255, for pictures in [0, 1].
    labels = felzenszwalb(noise.astype(np.float64) / 255, scale=scale, sigma=0, min_size=least)
    arrays[f"{scale}_{least}.labels"] = labels.astype(np.int32)
    print(scale, least, labels.max() + 1)
for sigma in (0.8, 2.5):
    arrays[f"smooth.{sigma}"] = gaussian_filter(
        noise.astype(np.float64), sigma=(sigma, sigma, 0), mode="nearest", radius=(
            int(np.ceil(4 * sigma)), int(np.ceil(4 * sigma)), 0)).astype(np.float32)

rgb = random.integers(0, 256, (200, 1, 3)).astype(np.uint8)
rgb[:9, 0] = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255),
              (1, 2, 3), (255, 0, 1), (10, 10, 11)]
arrays.update(rgb=rgb, lab=color.rgb2lab(rgb), hsv=color.rgb2hsv(rgb))
save("regions", arrays, skimage=skimage.__version__, scipy=scipy.__version__)
