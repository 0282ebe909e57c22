# Computes with PyTorch what the programs of libs/tensor/src/pytorch.test.ts must give:
#   python3 tools/make-tensor-fixtures.py > libs/tensor/src/pytorch.fixture.json
# Each function below has a TypeScript twin of the same name there. A returned tensor is recorded as nested lists, an
# error as its first line.
import json
import math

import torch
import torch.nn.functional as F
from torch import nn, optim

cases = {}


def case(f):
    torch.manual_seed(0)
    try:
        result = f()
    except Exception as error:  # noqa: BLE001 - the message is the result
        result = {"error": str(error).split("\n")[0]}
    cases[f.__name__] = plain(result)
    return f


def plain(value):
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


@case
def gradient_of_a_chain():
    x = leaf(3, 4)
    (x.mm(x.t()).tanh() * 2 + x.sum(1)).exp().sum().backward()
    return x.grad


@case
def gradients_accumulate():
    x = leaf(3)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    return x.grad


@case
def shared_subexpressions():
    x = leaf(4)
    y = x.sin()
    (y * y + y * x).sum().backward()
    return x.grad


@case
def second_derivative():
    x = leaf(3)
    (g,) = torch.autograd.grad((x ** 3 + x.exp() * x).sum(), x, create_graph=True)
    g.pow(2).sum().backward()
    return [g.detach(), x.grad]


@case
def third_derivative():
    x = leaf(2)
    y = (x.sigmoid() * x.tanh()).sum()
    for _ in range(2):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        y = (g * x).sum()
    return torch.autograd.grad(y, x)[0]


@case
def gradient_penalty_through_layers():
    m = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = leaf(5, 3)
    (g,) = torch.autograd.grad(m(x).sum(), x, create_graph=True)
    ((g.norm(dim=1) - 1) ** 2).mean().backward()
    return [p.grad for p in m.parameters() if p.grad is not None]


@case
def in_place_on_a_view():
    x = leaf(3, 3)
    y = x * 2
    y[1].mul_(x[0])
    y[:, 2] = 7
    (y * y).sum().backward()
    return x.grad


@case
def view_made_before_the_base_changes():
    x = leaf(4)
    y = x.clone()
    v = y[1:3]
    y.mul_(3)
    (v * v).sum().backward()
    return x.grad


@case
def view_of_a_view_changes_in_place():
    x = leaf(2, 3, 4)
    y = x.sin()
    v = y.transpose(0, 2)[1]
    v.add_(x[:, :, 0].t())
    y.pow(2).sum().backward()
    return x.grad


@case
def copy_into_a_slice_of_zeros():
    x = leaf(2, 3)
    y = torch.zeros(4, 3)
    y[1:3].copy_(x)
    y[0] = x[0] * 5
    (y * torch.arange(12.0).view(4, 3)).sum().backward()
    return x.grad


@case
def in_place_chain():
    x = leaf(5)
    y = x * 1
    y.exp_().add_(1).mul_(x)
    y.sum().backward()
    return x.grad


@case
def broadcast_gradients():
    x, y, z = leaf(3, 1), leaf(4), leaf(1)
    (x * y + z / (y * y + 1)).sum().backward()
    return [x.grad, y.grad, z.grad]


@case
def expanded_view():
    x = leaf(3, 1)
    (x.expand(3, 4) * torch.arange(4.0)).sum().backward()
    return x.grad


@case
def several_outputs():
    x = leaf(6)
    a, b, c = x.split(2)
    values, _ = x.sort()
    (a * c).sum().add(values[1] * 3).backward()
    return x.grad


@case
def indices_and_masks():
    x = leaf(4, 3)
    i = torch.tensor([0, 2, 2])
    (x[i].sum() + x[x > 0].pow(2).sum() + x[1, 2] * 4 + x.gather(1, torch.tensor([[0], [1], [2], [1]])).sum()).backward()
    return x.grad


@case
def hooks_change_gradients():
    x = leaf(3)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.retain_grad()
    y.sum().backward()
    return [x.grad, y.grad]


@case
def gradient_with_weights():
    x = leaf(3)
    y = x.exp()
    y.backward(torch.tensor([1.0, 0.5, 2.0]))
    return x.grad


@case
def partial_gradient():
    x, y = leaf(2), leaf(2)
    z = x * y
    return torch.autograd.grad(z.sum(), [y])[0]


@case
def detached_parts():
    x = leaf(3)
    (x * x.detach() + x).sum().backward()
    return x.grad


@case
def where_and_clamp():
    x = leaf(6)
    torch.where(x > 0, x * 2, x * x).clamp(-1, 2).sum().backward()
    return x.grad


@case
def max_ties():
    x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True)
    (x.max() + x.amax() * 2).backward()
    return x.grad


@case
def half_precision():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float16, requires_grad=True)
    (x * x).sum().backward()
    return [x.grad, x.grad.dtype == torch.float16]


@case
def mixed_dtypes():
    x = leaf(3)
    (x.double() * torch.arange(3)).sum().backward()
    return [x.grad, x.grad.dtype == torch.float32]


# Errors.


@case
def leaf_changed_in_place():
    leaf(3).add_(1)


@case
def view_of_leaf_changed_in_place():
    leaf(3)[0].mul_(2)


@case
def saved_value_changed_in_place():
    x = leaf(3)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


@case
def backward_twice():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    y.backward()


@case
def no_gradient_wanted():
    torch.ones(3).sum().backward()


@case
def not_a_scalar():
    (leaf(3) * 2).backward()


@case
def integers_want_gradients():
    torch.arange(3).requires_grad_()


@case
def unused_input():
    x, y = leaf(2), leaf(2)
    torch.autograd.grad(x.sum(), [y])


