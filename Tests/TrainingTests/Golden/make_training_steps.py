"""Writes training_steps.json: ten training steps of every method in PyTorch, from Beltwatch's own random numbers.

    pip install torch==2.13.0          # the CPU build
    python make_training_steps.py

The full architectures with a few channels each, on pictures of full size. Weights, pictures, order, light, dropout and
penalty are drawn from xoshiro256** as `RandomStream` draws them, so nothing of a training run has to be switched off
or handed in: `TrainingRun` as it is has to give these numbers.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

assert torch.__version__.split("+")[0] == "2.13.0", f"made with torch 2.13.0, this is {torch.__version__}"
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

SIDE = 256
CHANNELS = 8
STEPS = 10
LEARNING_RATE = 1e-3
SEED = 9
MASK = 2**64 - 1


def f32(value):
    """The nearest single-precision number."""
    return torch.tensor(value, dtype=torch.float32)


class SplitMix64:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        word = self.state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
        return word ^ (word >> 31)


PURPOSES = {"initialisation": 1, "order": 2, "augmentation": 3, "dropout": 4, "split": 5, "penalty": 6}


class RandomStream:
    """xoshiro256**, seeded and drawn from as Beltwatch's stream of the same name."""

    def __init__(self, seed, purpose):
        mixer = SplitMix64(seed ^ SplitMix64(PURPOSES[purpose]).next())
        self.state = [mixer.next() for _ in range(4)]

    def next(self):
        s0, s1, s2, s3 = self.state
        product = (s1 * 5) & MASK
        result = ((((product << 7) & MASK) | (product >> 57)) * 9) & MASK
        s2 ^= s0
        s3 ^= s1
        shifted = (s1 << 17) & MASK
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = ((s3 << 45) & MASK) | (s3 >> 19)
        self.state = [s0, s1, s2, s3]
        return result

    def uniforms(self, count):
        return torch.tensor([(self.next() >> 40) * 2.0**-24 for _ in range(count)], dtype=torch.float32)

    def index(self, bound):
        end = MASK - MASK % bound
        while True:
            draw = self.next()
            if draw < end:
                return draw % bound

    def shuffle(self, elements):
        for last in range(len(elements) - 1, 0, -1):
            other = self.index(last + 1)
            elements[last], elements[other] = elements[other], elements[last]


# Pictures and light


def picture(seed):
    """`ModelImage.picture`: stripes and a square, 0..1."""
    stream = RandomStream(seed, "initialisation")
    period = 8 + stream.index(24)
    left, top = stream.index(160), stream.index(160)
    base = [40 + stream.index(80) for _ in range(3)]
    square = [stream.index(160) for _ in range(3)]
    pixels = torch.empty(SIDE, SIDE, 3, dtype=torch.float32)
    for y in range(SIDE):
        row = []
        for x in range(SIDE):
            colours = square if left <= x < left + 90 and top <= y < top + 90 else base
            for channel in range(3):
                row.append(colours[channel] + (x + y) // period % 2 * 40 + stream.index(16))
        pixels[y] = torch.tensor(row, dtype=torch.float32).reshape(SIDE, 3)
    return pixels.permute(2, 0, 1)[None] / 255


def normalise(image):
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    return (image - mean) / torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)


def grey(image):
    return 0.2989 * image[:, 0:1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:3]


def changed_light(image, stream):
    kind = ((stream.next() >> 32) * 3) >> 32
    factor = f32(0.8) + f32(0.4) * f32(float(stream.next() >> 40)) * 2.0**-24
    other = [torch.zeros(1), grey(image).double().mean().float(), grey(image)][kind]
    return (factor * image + (1 - factor) * other).clamp(0, 1)


# Networks


def uniform(stream, bound, shape):
    count = torch.Size(shape).numel()
    return (-bound + (bound - -bound) * stream.uniforms(count)).reshape(shape)


def chain(layers, seed):
    """Weights and biases uniform in +-sqrt(3/fan_in)."""
    stream, parameters = RandomStream(seed, "initialisation"), {}
    for name, outputs, inputs, side in layers:
        bound = torch.sqrt(f32(3) / f32(inputs * side * side))
        parameters[f"{name}.weight"] = uniform(stream, bound, (outputs, inputs, side, side))
        parameters[f"{name}.bias"] = uniform(stream, bound, (outputs,))
    return parameters


KERNELS = {"s": [4, 4, 3, 4], "m": [4, 4, 1, 3, 4, 1]}


def descriptor(size, outputs, seed):
    widths = [3] + list(range(5, 4 + len(KERNELS[size]))) + [outputs]
    return chain(
        [(f"conv{i + 1}", widths[i + 1], widths[i], side) for i, side in enumerate(KERNELS[size])], seed)


AUTOENCODER_NAMES = [f"encoder.enconv{i}" for i in range(1, 7)] + [f"decoder.deconv{i}" for i in range(1, 9)]


