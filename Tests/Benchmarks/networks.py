"""The networks of a model file, for others to compute: as an ONNX graph, and in double precision as the reference.

Everything is read off the weights' names and shapes, so PDN-S and PDN-M are the same code.
"""

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

SIDE = 256
MEAN = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
DEVIATION = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)

# What every contender gives for one picture: both maps, and the student's former half averaged over all positions.
OUTPUTS = ["student_teacher_map", "autoencoder_student_map", "pooled_features"]

# The sides that the autoencoder's decoder enlarges to, before its first seven layers.
ENLARGED_SIDES = [3, 8, 15, 32, 63, 127, 56]


class Model:
    """A model file's weights, statistics and test picture, single precision."""

    def __init__(self, path):
        tensors = load_file(path)
        self.networks = {
            network: {
                name.removeprefix(f"{network}."): values.astype(np.float32)
                for name, values in tensors.items() if name.startswith(f"{network}.")
            }
            for network in ["teacher", "student", "autoencoder"]
        }
        self.mean = tensors["channels.mean"]
        # A dead channel has deviation 0 and is 0 everywhere.
        deviation = tensors["channels.deviation"]
        self.scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        self.picture = tensors["self_test.image"]

    @property
    def features(self):
        """Channels of the teacher's output."""
        return len(self.mean)

    @property
    def image(self):
        return normalised(self.picture)


def normalised(pixels):
    """[256, 256, 3] bytes to [3, 256, 256] single precision, by ImageNet's statistics."""
    unit = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return (unit - MEAN.astype(np.float32)) / DEVIATION.astype(np.float32)


def descriptor_layers(parameters):
    """The convolutions of a patch description network: name, whether a rectifier and whether a pool follows."""
    names = sorted(name.removesuffix(".weight") for name in parameters if name.endswith(".weight"))
    return [(name, name != names[-1], position < 2) for position, name in enumerate(names)]


def autoencoder_layers():
    """The convolutions of the autoencoder: name, side to enlarge to before it, stride, padding, whether a rectifier."""
    encoder = [(f"encoder.enconv{i + 1}", None, 2 if i < 5 else 1, 1 if i < 5 else 0, i < 5) for i in range(6)]
    sides = ENLARGED_SIDES + [None]
    decoder = [(f"decoder.deconv{i + 1}", sides[i], 1, 2 if i < 6 else 1, i < 7) for i in range(8)]
    return encoder + decoder


# --- Double precision


def reference(model):
    """What the networks give for the model's picture, in double precision, by the definition: the outputs by name.

    Beside `OUTPUTS` there is `hard_loss`, the mean of the largest thousandth of the squared differences between
    teacher and student: the first loss of a training that starts here.
    """
    image = model.image.astype(np.float64)
    teacher = descriptor(image, model.networks["teacher"])
    teacher = (teacher - model.mean[:, None, None]) * model.scale[:, None, None].astype(np.float64)
    student = descriptor(image, model.networks["student"])
    former, latter = student[:model.features], student[model.features:]
    squares = (teacher - former) ** 2
    return {
        "student_teacher_map": squares.mean(axis=0),
        "autoencoder_student_map": ((autoencoder(image, model.networks["autoencoder"]) - latter) ** 2).mean(axis=0),
        "pooled_features": former.mean(axis=(1, 2)),
        "hard_loss": squares[squares >= np.quantile(squares, 0.999)].mean(),
    }


def descriptor(x, parameters):
    for name, is_rectified, is_pooled in descriptor_layers(parameters):
        x = convolution(x, parameters, name)
        if is_rectified:
            x = np.maximum(x, 0)
        if is_pooled:
            height, width = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, :2 * height, :2 * width].reshape(len(x), height, 2, width, 2).mean(axis=(2, 4))
    return x


def autoencoder(x, parameters):
    for name, side, stride, padding, is_rectified in autoencoder_layers():
        if side is not None:
            rows = interpolation(x.shape[1], side)
            columns = interpolation(x.shape[2], side)
            x = rows @ x @ columns.T
        x = convolution(x, parameters, name, stride, padding)
        if is_rectified:
            x = np.maximum(x, 0)
    return x


