"""Measures Beltwatch's engine beside ONNX Runtime, OpenVINO and PyTorch: `make benchmark`.

Every contender computes the same weights in a process of its own and waits on its standard input. They take turns, one
piece of work each, so that whatever else the machine does hits all of them alike; the tables show medians.

The settings come from the environment; `make benchmark WHAT=frame CONTENDERS="beltwatch ort"` is the quick comparison:

  WHAT         frame, step, layers: whole frames, training steps, our time per layer      frame step layers
  SIZES        s, m: EfficientAD-S, -M; training steps are always S                       s
  THREADS      numbers of threads                                                         1 2, or 1 on one core
  ROUNDS       turns of every contender                                                   9
  TRIES        up to so many times as many turns; the ROUNDS calmest ones count           1
  CONTENDERS   beltwatch ort openvino-f32 openvino-default openvino-int8 torch            all
  TORCH        1 installs PyTorch, for frames and steps; the wheel on PyPI is several GB   0
  WEIGHTS      a model file, instead of untrained networks                                none
  JSON         where every number goes                                                    .build-benchmark/results.json
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import select
import statistics
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parents[1] / ".build-benchmark"
PYTHON = WORK / "venv" / "bin" / "python"

FRAMES = ["beltwatch", "ort", "openvino-f32", "openvino-default", "openvino-int8", "torch"]
STEPS = ["beltwatch", "torch", "torch-published"]
PACKAGES = {"ort": "onnxruntime", "openvino": "openvino", "torch": "torch"}

# How long a contender may take for one answer, in seconds: a training step on a busy machine takes several.
PATIENCE = 300


def note(text):
    """Progress, for people; standard output belongs to the tables."""
    print(text, file=sys.stderr, flush=True)


# --- The scratch environment


def prepare_environment(with_torch):
    """Makes the virtual environment and installs what is missing; a second run finds everything there."""
    requirements = HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest() + (" torch" if with_torch else "")
    stamp = WORK / "venv" / "installed"
    installed = stamp.read_text() if stamp.exists() else ""
    if installed.startswith(wanted):
        return
    if not PYTHON.exists():
        note(f"making a virtual environment in {WORK / 'venv'}")
        venv.create(WORK / "venv", with_pip=True)
    note("installing ONNX Runtime, OpenVINO and nncf, about 500 MB the first time")
    pip("-r", str(requirements))
    if with_torch:
        # Where pip is told of a folder with a build for CPUs alone, that one does.
        note("installing PyTorch; where pip finds no build for CPUs alone, CUDA's libraries come along: several GB")
        pip("--no-index", "--no-deps", "torch", may_fail=True)
        pip("torch")
    stamp.write_text(wanted)


def pip(*arguments, may_fail=False):
    done = subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 and not may_fail:
        sys.exit(
            f"{done.stdout.strip()}\nbenchmark: pip could not install {' '.join(arguments)}; the benchmark needs a "
            "Python package index: PyPI, or another one that PIP_INDEX_URL or PIP_FIND_LINKS names")


def parse_settings():
    def words(name, default, allowed=None):
        values = os.environ.get(name, "").split() or default
        for value in values:
            if allowed and value not in allowed:
                sys.exit(f"benchmark: {name} has '{value}'; possible are {' '.join(allowed)}")
        return values

    def numbers(name, default):
        values = words(name, default)
        if not all(value.isdigit() and int(value) >= 1 for value in values):
            sys.exit(f"benchmark: {name} takes whole numbers from 1 on, not '{' '.join(values)}'")
        return [int(value) for value in values]

    with_torch = os.environ.get("TORCH", "0") not in ["", "0"]
    contenders = words("CONTENDERS", [name for name in FRAMES if name != "torch" or with_torch], FRAMES)
    return argparse.Namespace(
        what=words("WHAT", ["frame", "step", "layers"], ["frame", "step", "layers"]),
        sizes=words("SIZES", ["s"], ["s", "m"]),
        threads=numbers("THREADS", ["1", "2"] if (os.cpu_count() or 1) > 1 else ["1"]),
        rounds=numbers("ROUNDS", ["9"])[0],
        tries=numbers("TRIES", ["1"])[0],
        contenders=contenders,
        with_torch=with_torch or "torch" in contenders,
        weights=os.environ.get("WEIGHTS", ""),
        json=pathlib.Path(os.environ.get("JSON") or WORK / "results.json"))


# --- The networks


class Networks:
    """The files of one set of weights: what each contender loads, and what it should give."""

    def __init__(self, program, size, weights, contenders):
        self.size = size
        self.pictures = WORK / "networks" / "pictures.safetensors"
        (WORK / "networks").mkdir(exist_ok=True)
        made = WORK / "networks" / f"{size}.safetensors"
        if not (made.exists() and self.pictures.exists() and made.stat().st_mtime > program.stat().st_mtime):
            # The same bytes every time, so that what was made of them need not be made again.
            note(f"exporting the networks, size {size}")
            run([program, "export", made, "--pictures", self.pictures, "--size", size])
        self.model = pathlib.Path(weights) if weights else made
        digest = hashlib.sha256(self.model.read_bytes()).hexdigest()[:16]
        self.graph = WORK / "networks" / f"{digest}.onnx"
        self.quantised = WORK / "networks" / f"{digest}.int8.xml"
        self.reference = self.load_reference(WORK / "networks" / f"{digest}.reference.npz")
        if not self.graph.exists():
            import networks
            self.graph.write_bytes(networks.onnx_model(networks.Model(self.model)).SerializeToString())
        if "openvino-int8" in contenders and not self.quantised.exists():
            note("quantising with nncf, a minute or two the first time")
            with open(WORK / "quantise.log", "w") as log:
                done = subprocess.run(
                    [PYTHON, HERE / "quantise.py", self.graph, self.pictures, self.quantised], stdout=log, stderr=log)
            if done.returncode != 0:
                note(f"nncf failed, see {WORK / 'quantise.log'}")

    def load_reference(self, path):
        import networks
        import numpy as np
        if not path.exists():
            note("computing the reference in double precision")
            np.savez(path, **networks.reference(networks.Model(self.model)))
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}

    def errors(self, outputs):
        """Relative rms error of each output against the reference."""
        import numpy as np
        from safetensors.numpy import load_file
        found = load_file(outputs)

        def error(name):
            expected = self.reference[name].ravel()
            return float(np.linalg.norm(found[name].ravel() - expected) / np.linalg.norm(expected))

        return {name: error(name) for name in found}


# --- Contenders


class Contender:
    """A process that does a piece of work when asked, and says how long it took."""

    def __init__(self, name, command, threads):
        self.name = name
        self.threads = threads
        self.times = []
        self.numbers = []
        self.failure = None
        self.precision = ""
        self.log = WORK / "log" / f"{name}-{threads}.txt"
        self.log.parent.mkdir(exist_ok=True)
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS="1")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=environment)
        ready = self.answer()
        if ready is not None:
            self.precision = ready.removeprefix("ready ").strip()

    def take_turn(self):
        if self.failure:
            return
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.answer()
        if answer is not None:
            milliseconds, *numbers = [float(number) for number in answer.split()]
            self.times.append(milliseconds)
            self.numbers.append(numbers)

    def answer(self):
        """The next line that it writes, or None when there is none: then `failure` says why."""
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode() if readable else ""
        if line.endswith("\n"):
            return line
        reason = "ended" if readable else f"no answer in {PATIENCE} s"
        last = self.log.read_text().strip().splitlines()[-1:]
        self.failure = ": ".join([reason, *last])
        note(f"{self.name}, {self.threads} threads: {self.failure}; see {self.log}")
        return None

    def cpu_seconds(self):
        """CPU time that it has used, which others did not have."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# Rounds without counting, for caches and memory to fill, and for what a contender decides on its first frames.