def autoencoder_parameters(seed):
    sides = [4] * 5 + [8] + [4] * 6 + [3, 3]
    return chain(
        [(name, CHANNELS if i == 13 else 4, 3 if i == 0 else 4, sides[i]) for i, name in enumerate(AUTOENCODER_NAMES)],
        seed)


HEADS = 2
EXTRACTOR_WIDTHS = [3, 4, 6, 5, 5, 7, CHANNELS]


def extractor_parameters(seed):
    """Weights and biases uniform in +-1/sqrt(fan_in), the attention between the second and the third convolution."""
    width, kernels = EXTRACTOR_WIDTHS[2], [4, 4, 1, 3, 4, 1]
    layers = [(f"conv{i + 1}", EXTRACTOR_WIDTHS[i + 1], EXTRACTOR_WIDTHS[i], kernels[i], True) for i in range(6)]
    attention = []
    for window in (3, 5):
        attention += [
            (f"attention.outlook{window}.v", width, width, 1, False),
            (f"attention.outlook{window}.attn", HEADS * window**4, width, 1, True),
            (f"attention.outlook{window}.proj", width, width, 1, True)]
    attention.append(("attention.fusion", width, 2 * width, 1, True))
    stream, parameters = RandomStream(seed, "initialisation"), {}
    for name, outputs, inputs, side, has_bias in layers[:2] + attention + layers[2:]:
        bound = 1 / torch.sqrt(f32(inputs * side * side))
        parameters[f"{name}.weight"] = uniform(stream, bound, (outputs, inputs, side, side))
        if has_bias:
            parameters[f"{name}.bias"] = uniform(stream, bound, (outputs,))
    return parameters


def convolution(x, p, name, **options):
    return F.conv2d(x, p[f"{name}.weight"], p.get(f"{name}.bias"), **options)


def pdn(image, p, size):
    x = F.avg_pool2d(F.relu(convolution(image, p, "conv1")), 2, 2)
    x = F.avg_pool2d(F.relu(convolution(x, p, "conv2")), 2, 2)
    count = len(KERNELS[size])
    for layer in range(3, count):
        x = F.relu(convolution(x, p, f"conv{layer}"))
    return convolution(x, p, f"conv{count}")


