"""One contender of the benchmark in a process of its own: `peers.py KIND --model FILE --threads N …`.

Speaks as `EngineBenchmark` does: `ready <precision>` when it has loaded, then for every line of standard input one
piece of work and its milliseconds, followed by L_hard where the work is a training step.
"""

import argparse
import os
import sys
import time


def serve(description, work):
    """Answers every line of standard input; the first answers, which fill caches and memory, are not counted."""
    print(f"ready {description}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        numbers = work() or []
        milliseconds = 1e3 * (time.perf_counter() - start)
        print(" ".join(repr(number) for number in [milliseconds, *numbers]), flush=True)


def save_outputs(path, values):
    """Maps and pooled features under their names, for comparison with the reference."""
    import numpy as np
    from networks import OUTPUTS
    from safetensors.numpy import save_file
    save_file({name: np.ascontiguousarray(value) for name, value in zip(OUTPUTS, values)}, path)


# --- Whole frames


def onnx_runtime(options, image):
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    # Threads spin while a frame is computed, as they do by default, but not while others have their turn.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(options.graph, settings, providers=["CPUExecutionProvider"])
    inputs = {"image": image[None]}
    return "f32", lambda: session.run(None, inputs)


def openvino(options, image):
    import openvino
    settings = {
        "INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
    }
    if options.kind == "openvino-f32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(options.graph), "CPU", settings)
    request = compiled.create_infer_request()
    inputs = {0: image[None]}
    # What it computes in unless told otherwise depends on the CPU.
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    precision = {"f32": "f32", "bf16": "bf16", "f16": "f16"}.get(hint, hint)
    if options.kind == "openvino-int8":
        precision = f"int8 (nncf), rest {precision}"

    def work():
        outputs = request.infer(inputs, share_inputs=True)
        return [outputs[port] for port in compiled.outputs]

    return precision, work


def torch_frame(options, image):
    import torch
    import torch_networks
    from networks import Model
    torch.set_num_threads(options.threads)
    networks = torch_networks.Networks(Model(options.model))
    inputs = torch_networks.channels_last(torch.from_numpy(image[None]))

    def work():
        with torch.inference_mode():
            return [value.numpy() for value in networks.whole_frame(inputs)]

    return "f32 channels_last", work


# --- Training steps


def torch_step(options, as_published):
    import torch
    import torch_networks
    from networks import Model
    torch.set_num_threads(options.threads)
    training = torch_networks.Training(Model(options.model), as_published)
    precision = "f32 channels_last" + (", as published" if as_published else "")
    serve(precision, training.step)


FRAMES = {
    "ort": onnx_runtime, "openvino-f32": openvino, "openvino-default": openvino, "openvino-int8": openvino,
    "torch": torch_frame,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--model", required=True, help="the model file, for its picture and for PyTorch's weights")
    parser.add_argument("--graph", help="the ONNX or OpenVINO graph")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--outputs", help="where to write what one frame gave")
    options = parser.parse_args()
    # Read when the libraries are loaded.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.kind in ["torch-step", "torch-step-published"]:
        return torch_step(options, as_published=options.kind == "torch-step-published")

    from networks import Model
    description, work = FRAMES[options.kind](options, Model(options.model).image)
    if options.outputs:
        save_outputs(options.outputs, work())

    def frame():
        work()

    serve(description, frame)


if __name__ == "__main__":
    main()
