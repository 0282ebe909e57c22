"""Records what PyTorch answers for a model: a folder with model.pt, io.json and tensors.bin, as `weft verify` reads them."""
import json
import math
import os
import warnings

import torch

DTYPES = {
    torch.float32: "float32", torch.float64: "float64", torch.float16: "float16", torch.bfloat16: "bfloat16",
    torch.int64: "int64", torch.int32: "int32", torch.int16: "int16", torch.int8: "int8", torch.uint8: "uint8",
    torch.bool: "bool", torch.complex64: "complex64", torch.complex128: "complex128",
}


class Values:
    """Values as JSON; the bytes of their tensors are collected in `data`."""

    def __init__(self):
        self.data = bytearray()

    def tensor(self, x):
        plain = x.detach().resolve_conj().resolve_neg().contiguous()
        raw = (plain.view(torch.int16) if x.dtype == torch.bfloat16 else plain).numpy().tobytes()
        self.data.extend(b"\0" * (-len(self.data) % 8))
        entry = {"dtype": DTYPES[x.dtype], "shape": list(x.shape), "offset": len(self.data)}
        self.data.extend(raw)
        if not x.is_contiguous():
            entry["strides"] = list(x.stride())
        return {"tensor": entry}

    def of(self, x):
        if x is None:
            return None
        if isinstance(x, torch.Tensor):
            return self.tensor(x)
        if isinstance(x, bool):
            return {"bool": x}
        if isinstance(x, int):
            return {"int": x if abs(x) < 2 ** 53 else str(x)}
        if isinstance(x, float):
            return {"float": x if math.isfinite(x) else str(x)}
        if isinstance(x, str):
            return {"str": x}
        if isinstance(x, list):
            return {"list": [self.of(v) for v in x]}
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return {"namedtuple": {"type": type(x).__name__, "fields": [[k, self.of(v)] for k, v in zip(x._fields, x)]}}
        if isinstance(x, tuple):
            return {"tuple": [self.of(v) for v in x]}
        if isinstance(x, dict):
            return {"dict": [[self.of(k), self.of(v)] for k, v in x.items()]}
        return {"object": type(x).__name__}


def tensors_in(x):
    """Every tensor in a value, depth first."""
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in tensors_in(item)]
    if isinstance(x, dict):
        return [leaf for item in x.values() for leaf in tensors_in(item)]
    return []


def settle(module, run):
    """Gives batch norms the statistics of one batch, so that activations of random weights neither vanish nor explode."""
    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    modes = [(m, m.training) for m in module.modules()]
    for norm in norms:
        norm.train()
        norm.momentum, norm.usual = 1.0, norm.momentum
    with torch.no_grad():
        run()
    for m, mode in modes:
        m.training = mode
    for norm in norms:
        norm.momentum = norm.usual
        del norm.usual
        # A channel that hardly varied in that batch must not be blown up in the next.
        norm.running_var.clamp_(min=norm.running_var.mean())


def wake(module):
    """Gives weights that begin as zero random ones: they would hide whatever comes before them."""
    for parameter in module.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)


def doubled(x):
    """A value whose float tensors are of double precision."""
    if isinstance(x, torch.Tensor):
        return x.double() if x.is_floating_point() else x
    if isinstance(x, (list, tuple)):
        return type(x)(doubled(item) for item in x)
    return {key: doubled(item) for key, item in x.items()} if isinstance(x, dict) else x


def compiled(case, module, inputs):
    if case.kind == "script":
        result = torch.jit.script(module)
    else:
        result = torch.jit.trace(module, tuple(inputs[0]), check_trace=False, strict=False)
    return case.after(result, inputs) if case.after else result


def backward_of(module, inputs, outputs, writer):
    """Gradients of the sum of each output times random cotangents, by input tensor and by parameter."""
    generator = torch.Generator().manual_seed(1)
    leaves = tensors_in(outputs)
    cotangents = [
        torch.randn(leaf.shape, generator=generator).to(leaf.dtype) if leaf.requires_grad else None for leaf in leaves]
    pairs = [(o, c) for o, c in zip(leaves, cotangents) if c is not None]
    wanted = [x for x in tensors_in(inputs) if x.requires_grad]
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    grads = list(torch.autograd.grad([o for o, _ in pairs], wanted + list(parameters.values()),
                                     [c for _, c in pairs], allow_unused=True))
    input_grads = [grads.pop(0) if x.requires_grad else None for x in tensors_in(inputs)]
    return {"cotangents": [writer.of(c) for c in cotangents], "inputGrads": [writer.of(g) for g in input_grads],
            "parameterGrads": {name: writer.of(g) for name, g in zip(parameters, grads)}}


def record(case, folder):
    """Builds, compiles and calls one model, and writes its folder."""
    warnings.simplefilter("ignore")
    torch.manual_seed(case.seed)
    module = case.build()
    wake(module)
    module.train(case.training)
    inputs = [tuple(args) for args in case.inputs()]
    if case.gradients or case.double:
        # Rounding in float32 is amplified on the way back through batch norms, by more than a mistake would be.
        module, inputs = module.double(), doubled(inputs)
    settle(module, case.settle(module, inputs) if case.settle else lambda: module(*inputs[0]))
    if case.prepare:
        case.prepare(module, inputs)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.pt")
    torch.jit.save(compiled(case, module, inputs), path)
    module = torch.jit.load(path)
    writer, calls = Values(), []
    for args in inputs:
        call = {"method": case.method, "inputs": [writer.of(a) for a in args], "seed": case.seed}
        if case.gradients:
            for leaf in tensors_in(args):
                if leaf.is_floating_point():
                    leaf.requires_grad_(True)
        torch.manual_seed(case.seed)
        with torch.set_grad_enabled(case.gradients):
            output = getattr(module, case.method)(*args)
        call["output"] = writer.of(output)
        if case.gradients:
            call["backward"] = backward_of(module, args, output, writer)
        calls.append(call)
    tolerance = {"rtol": 1e-6, "atol": 1e-8} if case.gradients else {"rtol": case.rtol, "atol": case.atol}
    with open(os.path.join(folder, "io.json"), "w") as file:
        json.dump({"case": case.name, "kind": case.kind, "tolerance": tolerance, "calls": calls}, file)
    with open(os.path.join(folder, "tensors.bin"), "wb") as file:
        file.write(writer.data)
