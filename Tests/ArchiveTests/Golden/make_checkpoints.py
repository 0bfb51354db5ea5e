"""Writes the checkpoints beside it: the layouts of nelson1425/EfficientAD, LeapMind/PUAD and anomalib, by PyTorch.

    pip install torch==2.13.0          # the CPU build
    python make_checkpoints.py

Layers and names are the full ones, widths are reduced so that the files stay small. Every value is one that Swift
computes anew: element i of the network's parameter k, in layer order, is ((7·i + 13·k) mod 251 − 125) / 64, which is
exact in every floating-point type.
"""

import enum
import pathlib
import sys
import types
import zipfile
from collections import OrderedDict

import torch
from torch import nn

assert torch.__version__.split("+")[0] == "2.13.0", f"made with torch 2.13.0, this is {torch.__version__}"

PLACE = pathlib.Path(__file__).parent
FEATURES = 4


def fill(tensor, k):
    i = torch.arange(tensor.numel())
    values = ((7 * i + 13 * k) % 251 - 125) / 64
    with torch.no_grad():
        tensor.copy_(values.reshape(tensor.shape))


def filled(network):
    for k, parameter in enumerate(network.parameters()):
        fill(parameter, k)
    return network


# --- nelson1425: positions in an nn.Sequential


def sequential_descriptor(size, out):
    pool = lambda: nn.AvgPool2d(kernel_size=2, stride=2)
    start = [nn.Conv2d(3, 2, 4), nn.ReLU(inplace=True), pool(), nn.Conv2d(2, 2, 4), nn.ReLU(inplace=True), pool()]
    if size == "small":
        rest = [nn.Conv2d(2, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, out, 4)]
    else:
        rest = [nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3), nn.ReLU(inplace=True),
                nn.Conv2d(2, out, 4), nn.ReLU(inplace=True), nn.Conv2d(out, out, 1)]
    return filled(nn.Sequential(*start, *rest))


