"""Compares gradients of operators with PyTorch's, first and second order, beyond what is recorded as cases:

    node tools/build.mjs
    python3 tools/compare-gradients.py [--variants f64,ties,...] [--second] [operator...]

The calls are the recorded ones (libs/tensor/src/operators/cases), each also in other dtypes, in place, and with values at kinks:

    f64 f32 bf16 f16 c64   floats in this dtype
    ties    small whole numbers: equal elements, zeros, borders of clamps
    zeros   every other element is zero
    nan     a NaN in front
    inf     infinities at both ends
    inplace the operator's in-place form, on a copy of the first operand

What is compared: which outputs require gradients, which gradients there are at all, and their values. Differences that are
none of weft's stand in EXPECTED with their reasons; the exit status is 0 when there are no others.
"""

import argparse
import glob
import json
import math
import os
import re
import signal
import subprocess
import sys
import warnings

import torch

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "..", "libs", "tensor", "src", "operators", "cases", "*.json")
DTYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "c64": torch.complex64}
# Their values are not defined, or random.
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "rand_like", "randn_like", "randint_like"}
# (operators, what the difference says, reason): patterns.
EXPECTED = [
    (r"as_strided_scatter", r"grads 0", "PyTorch 1.13 leaves parts of this gradient uninitialised"),
    (r"embedding(_dense)?_backward", r"grads 0", "PyTorch's derivative forgets scale_grad_by_freq; weft's agrees with finite differences"),
    (r"cumprod_backward", r"grads", "PyTorch takes the saved result for an operand; weft computes from the input alone"),
    (r"bernoulli_\.Tensor", r"requires_grad \[False\]", "PyTorch marks a tensor of integers as requiring gradients"),
    (r"_standard_gamma", r"PyTorch -inf", "a sample of shape 0 is 0, and has no slope"),
    (r"_foreach_\w+\.out", r"don't support automatic differentiation", "PyTorch writes to out= and forgets the gradients"),
    (r"norm\.ScalarOpt_dim|masked_select_backward", r"zeros, PyTorch none", "no gradient and a gradient of zeros are the same sum"),
]
TOLERANCE = {"float64": 1e-8, "complex128": 1e-8, "float32": 2e-4, "complex64": 2e-4, "bfloat16": 2e-2, "float16": 3e-3}


def number(text):
    return float(text) if isinstance(text, str) else text


def decode(value):
    if isinstance(value, dict):
        if "t" in value:
            dtype = getattr(torch, value["t"])
            data = [number(x) for x in value["d"]]
            if dtype.is_complex:
                pairs = torch.tensor(data, dtype=torch.float64).reshape(-1, 2)
                return torch.complex(pairs[:, 0], pairs[:, 1]).to(dtype).reshape(value["s"])
            return torch.tensor(data, dtype=torch.float64 if dtype.is_floating_point else None).to(dtype).reshape(value["s"])
        if "dtype" in value:
            return getattr(torch, value["dtype"])
        if "c" in value:
            return complex(*value["c"])
        return number(value["f"])
    if isinstance(value, list):
        return [decode(x) for x in value]
    return value


def plain(x):
    return x if isinstance(x, (int, bool)) or math.isfinite(x) else str(x)


def encode(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().resolve_conj().resolve_neg()
        if value._is_zerotensor():
            value = value.clone()
        flat = torch.view_as_real(value.contiguous()) if value.is_complex() else value
        if flat.is_floating_point():
            flat = flat.to(torch.float64)
        if flat.dtype == torch.bool:
            flat = flat.to(torch.int64)
        return {"t": str(value.dtype)[6:], "s": list(value.shape), "d": [plain(x) for x in flat.reshape(-1).tolist()]}
    if isinstance(value, float):
        return {"f": plain(value)}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value)[6:]}
    if isinstance(value, (list, tuple)):
        return [encode(x) for x in value]
    return value


def is_float(x):
    return isinstance(x, torch.Tensor) and (x.is_floating_point() or x.is_complex())


def map_floats(value, change):
    if isinstance(value, torch.Tensor):
        return change(value) if is_float(value) else value
    if isinstance(value, list):
        return [map_floats(x, change) for x in value]
    return value


def every_other_zero(x):
    flat = x.clone().reshape(-1)
    flat[::2] = 0
    return flat.reshape(x.shape)


def with_ends(x, first, last=None):
    flat = x.clone().reshape(-1)
    if flat.numel() > 0:
        if last is not None:
            flat[-1] = last
        flat[0] = first
    return flat.reshape(x.shape)