WARM_UP = 2

# In a round that is calm, others use less than this many cores.
CALM = 0.1


def compete(contenders, settings, label):
    """Lets the contenders work in turn; gives back the numbers of the rounds that count, and others' cores in each."""
    others = []
    for number in range(WARM_UP + settings.rounds * settings.tries):
        counted = others[WARM_UP:]
        calm = sum(cores < CALM for cores in counted)
        if len(counted) >= settings.rounds and (settings.tries == 1 or calm >= settings.rounds):
            break
        note(f"{label}: round {number + 1 - WARM_UP} of {settings.rounds}" + (
            f", {calm} calm" if settings.tries > 1 else "") if number >= WARM_UP else f"{label}: warming up")
        others.append(cores_of_others(contenders, lambda: take_turns(contenders)))
    order = sorted(range(WARM_UP, len(others)), key=lambda number: others[number])
    return sorted(order[:settings.rounds]), others


def take_turns(contenders):
    for contender in contenders:
        contender.take_turn()
        # Lets threads that still spin go to sleep.
        time.sleep(0.05)


def cores_of_others(contenders, work):
    """How many cores other processes, and the host, used while `work` ran."""
    start, busy = time.monotonic(), busy_seconds()
    own = sum(contender.cpu_seconds() for contender in contenders) + time.process_time()
    work()
    own = sum(contender.cpu_seconds() for contender in contenders) + time.process_time() - own
    return max(0.0, busy_seconds() - busy - own) / (time.monotonic() - start)


