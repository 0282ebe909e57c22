#!/usr/bin/env python3
"""Workloads of `compare`: made with PyTorch as recorded cases, and timed with PyTorch.

    workloads.py list
    workloads.py make FOLDER NAME                  # FOLDER/NAME: model.pt, io.json, tensors.bin, and model.onnx where it exports
    workloads.py export FOLDER/NAME               # model.onnx from the archive of a recorded case, where it exports
    workloads.py time FOLDER/NAME --how frozen --threads 2 --runs 30      # prints one JSON object: milliseconds, bytes at the peak
"""
import argparse
import json
import os
import resource
import time
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Collatz(nn.Module):
    """Integers and branches only: what the host language costs."""

    def forward(self, limit: int) -> int:
        longest = 0
        for start in range(1, limit):
            steps = 0
            n = start
            while n != 1:
                n = n // 2 if n % 2 == 0 else 3 * n + 1
                steps += 1
            longest = max(longest, steps)
        return longest


class Tally(nn.Module):
    """Strings, lists and a dict."""

    def forward(self, text: str) -> int:
        seen = {"": 0}
        for line in text.split("\n"):
            for word in line.split(" "):
                key = word.strip().lower()
                seen[key] = seen[key] + 1 if key in seen else 1
        best = 0
        for count in seen.values():
            best = max(best, count)
        return best


