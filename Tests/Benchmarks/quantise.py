"""Makes an int8 OpenVINO graph of an ONNX graph with nncf: `quantise.py GRAPH.onnx PICTURES.safetensors OUT.xml`."""

import sys

import nncf
import openvino
from safetensors.numpy import load_file

from networks import normalised

graph, pictures, out = sys.argv[1:]
images = [normalised(pixels)[None] for pixels in load_file(pictures)["pictures"]]
quantised = nncf.quantize(openvino.Core().read_model(graph), nncf.Dataset(images), subset_size=len(images))
openvino.save_model(quantised, out, compress_to_fp16=False)