def busy_seconds():
    """CPU time of everything on this machine, and what the host took away."""
    user, nice, system, _, _, interrupt, soft, stolen = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + interrupt + soft + stolen) / os.sysconf("SC_CLK_TCK")


# --- Measuring


def frames(program, networks, threads, settings):
    """Whole frames: teacher, student, autoencoder, both maps, pooled features."""
    contenders, outputs = [], {}
    note(f"{networks.size}, {threads} threads: starting the contenders")
    for name in settings.contenders:
        path = WORK / "log" / f"{name}-{threads}.safetensors"
        path.unlink(missing_ok=True)
        outputs[name] = path
        if name == "beltwatch":
            command = [program, "frame", networks.model, "--threads", threads, "--outputs", path]
        else:
            graph = networks.quantised if name == "openvino-int8" else networks.graph
            command = [
                PYTHON, HERE / "peers.py", name, "--model", networks.model, "--graph", graph, "--threads", threads,
                "--outputs", path]
        contenders.append(Contender(name, command, threads))
    counted, others = compete(contenders, settings, f"{networks.size}, {threads} threads")
    rows = []
    for contender in contenders:
        contender.close()
        row = {"what": "frame", "size": networks.size, **described(contender, counted, others)}
        if not contender.failure:
            row["errors"] = networks.errors(outputs[contender.name])
        rows.append(row)
    return with_ratios(rows, "ort")


def steps(program, networks, threads, settings):
    """Training steps; each contender starts from the same weights with the same picture."""
    names = [name for name in STEPS if name.removesuffix("-published") in settings.contenders]
    note(f"training, {threads} threads: starting the contenders")
    contenders = []
    for name in names:
        if name == "beltwatch":
            command = [program, "training-step", networks.model, "--threads", threads]
        else:
            kind = name.replace("torch", "torch-step")
            command = [PYTHON, HERE / "peers.py", kind, "--model", networks.model, "--threads", threads]
        contenders.append(Contender(name, command, threads))
    counted, others = compete(contenders, settings, f"training, {threads} threads")
    rows = []
    for contender in contenders:
        contender.close()
        row = {"what": "step", "size": networks.size, **described(contender, counted, others)}
        if not contender.failure:
            # The very first step: the weights have not moved.
            expected = float(networks.reference["hard_loss"])
            row["errors"] = {"hard_loss": abs(contender.numbers[0][0] - expected) / expected}
        rows.append(row)
    return with_ratios(rows, "torch")


def described(contender, counted, others):
    """What a contender is and how fast it was in the counted rounds."""
    package = next((name for key, name in PACKAGES.items() if contender.name.startswith(key)), None)
    row = {
        "contender": contender.name, "version": importlib.metadata.version(package) if package else "",
        "threads": contender.threads, "precision": contender.precision, "all_milliseconds": contender.times,
        "all_others_cores": others, "counted_rounds": counted,
    }
    if contender.failure:
        row["failure"] = contender.failure
    else:
        times = [contender.times[number] for number in counted]
        row |= {
            "median": statistics.median(times), "min": min(times), "max": max(times),
            "others_cores": statistics.mean(others[number] for number in counted),
        }
    return row


def with_ratios(rows, base):
    """How many times as fast as `base` each one is, by medians."""
    reference = next((row["median"] for row in rows if row["contender"] == base and "median" in row), None)
    for row in rows:
        if reference and "median" in row:
            row["ratio"] = reference / row["median"]
    return rows