@case
def expanded_written():
    torch.zeros(1, 3).expand(2, 3).add_(1)


@case
def in_place_shape():
    torch.zeros(3).add_(torch.zeros(2, 3))


@case
def in_place_dtype():
    torch.arange(3).add_(1.5)


@case
def out_wants_gradients():
    torch.add(leaf(2), leaf(2), out=torch.zeros(2))


@case
def several_views_changed_in_place():
    x = leaf(4)
    (x * 1).split(2)[0].mul_(2)


# Training.


def train(model, optimizer, batch, steps, loss_of, clip=None, scheduler=None):
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, *batch(step))
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return losses


def classify(model, x, y):
    return F.cross_entropy(model(x), y)


def mlp():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def points(_step):
    return torch.rand(8, 4) * 2 - 1, torch.randint(3, (8,))


@case
def train_mlp_sgd():
    m = mlp()
    return train(m, optim.SGD(m.parameters(), lr=0.1), points, 30, classify)


@case
def train_mlp_momentum():
    m = mlp()
    o = optim.SGD(m.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)
    return train(m, o, points, 30, classify, clip=0.5, scheduler=optim.lr_scheduler.StepLR(o, 5, 0.5))


@case
def train_mlp_dampened():
    m = mlp()
    o = optim.SGD(m.parameters(), lr=0.05, momentum=0.8, dampening=0.3)
    return train(m, o, points, 20, classify, scheduler=optim.lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e)))


@case
def train_mlp_adam():
    m = mlp()
    o = optim.Adam(m.parameters(), lr=0.01, weight_decay=0.01, amsgrad=True)
    return train(m, o, points, 30, classify, scheduler=optim.lr_scheduler.CosineAnnealingLR(o, 20, 0.001))


@case
def train_mlp_adamw():
    m = mlp()
    o = optim.AdamW(m.parameters(), lr=0.01)
    return train(m, o, points, 30, classify, scheduler=optim.lr_scheduler.OneCycleLR(o, 0.02, total_steps=40, cycle_momentum=False))


@case
def train_mlp_rmsprop():
    m = mlp()
    return train(m, optim.RMSprop(m.parameters(), lr=0.01, momentum=0.5, centered=True), points, 20, classify)


@case
def train_mlp_adagrad():
    m = mlp()
    return train(m, optim.Adagrad(m.parameters(), lr=0.05, lr_decay=0.01, weight_decay=0.1), points, 20, classify)


@case
def train_convnet():
    m = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.25), nn.Linear(8, 3))
    losses = train(m, optim.Adam(m.parameters(), lr=0.01),
                   lambda step: (torch.rand(6, 1, 8, 8), torch.randint(3, (6,))), 15, classify)
    m.eval()
    return [losses, m[1].running_mean, m[1].running_var, m(torch.ones(1, 1, 8, 8))]


@case
def train_transformer():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.norm = nn.LayerNorm(8)
            self.head = nn.Linear(8, 11)

        def forward(self, x):
            mask = torch.full((x.size(1), x.size(1)), float("-inf")).triu(1)
            return self.head(self.norm(self.layer(self.embed(x), mask)))

    def next_token(model, tokens):
        return F.cross_entropy(model(tokens[:, :-1]).reshape(-1, 11), tokens[:, 1:].reshape(-1))

    m = Model()
    return train(m, optim.AdamW(m.parameters(), lr=0.01), lambda step: (torch.randint(11, (3, 7)),), 15, next_token, clip=1.0)


@case
def train_lstm():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 5, num_layers=2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    m = Model()
    return train(m, optim.SGD(m.parameters(), lr=0.1), lambda step: (torch.rand(4, 6, 3), torch.rand(4, 1)), 10,
                 lambda model, x, y: F.mse_loss(model(x), y))


@case
def train_gru():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(3, 5)
            self.head = nn.Linear(5, 1)

        def forward(self, x):
            return self.head(self.gru(x)[0][-1])

    m = Model()
    return train(m, optim.SGD(m.parameters(), lr=0.1), lambda step: (torch.rand(6, 4, 3), torch.rand(4, 1)), 10,
                 lambda model, x, y: F.mse_loss(model(x), y))


@case
def dropout_of_a_transposed_tensor():
    x = torch.arange(1.0, 31.0).reshape(5, 6).t()
    return [torch.dropout(x, 0.5, True), torch.native_dropout(x, 0.5, True)[0], torch.alpha_dropout(x, 0.5, True),
            torch.dropout_(x.clone(), 0.5, True)]


@case
def data_loader_order():
    data = torch.utils.data.TensorDataset(torch.arange(7))
    loader = torch.utils.data.DataLoader(data, batch_size=3, shuffle=True)
    return [[batch[0] for batch in loader] for _ in range(2)]


@case
def printing():
    torch.manual_seed(0)
    tensors = [
        torch.tensor([1, 2, 3]), torch.tensor([1.0, 2.5]), torch.tensor(3.0), torch.tensor([True, False]),
        torch.tensor([[1.0, -2.25], [1e-5, 100.0]]), torch.tensor([1e10, 1.0]), torch.zeros(0), torch.zeros(2, 0),
        torch.tensor([1.0, float("nan"), float("inf")]), torch.arange(6.0).view(2, 3).double(), torch.arange(2000),
        torch.randn(2, 2, 3), torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True) * 2,
        torch.tensor([1, 2], dtype=torch.int32), torch.tensor([0.1, 0.22, 1000.5]), torch.randn(40, 40), torch.tensor(7),
        torch.tensor([1 + 2j, 3 - 1j]), torch.tensor([1e-8, 2e-8]), torch.rand(30), torch.tensor([1.5, 2], dtype=torch.float16),
    ]
    return [str(each) for each in tensors]


print(json.dumps(cases, indent=1))