class Chain(nn.Module):
    """Small tensors and a branch on their data: what a call costs."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(4):
            y = self.inner(x)
            x = torch.tanh(y) if bool(y.mean() < 0.5) else y * 0.5
        return x


def perceptron(widths: List[int]) -> nn.Module:
    layers: List[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        layers.extend((nn.Linear(before, after), nn.ReLU()))
    return nn.Sequential(*layers[:-1])


class Residual(nn.Module):
    def __init__(self, channels: int, groups: int = 1):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.norm(self.first(x))))


def picture_net(channels: int, groups: int = 1) -> nn.Module:
    """Four stages; each halves the picture and doubles the channels."""
    layers: List[nn.Module] = [nn.Conv2d(3, channels, 5, stride=2, padding=2), nn.ReLU()]
    width = channels
    for _ in range(3):
        layers.extend((Residual(width, width if groups == 0 else groups), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()))
        width *= 2
    layers.extend((nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 100)))
    return nn.Sequential(*layers)


class Mixer(nn.Module):
    """Self-attention and a two-layer network, each around a residual."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.shrink = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.project(self.before(x)).reshape(batch, length, 3 * self.heads, width // self.heads)
        query, key, value = parts.transpose(1, 2).chunk(3, dim=1)
        scores = query @ key.transpose(2, 3) / (width / self.heads) ** 0.5
        mixed = torch.softmax(scores + hidden, dim=3) @ value
        x = x + self.join(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.shrink(F.gelu(self.expand(self.between(x))))


class Reader(nn.Module):
    """Predicts the next token from those before it."""

    def __init__(self, tokens: int, length: int, width: int, depth: int, heads: int):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.ModuleList([Mixer(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, tokens)
        self.register_buffer("hidden", torch.full((length, length), -1e9).triu(1))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.place
        for layer in self.layers:
            x = layer(x, self.hidden)
        return self.score(self.norm(x))


class Recurrence(nn.Module):
    """A gated recurrence written as a loop over time."""

    def __init__(self, width: int):
        super().__init__()
        self.of_input = nn.Linear(width, 2 * width)
        self.of_state = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[0])
        for moment in range(x.size(0)):
            gate, new = (self.of_input(x[moment]) + self.of_state(state)).chunk(2, dim=1)
            gate = torch.sigmoid(gate)
            state = gate * state + (1 - gate) * torch.tanh(new)
        return state


class Judged(nn.Module):
    """A classifier and its loss: the forward of a training step."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(self.model(x).flatten(0, -2), wanted.flatten())


def integers(below: int, *shape: int) -> Tensor:
    return torch.randint(0, below, shape)


TEXT = "\n".join(" ".join(f"w{(line * 31 + word * 7) % 499}" for word in range(20)) for line in range(500))

# name: (module, inputs), and for training the optimizer's name and options
WORKLOADS = {
    "host-collatz": lambda: (Collatz(), [3000]),
    "host-tally": lambda: (Tally(), [TEXT]),
    "chain": lambda: (Chain(), [torch.rand(1, 8)]),
    "perceptron-1": lambda: (perceptron([1024, 1024, 1024, 10]), [torch.rand(1, 1024)]),
    "perceptron-64": lambda: (perceptron([1024, 1024, 1024, 10]), [torch.rand(64, 1024)]),
    "pictures-1": lambda: (picture_net(32), [torch.rand(1, 3, 160, 160)]),
    "pictures-8": lambda: (picture_net(32), [torch.rand(8, 3, 160, 160)]),
    "pictures-depthwise-1": lambda: (picture_net(32, 0), [torch.rand(1, 3, 160, 160)]),
    "reader-4x512": lambda: (Reader(2000, 128, 512, 4, 8), [integers(2000, 1, 128)]),
    "recurrence-64": lambda: (Recurrence(192), [torch.rand(64, 4, 192)]),
    "train-perceptron": lambda: (Judged(perceptron([1024, 512, 10])), [torch.rand(64, 1024), integers(10, 64)], "adam", {"lr": 1e-3}),
    "train-pictures": lambda: (Judged(picture_net(16)), [torch.rand(16, 3, 48, 48), integers(100, 16)], "sgd", {"lr": 0.01, "momentum": 0.9}),
    "train-reader": lambda: (Judged(Reader(500, 64, 192, 3, 6)), [integers(500, 8, 64), integers(500, 8, 64)], "adamw", {"lr": 3e-4}),
}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Tensors:
    """The tensors of a case, one after the other in tensors.bin."""

    def __init__(self, data: bytes = b""):
        self.data = bytearray(data)

    def write(self, value):
        if isinstance(value, bool):
            return {"bool": value}
        if isinstance(value, int):
            return {"int": value}
        if isinstance(value, str):
            return {"str": value}
        while len(self.data) % 8:
            self.data.append(0)
        offset = len(self.data)
        self.data += value.detach().contiguous().numpy().tobytes()
        return {"tensor": {"dtype": str(value.dtype).replace("torch.", ""), "shape": list(value.shape), "offset": offset}}

    def read(self, recorded):
        ((kind, value),) = recorded.items()
        if kind != "tensor":
            return value
        dtype, shape = getattr(torch, value["dtype"]), value["shape"]
        count = 1
        for size in shape:
            count *= size
        return torch.frombuffer(self.data, dtype=dtype, count=count, offset=value["offset"]).reshape(shape).clone()


def train(module, inputs, optimizer, steps: int):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module(*inputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def make(folder: str, name: str):
    torch.manual_seed(1)
    model, inputs, *training = WORKLOADS[name]()
    model.train(bool(training))
    folder = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.pt")
    torch.jit.script(model).save(path)
    tensors = Tensors()
    record = {"case": name, "group": "benchmarks", "kind": "script", "tolerance": {"rtol": 2e-3, "atol": 2e-4}}
    with torch.no_grad():
        output = torch.jit.load(path)(*inputs)
    record["calls"] = [{"method": "forward", "inputs": [tensors.write(x) for x in inputs], "output": tensors.write(output)}]
    if training:
        kind, options = training
        fresh = torch.jit.load(path)
        fresh(*inputs).backward()
        record["grads"] = {key: tensors.write(p.grad) for key, p in fresh.named_parameters()}
        module = torch.jit.load(path)
        losses = train(module, inputs, OPTIMIZERS[kind](module.parameters(), **options), 2)
        record["training"] = {
            "optimizer": {"name": kind, **options},
            "steps": 2,
            "losses": losses,
            "parametersAfter": {key: tensors.write(p) for key, p in module.named_parameters()},
            "buffersAfter": {key: tensors.write(b) for key, b in module.named_buffers()},
        }
    elif all(isinstance(x, Tensor) for x in inputs):
        try:
            export_onnx(model, inputs, os.path.join(folder, "model.onnx"))
        except Exception as error:  # control flow on data, or an operator that ONNX lacks
            print(f"{name}: no model.onnx: {str(error).splitlines()[0]}")
    with open(os.path.join(folder, "io.json"), "w") as file:
        json.dump(record, file)
    with open(os.path.join(folder, "tensors.bin"), "wb") as file:
        file.write(tensors.data)


def median(run, runs: int, seconds: float) -> float:
    """Milliseconds, after a warm-up as weft's: four runs, then 10,000 and half a second, within two seconds."""
    begin = time.perf_counter()
    warm = 0
    while warm < 4 or time.perf_counter() < begin + (0.5 if warm >= 10000 else 2):
        run()
        warm += 1
    times: List[float] = []
    until = time.perf_counter() + seconds
    while len(times) < runs and (len(times) < 3 or time.perf_counter() < until):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times)[len(times) // 2]


def recorded(folder: str):
    """A case that was recorded: what io.json says, its module and its inputs."""
    with open(os.path.join(folder, "io.json")) as file:
        record = json.load(file)
    with open(os.path.join(folder, "tensors.bin"), "rb") as file:
        tensors = Tensors(file.read())
    inputs = [tensors.read(value) for value in record["calls"][0]["inputs"]]
    return record, torch.jit.load(os.path.join(folder, "model.pt")), inputs


def logical_not(graph, x):
    return graph.op("Not", graph.op("Cast", x, to_i=torch.onnx.TensorProtoDataType.BOOL))


def export_onnx(module, inputs, path: str):
    # Exporters of PyTorch 1 lack it.
    torch.onnx.register_custom_op_symbolic("aten::logical_not", logical_not, 17)
    torch.onnx.export(module, tuple(inputs), path, opset_version=17)


def export(folder: str):
    record, module, inputs = recorded(folder)
    if "training" in record or not all(isinstance(x, Tensor) for x in inputs):
        return
    try:
        export_onnx(module.eval(), inputs, os.path.join(folder, "model.onnx"))
    except Exception as error:  # control flow on data, or an operator that ONNX lacks
        print(f"{folder}: no model.onnx: {str(error).splitlines()[0]}")


def clock(folder: str, how: str, threads: int, runs: int):
    """One way in a process of its own, so that the peak of memory is that way's."""
    torch.set_num_threads(threads)
    record, module, inputs = recorded(folder)
    figures = {}
    if "training" in record:
        options = dict(record["training"]["optimizer"])
        optimizer = OPTIMIZERS[options.pop("name")](module.parameters(), **options)
        if how == "script":
            figures["median"] = median(lambda: train(module, inputs, optimizer, 1), runs, 20)
    else:
        with torch.no_grad():
            try:
                if how == "frozen":
                    module = torch.jit.optimize_for_inference(torch.jit.freeze(module.eval()))
                figures["median"] = median(lambda: module(*inputs), runs, 20)
            except Exception:  # what cannot be frozen has no figures
                if how != "frozen":
                    raise
    figures["memory"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(figures if "median" in figures else {}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["list", "make", "export", "time"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("name", nargs="?")
    parser.add_argument("--how", choices=["script", "frozen"], default="script")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=30)
    given = parser.parse_args()
    if given.do == "list":
        print("\n".join(WORKLOADS))
    elif given.do == "make":
        make(given.folder, given.name)
    elif given.do == "export":
        export(given.folder)
    else:
        clock(given.folder, given.how, given.threads, given.runs)