def layers(program, networks, threads, rounds):
    """Our time per layer; the table as text, and its numbers."""
    note(f"{networks.size}, {threads} threads: layer by layer")
    path = WORK / "log" / "layers.json"
    text = run([program, "layers", networks.model, "--threads", threads, "--rounds", rounds, "--json", path])
    return text, json.loads(path.read_text())


def run(command):
    """What a command of ours prints; the benchmark ends where it fails."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"benchmark: {' '.join(str(part) for part in command)} ended with status {done.returncode}")
    return done.stdout


# --- Tables


def table(title, columns, rows):
    """Columns of text; the first ones to the left, numbers to the right."""
    cells = [[name for name, _ in columns]] + [[show(row) for _, show in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [title]
    for line in cells:
        lines.append("  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    return "\n".join(lines)


def number(key, digits=1):
    return lambda row: f"{row[key]:.{digits}f}" if key in row else "-"


def result_table(title, rows, base, more):
    return table(title, [
        ("contender", lambda row: f"{row['contender']} {row['version']}".strip()),
        ("precision", lambda row: row["precision"]),
        ("threads", lambda row: str(row["threads"])),
        ("median ms", lambda row: "failed" if "failure" in row else number("median")(row)),
        ("min", number("min")),
        ("max", number("max")),
        (f"x {base}", lambda row: f"{row['ratio']:.2f}" if "ratio" in row else "-"),
        *more,
        ("others' cores", number("others_cores", 2)),
    ], rows)


def error(*names):
    return lambda row: f"{max(row['errors'][name] for name in names):.1e}" if "errors" in row else "-"


def frame_table(size, rows):
    return result_table(
        f"whole frame, EfficientAD-{size.upper()}: teacher + student + autoencoder + both maps + pooled features, "
        "256x256, batch 1", rows, "ort", [
            ("error maps", error("student_teacher_map", "autoencoder_student_map")),
            ("error pooled", error("pooled_features")),
        ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the built EngineBenchmark")
    program = pathlib.Path(parser.parse_args().program).resolve()
    settings = parse_settings()
    WORK.mkdir(exist_ok=True)
    if pathlib.Path(sys.prefix) != WORK / "venv":
        prepare_environment(settings.with_torch)
        # Nothing but our own files beside the sources.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        os.execv(PYTHON, [str(PYTHON), __file__, str(program)])

    results = {
        "machine": machine(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": settings.rounds, "rows": [], "layers": [],
    }
    note(f"{results['machine']['cpu']}, {results['machine']['cores']} cores")
    tables = []
    for size in [size_of(settings.weights)] if settings.weights else settings.sizes:
        networks = Networks(program, size, settings.weights, settings.contenders)
        if "frame" in settings.what:
            rows = [row for threads in settings.threads for row in frames(program, networks, threads, settings)]
            results["rows"] += rows
            tables.append(frame_table(size, rows))
        if "step" in settings.what and size == "s":
            rows = [row for threads in settings.threads for row in steps(program, networks, threads, settings)]
            results["rows"] += rows
            tables.append(result_table("one training step, EfficientAD-S, batch 1", rows, "torch", [
                ("error first L_hard", error("hard_loss"))]))
        if "layers" in settings.what:
            for threads in settings.threads:
                text, numbers = layers(program, networks, threads, settings.rounds)
                results["layers"].append({"size": size, **numbers})
                tables.append(f"our layers, EfficientAD-{size.upper()}, {text.strip()}")
    settings.json.write_text(json.dumps(results, indent=1) + "\n")
    print("\n\n".join(tables))
    print(
        "\nx: how many times as fast, by medians. error: relative rms against double precision. others' cores: what "
        "other\nprocesses used meanwhile, 0 on a quiet machine. % of peak: of multiply-adds in registers, measured in "
        "the same run; work\nis counted as direct convolution has it, so whoever multiplies less can exceed 100 %.")
    note(f"every number: {settings.json}")


def size_of(weights):
    """Which networks a model file has."""
    import networks
    from safetensors import SafetensorError
    try:
        return "s" if len(networks.Model(weights).networks["teacher"]) == 8 else "m"
    except (OSError, KeyError, SafetensorError) as error:
        sys.exit(f"benchmark: WEIGHTS '{weights}' is no model file: {error}")


def machine():
    model = next(
        (line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release()}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
