"""Writes network_forward.json: forward passes of narrow PDN-M, DFSC autoencoder and context extractor in PyTorch.

    pip install torch==2.13.0          # the CPU build
    python make_network_forward.py

Also the lengths of all gradients of half the mean square of each output. Networks and images are drawn as in
make_efficientad_training.py, whose EfficientAD-S networks have their own file.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

assert torch.__version__.split("+")[0] == "2.13.0", f"made with torch 2.13.0, this is {torch.__version__}"
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

SIDE = 128
CHANNELS = 8
HEADS = 2


class Generator:
    """Knuth's MMIX linear congruential generator; the upper 24 bits make a float in 0..<1."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self, lower, upper, count):
        draws = torch.empty(count, dtype=torch.float32)
        for index in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            draws[index] = (self.state >> 40) * 2.0**-24
        lower, upper = torch.tensor(lower, dtype=torch.float32), torch.tensor(upper, dtype=torch.float32)
        return lower + (upper - lower) * draws


def parameters(layers, generator):
    """Name to tensor, weight before bias, uniform in +-1/sqrt(fan_in) as single-precision numbers."""
    tensors = {}
    for name, outputs, inputs, side, *has_bias in layers:
        bound = (1 / torch.sqrt(torch.tensor(inputs * side * side, dtype=torch.float32))).item()
        tensors[f"{name}.weight"] = generator.uniform(-bound, bound, outputs * inputs * side * side).reshape(
            outputs, inputs, side, side)
        if has_bias != [False]:
            tensors[f"{name}.bias"] = generator.uniform(-bound, bound, outputs)
    return tensors


def convolution(x, p, name, **options):
    return F.conv2d(x, p[f"{name}.weight"], p.get(f"{name}.bias"), **options)


MEDIUM_WIDTHS, MEDIUM_KERNELS = [3, 5, 6, 7, 8, 9, CHANNELS], [4, 4, 1, 3, 4, 1]
MEDIUM_LAYERS = [(f"conv{i + 1}", MEDIUM_WIDTHS[i + 1], MEDIUM_WIDTHS[i], MEDIUM_KERNELS[i]) for i in range(6)]


def medium(image, p, padding=0):
    x = F.avg_pool2d(F.relu(convolution(image, p, "conv1", padding=3 * padding)), 2, 2, padding)
    x = F.avg_pool2d(F.relu(convolution(x, p, "conv2", padding=3 * padding)), 2, 2, padding)
    x = F.relu(convolution(x, p, "conv3"))
    x = F.relu(convolution(x, p, "conv4", padding=padding))
    return convolution(F.relu(convolution(x, p, "conv5")), p, "conv6")


WIDTHS = [3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, CHANNELS]
NAMES = [f"encoder.enconv{i}" for i in range(1, 7)] + [f"decoder.deconv{i}" for i in range(1, 9)]
AUTOENCODER_LAYERS = [(name, WIDTHS[i + 1], WIDTHS[i], 4 if i < 12 else 3) for i, name in enumerate(NAMES)]


def autoencoder(image, p):
    def activation(x):
        return F.relu(F.instance_norm(x))

    x = image
    for i in range(1, 6):
        x = activation(convolution(x, p, f"encoder.enconv{i}", stride=2, padding=1))
    x = F.relu(convolution(x, p, "encoder.enconv6"))
    for i, side in enumerate([SIDE // 64 - 1, SIDE // 32, SIDE // 16 - 1, SIDE // 8, SIDE // 4 - 1, SIDE // 2 - 1]):
        x = F.interpolate(x, size=(side, side), mode="bilinear")
        x = activation(convolution(x, p, f"decoder.deconv{i + 1}", padding=2))
    x = F.interpolate(x, size=(SIDE // 4 - 8, SIDE // 4 - 8), mode="bilinear")
    return convolution(activation(convolution(x, p, "decoder.deconv7", padding=1)), p, "decoder.deconv8", padding=1)


EXTRACTOR_WIDTHS = [3, 4, 6, 5, 5, 7, CHANNELS]
ATTENTION_LAYERS = [
    layer for window in (3, 5) for layer in [
        (f"attention.outlook{window}.v", 6, 6, 1, False),
        (f"attention.outlook{window}.attn", HEADS * window**4, 6, 1),
        (f"attention.outlook{window}.proj", 6, 6, 1)]] + [("attention.fusion", 6, 12, 1)]
TRUNK_LAYERS = [(f"conv{i + 1}", EXTRACTOR_WIDTHS[i + 1], EXTRACTOR_WIDTHS[i], MEDIUM_KERNELS[i]) for i in range(6)]


def outlook(x, p, name, window):
    _, channels, height, width = x.shape
    depth, places, positions = channels // HEADS, window * window, height * width
    values = F.unfold(convolution(x, p, f"{name}.v"), window, padding=window // 2)
    values = values.reshape(HEADS, depth, places, positions)
    logits = convolution(x, p, f"{name}.attn").reshape(HEADS, places, places, positions)
    weights = (logits * depth**-0.5).softmax(dim=2)
    mixed = torch.einsum("hijn,hdjn->hdin", weights, values).reshape(1, channels * places, positions)
    return convolution(F.fold(mixed, (height, width), window, padding=window // 2), p, f"{name}.proj")


def extractor(image, p):
    x = F.avg_pool2d(F.relu(convolution(image, p, "conv1")), 2, 2)
    x = F.avg_pool2d(F.relu(convolution(x, p, "conv2")), 2, 2)
    x = torch.cat([outlook(x, p, f"attention.outlook{window}", window) for window in (3, 5)], dim=1)
    x = F.relu(convolution(convolution(x, p, "attention.fusion"), p, "conv3"))
    x = F.relu(convolution(x, p, "conv4", dilation=2))
    return convolution(F.relu(convolution(x, p, "conv5", padding=1)), p, "conv6")


def sample(output):
    """Every fifth row and column of every channel, row-major: enough to see an error in any place."""
    return [float(f"{value:.9g}") for value in output[0, :, ::5, ::5].flatten().tolist()]


def described(network, p):
    p = {name: tensor.clone().requires_grad_(True) for name, tensor in p.items()}
    output = network(image, p)
    (0.5 * (output**2).mean()).backward()
    return {
        "output": sample(output.detach()),
        "gradientNorms": {name: float(f"{tensor.grad.double().norm().item():.9g}") for name, tensor in p.items()}}


generator = Generator(2025)
medium_parameters = parameters(MEDIUM_LAYERS, generator)
autoencoder_parameters = parameters(AUTOENCODER_LAYERS, generator)
extractor_parameters = parameters(TRUNK_LAYERS[:2] + ATTENTION_LAYERS + TRUNK_LAYERS[2:], generator)
image = generator.uniform(-2.0, 2.0, 3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE)
golden = {
    "torch": "2.13.0",
    "medium": described(medium, medium_parameters),
    "mediumPadded": described(lambda x, p: medium(x, p, padding=1), medium_parameters),
    "separatedAutoencoder": described(autoencoder, autoencoder_parameters),
    "extractor": described(extractor, extractor_parameters)}
path = pathlib.Path(__file__).with_name("network_forward.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