CHANGES = {
    "ties": lambda x: x.double().mul(1.2).round().to(x.dtype) if not x.is_complex() else torch.complex(x.real.round(), x.imag.round()),
    "zeros": every_other_zero,
    "nan": lambda x: with_ends(x, math.nan),
    "inf": lambda x: with_ends(x, math.inf, -math.inf),
}


def variant(op, args, name):
    """The call in another form, or None where it has none."""
    floats = [x for x in tensors_in(args) if is_float(x)]
    if name == "base":
        return op, args
    if name == "inplace":
        base, dot, overload = op.partition(".")
        if base.endswith("_") or not args or not is_float(args[0]):
            return None
        return (f"{base}_{dot}{overload}", args) if operator(f"{base}_{dot}{overload}") is not None else None
    if name in DTYPES:
        dtype = DTYPES[name]
        if not floats or all(x.dtype == dtype for x in floats):
            return None
        if any(x.is_complex() for x in floats) and not dtype.is_complex:
            dtype = torch.complex128 if dtype == torch.float64 else None
        return None if dtype is None else (op, map_floats(args, lambda x: x.to(dtype)))
    return (op, map_floats(args, CHANGES[name])) if floats else None


def operator(name):
    namespace, _, rest = name.partition("::")
    base, _, overload = rest.partition(".")
    try:
        return getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")
    except AttributeError:
        return None


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for x in value for t in tensors_in(x)]
    return []


def cotangent(like, shift):
    n = like.numel()
    ramp = (((torch.arange(n) + shift) * 37 % 11).to(torch.float64) - 4) / 4
    real = ramp.reshape(like.shape)
    return (torch.complex(real, -0.5 * real) if like.is_complex() else real).to(like.dtype)


def judge(op, args, second):
    """What PyTorch answers, in the form of gradients-of-calls.mjs."""
    call = operator(op)
    formals = call._schema.arguments
    leaves = [x for x in tensors_in(args) if is_float(x)]
    for x in leaves:
        x.requires_grad_()
    try:
        given = list(args)
        if formals[0].alias_info is not None and formals[0].alias_info.is_write:
            given[0] = map_floats(args[0], torch.clone)
        keywords = {f.name: x for f, x in zip(formals, given) if f.kwarg_only}
        torch.manual_seed(0)
        try:
            out = call(*[x for f, x in zip(formals, given) if not f.kwarg_only], **keywords)
        except Exception as error:  # noqa: BLE001
            return {"error": str(error).split("\n")[0]}
        results = tensors_in(out)
        if any(x.device.type != "cpu" for x in results):
            return {"error": "not on the CPU"}
        answer = {"outputs": [encode(x) for x in results], "requires": [x.requires_grad for x in results]}
        roots = [x for x in results if x.requires_grad]
        if not roots or not leaves:
            return answer
        try:
            found = torch.autograd.grad(roots, leaves, [cotangent(x, 0) for x in roots], allow_unused=True, create_graph=second)
        except RuntimeError as error:
            return {**answer, "gradError": str(error).split("\n")[0]}
        answer["grads"] = [None if g is None else encode(g) for g in found]
        if not second:
            return answer
        answer["again"] = [g is not None and g.requires_grad for g in found]
        seeds = [g for g in found if g is not None and g.requires_grad]
        if seeds:
            try:
                again = torch.autograd.grad(seeds, leaves, [cotangent(x, 3) for x in seeds], allow_unused=True)
                answer["grads2"] = [None if g is None else encode(g) for g in again]
            except RuntimeError as error:
                answer["grad2Error"] = str(error).split("\n")[0]
        return answer
    finally:
        for x in leaves:
            x.requires_grad_(False)


def judge_all(calls, second):
    """In processes of their own: PyTorch crashes on some of them, and on some it never ends."""
    answers = []
    while len(answers) < len(calls):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            with os.fdopen(write, "w") as out:
                for _, op, args in calls[len(answers):]:
                    signal.alarm(20)
                    out.write(json.dumps(judge(op, args, second)) + "\n")
                    out.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as lines:
            answers.extend(json.loads(line) for line in lines)
        os.waitpid(child, 0)
        if len(answers) < len(calls):
            print("PyTorch does not survive", calls[len(answers)][:2], file=sys.stderr)
            answers.append({"error": "no answer"})
    return answers