def sequential_autoencoder(has_dropout):
    layers = [nn.Conv2d(3, 1, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
    for _ in range(4):
        layers += [nn.Conv2d(1, 1, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
    layers.append(nn.Conv2d(1, 1, 8))
    for side in [3, 8, 15, 32, 63, 127]:
        layers += [nn.Upsample(size=side, mode="bilinear"), nn.Conv2d(1, 1, 4, padding=2), nn.ReLU(inplace=True)]
        if has_dropout:
            layers.append(nn.Dropout(0.2))
    layers += [nn.Upsample(size=56, mode="bilinear"), nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace=True),
               nn.Conv2d(1, FEATURES, 3, padding=1)]
    return filled(nn.Sequential(*layers))


# --- PUAD and anomalib: named layers


class Descriptor(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 2, 4), nn.Conv2d(2, 2, 4)
        self.conv3, self.conv4 = nn.Conv2d(2, 2, 3), nn.Conv2d(2, out, 4)
        self.avgpool1, self.avgpool2 = nn.AvgPool2d(2, 2), nn.AvgPool2d(2, 2)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        for number in range(1, 7):
            setattr(self, f"enconv{number}", nn.Conv2d(3 if number == 1 else 1, 1, 8 if number == 6 else 4))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        for number in range(1, 9):
            setattr(self, f"deconv{number}", nn.Conv2d(1, FEATURES if number == 8 else 1, 4 if number < 7 else 3))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()


class Detector(nn.Module):
    """As anomalib's EfficientAdModel keeps its parts."""

    def __init__(self):
        super().__init__()
        self.teacher, self.student, self.ae = (
            filled(Descriptor(FEATURES)), filled(Descriptor(2 * FEATURES)), filled(Autoencoder()))
        ones = torch.ones((1, FEATURES, 1, 1))
        self.mean_std = nn.ParameterDict({"mean": 0.25 * ones, "std": 0.5 * ones})
        self.quantiles = nn.ParameterDict(
            {name: torch.tensor(value) for name, value in
             [("qa_st", 0.5), ("qb_st", 1.0), ("qa_ae", 2.0), ("qb_ae", 4.0)]})


def lightning_checkpoint():
    module = nn.Module()
    module.model = Detector()
    trained = [*module.model.student.parameters(), *module.model.ae.parameters()]
    optimiser = torch.optim.Adam(trained[-2:], lr=1e-4, weight_decay=1e-5)
    sum((parameter**2).sum() for parameter in trained[-2:]).backward()
    optimiser.step()
    for k, parameter in enumerate(module.model.ae.parameters()):
        fill(parameter, k)
    state = module.state_dict()
    state["image_threshold.value"] = torch.tensor(0.5)
    # A class of anomalib's own, as its settings have.
    parts = "anomalib.models.image.efficient_ad.torch_model".split(".")
    for length in range(1, len(parts) + 1):
        settings = types.ModuleType(".".join(parts[:length]))
        sys.modules[settings.__name__] = settings
    settings.EfficientAdModelSize = enum.Enum(
        "EfficientAdModelSize", {"M": "medium", "S": "small"}, type=str, module=settings.__name__)
    return {
        "epoch": 1, "global_step": 70000, "pytorch-lightning_version": "2.4.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1, "completed": 1}}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9), "best_k_models": {}, "monitor": None}},
        "optimizer_states": [optimiser.state_dict()], "lr_schedulers": [], "hparams_name": "kwargs",
        "hyper_parameters": {
            "imagenet_dir": pathlib.PurePosixPath("datasets/imagenette"), "lr": 1e-4, "padding": False,
            "model_size": settings.EfficientAdModelSize.S, "teacher_out_channels": FEATURES},
    }


# --- What tensors can be


def views():
    flat = torch.empty(251)
    fill(flat, 0)
    ones = torch.ones(3, dtype=torch.int64)
    return OrderedDict(
        whole=flat, part=flat[10:22].reshape(3, 4), transposed=flat[10:22].reshape(3, 4).t(),
        steps=flat[5:50:9], parameter=nn.Parameter(flat[:2]), scalar=flat[7], empty=flat[:0],
        channels_last=flat[:48].reshape(2, 3, 2, 4).contiguous(memory_format=torch.channels_last),
        half=flat[:4].half(), brain=flat[:4].bfloat16(), double=flat[:4].double(), integers=ones + 4)


class Attack:
    def __reduce__(self):
        import os

        return os.system, ("touch attacked",)


def save(value, name, **options):
    torch.save(value, PLACE / name, **options)


def main():
    torch.manual_seed(0)
    save(sequential_descriptor("small", FEATURES), "nelson1425_teacher_final.pth")
    save(sequential_descriptor("medium", 2 * FEATURES).state_dict(), "nelson1425_medium_state.pth")
    save(sequential_autoencoder(True), "nelson1425_autoencoder_final.pth")
    save(sequential_autoencoder(False).state_dict(), "nelson1425_autoencoder_early_state.pth")
    save(filled(Descriptor(2 * FEATURES)).state_dict(), "puad_student.pt", pickle_protocol=4)
    save(filled(Autoencoder()).state_dict(), "puad_autoencoder.pt")
    save(torch.full((FEATURES,), 0.25), "mu.pt")
    quantiles = {"q_a_student": 0.5, "q_b_student": 1.0, "q_a_autoencoder": 2.0, "q_b_autoencoder": 4.0}
    save({name: torch.tensor(value) for name, value in quantiles.items()}, "puad_quantile.pt")
    save(lightning_checkpoint(), "anomalib.ckpt")
    save(views(), "views.pt")
    save({"weight": torch.ones(2)}, "legacy.pt", _use_new_zipfile_serialization=False)
    save({"weight": torch.ones(2), "payload": Attack()}, "attack.pt")
    with zipfile.ZipFile(PLACE / "mu.pt") as stored, zipfile.ZipFile(
            PLACE / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as compressed:
        for entry in stored.infolist():
            compressed.writestr(entry.filename, stored.read(entry))


if __name__ == "__main__":
    main()
