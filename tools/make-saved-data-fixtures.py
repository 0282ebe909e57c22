# Writes files of torch.save and what is in them, for the tests of libs/tensor/src/io (needs PyTorch):
#   python3 tools/make-saved-data-fixtures.py > libs/tensor/src/io/saved-data.fixture.json
import base64
import collections
import io
import json
import zipfile

import torch

torch.manual_seed(3)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def text(data):
    return base64.b64encode(data).decode()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.first = torch.nn.Linear(3, 4)
        self.last = torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.first(self.norm(x))))


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def trained(make):
    net = Net()
    optimizer = make(net.parameters())
    x = torch.randn(5, 3)

    def step():
        optimizer.zero_grad()
        net(x).pow(2).sum().backward()
        optimizer.step()

    step()
    step()
    file = saved({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2, "loss": 0.25})
    step()
    return {"file": text(file), "x": x.tolist(), "after": plain(net.state_dict())}


def big_endian(value, widths):
    """The file as a big-endian machine writes it; `widths` are the sizes of the storages' words."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(value))) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/data/" in name:
                width = widths[int(name.rsplit("/", 1)[1])]
                data = b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))
            new.writestr(name, data)
        new.writestr("archive/byteorder", "big")
    return result.getvalue()


def scheduled():
    """States of schedules after four steps, and the rates of the next six."""
    schedules = torch.optim.lr_scheduler
    kinds = {
        "StepLR": lambda o: schedules.StepLR(o, 3, 0.5),
        "MultiStepLR": lambda o: schedules.MultiStepLR(o, [2, 5, 5, 8], 0.5),
        "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 6),
        "SequentialLR": lambda o: schedules.SequentialLR(
            o, [schedules.ConstantLR(o, 0.1, 3), schedules.ExponentialLR(o, 0.9)], [3]
        ),
        "ChainedScheduler": lambda o: schedules.ChainedScheduler(
            [schedules.ConstantLR(o, 0.1, 6), schedules.ExponentialLR(o, 0.9)]
        ),
        "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, patience=1, factor=0.5),
    }
    made = {}
    for name, make in kinds.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
        schedule = make(optimizer)
        losses = [1.0] if name == "ReduceLROnPlateau" else []
        for _ in range(4):
            optimizer.step()
            schedule.step(*losses)
        file = text(saved({"schedule": schedule.state_dict(), "optimizer": optimizer.state_dict()}))
        rates = []
        for _ in range(6):
            optimizer.step()
            schedule.step(*losses)
            rates.append(optimizer.param_groups[0]["lr"])
        made[name] = {"file": file, "rates": rates}
    return made


base = torch.arange(12, dtype=torch.float32)
dtypes = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
dtypes += [torch.float16, torch.bfloat16, torch.float32, torch.float64]
recursive = [1]
recursive.append(recursive)
values = {
    "dtypes": {str(dtype)[6:]: torch.tensor([0, 1, 3]).to(dtype) for dtype in dtypes},
    "complex64": torch.tensor([1 + 2j, 4 - 3j]),
    "complex128": torch.tensor([1 + 2j, 4 - 3j], dtype=torch.complex128),
    "base": base,
    "transposed": base.view(3, 4).t(),
    "part": base[5:9:2],
    "expanded": base[2:3].expand(2, 2),
    "empty": torch.empty(0, 3),
    "scalar": torch.tensor(7.5),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
    "leaf": torch.ones(2, requires_grad=True),
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "numbers": [0, -1, 2**40, 2**60, -(2**63), 0.5, 1e300, True, None],
    "texts": ["", "größe", ("a", ("b",), [])],
    "keys": {1: "one", "1": "text", 2.5: "float", None: "none"},
    "bytes": b"\x00\xff",
    "complex": 1 - 2j,
    "size": torch.Size([2, 3]),
    "dtype": torch.bfloat16,
    "device": torch.device("cuda:1"),
    "recursive": recursive,
}
order = {"a": torch.tensor([1.5, -2.0]), "b": torch.tensor([1, 258], dtype=torch.int16), "c": torch.tensor([1 + 2j])}
refused = {
    "legacy": saved({"x": torch.ones(2)}, _use_new_zipfile_serialization=False),
    "module": saved(torch.nn.Linear(1, 1)),
    "function": saved({"f": torch.nn.functional.relu}),
    "set": saved({1, 2}),
    "sparse": saved(torch.eye(2).to_sparse()),
    "quantized": saved(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)),
    "storage": saved(torch.ones(2).storage()),
}
script = io.BytesIO()
torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), script)
refused["script"] = script.getvalue()
result = {
    "values": text(saved(values)),
    "bigEndian": text(big_endian(order, [4, 2, 4])),
    "trained": {
        "adam": trained(lambda parameters: torch.optim.Adam(parameters, lr=0.1)),
        "sgd": trained(lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)),
    },
    "scheduled": scheduled(),
    "refused": {name: text(data) for name, data in refused.items()},
}
print(json.dumps(result, indent=1))
