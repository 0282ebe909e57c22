"""Calls to start from, for as many operators as there are: the samples that PyTorch keeps of every function for its own tests,
traced so that each aten operator in them becomes a call; and the calls of libs/tensor/src/operators/cases."""

import glob
import json
import os
import resource
import sys
import types
import unittest
import warnings

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from calls import DTYPES, Call, Untellable, copy, decode, resolve, tensors_in

CASES = os.path.join(os.path.dirname(__file__), "..", "..", "libs", "tensor", "src", "operators", "cases")
LARGEST = 700
#: PyTorch 1.13 gives these to __torch_dispatch__ without counting the reference.
HELD = [each for each in (*DTYPES, torch.strided, torch.preserve_format, torch.contiguous_format) if each] * 100000


def op_database():
    """PyTorch's table of functions; it imports a package of test helpers that nothing here needs."""
    stub = types.ModuleType("expecttest")
    stub.TestCase = unittest.TestCase
    stub.ACCEPT = False
    sys.modules.setdefault("expecttest", stub)
    from torch.testing._internal.common_methods_invocations import op_db

    return op_db


def flatten(value, found):
    """Replaces tensors by their positions in `found`."""
    if isinstance(value, torch.Tensor):
        found.append(value.detach())
        return ("tensor", len(found) - 1)
    if isinstance(value, (list, tuple)):
        return ("list", type(value), [flatten(each, found) for each in value])
    if isinstance(value, dict):
        return ("dict", {key: flatten(each, found) for key, each in value.items()})
    return ("value", value)


def unflatten(tree, tensors):
    kind = tree[0]
    if kind == "tensor":
        return tensors[tree[1]]
    if kind == "list":
        items = [unflatten(each, tensors) for each in tree[2]]
        return items if tree[1] is list else tuple(items) if tree[1] is tuple else tree[1](items)
    if kind == "dict":
        return {key: unflatten(each, tensors) for key, each in tree[1].items()}
    return tree[1]


def traced_calls(function, sample):
    """The aten calls of one sample, with their values."""
    tensors = []
    tree = flatten([sample.input, list(sample.args), sample.kwargs], tensors)
    if not tensors or any(each.numel() > LARGEST or each.layout != torch.strided for each in tensors):
        return

    def run(*inputs):
        first, rest, keywords = unflatten(tree, inputs)
        result = function(first, *rest, **keywords)
        return result if isinstance(result, (torch.Tensor, tuple)) else inputs[0]

    traced = torch.jit.trace(run, tuple(copy(tensors)), check_trace=False)
    graph = traced.graph
    values = dict(zip([value.debugName() for value in graph.inputs()], copy(tensors)))
    for kind, name, inputs, outputs, constant in [described(node) for node in graph.nodes()]:
        given = [values[each] for each in inputs]
        if kind == "prim::Constant":
            results = [constant]
        elif kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            results = [given]
        elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            results = list(given[0])
        elif kind == "prim::NumToTensor":
            results = [torch.tensor(given[0])]
        elif kind == "aten::Int":
            results = [int(given[0])]
        elif kind.startswith("aten::"):
            call = Call(name, copy(given))
            yield call
            result = call.run(copy(given))
            results = [result] if len(outputs) == 1 else list(result)
        else:
            return
        values.update(zip(outputs, results))


def described(node):
    """Kind, qualified name, names of inputs and outputs, and value of a node."""
    kind = node.kind()
    schema = node.schema() if kind.startswith("aten::") else "("
    constant = node.output().toIValue() if kind == "prim::Constant" else None
    inputs = [value.debugName() for value in node.inputs()]
    outputs = [value.debugName() for value in node.outputs()]
    return kind, schema[: schema.index("(")], inputs, outputs, constant


SAMPLE_DTYPES = (torch.float32, torch.complex64, torch.int64, torch.bool, torch.float64)


