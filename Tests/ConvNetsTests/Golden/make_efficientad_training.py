"""Writes efficientad_training.json: forward passes and ten training steps of narrow EfficientAD-S networks in PyTorch.

    pip install torch==2.13.0          # the CPU build
    python make_efficientad_training.py

Widths and image size are reduced so that the file stays small and the test quick; the architecture is the full one.
Weights and images come from a generator that Swift repeats bit by bit, so that they need not be stored.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

assert torch.__version__.split("+")[0] == "2.13.0", f"made with torch 2.13.0, this is {torch.__version__}"
assert torch.tensor(0.0).device.type == "cpu"
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

SIDE = 128
TEACHER_CHANNELS = 8
STEPS = 10
LEARNING_RATE = 1e-3


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
    for name, outputs, inputs, side in layers:
        fan_in = torch.tensor(inputs * side * side, dtype=torch.float32)
        bound = (1 / torch.sqrt(fan_in)).item()
        tensors[f"{name}.weight"] = generator.uniform(-bound, bound, outputs * inputs * side * side).reshape(
            outputs, inputs, side, side)
        tensors[f"{name}.bias"] = generator.uniform(-bound, bound, outputs)
    return tensors


def pdn_layers(output_channels):
    return [("conv1", 5, 3, 4), ("conv2", 6, 5, 4), ("conv3", 7, 6, 3), ("conv4", output_channels, 7, 4)]


ENCODER_WIDTHS = [3, 4, 4, 5, 5, 5, 6]
DECODER_WIDTHS = [6, 6, 6, 6, 6, 6, 6, 6, TEACHER_CHANNELS]
AUTOENCODER_LAYERS = [
    (f"encoder.enconv{i + 1}", ENCODER_WIDTHS[i + 1], ENCODER_WIDTHS[i], 4) for i in range(6)
] + [
    (f"decoder.deconv{i + 1}", DECODER_WIDTHS[i + 1], DECODER_WIDTHS[i], 4 if i < 6 else 3) for i in range(8)
]


def pdn(image, p, padding=0):
    def convolution(x, name, pad):
        return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=pad)

    x = F.avg_pool2d(F.relu(convolution(image, "conv1", 3 * padding)), 2, 2, padding)
    x = F.avg_pool2d(F.relu(convolution(x, "conv2", 3 * padding)), 2, 2, padding)
    x = F.relu(convolution(x, "conv3", padding))
    return convolution(x, "conv4", 0)


def autoencoder(image, p):
    def convolution(x, name, **options):
        return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], **options)

    x = image
    for i in range(1, 6):
        x = F.relu(convolution(x, f"encoder.enconv{i}", stride=2, padding=1))
    x = convolution(x, "encoder.enconv6")
    sides = [SIDE // 64 - 1, SIDE // 32, SIDE // 16 - 1, SIDE // 8, SIDE // 4 - 1, SIDE // 2 - 1]
    for i, side in enumerate(sides):
        x = F.interpolate(x, size=(side, side), mode="bilinear")
        x = F.relu(convolution(x, f"decoder.deconv{i + 1}", padding=2))
    x = F.interpolate(x, size=(SIDE // 4 - 8, SIDE // 4 - 8), mode="bilinear")
    x = F.relu(convolution(x, "decoder.deconv7", padding=1))
    return convolution(x, "decoder.deconv8", padding=1)


def hard_loss(prediction, target):
    distance = (target - prediction) ** 2
    return distance[distance >= torch.quantile(distance, 0.999)].mean()


def sample(output):
    """Every fifth row and column of every channel, row-major: enough to see an error in any place."""
    return [float(f"{value:.9g}") for value in output[0, :, ::5, ::5].flatten().tolist()]


generator = Generator(2024)
teacher = parameters(pdn_layers(TEACHER_CHANNELS), generator)
student = parameters(pdn_layers(2 * TEACHER_CHANNELS), generator)
ae = parameters(AUTOENCODER_LAYERS, generator)
image = generator.uniform(-2.0, 2.0, 3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE)
augmented = generator.uniform(-2.0, 2.0, 3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE)

golden = {
    "torch": "2.13.0",
    "teacher": sample(pdn(image, teacher)),
    "teacherPadded": sample(pdn(image, teacher, padding=1)),
    "student": sample(pdn(image, student)),
    "autoencoder": sample(autoencoder(image, ae)),
}

trained = list(student.values()) + list(ae.values())
for tensor in trained:
    tensor.requires_grad_(True)
optimiser = torch.optim.Adam(trained, lr=LEARNING_RATE, weight_decay=1e-5)
half = TEACHER_CHANNELS
losses = []
for step in range(STEPS):
    optimiser.zero_grad()
    hard = hard_loss(pdn(image, student)[:, :half], pdn(image, teacher))
    target, prediction, imitation = pdn(augmented, teacher), autoencoder(augmented, ae), pdn(augmented, student)[:, half:]
    ae_loss = ((target - prediction) ** 2).mean()
    student_ae_loss = ((prediction - imitation) ** 2).mean()
    (hard + ae_loss + student_ae_loss).backward()
    if step == 0:
        golden["firstGradientNorms"] = {
            name: tensor.grad.double().norm().item() for name, tensor in list(student.items()) + list(ae.items())}
    optimiser.step()
    losses.append([hard.item(), ae_loss.item(), student_ae_loss.item()])
golden["losses"] = losses
golden["trainedStudent"] = sample(pdn(image, student))
golden["trainedAutoencoder"] = sample(autoencoder(image, ae))

path = pathlib.Path(__file__).with_name("efficientad_training.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
print(path, path.stat().st_size, "bytes;", losses[0], "->", losses[-1])
