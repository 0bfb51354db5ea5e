"""Makes the images of ImageFileTests and what Pillow 13 reads from them (pip install pillow==13.0.0 numpy)."""

import json
import pathlib

import numpy as np
from PIL import Image

here = pathlib.Path(__file__).parent
random = np.random.default_rng(1)
rgb = random.integers(0, 256, (7, 13, 3), dtype=np.uint8)
alpha = random.integers(0, 256, (7, 13, 1), dtype=np.uint8)
grey16 = random.integers(0, 65536, (7, 13), dtype=np.uint16)
y, x = np.mgrid[0:24, 0:22]
smooth = np.stack([y * 9, x * 8, (y + x) * 5], -1).astype(np.uint8)

images = {
    "rgb.png": (Image.fromarray(rgb), {}, 0),
    "grey.png": (Image.fromarray(rgb[:, :, 0]), {}, 0),
    "rgba.png": (Image.fromarray(np.dstack([rgb, alpha])), {}, 0),
    "palette.png": (Image.fromarray(rgb).quantize(16), {}, 0),
    "bilevel.png": (Image.fromarray(rgb[:, :, 0] > 127), {}, 0),
    "grey.jpg": (Image.fromarray(smooth[:, :, 0]), {"quality": 95}, 0),
    # GStreamer computes RGB from YCbCr with other rounding than libjpeg.
    "colour.jpg": (Image.fromarray(smooth), {"quality": 95, "subsampling": 2}, 8),
    # One step: whether the high byte is taken or 65535 is mapped to 255.
    "grey16.png": (Image.fromarray(grey16), {}, 1),
}
golden = {}
for name, (image, options, tolerance) in images.items():
    image.save(here / name, **options)
    read = Image.open(here / name)
    # Pillow's convert() clips 16-bit grey instead of scaling it, so the expected values are computed here.
    pixels = np.repeat((grey16 >> 8)[:, :, None], 3, 2) if name == "grey16.png" else np.asarray(read.convert("RGB"))
    golden[name] = dict(width=read.width, height=read.height, tolerance=tolerance, rgb=pixels.flatten().tolist())
(here / "pillow.json").write_text(json.dumps(golden, separators=(",", ":")).replace('},"', '},\n"') + "\n")
