"""Records what PyTorch's optimizers and schedules do:

    python3 tools/make-optimizer-cases.py > libs/tensor/src/optim/pytorch.fixture.json
    (PyTorch 1.13; Debian: apt-get install python3-torch)

libs/tensor/src/optim/pytorch.test.ts does the same and compares. An update case gives three parameters known gradients (see
`value`) for some steps, none to one of them now and then, and records parameters and state at the end. A schedule case
records the rate and the momentum of every group after each step. A search case records the losses that L-BFGS finds.
"""

import json
import math
import sys
import warnings

import torch
from torch import optim
from torch.optim import lr_scheduler

warnings.simplefilter("ignore")
SHAPES = [[3], [2, 2], []]
STEPS = 7


def value(seed, index, scale):
    return scale * math.sin(1.3 * seed + 0.7 * index)


def filled(shape, seed, scale, dtype):
    count = math.prod(shape)
    real = torch.tensor([value(seed, i, scale) for i in range(count)], dtype=torch.float64)
    if dtype.is_complex:
        imaginary = torch.tensor([value(seed + 0.5, i, scale) for i in range(count)], dtype=torch.float64)
        real = torch.complex(real, imaginary)
    return real.to(dtype).reshape(shape)


def gradient(step, number, shape, dtype):
    """None where a parameter sits out a step; zero in one element every third step."""
    if number == 1 and step in (2, 3):
        return None
    grad = filled(shape, step + 10 * number, 0.5, dtype)
    if step % 3 == 0 and number == 0:
        grad[1] = 0
    return grad


def plain(x):
    if isinstance(x, torch.Tensor):
        real = torch.view_as_real(x) if x.is_complex() else x
        return {"dtype": str(x.dtype)[6:], "shape": list(x.shape), "data": plain(real.to(torch.float64).reshape(-1).tolist())}
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    if isinstance(x, dict):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return x


HIDDEN = {"foreach", "capturable", "differentiable", "fused"}


def state_dict(optimizer):
    saved = optimizer.state_dict()
    groups = [{k: v for k, v in group.items() if k not in HIDDEN} for group in saved["param_groups"]]
    return plain({"state": saved["state"], "param_groups": groups})


updates = []


def update(name, dtype=torch.float32, groups=None, **options):
    parameters = [filled(shape, number, 1.0, dtype).requires_grad_() for number, shape in enumerate(SHAPES)]
    if groups is None:
        given = parameters
    else:
        given = [{"params": [parameters[i] for i in group.pop("params")], **group} for group in [dict(g) for g in groups]]
    optimizer = getattr(optim, name)(given, **options)
    for step in range(STEPS):
        for number, parameter in enumerate(parameters):
            parameter.grad = gradient(step, number, SHAPES[number], dtype)
        optimizer.step()
    updates.append({
        "name": name, "dtype": str(dtype)[6:], "options": options, "groups": groups,
        "parameters": plain([p.detach() for p in parameters]), "stateDict": state_dict(optimizer),
    })


f32, f64, bf16, c64, c128 = torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.complex128
EVERY = {
    "SGD": [dict(lr=0.1), dict(lr=0.1, momentum=0.9), dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
            dict(lr=0.1, momentum=0.9, nesterov=True, maximize=True)],
    "Adam": [dict(), dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1), dict(lr=0.1, amsgrad=True, maximize=True),
             dict(lr=0.1, betas=(0.0, 0.9))],
    "AdamW": [dict(), dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1), dict(lr=0.1, amsgrad=True, maximize=True)],
    "Adamax": [dict(), dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, maximize=True)],
    "NAdam": [dict(), dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, momentum_decay=0.1)],
    "RAdam": [dict(), dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1), dict(lr=0.1, betas=(0.5, 0.6))],
    "Adadelta": [dict(), dict(lr=0.5, rho=0.7, eps=1e-3, weight_decay=0.1, maximize=True)],
    "Adagrad": [dict(), dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3, maximize=True)],
    "RMSprop": [dict(), dict(lr=0.1, alpha=0.8, eps=1e-3, weight_decay=0.1, maximize=True), dict(lr=0.1, momentum=0.7),
                dict(lr=0.1, centered=True), dict(lr=0.1, momentum=0.7, centered=True)],
    "Rprop": [dict(), dict(lr=0.1, etas=(0.4, 1.5), step_sizes=(0.05, 0.12), maximize=True)],
    "ASGD": [dict(), dict(lr=0.1, lambd=0.1, alpha=0.5, t0=2, weight_decay=0.1, maximize=True)],
}
for name, table in EVERY.items():
    for options in table:
        update(name, f64, **options)
    update(name, f32, **table[-1])
    update(name, bf16, **table[-1])
    update(name, c64, **table[1])
    update(name, c128, **table[0])
update("SGD", f32, [dict(params=[0], lr=1.0, momentum=0.5), dict(params=[1, 2])], lr=0.1, nesterov=False)
update("Adam", f64, [dict(params=[0, 2], betas=(0.5, 0.6)), dict(params=[1], weight_decay=0.3, amsgrad=True)], lr=0.1)

schedules = []