def outlook(x, p, name, window):
    _, channels, height, width = x.shape
    depth, places, positions = channels // HEADS, window * window, height * width
    values = F.unfold(convolution(x, p, f"{name}.v"), window, padding=window // 2)
    values = values.reshape(HEADS, depth, places, positions)
    logits = convolution(x, p, f"{name}.attn").reshape(HEADS, places, places, positions)
    weights = (logits * depth**-0.5).softmax(dim=2)
    mixed = torch.einsum("hijn,hdjn->hdin", weights, values).reshape(1, channels * places, positions)
    folded = F.fold(mixed, (height, width), window, padding=window // 2)
    return convolution(folded, p, f"{name}.proj")


def extractor(image, p):
    x = F.avg_pool2d(F.relu(convolution(image, p, "conv1")), 2, 2)
    x = F.avg_pool2d(F.relu(convolution(x, p, "conv2")), 2, 2)
    x = torch.cat([outlook(x, p, f"attention.outlook{window}", window) for window in (3, 5)], dim=1)
    x = F.relu(convolution(convolution(x, p, "attention.fusion"), p, "conv3"))
    x = F.relu(convolution(x, p, "conv4", dilation=2))
    return convolution(F.relu(convolution(x, p, "conv5", padding=1)), p, "conv6")


def dropout(x, stream):
    if stream is None:
        return x
    threshold = int(f32(0.2).double().item() * 2**32)
    kept = torch.tensor([stream.next() >> 32 >= threshold for _ in range(x.numel())]).reshape(x.shape)
    return torch.where(kept, x * (1 / (1 - f32(0.2))), torch.zeros(()))


def autoencoder(image, p, normalised, stream=None):
    def activation(x):
        return F.relu(F.instance_norm(x) if normalised else x)

    x = image
    for i in range(1, 6):
        x = activation(convolution(x, p, f"encoder.enconv{i}", stride=2, padding=1))
    x = convolution(x, p, "encoder.enconv6")
    if normalised:
        x = F.relu(x)
    for i, side in enumerate([3, 8, 15, 32, 63, 127]):
        x = F.interpolate(x, size=(side, side), mode="bilinear")
        x = dropout(activation(convolution(x, p, f"decoder.deconv{i + 1}", padding=2)), stream)
    x = F.interpolate(x, size=(56, 56), mode="bilinear")
    return convolution(activation(convolution(x, p, "decoder.deconv7", padding=1)), p, "decoder.deconv8", padding=1)


# Losses


def hard_loss(prediction, target):
    distance = (target - prediction) ** 2
    return distance[distance >= torch.quantile(distance, 0.999)].mean()


def difference_loss(teacher, reconstruction, imitation):
    return (((teacher - reconstruction) ** 2 - (teacher - imitation) ** 2) ** 2).mean()


def separation_loss(teacher, reconstruction, margin):
    distance = ((teacher - reconstruction) ** 2).detach()
    mask = (distance >= torch.quantile(distance, 0.999)).float()
    kept = mask.amax(dim=1) > 0
    apart = F.normalize(mask * teacher, dim=1) - F.normalize(mask * reconstruction, dim=1)
    return (margin - apart.norm(dim=1)[kept]).clamp(min=0).mean()


def number(value):
    return float(f"{value:.9g}")


def sample(output):
    """Every ninth row and column of every channel, row-major: enough to see an error in any place."""
    return [number(value) for value in output[0, :, ::9, ::9].flatten().tolist()]


# Training

PICTURES = [picture(seed) for seed in range(3)]
OTHERS = [picture(seed) for seed in range(50, 52)]


def teacher_features(size):
    """The frozen teacher with the statistics of its output over the pictures."""
    parameters = descriptor(size, CHANNELS, 1000)
    outputs = torch.cat([pdn(normalise(image), parameters, size) for image in PICTURES])
    values = outputs.double().permute(1, 0, 2, 3).reshape(CHANNELS, -1)
    mean = values.mean(dim=1).float().reshape(1, -1, 1, 1)
    scale = 1 / values.std(dim=1, correction=0).float().reshape(1, -1, 1, 1)
    return lambda image: (pdn(image, parameters, size) - mean) * scale


def train(method, size, penalty=False):
    student = descriptor(size, 2 * CHANNELS, SEED)
    ae = autoencoder_parameters(SEED + 1)
    context = extractor_parameters(SEED + 2) if method == "la-ead" else {}
    teacher = teacher_features(size)
    trained = list(student.values()) + list(ae.values()) + list(context.values())
    for tensor in trained:
        tensor.requires_grad_(True)
    if method == "dfsc":
        optimiser = torch.optim.AdamW(trained, lr=LEARNING_RATE, betas=(0.9, 0.997), weight_decay=1e-5)
    else:
        optimiser = torch.optim.Adam(trained, lr=LEARNING_RATE, weight_decay=1e-5)
    average = {name: tensor.detach().clone() for name, tensor in student.items()}
    streams = {purpose: RandomStream(SEED, purpose) for purpose in PURPOSES}
    order, losses = [], []
    for step in range(STEPS):
        if not order:
            order = list(range(len(PICTURES)))
            streams["order"].shuffle(order)
        shown = PICTURES[order.pop()]
        image = normalise(shown)
        viewed = image if method == "dfsc" else normalise(changed_light(shown, streams["augmentation"]))
        with torch.no_grad():
            target, viewed_target = teacher(image), teacher(viewed)
        prediction = autoencoder(viewed, ae, method == "dfsc", streams["dropout"])
        imitation = pdn(viewed, student, size)[:, CHANNELS:]
        terms = {
            "hardFeature": hard_loss(pdn(image, student, size)[:, :CHANNELS], target),
            "autoencoder": ((viewed_target - prediction) ** 2).mean(),
            "studentAutoencoder": ((prediction - imitation) ** 2).mean()}
        if method == "la-ead":
            terms["constraint"] = 0.1 * difference_loss(viewed_target, prediction, imitation)
            terms["context"] = ((target - extractor(image, context)) ** 2).mean()
        if method == "dfsc":
            terms["constraint"] = 2 * separation_loss(viewed_target, prediction, margin=2)
        if penalty:
            other = OTHERS[streams["penalty"].index(len(OTHERS))]
            if streams["penalty"].uniforms(1).item() < f32(0.3).item():
                other = grey(other).expand(1, 3, SIDE, SIDE)
            terms["penalty"] = (pdn(normalise(other), student, size)[:, :CHANNELS] ** 2).mean()

        rate = LEARNING_RATE * (0.1 if step >= 9 else 1)
        if method == "dfsc":
            rate *= 1 - float(torch.exp(torch.tensor(-(1 - 0.997) * (step + 1), dtype=torch.float64)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        for name, tensor in student.items():
            average[name] = 0.99 * average[name] + 0.01 * tensor.detach()
        losses.append({name: number(term.item()) for name, term in terms.items()})
    with torch.no_grad():
        image = normalise(PICTURES[0])
        result = {
            "losses": losses,
            "student": sample(pdn(image, student, size)),
            "autoencoder": sample(autoencoder(image, ae, method == "dfsc"))}
        if context:
            result["extractor"] = sample(extractor(image, context))
        if method == "dfsc":
            result["averagedStudent"] = sample(pdn(image, average, size))
    return result


golden = {
    "torch": "2.13.0",
    "efficientADSmall": train("efficient-ad", "s", penalty=True),
    "efficientADMedium": train("efficient-ad", "m"),
    "dfsc": train("dfsc", "s"),
    "laEAD": train("la-ead", "s")}
path = pathlib.Path(__file__).with_name("training_steps.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
for name in list(golden)[1:]:
    print(name, golden[name]["losses"][0], "->", golden[name]["losses"][-1])
