"""Writes pillow_bilinear.json: what Pillow's BILINEAR resize makes of pseudo-random pictures.

    python3 -m venv venv && venv/bin/pip install pillow==12.3.0
    venv/bin/python make_pillow_bilinear.py > pillow_bilinear.json

Pillow 13 shrinks some pictures vertically first (python-pillow/Pillow#9549), so the version matters.

The pictures are not stored: Knuth's MMIX linear congruential generator, seeded by the case's position, gives their bytes
here as in the test. Small results are stored whole, in base64; results of the networks' size as FNV-1a digests.
"""

import base64
import json

import PIL
from PIL import Image

WHOLE = [
    (7, 5, 3, 4), (5, 7, 12, 9), (13, 1, 1, 5), (1, 1, 4, 3), (2, 9, 9, 2), (33, 31, 33, 10), (20, 21, 31, 21),
    (19, 19, 19, 19), (64, 48, 17, 13), (101, 67, 32, 32), (255, 257, 40, 24), (640, 480, 24, 20), (1023, 11, 41, 11),
    (60, 50, 20, 100), (50, 60, 100, 20), (37, 411, 30, 29),
]
DIGESTS = [
    (1920, 1080, 256, 256), (640, 480, 256, 256), (900, 900, 256, 256), (257, 255, 256, 256), (256, 300, 256, 256),
    (100, 75, 256, 256), (200, 900, 256, 256), (480, 1280, 256, 256), (256, 256, 256, 256),
]


def picture(width, height, seed):
    state = seed
    pixels = bytearray(width * height * 3)
    for i in range(len(pixels)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        pixels[i] = state >> 56
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return f"{digest:016x}"


cases = []
for seed, (width, height, to_width, to_height) in enumerate(WHOLE + DIGESTS):
    resized = picture(width, height, seed).resize((to_width, to_height), Image.BILINEAR).tobytes()
    case = {"from": [width, height], "to": [to_width, to_height]}
    if seed < len(WHOLE):
        case["pixels"] = base64.b64encode(resized).decode()
    else:
        case["digest"] = fnv1a(resized)
    cases.append(case)

lines = ",\n".join(json.dumps(case) for case in cases)
print(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}')
