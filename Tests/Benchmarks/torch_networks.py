"""The networks in PyTorch: whole frames, and the training step that `Sources/Training/TrainingRun.swift` takes."""

import torch
import torch.nn.functional as F

from networks import DEVIATION, MEAN, autoencoder_layers, descriptor_layers


def channels_last(tensor):
    """The memory layout in which PyTorch's convolutions are fastest on CPUs."""
    return tensor.contiguous(memory_format=torch.channels_last)


class Networks:
    def __init__(self, model):
        def tensor(values):
            tensor = torch.from_numpy(values)
            return channels_last(tensor) if tensor.dim() == 4 else tensor

        self.teacher, self.student, self.autoencoder = (
            {name: tensor(values) for name, values in model.networks[network].items()}
            for network in ["teacher", "student", "autoencoder"])
        self.features = model.features
        self.mean = torch.from_numpy(model.mean).reshape(1, -1, 1, 1)
        self.scale = torch.from_numpy(model.scale).reshape(1, -1, 1, 1)

    def teacher_features(self, image):
        return (self.descriptor(image, self.teacher) - self.mean) * self.scale

    def descriptor(self, x, parameters, channels=slice(None)):
        """Only `channels` of the output: what is not needed is not computed."""
        layers = descriptor_layers(parameters)
        for name, is_rectified, is_pooled in layers:
            weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
            if name == layers[-1][0]:
                weight, bias = weight[channels], bias[channels]
            x = F.conv2d(x, weight, bias)
            if is_rectified:
                x = F.relu(x, inplace=True)
            if is_pooled:
                x = F.avg_pool2d(x, 2, 2)
        return x

    def reconstruction(self, x, dropout=0.0):
        for position, (name, side, stride, padding, is_rectified) in enumerate(autoencoder_layers()):
            if side is not None:
                x = F.interpolate(x, size=(side, side), mode="bilinear")
            weight, bias = self.autoencoder[f"{name}.weight"], self.autoencoder[f"{name}.bias"]
            x = F.conv2d(x, weight, bias, stride=stride, padding=padding)
            if is_rectified:
                x = F.relu(x, inplace=True)
            if dropout > 0 and 6 <= position < 12:
                x = F.dropout(x, dropout)
        return x

    def whole_frame(self, image):
        teacher = self.teacher_features(image)
        student = self.descriptor(image, self.student)
        former, latter = student[:, :self.features], student[:, self.features:]
        return [
            ((teacher - former) ** 2).mean(dim=1), ((self.reconstruction(image) - latter) ** 2).mean(dim=1),
            former.mean(dim=(2, 3)),
        ]


class Training:
    """EfficientAD's training step on one picture, batch 1: L_hard + L_AE + L_STAE, no detachment, one Adam.

    With the savings that our step has: the teacher's features of the unchanged picture are remembered, and of the
    student's last layer each pass computes the half that it needs; the quantile is found without sorting everything.
    `as_published` is without them, as the public implementations do it.
    """

    def __init__(self, model, as_published):
        self.networks = Networks(model)
        self.as_published = as_published
        trained = [*self.networks.student.values(), *self.networks.autoencoder.values()]
        for tensor in trained:
            tensor.requires_grad_(True)
        self.optimiser = torch.optim.Adam(trained, lr=1e-4, weight_decay=1e-5, fused=not as_published)
        self.pixels = torch.from_numpy(model.picture)
        self.mean = torch.from_numpy(MEAN).float().reshape(1, 3, 1, 1)
        self.deviation = torch.from_numpy(DEVIATION).float().reshape(1, 3, 1, 1)
        self.random = torch.Generator().manual_seed(42)
        self.remembered = None

    def step(self):
        """Gives back L_hard, the only loss in which no random numbers take part."""
        networks, half = self.networks, self.networks.features
        whole = slice(None)
        former, latter = (whole, whole) if self.as_published else (slice(0, half), slice(half, 2 * half))
        unit = self.pixels.permute(2, 0, 1)[None].float() / 255
        image, augmented = self.normalised(unit), self.normalised(self.augmented(unit))
        with torch.no_grad():
            if self.remembered is None or self.as_published:
                self.remembered = networks.teacher_features(image)
            target = networks.teacher_features(augmented)

        self.optimiser.zero_grad()
        student = networks.descriptor(image, networks.student, former)[:, :half]
        hard = self.hard_loss((self.remembered - student) ** 2)
        reconstruction = networks.reconstruction(augmented, dropout=0.2)
        imitation = networks.descriptor(augmented, networks.student, latter)[:, -half:]
        loss = hard + ((target - reconstruction) ** 2).mean() + ((reconstruction - imitation) ** 2).mean()
        loss.backward()
        self.optimiser.step()
        return [hard.item()]

    def hard_loss(self, squares):
        if self.as_published:
            return squares[squares >= torch.quantile(squares, 0.999)].mean()
        # The elements at or above rank 0.999·(n − 1), between two ranks, are the largest n − ⌈0.999·(n − 1)⌉.
        count = squares.numel()
        rank = 0.999 * (count - 1)
        return torch.topk(squares.flatten(), count - int(-(-rank // 1)), sorted=False).values.mean()

    def normalised(self, unit):
        return channels_last((unit - self.mean) / self.deviation)

    def augmented(self, unit):
        """Brightness, contrast or saturation, changed by up to a fifth."""
        kind = int(torch.randint(3, (1,), generator=self.random))
        factor = 0.8 + 0.4 * torch.rand(1, generator=self.random).item()
        weights = torch.tensor([0.2989, 0.587, 0.114]).reshape(1, 3, 1, 1)
        grey = (unit * weights).sum(dim=1, keepdim=True)
        other = [torch.zeros(1), grey.mean(), grey][kind]
        return (factor * unit + (1 - factor) * other).clamp(0, 1)