def calls_of(info, limit):
    """The calls in the samples of one function."""
    for dtype in SAMPLE_DTYPES:
        try:
            samples = list(info.sample_inputs("cpu", dtype)) if dtype in info.dtypes else []
        except Exception:  # a sample that this build cannot make
            continue
        for sample in samples[:: max(1, len(samples) // limit)]:
            try:
                yield from traced_calls(info.op, sample)
            except Exception:  # what cannot be traced
                pass
        for sample in samples[:: max(1, len(samples) // 4)] if dtype == torch.float32 else []:
            try:
                yield from differentiated(info.op, sample)
            except Exception:  # what has no derivative
                pass
    if info.error_inputs_func is not None:
        try:
            errors = list(info.error_inputs("cpu"))
        except Exception:
            errors = []
        for error in errors:
            yield from erroneous_call(info.aten_name, error.sample_input)


def erroneous_call(name, sample):
    """A call that fails cannot be traced: the overload is the first that takes the arguments."""
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return
    for overload in packet.overloads():
        operator = getattr(packet, overload)
        formals = operator._schema.arguments
        given = [sample.input, *sample.args]
        keywords = dict(sample.kwargs)
        args = []
        for index, formal in enumerate(formals):
            if index < len(given):
                args.append(given[index])
            elif formal.name in keywords:
                args.append(keywords.pop(formal.name))
            elif formal.has_default_value():
                args.append(formal.default_value)
            else:
                break
        if len(args) != len(formals) or keywords or len(given) > len(formals):
            continue
        name = operator._schema.name + ("" if overload == "default" else f".{overload}")
        call = Call(name, [copy(value) for value in args])
        try:
            call.record()
        except Exception:
            continue
        yield call
        return


def decoded(value):
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "f" in value:
        return float(value["f"])
    if "c" in value:
        return complex(*value["c"])
    if "dtype" in value:
        return getattr(torch, value["dtype"])
    dtype = getattr(torch, value["t"])
    data = [float(each) if isinstance(each, str) else each for each in value["d"]]
    if dtype.is_complex:
        real = torch.tensor(data, dtype=torch.float64).reshape(*value["s"], 2)
        return torch.view_as_complex(real).to(dtype)
    return torch.tensor(data, dtype=dtype).reshape(value["s"])


def from_cases():
    for path in sorted(glob.glob(os.path.join(CASES, "*.json"))):
        for case in json.load(open(path)):
            try:
                args = [decoded(value) for value in case["args"]]
                operator = resolve(case["op"])
            except Exception:  # an operator that PyTorch 1.13 lacks
                continue
            if len(args) == len(operator._schema.arguments) and all(t.numel() <= LARGEST for t in tensors_in(args)):
                yield Call(case["op"], args)


class Dispatched(TorchDispatchMode):
    """Collects what reaches the dispatcher: internal operators, and the backward ones of every derivative."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        schema = operator._schema
        full = list(args)
        for formal in schema.arguments[len(args) :]:
            full.append(kwargs.get(formal.name, formal.default_value))
        if all(each.layout == torch.strided and each.numel() <= LARGEST for each in tensors_in(full)):
            name = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
            self.calls.append(Call(name, copy(full)))
        return operator(*args, **kwargs)


def differentiated(function, sample):
    """The calls below one sample and its derivative."""
    tensors = []
    tree = flatten([sample.input, list(sample.args), sample.kwargs], tensors)
    inputs = [copy(each).requires_grad_(each.is_floating_point() or each.is_complex()) for each in tensors]
    with Dispatched() as mode:
        first, rest, keywords = unflatten(tree, inputs)
        result = function(first, *rest, **keywords)
        outputs = [each for each in tensors_in(result) if each.requires_grad]
        torch.autograd.backward(outputs, [torch.ones_like(each) for each in outputs])
    return mode.calls


def write(path, limit):
    """Writes the seeds, one a line. Functions go to processes of their own: some samples end or stop their process."""
    warnings.simplefilter("ignore")
    open(path, "w").close()
    append(path, from_cases())
    for info in op_database():
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            torch.manual_seed(0)
            append(path, calls_of(info, limit))
            os._exit(0)
        os.waitpid(child, 0)


def append(path, calls):
    seen = set()
    with open(path, "a") as file:
        for call in calls:
            try:
                line = json.dumps(call.written(), separators=(",", ":"))
            except Untellable:
                continue
            if line not in seen:
                seen.add(line)
                file.write(line + "\n")
                file.flush()


def read(path):
    """Seeds by operator."""
    seeds = {}
    for line in open(path):
        try:
            written = json.loads(line)
        except ValueError:  # cut off
            continue
        seeds.setdefault(written["op"], []).append(Call(written["op"], decode(written["args"])))
    return seeds
