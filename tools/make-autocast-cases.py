#!/usr/bin/env python3
"""Records what torch.autocast('cpu', bfloat16) does: dtypes of operators' results, and training steps of three small models.

    /usr/bin/python3 tools/make-autocast-cases.py > libs/jit/src/training/autocast.fixture.json
"""
import json
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.simplefilter("ignore")
# A seed with which no rounding flips a unit of relu.
torch.manual_seed(1)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.b = nn.Linear(16, 5)

    def forward(self, x, y):
        return F.cross_entropy(self.b(F.relu(self.a(x))), y)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3)
        self.n = nn.BatchNorm2d(4)
        self.h = nn.Linear(4, 4)

    def forward(self, x, y):
        z = F.max_pool2d(F.relu(self.n(self.a(x))), 2)
        return F.cross_entropy(self.h(z.mean([2, 3])), y)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(12, 8)
        self.q = nn.Linear(8, 24)
        self.o = nn.Linear(8, 8)
        self.n = nn.LayerNorm(8)
        self.h = nn.Linear(8, 12)

    def forward(self, x, y):
        z = self.e(x)
        q, k, v = [t.view(3, 6, 2, 4).transpose(1, 2) for t in self.q(self.n(z)).split(8, -1)]
        w = torch.softmax(q.matmul(k.transpose(-2, -1)) * 0.5, -1)
        z = z + self.o(w.matmul(v).transpose(1, 2).reshape(3, 6, 8))
        z = torch.cat([z[:, :3], F.gelu(z[:, 3:])], 1)
        return F.cross_entropy(self.h(z).view(-1, 12), y.view(-1))


def values(tensor):
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def training(model, x, y):
    state = {name: values(value) for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, gradients = [], None
    for _ in range(4):
        optimizer.zero_grad()
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            loss = model(x, y)
        loss.backward()
        gradients = gradients or {name: values(each.grad) for name, each in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    integers = x.dtype == torch.int64
    return {"state": state, "x": {"sizes": list(x.shape), "data": x.flatten().tolist() if integers else values(x), "integers": integers}, "y": {"sizes": list(y.shape), "data": y.flatten().tolist(), "integers": True}, "losses": losses, "gradients": gradients}


a, image = torch.randn(4, 4), torch.randn(1, 2, 5, 5)
b, c = a.bfloat16(), a.double()
operators = {
    "mm": lambda: torch.mm(a, a),
    "mm of two dtypes": lambda: torch.mm(a, b),
    "matmul with a vector": lambda: a @ a[0],
    "matmul of float64": lambda: torch.matmul(c, c),
    "baddbmm": lambda: torch.baddbmm(a[None], a[None], a[None]),
    "einsum": lambda: torch.einsum("ij,jk->ik", a, a),
    "tensordot": lambda: torch.tensordot(a, a, 1),
    "conv2d": lambda: F.conv2d(image, torch.randn(3, 2, 3, 3)),
    "conv_transpose2d": lambda: F.conv_transpose2d(image, torch.randn(2, 3, 3, 3)),
    "dot": lambda: torch.dot(a[0], a[0]),
    "add of two dtypes": lambda: a + b,
    "softmax": lambda: torch.softmax(b, -1),
    "sum": lambda: b.sum(),
    "prod": lambda: b.prod(),
    "inverse": lambda: torch.inverse(b + 4 * torch.eye(4).bfloat16()),
    "mse_loss": lambda: F.mse_loss(b, b),
    "nll_loss": lambda: F.nll_loss(b, torch.tensor([0, 1, 2, 3])),
    "layer_norm": lambda: F.layer_norm(b, [4]),
    "cat of two dtypes": lambda: torch.cat([a, b]),
    "cat of bfloat16": lambda: torch.cat([b, b]),
    "stack of two dtypes": lambda: torch.stack([b, a]),
}
results = {}
for name, run in operators.items():
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        results[name] = str(run().dtype).removeprefix("torch.")

trainings = {
    "Mlp": training(Mlp(), torch.randn(12, 8), torch.randint(0, 5, (12,))),
    "Cnn": training(Cnn(), torch.randn(4, 3, 8, 8), torch.randint(0, 4, (4,))),
    "Transformer": training(Transformer(), torch.randint(0, 12, (3, 6)), torch.randint(0, 12, (3, 6))),
}
print(json.dumps({"version": torch.__version__, "operators": results, "trainings": trainings}))