def close(a, b, dtype):
    a, b = number(a), number(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= TOLERANCE.get(dtype, 0) * (1 + abs(b))


def tensor_difference(ours, theirs):
    if (ours is None) != (theirs is None):
        zero = all(x == 0 for x in (ours or theirs)["d"])
        return f"weft {'none' if ours is None else 'zeros' if zero else 'some'}, PyTorch {'none' if theirs is None else 'zeros' if zero else 'some'}"
    if ours is None:
        return None
    if ours["t"] != theirs["t"] or ours["s"] != theirs["s"]:
        return f"weft {ours['t']}{ours['s']}, PyTorch {theirs['t']}{theirs['s']}"
    for i, (a, b) in enumerate(zip(ours["d"], theirs["d"])):
        if not close(a, b, theirs["t"]):
            return f"element {i} is {a}, PyTorch {b}  ({short(ours['d'])} / {short(theirs['d'])})"
    return None


def short(data):
    text = ",".join(str(x if isinstance(x, str) else round(x, 4)) for x in data[:12])
    return text + ("…" if len(data) > 12 else "")


def differences(ours, theirs, forward):
    if "error" in theirs:
        return
    if "error" in ours:
        yield f"error: {ours['error']}"
        return
    # Operators with further results of their own are compared in those that PyTorch has.
    if forward:
        for i, (a, b) in enumerate(zip(ours["outputs"], theirs["outputs"])):
            d = tensor_difference(a, b)
            if d:
                yield f"output {i}: {d}"
    if ours["requires"] != theirs["requires"]:
        yield f"requires_grad {ours['requires']}, PyTorch {theirs['requires']}"
        return
    for error, grads in (("gradError", "grads"), ("grad2Error", "grads2")):
        if error in ours or error in theirs:
            if error in ours and error not in theirs:
                yield f"{error}: {ours[error]}"
            return
        if (grads in ours) != (grads in theirs):
            yield f"{grads}: weft {grads in ours}, PyTorch {grads in theirs} ({ours.get('again')} / {theirs.get('again')})"
            return
        for i, (a, b) in enumerate(zip(ours.get(grads, []), theirs.get(grads, []))):
            d = tensor_difference(a, b)
            if d:
                yield f"{grads} {i}: {d}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("operators", nargs="*")
    parser.add_argument("--variants", default="base,f64,ties,zeros,nan,inf,inplace")
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--forward", action="store_true", help="outputs too")
    parser.add_argument("--file", help="other cases than the recorded ones")
    options = parser.parse_args()
    calls = []
    for file in [options.file] if options.file else sorted(glob.glob(CASES)):
        for case in json.load(open(file)):
            if options.operators and not any(case["op"] in (o, f"aten::{o}") or case["op"].startswith(f"aten::{o}.") for o in options.operators):
                continue
            # Nested tensors have no numbers to differentiate by in this comparison.
            if operator(case["op"]) is None or "nested" in case["op"] or '"nested"' in json.dumps(case["args"]):
                continue
            for name in options.variants.split(","):
                found = variant(case["op"], decode(case["args"]), name)
                if found is not None:
                    calls.append((name, *found))
    answers = judge_all(calls, options.second)
    lines = "".join(json.dumps({"op": op, "args": encode(args), "second": options.second}) + "\n" for _, op, args in calls)
    ran = subprocess.run(["node", os.path.join(HERE, "gradients-of-calls.mjs")], input=lines, capture_output=True, text=True)
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    if len(found) != len(calls):
        sys.exit(f"the run ended at {calls[len(found)][:2]}: {ran.stderr[-2000:]}")
    wrong, expected = 0, {}
    for (name, op, args), ours, theirs in zip(calls, found, answers):
        for difference in differences(ours, theirs, options.forward):
            reason = next((r for o, d, r in EXPECTED if re.fullmatch(f"aten::({o})", op) and re.search(d, difference)), None)
            if reason is not None:
                expected[reason] = expected.get(reason, 0) + 1
                continue
            wrong += 1
            inputs = " ".join(f"{str(x.dtype)[6:]}{list(x.shape)}" if isinstance(x, torch.Tensor) else str(x)[:30] for x in args)
            print(f"{op} [{name}] ({inputs}): {difference}")
    for reason, count in expected.items():
        print(f"{count} expected: {reason}")
    print(f"{len(calls)} calls, {wrong} differences, {sum(expected.values())} expected ones", file=sys.stderr)
    sys.exit(0 if wrong == 0 else 1)


main()