def convolution(x, parameters, name, stride=1, padding=0):
    """Patches times weights, some rows at a time to bound the memory."""
    weights = parameters[f"{name}.weight"].astype(np.float64)
    bias = parameters[f"{name}.bias"].astype(np.float64)
    side = weights.shape[2]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    patches = sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    height, width = patches.shape[1:3]
    output = np.empty((len(weights), height, width))
    for top in range(0, height, 8):
        block = patches[:, top:top + 8].transpose(0, 3, 4, 1, 2)
        columns = block.reshape(weights[0].size, -1)
        output[:, top:top + 8] = (weights.reshape(len(weights), -1) @ columns).reshape(len(weights), -1, width)
    return output + bias[:, None, None]


def interpolation(length, target):
    """The matrix of bilinear point sampling along one axis, `align_corners=False`."""
    positions = np.maximum(0, (np.arange(target) + 0.5) * length / target - 0.5)
    first = np.minimum(positions.astype(int), length - 1)
    second = np.minimum(first + 1, length - 1)
    matrix = np.zeros((target, length))
    matrix[np.arange(target), first] += 1 - (positions - first)
    matrix[np.arange(target), second] += positions - first
    return matrix


# --- ONNX


def onnx_model(model):
    """The whole frame as one graph: `image` [1, 3, 256, 256] to `OUTPUTS`."""
    graph = Graph()
    features = graph.descriptor("teacher", model.networks["teacher"])
    # Plain per-channel nodes, which the runtimes fold into the convolution before them.
    features = graph.node("Add", [features, graph.constant(-model.mean.reshape(1, -1, 1, 1))])
    features = graph.node("Mul", [features, graph.constant(model.scale.reshape(1, -1, 1, 1))])
    both = graph.descriptor("student", model.networks["student"])
    halves = graph.constant(np.array([model.features, model.features]))
    former, latter = graph.node("Split", [both, halves], outputs=2, axis=1)
    reconstruction = graph.autoencoder(model.networks["autoencoder"])
    graph.mean_squared_difference(features, former, OUTPUTS[0])
    graph.mean_squared_difference(reconstruction, latter, OUTPUTS[1])
    graph.node("ReduceMean", [former], name=OUTPUTS[2], axes=[2, 3], keepdims=1)

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    map_shape = [1, 1, 56, 56]
    shapes = [map_shape, map_shape, [1, model.features, 1, 1]]
    made = helper.make_graph(
        graph.nodes, "whole_frame", [value("image", [1, 3, SIDE, SIDE])],
        [value(name, shape) for name, shape in zip(OUTPUTS, shapes)], graph.constants)
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


class Graph:
    """The nodes and constants of a graph that is being written; a value is known by its name."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def constant(self, values):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind, inputs, outputs=1, name=None, **attributes):
        names = [name] if name else [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def convolution(self, x, parameters, name, stride=1, padding=0, is_rectified=True):
        weights, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        x = self.node(
            "Conv", [x, self.constant(weights), self.constant(bias)], kernel_shape=list(weights.shape[2:]),
            strides=[stride, stride], pads=[padding] * 4)
        return self.node("Relu", [x]) if is_rectified else x

    def descriptor(self, network, parameters):
        x = "image"
        for name, is_rectified, is_pooled in descriptor_layers(parameters):
            x = self.convolution(x, parameters, name, is_rectified=is_rectified)
            if is_pooled:
                x = self.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
        return x

    def autoencoder(self, parameters):
        x = "image"
        for name, side, stride, padding, is_rectified in autoencoder_layers():
            if side is not None:
                channels = parameters[f"{name}.weight"].shape[1]
                sizes = self.constant(np.array([1, channels, side, side]))
                x = self.node(
                    "Resize", [x, "", "", sizes], mode="linear", coordinate_transformation_mode="half_pixel")
            x = self.convolution(x, parameters, name, stride, padding, is_rectified)
        return x

    def mean_squared_difference(self, first, second, name):
        difference = self.node("Sub", [first, second])
        squares = self.node("Mul", [difference, difference])
        return self.node("ReduceMean", [squares], name=name, axes=[1], keepdims=1)