def schedule(name, make, options, optimizer="SGD", steps=14, jump=None, measure=None):
    parameters = [torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)]
    own = dict(lr=0.5, momentum=0.9) if optimizer == "SGD" else dict(lr=0.5)
    o = getattr(optim, optimizer)([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 2.0}], **own)
    scheduler = make(o)
    rows = []

    def note():
        rows.append([[g["lr"], g["momentum"] if "momentum" in g else g["betas"][0]] for g in o.param_groups])

    note()
    for step in range(steps):
        o.step()
        if measure is not None:
            scheduler.step(measure[step])
        elif jump is not None and step == steps // 2:
            scheduler.step(jump)
        else:
            scheduler.step()
        note()
    saved = {k: v for k, v in scheduler.state_dict().items() if not k.startswith("_s") and k not in ("_get_lr_called_within_step", "lr_lambdas", "anneal_func")}
    schedules.append({"name": name, "options": options, "optimizer": optimizer, "steps": steps, "jump": jump, "measure": measure,
                      "rates": rows, "state": plain(saved)})


def simple(name, jump=None, optimizer="SGD", steps=14, **options):
    schedule(name, lambda o: getattr(lr_scheduler, name)(o, **options), options, optimizer, steps, jump)


simple("StepLR", step_size=3, gamma=0.5)
simple("StepLR", jump=4, step_size=3)
simple("MultiStepLR", milestones=[2, 5, 5, 9], gamma=0.5)
simple("MultiStepLR", jump=5, milestones=[2, 5, 5, 9])
simple("ConstantLR")
simple("ConstantLR", jump=1, factor=0.5, total_iters=4)
simple("LinearLR")
simple("LinearLR", jump=2, start_factor=0.25, end_factor=0.75, total_iters=4)
simple("ExponentialLR", gamma=0.9)
simple("ExponentialLR", jump=3, gamma=0.9)
simple("PolynomialLR")
simple("PolynomialLR", jump=2, total_iters=8, power=2.0)
simple("CosineAnnealingLR", T_max=5, eta_min=0.1)
simple("CosineAnnealingLR", jump=4, T_max=5)
simple("CosineAnnealingWarmRestarts", T_0=3)
simple("CosineAnnealingWarmRestarts", T_0=2, T_mult=2, eta_min=0.1)
simple("CosineAnnealingWarmRestarts", jump=8, T_0=2, T_mult=2)
simple("CosineAnnealingWarmRestarts", jump=1.5, T_0=4)
simple("CyclicLR", base_lr=0.1, max_lr=1.0, step_size_up=3)
simple("CyclicLR", base_lr=[0.1, 0.2], max_lr=[1.0, 2.0], step_size_up=2, step_size_down=3, mode="triangular2", base_momentum=0.5, max_momentum=0.95)
simple("CyclicLR", optimizer="Adam", base_lr=0.1, max_lr=1.0, step_size_up=2, mode="exp_range", gamma=0.8, cycle_momentum=False)
simple("OneCycleLR", max_lr=1.0, total_steps=14)
simple("OneCycleLR", optimizer="Adam", max_lr=[1.0, 2.0], epochs=4, steps_per_epoch=4, anneal_strategy="linear", pct_start=0.25)
simple("OneCycleLR", max_lr=1.0, total_steps=14, three_phase=True, div_factor=10.0, final_div_factor=100.0, base_momentum=0.5, max_momentum=0.8)
simple("OneCycleLR", max_lr=1.0, total_steps=14, cycle_momentum=False)
# Functions are known by name on both sides.
schedule("LambdaLR", lambda o: lr_scheduler.LambdaLR(o, lambda e: 0.9**e), {})
schedule("LambdaLR", lambda o: lr_scheduler.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]), {"several": True})
schedule("MultiplicativeLR", lambda o: lr_scheduler.MultiplicativeLR(o, lambda e: 0.9 if e % 2 else 1.05), {})
schedule("SequentialLR", lambda o: lr_scheduler.SequentialLR(
    o, [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 2, 0.5)], [3, 8]), {})
schedule("ChainedScheduler", lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.9)]), {})
falling = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.0, math.nan]
for options in [dict(patience=2), dict(mode="max", factor=0.5, patience=1, threshold=0.05, threshold_mode="abs", cooldown=2, min_lr=[0.3, 0.1]),
                dict(patience=0, factor=0.9, threshold=0.2, eps=0.1)]:
    schedule("ReduceLROnPlateau", lambda o: lr_scheduler.ReduceLROnPlateau(o, **options), options, measure=falling)
for entry in schedules:
    if entry["measure"] is not None:
        entry["measure"] = plain(entry["measure"])

searches = []


def search(dtype, steps, **options):
    """Rosenbrock's valley, in two parameters."""
    x = torch.tensor([-1.2, 1.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.5]], dtype=dtype, requires_grad=True)
    optimizer = optim.LBFGS([x, y], **options)

    def closure():
        optimizer.zero_grad()
        loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + (y - x[0]).pow(2).sum()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure)) for _ in range(steps)]
    state = optimizer.state_dict()["state"][0]
    searches.append({"dtype": str(dtype)[6:], "options": options, "losses": losses, "evaluations": state["func_evals"],
                     "iterations": state["n_iter"], "x": plain(x.detach()), "y": plain(y.detach())})


for dtype in [f64, f32]:
    search(dtype, 4, lr=0.002, max_iter=5)
    search(dtype, 4, max_iter=6, line_search_fn="strong_wolfe")
    search(dtype, 3, lr=0.5, max_iter=10, max_eval=12, history_size=3, line_search_fn="strong_wolfe", tolerance_change=1e-5)
search(f64, 12, line_search_fn="strong_wolfe", tolerance_grad=1e-3)

json.dump({"updates": updates, "schedules": schedules, "searches": searches}, sys.stdout, separators=(",", ":"))
print()
