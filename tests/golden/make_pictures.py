"""Small JPEG and PNG files of every kind and their pixels as PIL decodes them, and PIL's resizes.

For each case K: K.file (u8) the file, K.rgb (H, W, 3) or K.labels (H, W) the pixels.
resize.A (H, W, 3) a picture; resize.A.WxH its bilinear, nearest.A.WxH its nearest resize.
"""
import io

import numpy as np
import PIL
from PIL import Image, features

from golden import save

random = np.random.default_rng(7)
arrays = {}


def picture(width, height):
    """A smooth picture with an edge and some noise, so that rounding and filters show."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, 127 + 90 * np.sin(x * y / 60)], axis=2)
    rgb[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 40)
    return np.clip(rgb + random.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)


def file_of(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def add(name, image, **options):
    add_file(name, file_of(image, **options))


def add_file(name, data):
    arrays[f"{name}.file"] = data
    arrays[f"{name}.rgb"] = np.asarray(Image.open(io.BytesIO(data.tobytes())).convert("RGB"))


rgb = Image.fromarray(picture(37, 23))
grey = rgb.convert("L")
add("jpeg_420", rgb, format="JPEG", quality=80)
add("jpeg_444_progressive", rgb, format="JPEG", quality=95, subsampling=0, progressive=True)
add("jpeg_grey", grey, format="JPEG", quality=80)
add("jpeg_cmyk", rgb.convert("CMYK"), format="JPEG", quality=90)
ycck = arrays["jpeg_cmyk.file"].copy()
transform = ycck.tobytes().index(b"Adobe") + 11  # Adobe's segment: 0 is CMYK as is, 2 is YCCK
assert ycck[transform] == 0
ycck[transform] = 2
add_file("jpeg_ycck", ycck)
rotated = Image.Exif()
rotated[0x0112] = 6  # orientation: the viewer should turn it by 90 degrees
add("jpeg_exif_rotated", rgb, format="JPEG", quality=80, exif=rotated)

add("png_rgb", rgb, format="PNG")
add("png_grey", grey, format="PNG")
add("png_1bit", grey.convert("1"), format="PNG")
alpha = rgb.copy()
alpha.putalpha(grey)
add("png_rgba", alpha, format="PNG")
add("png_palette", rgb.quantize(200), format="PNG")
add("png_palette_transparent", rgb.quantize(200), format="PNG", transparency=3)

indices = random.integers(0, 4, (9, 13)).astype(np.uint8)
for bits in (2, 8):
    labels = Image.fromarray(indices if bits == 2 else indices * 85)
    labels.putpalette(sum(([i, 255 - i, i // 2] for i in range(256)), []))
    arrays[f"labels_{bits}bit.file"] = file_of(labels, format="PNG", bits=bits)
    arrays[f"labels_{bits}bit.labels"] = np.asarray(labels)
arrays["labels_grey.file"] = file_of(Image.fromarray(indices), format="PNG")
arrays["labels_grey.labels"] = indices

for name, (width, height), targets in [
    ("a", (37, 23), [(61, 38), (12, 9), (37, 40), (20, 23), (37, 23), (1, 1), (110, 5)]),
    ("b", (5, 7), [(50, 70), (3, 2)]),
]:
    source = picture(width, height)
    arrays[f"resize.{name}"] = source
    for to in targets:
        key = f"{name}.{to[0]}x{to[1]}"
        image = Image.fromarray(source)
        arrays[f"resize.{key}"] = np.asarray(image.resize(to, Image.BILINEAR))
        arrays[f"nearest.{key}"] = np.asarray(Image.fromarray(source[:, :, 0]).resize(to, Image.NEAREST))

save("pictures", arrays, PIL=PIL.__version__, libjpeg=features.version("jpg"))
