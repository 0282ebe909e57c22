"""Records what PyTorch computes for a table of operator calls: outputs and gradients, one JSON file a family.

    python3 tools/make-operator-cases.py [family...]      (PyTorch 1.13; Debian: apt-get install python3-torch)

libs/tensor/src/operators/operators.test.ts runs every case. A line `case("add.Tensor", T(2, 3), T(3), alpha=2)` is one
call; nested tensors are {"nested": parts}; "seed" is
the generator's before the call; "after" holds the arguments that were written to where the result does not show them. Values: tensors {"t": dtype, "s": sizes, "d": data}, floats {"f": 1.5}, ints, bools, strings, null, lists.
Gradients are those of the sum of the outputs times `cotangent(n)`, which the test computes in the same way.
"""

import json
import math
import os
import sys

import torch

OUT = os.path.join(os.path.dirname(__file__), "..", "libs", "tensor", "src", "operators", "cases")
FAMILIES = {}
CASES = []


def family(function):
    FAMILIES[function.__name__] = function
    return function


_generator = torch.Generator()


def T(*sizes, dtype=torch.float32, low=-2.0, high=2.0):
    """A tensor of numbers spread over [low, high), with few digits."""
    if dtype == torch.bool:
        return torch.rand(sizes, generator=_generator) > 0.5
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(int(low), int(high) + 1, sizes, generator=_generator).to(dtype)
    values = torch.rand(sizes, generator=_generator, dtype=torch.float64) * (high - low) + low
    values = (values * 1000).round() / 1000
    if dtype.is_complex:
        other = torch.rand(sizes, generator=_generator, dtype=torch.float64) * (high - low) + low
        return torch.complex(values, (other * 1000).round() / 1000).to(dtype)
    return values.to(dtype)


def P(*sizes, dtype=torch.float32):
    """Positive numbers."""
    return T(*sizes, dtype=dtype, low=0.1, high=3.0)


def U(*sizes, dtype=torch.float32):
    """Numbers in (0, 1)."""
    return T(*sizes, dtype=dtype, low=0.05, high=0.95)


def I(*sizes, low=0, high=9, dtype=torch.int64):
    return T(*sizes, dtype=dtype, low=low, high=high)


def B(*sizes):
    return T(*sizes, dtype=torch.bool)


def number(value, dtype):
    if isinstance(value, bool) or isinstance(value, int):
        return value
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    digits = 15 if dtype in (torch.float64, torch.complex128) else 7
    return float(f"{value:.{digits}g}")


def encode(value):
    if isinstance(value, torch.Tensor) and value.is_nested:
        return {"nested": [encode(part) for part in value.unbind()]}
    if isinstance(value, torch.Tensor):
        value = value.detach().resolve_conj().resolve_neg()
        flat = value.contiguous()
        if value.is_complex():
            flat = torch.view_as_real(flat)
        data = [number(x, value.dtype) for x in flat.reshape(-1).tolist()]
        return {"t": str(value.dtype).replace("torch.", ""), "s": list(value.shape), "d": data}
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return {"f": number(value, torch.float64)}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).replace("torch.", "")}
    if isinstance(value, (list, tuple)):
        return [encode(x) for x in value]
    raise TypeError(type(value))


def cotangent(tensor):
    n = tensor.numel()
    ramp = ((torch.arange(n) * 37 % 11).to(torch.float64) - 4) / 4
    real = ramp.reshape(tensor.shape)
    if tensor.is_complex():
        return torch.complex(real, -0.5 * real).to(tensor.dtype)
    return real.to(tensor.dtype)


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for x in value for t in tensors_in(x)]
    return []


def case(name, *args, grad=True, tolerance=None, strict=False, seed=None, **kwargs):
    base, _, overload = name.partition(".")
    namespace, _, base = base.rpartition("::")
    operator = getattr(getattr(getattr(torch.ops, namespace or "aten"), base), overload or "default")
    formals = operator._schema.arguments
    full = list(args)
    for formal in formals[len(args):]:
        if formal.name in kwargs:
            full.append(kwargs.pop(formal.name))
        elif formal.has_default_value():
            full.append(formal.default_value)
        else:
            raise TypeError(f"{name}: {formal.name} is missing")
    assert not kwargs, (name, kwargs)
    positional = [x for x, formal in zip(full, formals) if not formal.kwarg_only]
    keywords = {formal.name: x for x, formal in zip(full, formals) if formal.kwarg_only}
    floats = [t for t in tensors_in(full) if not t.is_nested and (t.is_floating_point() or t.is_complex())]
    before = encode(full)
    record = {"op": name if "::" in name else f"aten::{name}", "args": before}
    if tolerance is not None:
        record["tolerance"] = tolerance
    if seed is not None:
        record["seed"] = seed

    def run():
        if seed is not None:
            torch.manual_seed(seed)
        return operator(*positional, **keywords)

    try:
        wants = grad and bool(floats) and all(t.dtype in (torch.float32, torch.float64, torch.complex64, torch.complex128) for t in floats)
        for t in floats:
            t.requires_grad_(wants)
        try:
            out = run()
            outs = [t for t in tensors_in(out) if t.requires_grad]
            if wants and outs:
                total = sum((t * cotangent(t).conj()).sum().real if t.is_complex() else (t * cotangent(t)).sum() for t in outs)
                found = torch.autograd.grad(total, floats, allow_unused=True)
                record["grads"] = [None if g is None else encode(g) for g in found]
        except (RuntimeError, NotImplementedError) as error:
            if not wants:
                raise
            for t in floats:
                t.requires_grad_(False)
            out = run()
        finally:
            for t in floats:
                t.requires_grad_(False)
        record["out"] = encode(out)
        written = [index for index, formal in enumerate(formals) if formal.alias_info is not None and formal.alias_info.is_write]
        if len(written) > len(operator._schema.returns):
            record["after"] = [encode(full[index]) for index in written]
    except (RuntimeError, IndexError, NotImplementedError, ValueError) as error:
        record["error"] = str(error).split("\n")[0]
        if "not implemented for" in record["error"] and not strict:
            return  # weft computes more dtypes than PyTorch's CPU kernels
    CASES.append(record)


f16, f32, f64, bf16 = torch.float16, torch.float32, torch.float64, torch.bfloat16
i8, u8, i16, i32, i64 = torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64
c64, c128, boolean = torch.complex64, torch.complex128, torch.bool
inf, nan = float("inf"), float("nan")


def edges(dtype=torch.float32):
    return torch.tensor([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, inf, -inf, nan], dtype=dtype)


@family
def pointwise():
    for op in ["add", "sub", "mul", "div", "remainder", "fmod"]:
        case(f"{op}.Tensor", T(2, 3), T(3))
        case(f"{op}.Tensor", I(2, 3, low=-7), I(3, low=1))
        case(f"{op}.Tensor", T(2, 2), I(2, low=1))
        case(f"{op}.Tensor", T(2, 2, dtype=f16), T(2, 2, dtype=f16))
        case(f"{op}.Tensor", I(3, dtype=i32), T(dtype=f64, low=1))
        case(f"{op}.Tensor", T(2, 3), T(2))
        case(f"{op}.Scalar", T(3), 1.5)
        case(f"{op}.Scalar", I(3, low=-5, dtype=u8 if op != "sub" else i8), 2)
        case(f"{op}.Scalar", I(3, low=-5), 2.5)
    for op in ["add", "sub"]:
        case(f"{op}.Tensor", T(2, 3), T(3), alpha=2)
        case(f"{op}.Scalar", T(3), 1.5, alpha=3)
        case(f"{op}.Tensor", I(3), I(3), alpha=1.5)
    for op in ["add", "mul"]:
        case(f"{op}.Tensor", B(4), B(4))
        case(f"{op}.Tensor", T(2, dtype=c64), T(2))
        case(f"{op}.Scalar", T(2), 1 + 2j)
    case("sub.Tensor", B(4), B(4))
    case("div.Tensor", T(2, dtype=c64), T(2, dtype=c64))
    for op in ["subtract", "multiply", "divide", "true_divide"]:
        case(f"{op}.Tensor", T(2, 3), P(3))
    for mode in ["floor", "trunc"]:
        case("div.Tensor_mode", T(6), T(6), rounding_mode=mode)
        case("div.Tensor_mode", I(6, low=-9), I(6, low=1), rounding_mode=mode)
        case("div.Scalar_mode", I(6, low=-9), -2, rounding_mode=mode)
        case("div.Scalar_mode", edges(), 0.3, rounding_mode=mode, grad=False)
        case("divide.Tensor_mode", T(6), T(6), rounding_mode=mode)
    case("div.Tensor_mode", T(6), T(6), rounding_mode="up")
    case("floor_divide", I(4, low=-9), I(4, low=1))
    case("floor_divide.Scalar", T(4), 0.7)
    case("rsub.Scalar", T(3), 2, 3)
    case("rsub.Tensor", T(3), T(3))
    case("remainder.Scalar_Tensor", 7, I(4, low=1))
    case("_add_relu.Tensor", T(4), T(4))
    for exponent in [0, 1, 2, 3, -1, 0.5, -0.5, 2.5]:
        case("pow.Tensor_Scalar", P(4), exponent)
    case("pow.Tensor_Scalar", I(4), 3)
    case("pow.Tensor_Scalar", I(4), -1)
    case("pow.Tensor_Tensor", P(2, 3), T(3))
    case("pow.Tensor_Tensor", I(4), I(4, high=4))
    case("pow.Scalar", 2, T(3))
    case("float_power.Tensor_Tensor", P(3), T(3))
    case("float_power.Tensor_Scalar", I(3), 2)
    case("square", T(3))
    for op in ["maximum", "minimum", "fmax", "fmin"]:
        case(op, T(2, 3), T(3))
        case(op, I(4), I(4))
        case(op, edges(), edges().flip(0).contiguous(), grad=False)
        case(op, torch.tensor([1.0, 2.0, 2.0]), torch.tensor([1.0, 3.0, 2.0]))
    case("max.other", T(4), T(4))
    case("min.other", T(4), T(4))
    for op in ["atan2", "arctan2", "hypot", "logaddexp", "logaddexp2", "copysign.Tensor"]:
        case(op, T(2, 3), T(3))
    case("atan2", I(3), I(3, low=1))
    case("copysign.Scalar", T(3), -1.0)
    case("nextafter", T(4), T(4))
    case("nextafter", T(4, dtype=f64), T(4, dtype=f64))
    case("heaviside", torch.tensor([-1.0, 0.0, 2.0, nan]), T(4))
    case("gcd", I(5, low=-20, high=20), I(5, low=-20, high=20))
    case("lcm", I(5, low=-20, high=20), I(5, low=-20, high=20))
    case("xlogy.Tensor", T(4), P(4))
    case("xlogy.Tensor", torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, nan, 0.0]), grad=False)
    case("xlogy.Scalar_Other", T(4), 2.0)
    case("xlogy.Scalar_Self", 2.0, P(4))
    case("special_xlog1py", T(4), P(4))
    case("special_xlogy", T(4), P(4))
    case("ldexp.Tensor", T(4), I(4))
    case("addcmul", T(2, 3), T(3), T(2, 1), value=0.5)
    case("addcdiv", T(2, 3), T(3), P(2, 1), value=0.5)
    case("addcdiv", I(3), I(3), I(3, low=1))
    case("lerp.Scalar", T(3), T(3), 0.3)
    case("lerp.Tensor", T(3), T(3), U(3))
    for op in ["bitwise_and", "bitwise_or", "bitwise_xor"]:
        case(f"{op}.Tensor", I(4), I(4))
        case(f"{op}.Tensor", B(4), B(4))
        case(f"{op}.Scalar", I(4, dtype=u8), 6)
        case(f"{op}.Tensor", T(3), T(3), strict=True)
    for op in ["__and__", "__or__", "__xor__", "__lshift__", "__rshift__"]:
        case(f"{op}.Tensor", I(4), I(4, high=4))
        case(f"{op}.Scalar", I(4), 3)
    for op in ["bitwise_left_shift", "bitwise_right_shift"]:
        case(f"{op}.Tensor", I(4, low=-8), I(4, high=4))
        case(f"{op}.Tensor_Scalar", I(4, low=-8), 2)
    for p in [0, 1, 2, 3, inf]:
        case("dist", T(2, 3), T(2, 3), p)


@family
def comparison():
    for op in ["eq", "ne", "lt", "le", "gt", "ge", "not_equal", "greater", "greater_equal", "less", "less_equal"]:
        case(f"{op}.Tensor", I(2, 3, high=2), I(3, high=2))
        case(f"{op}.Scalar", edges(), 0.5)
    case("lt.Tensor", B(5), B(5))
    case("eq.Tensor", T(2, dtype=c64), T(2, dtype=c64))
    case("gt.Scalar", I(4), 2.5)
    for op in ["logical_and", "logical_or", "logical_xor"]:
        case(op, I(2, 3, high=1), T(3))
    case("logical_not", I(4, high=1))
    case("where.self", B(2, 3), T(3), T(2, 1))
    case("where.self", B(3), I(3), T(3))
    case("where.ScalarOther", B(3), T(3), 2.0)
    case("where.ScalarSelf", B(3), 1, T(3))
    case("where.Scalar", B(3), 1.0, 2.0)
    case("clamp", T(5), -1.0, 1.0)
    case("clamp", I(5), 2, 5)
    case("clamp", I(5), 1.5, None)
    case("clamp", edges(), 0.0, 1.0)
    case("clamp.Tensor", T(2, 3), T(3), None)
    case("clamp", T(2), None, None)
    case("clip", T(5), -1.0, None)
    case("clamp_min", T(5), 0)
    case("clamp_max", T(5), 0.5)
    case("clamp_min.Tensor", T(5), T(5))
    case("isclose", torch.tensor([1.0, 2.0, nan, inf]), torch.tensor([1.00001, 2.1, nan, inf]))
    case("isclose", torch.tensor([1.0, 2.0, nan, inf]), torch.tensor([1.00001, 2.1, nan, inf]), equal_nan=True)
    case("isreal", T(2, dtype=c64))
    case("isin.Tensor_Tensor", I(6), I(3))
    case("isin.Tensor_Scalar", I(6), 3)
    case("isin.Tensor_Tensor", I(6), I(3), invert=True)


@family
def unary():
    signed = ["exp", "expm1", "special_expm1", "exp2", "special_exp2", "sigmoid", "special_expit", "sin", "cos", "tan", "atan", "arctan", "sinh", "cosh", "tanh", "asinh", "arcsinh", "erf", "special_erf", "erfc", "special_erfc", "deg2rad", "rad2deg", "sinc", "special_sinc", "special_ndtr", "special_log_ndtr", "special_erfcx", "abs", "absolute", "neg", "negative", "sign", "sgn", "floor", "ceil", "trunc", "fix", "round", "frac", "reciprocal", "positive", "special_round"]
    for op in signed:
        case(op, T(5))
        if op not in ["frac"]:
            case(op, I(3, low=-4, high=4))
    for op in ["log", "log2", "log10", "log1p", "special_log1p", "sqrt", "rsqrt", "lgamma", "special_gammaln", "digamma", "special_digamma", "special_psi", "special_entr"]:
        case(op, P(5))
        case(op, I(3, low=1))
    for op in ["asin", "arcsin", "acos", "arccos", "atanh", "arctanh", "erfinv", "special_erfinv"]:
        case(op, T(4, low=-0.9, high=0.9))
    for op in ["acosh", "arccosh"]:
        case(op, T(4, low=1.1, high=3))
    case("special_ndtri", U(4))
    for op in ["exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "abs", "reciprocal", "neg", "sgn", "conj", "real", "imag", "angle", "square", "asin", "acosh", "log10", "rsqrt"]:
        case(op, T(3, dtype=c64))
    for op in ["exp", "tanh", "log", "sqrt", "sigmoid", "sin", "erf"]:
        case(op, P(4, dtype=f16))
        case(op, P(4, dtype=bf16))
        case(op, P(4, dtype=f64))
        case(op, edges())
    case("lgamma", T(4, low=-3.3, high=-0.2))
    case("digamma", T(4, low=-3.3, high=-0.2))
    case("round", torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5]))
    case("round.decimals", T(4), decimals=2)
    case("round.decimals", T(4, low=-200, high=200), decimals=-1)
    for op in ["isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "sign", "trunc", "frac"]:
        case(op, edges(), grad=False)
    case("isnan", I(3))
    case("signbit", I(3, low=-3))
    case("frexp.Tensor", torch.tensor([0.3, -4.0, 0.0, 100.5, 1e-3]))
    case("bitwise_not", I(4))
    case("bitwise_not", B(4))
    case("bitwise_not", T(2), strict=True)
    case("nan_to_num", edges())
    case("nan_to_num", edges(), 1.0, 2.0, 3.0)
    case("logit", U(4))
    case("logit", T(4, low=-0.2, high=1.2), 0.1)
    case("special_logit", U(4))
    case("angle", T(4))
    case("complex", T(3), T(3))
    case("polar", P(3), T(3))
    case("mvlgamma", T(3, low=2, high=4), 3)
    case("special_multigammaln", T(3, low=2, high=4), 2)
    case("neg", B(2))
    case("conj_physical", T(3, dtype=c64))
    case("resolve_conj", T(3))
    case("view_as_real", T(2, 2, dtype=c64))
    case("view_as_complex", T(3, 2))


@family
def activations():
    for op in ["relu", "relu6", "silu", "mish", "hardswish", "hardsigmoid", "selu", "log_sigmoid"]:
        case(op, T(7, low=-5, high=7))
        case(op, torch.tensor([0.0, 3.0, -3.0, 6.0, 1.0]))
        if op not in ["log_sigmoid", "selu"]:
            case(op, T(4, dtype=bf16), tolerance=0.01)
    case("relu", I(4, low=-4))
    for approximate in ["none", "tanh"]:
        case("gelu", T(6), approximate=approximate)
    case("softplus", T(6))
    case("softplus", T(6, low=-30, high=30), 2, 10)
    case("elu", T(6))
    case("elu", T(6), 0.5, 2, 1.5)
    case("celu", T(6), 0.7)
    case("hardtanh", T(6), -0.5, 0.7)
    case("leaky_relu", T(6))
    case("leaky_relu", T(6), 0.2)
    case("prelu", T(2, 3, 2), U(3))
    case("prelu", T(2, 3), U(1))
    case("rrelu", T(4))
    case("glu", T(2, 4))
    case("glu", T(4, 3), 0)
    case("glu", T(2, 3))
    case("threshold", T(6), 0.3, -7.0)
    case("softshrink", T(6))
    case("hardshrink", T(6))
    case("log_sigmoid_forward", T(4), grad=False)
    for op in ["softmax.int", "log_softmax.int"]:
        case(op, T(2, 4), -1)
        case(op, T(3, 2, 2), 1)
        case(op, T(2, 3, dtype=f16), 1, tolerance=0.002)
        case(op, I(2, 3), 1, f64)
        case(op, I(2, 3), 1, strict=True)
        case(op, T(2, 3), 2)
    case("_softmax", T(2, 3), 1, False)
    case("_log_softmax", T(2, 3), 1, False)
    case("logsumexp", T(2, 3), [1])
    case("logsumexp", T(2, 3, 2), [0, 2], True)
    case("logsumexp", torch.tensor([-inf, -inf]), [0], grad=False)


@family
def reductions():
    case("sum", T(2, 3))
    case("sum", I(2, 3, dtype=i32))
    case("sum", B(5))
    case("sum", T(3, dtype=f16), dtype=f32)
    case("sum.dim_IntList", T(2, 3, 2), [0, 2])
    case("sum.dim_IntList", T(2, 3, 2), [-1], True)
    case("sum.dim_IntList", T(2, 3), None)
    case("sum.dim_IntList", T(2, 3), [])
    case("sum.dim_IntList", T(2, 3), [2])
    case("sum.dim_IntList", T(2, 3), [0, 0])
    case("mean", T(2, 3))
    case("mean", I(3))
    case("mean", I(3), dtype=f64)
    case("mean.dim", T(2, 3), [1], True)
    case("mean.dim", T(2, 3, dtype=bf16), [0], tolerance=0.01)
    case("nansum", torch.tensor([[1.0, nan], [2.0, 3.0]]))
    case("nansum", torch.tensor([[1.0, nan], [2.0, 3.0]]), [1])
    case("nanmean", torch.tensor([[1.0, nan], [2.0, 3.0]]), [1], True)
    case("prod", T(2, 3))
    case("prod", I(4))
    case("prod.dim_int", torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), 1)
    case("prod.dim_int", T(2, 3), 0, True)
    for op in ["var", "std"]:
        case(op, T(2, 4))
        case(op, T(2, 4), False)
        case(f"{op}.dim", T(2, 4), [1])
        case(f"{op}.dim", T(2, 4), [0], False, True)
        case(f"{op}.correction", T(3, 4), [1], correction=2)
        case(f"{op}_mean", T(2, 4))
        case(f"{op}_mean.dim", T(2, 4), [1])
        case(f"{op}_mean.correction", T(3, 4), [1], correction=0, keepdim=True)
    case("std", torch.tensor([2.0, 2.0, 2.0]))
    case("var", I(3))
    tied = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])
    for op in ["max", "min"]:
        case(op, T(2, 3))
        case(op, tied.clone())
        case(f"{op}.dim", tied.clone(), 1)
        case(f"{op}.dim", I(3, 4), 0, True)
        case(f"{op}.dim", edges().reshape(3, 3), 1)
        case(op, T(0))
        case(f"{op}.dim", T(2, 0), 1)
        case(op, B(4))
    for op in ["amax", "amin"]:
        case(op, tied.clone(), [1])
        case(op, T(2, 3, 2), [0, 2], True)
        case(op, T(4))
    case("aminmax", T(2, 3), dim=1)
    case("aminmax", T(2, 3))
    for op in ["argmax", "argmin"]:
        case(op, tied.clone())
        case(op, tied.clone(), 1)
        case(op, T(2, 3), 0, True)
        case(op, edges(), grad=False)
    for op in ["all", "any"]:
        case(op, B(2, 3))
        case(f"{op}.dim", B(2, 3), 1)
        case(f"{op}.dim", I(2, 3, high=1), 0, True)
        case(op, I(3, dtype=u8))
    case("count_nonzero", I(2, 3, high=1))
    case("count_nonzero.dim_IntList", I(2, 3, high=1), [1])
    for p in [None, 0, 1, 2, 3, 0.5, inf, -inf]:
        case("norm.ScalarOpt_dim", T(2, 3), p, [1])
    case("norm.Scalar", T(2, 3), 2)
    case("norm.Scalar", torch.zeros(3), 2)
    case("norm.ScalarOpt_dim_dtype", T(2, 3), 2, [0], True, dtype=f64)
    case("norm.ScalarOpt_dtype", T(2, 3), 2, dtype=f64)
    case("frobenius_norm.dim", T(2, 3), [0, 1])
    case("linalg_vector_norm", T(2, 3), 3, [1], True)
    case("linalg_vector_norm", T(3, dtype=c64))
    case("sum_to_size", T(2, 3, 4), [3, 1])
    case("cumsum", T(2, 5), 1)
    case("cumsum", I(5, dtype=i32), 0)
    case("cumsum", T(3), 0, dtype=f64)
    case("cumprod", T(2, 5), 1)
    case("cumprod", torch.tensor([1.0, 0.0, 2.0, 0.0, 3.0]), 0)
    case("cummax", T(2, 5), 1)
    case("cummax", edges(), 0, grad=False)
    case("cummin", I(6, high=3), 0)
    case("logcumsumexp", T(5), 0)
    case("diff", T(2, 5))
    case("diff", T(2, 5), 2, 0)
    case("diff", I(4), 1, 0, I(1), I(2))
    case("trapezoid.dx", T(2, 4), dx=0.5)
    case("trapezoid.x", T(2, 4), T(4))
    case("trapz.dx", T(2, 4))
    case("cumulative_trapezoid.dx", T(2, 4))
    case("vander", T(3))
    case("vander", I(3), 2, True)
    case("linalg_vander", T(3))


@family
def views():
    case("view", T(2, 6), [3, -1])
    case("view", T(2, 3), [5, 5])
    case("view", T(2, 3), [-1, 4])
    case("reshape", T(2, 6), [4, 3])
    case("flatten.using_ints", T(2, 3, 2), 1)
    case("flatten.using_ints", T(2, 3, 2), 2, 1)
    case("ravel", T(2, 3))
    case("unflatten.int", T(2, 6), 1, [2, -1], None)
    case("transpose.int", T(2, 3, 4), 0, -1)
    case("swapaxes", T(2, 3), 0, 1)
    case("permute", T(2, 3, 4), [2, 0, 1])
    case("permute", T(2, 3), [0, 0])
    case("t", T(2, 3))
    case("t", T(2, 3, 4))
    case("numpy_T", T(2, 3))
    case("mT", T(2, 3, 4))
    case("mH", T(2, 3, dtype=c64))
    case("adjoint", T(2, 3, dtype=c64))
    case("movedim.int", T(2, 3, 4), 0, 2)
    case("movedim.intlist", T(2, 3, 4), [0, 1], [2, 0])
    case("moveaxis.int", T(2, 3, 4), 2, 0)
    case("expand", T(3, 1), [2, 3, 4])
    case("expand", T(3, 1), [-1, 4])
    case("expand", T(2, 3), [5, 5])
    case("broadcast_to", T(3), [2, 3])
    case("expand_as", T(3, 1), T(3, 2))
    case("view_as", T(6), T(2, 3))
    case("select.int", T(2, 3), 1, -1)
    case("select.int", T(2, 3), 0, 5)
    case("slice.Tensor", T(6), 0, 1, 5, 2)
    case("slice.Tensor", T(3, 4), 1, -3, None)
    case("slice.Tensor", T(3), 0, 5, 9)
    case("narrow", T(3, 4), 1, 1, 2)
    case("narrow", T(3, 4), 0, 2, 5)
    case("unsqueeze", T(2, 3), -1)
    case("squeeze", T(1, 2, 1))
    case("squeeze.dim", T(1, 2), 0)
    case("squeeze.dim", T(1, 2), 1)
    case("diagonal", T(3, 4))
    case("diagonal", T(3, 4), 1)
    case("diagonal", T(2, 4, 3), -1, 1, 2)
    case("linalg_diagonal", T(2, 3, 3))
    case("unfold", T(7), 0, 3, 2)
    case("unfold", T(2, 5), 1, 2, 1)
    case("as_strided", T(8), [2, 3], [3, 1], 1)
    case("unbind.int", T(2, 3), 1)
    case("split.Tensor", T(5, 2), 2)
    case("split_with_sizes", T(5, 2), [1, 4])
    case("split_with_sizes", T(5, 2), [1, 3])
    case("chunk", T(5), 3)
    case("chunk", T(5), 0)
    case("tensor_split.sections", T(7), 3)
    case("tensor_split.indices", T(7), [2, 4])
    case("hsplit.int", T(2, 4), 2)
    case("vsplit.array", T(4, 2), [1])
    case("dsplit.int", T(2, 2, 4), 2)
    case("atleast_2d", T(3))
    case("atleast_3d", T(3))
    case("atleast_3d", T(2, 3))
    case("unsafe_chunk", T(4), 2)
    case("unsafe_split.Tensor", T(4), 2)
    case("view_copy", T(4), [2, 2])
    case("diagonal_copy", T(3, 3))
    case("contiguous", T(2, 3).t())


@family
def joining():
    case("cat", [T(2, 3), T(1, 3)], 0)
    case("cat", [T(2), I(3)], 0)
    case("cat", [T(0), T(2, 2)], 1)
    case("cat", [T(2, 3), T(2, 2)], 0)
    case("concat", [T(2), T(3)])
    case("stack", [T(2, 3), T(2, 3)], 1)
    case("stack", [T(2, 3), T(2, 2)])
    for op in ["hstack", "vstack", "dstack", "column_stack", "row_stack"]:
        case(op, [T(3), T(3)])
        case(op, [T(2, 3), T(2, 3)])
    case("repeat", T(2, 1), [2, 3])
    case("repeat", T(2), [2, 3])
    case("repeat", T(2, 2), [2])
    case("tile", T(2, 2), [2])
    case("repeat_interleave.self_int", T(2, 3), 2, 1)
    case("repeat_interleave.self_int", T(2, 2), 3)
    case("roll", T(2, 3), [1], [1])
    case("roll", T(2, 3), [2])
    case("roll", T(2, 3), [1, -1], [0, 1])
    case("flip", T(2, 3), [0, 1])
    case("fliplr", T(2, 3))
    case("flipud", T(2, 3))
    for k in [1, 2, 3, 4]:
        case("rot90", T(2, 3), k)
    case("tril", T(3, 4), 1)
    case("triu", T(2, 3, 3), -1)
    case("constant_pad_nd", T(2, 3), [1, 2, 0, 1], 5)
    case("constant_pad_nd", T(2, 4), [-1, 1])
    case("pad", T(1, 2, 4), [1, 2], "reflect", None)
    case("pad", T(1, 2, 4), [1, 2], "replicate", None)
    case("pad", T(1, 2, 4), [1, 2], "circular", None)
    case("pad", T(1, 1, 3, 4), [1, 2, 2, 1], "reflect", None)
    case("pad", T(2, 3), [1, 1], "constant", 2.0)
    case("reflection_pad1d", T(2, 4), [2, 1])
    case("reflection_pad2d", T(1, 3, 4), [2, 1, 1, 2])
    case("replication_pad1d", T(2, 4), [2, 1])
    case("replication_pad2d", T(1, 3, 4), [2, 1, 1, 2])
    case("replication_pad3d", T(1, 2, 2, 2), [1, 1, 0, 1, 1, 0])
    case("meshgrid.indexing", [T(2), T(3)], indexing="xy")
    case("meshgrid", [T(2), T(3)])
    case("broadcast_tensors", [T(2, 1), T(3)])
    case("diag", T(3), 1)
    case("diag", T(3, 4), -1)
    case("diag_embed", T(2, 3))
    case("diag_embed", T(2, 3), -1, 0, 2)
    case("diagflat", T(2, 2))
    case("trace", T(3, 4))
    case("trace", I(3, 3))
    case("pixel_shuffle", T(1, 4, 2, 2), 2)
    case("pixel_unshuffle", T(1, 1, 4, 4), 2)
    case("channel_shuffle", T(1, 4, 2, 2), 2, grad=False)
    case("block_diag", [T(2, 2), T(1, 3)])
    case("cartesian_prod", [T(2), T(3)])
    case("combinations", T(4), 2)
    case("combinations", T(3), 2, True)
    case("pad_sequence", [T(2, 2), T(3, 2)], True, 0.5)


@family
def factories():
    case("zeros", [2, 3])
    case("ones", [2], dtype=i64)
    case("full", [2], 3)
    case("full", [2], 1.5)
    case("full", [2], 3, dtype=f64)
    case("zeros", [-1])
    case("zeros_like", T(2))
    case("ones_like", I(2), dtype=f32)
    case("full_like", T(2), 3)
    case("new_zeros", I(2), [3])
    case("new_ones", T(2), [3])
    case("new_full", T(2), [3], 2)
    case("arange", 5)
    case("arange", 2.5)
    case("arange.start", 1, 4)
    case("arange.start_step", 1, 2, 0.3)
    case("arange.start_step", 5, 0, -2)
    case("arange.start_step", 0, 5, -1)
    case("linspace", 0, 1, 5)
    case("linspace", 3, -2, 4, dtype=f64)
    case("linspace", 0, 1, -1)
    case("logspace", 0, 2, 3)
    case("eye", 3)
    case("eye.m", 2, 3, dtype=i64)
    case("eye", -2)
    case("tril_indices", 3, 3)
    case("triu_indices", 3, 4, 1)
    case("scalar_tensor", 2.5)
    for op in ["hann_window", "hamming_window", "blackman_window", "bartlett_window"]:
        case(op, 6)
        case(f"{op}.periodic", 6, False)
    case("kaiser_window", 6)
    case("kaiser_window.beta", 6, True, 5.0)
    case("hamming_window.periodic_alpha_beta", 5, True, 0.6, 0.4)
    case("fft_fftfreq", 5, 0.5)
    case("fft_rfftfreq", 6)
    case("one_hot", I(4, high=3), 5)
    case("one_hot", I(4, high=3))
    case("to.dtype", T(3), i64)
    case("to.dtype", T(3), f64)
    case("to.dtype", torch.tensor([0.0, 2.0]), boolean)
    case("to.other", T(3), I(1))
    case("type_as", T(3), I(1))
    case("clone", T(3))
    case("fill.Scalar", T(3), 2)
    case("fill.Tensor", T(3), torch.tensor(2.0))
    case("zero", T(3))
    for op in ["Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short"]:
        case(f"_cast_{op}", P(3))


@family
def matmul():
    case("mm", T(2, 3), T(3, 2))
    case("mm", I(2, 3), I(3, 2))
    case("mm", T(2, 3), T(2, 2))
    case("mm", T(2, 2), I(2, 2))
    case("bmm", T(2, 2, 3), T(2, 3, 2))
    case("mv", T(2, 3), T(3))
    case("dot", T(3), T(3))
    case("vdot", T(3), T(3))
    for a, b in [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((2, 3), (2, 3, 2))]:
        case("matmul", T(*a), T(*b))
    case("matmul", T(2, 3), T(2, 2))
    case("matmul", T(2, 2, dtype=bf16), T(2, 2, dtype=bf16), tolerance=0.02)
    case("inner", T(2, 3), T(2, 3))
    case("outer", T(2), T(3))
    case("linear", T(2, 3), T(4, 3), T(4))
    case("linear", T(3), T(4, 3))
    case("linear", T(2, 2, 3), T(4, 3), T(4))
    case("linear", T(2, 3), T(4, 2))
    case("addmm", T(2), T(2, 3), T(3, 2), beta=0.5, alpha=2)
    case("addmv", T(2), T(2, 3), T(3), beta=2)
    case("addr", T(2, 3), T(2), T(3), alpha=0.5)
    case("baddbmm", T(2, 2, 2), T(2, 2, 3), T(2, 3, 2), beta=0)
    case("addbmm", T(2, 2), T(2, 2, 3), T(2, 3, 2))
    case("tensordot", T(2, 3, 4), T(4, 3, 2), [1, 2], [1, 0])
    for equation, shapes in [("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("ij->ji", [(2, 3)]), ("i,j->ij", [(2,), (3,)]), ("...ij,...jk->...ik", [(2, 2, 3), (3, 2)]), ("ij,kj", [(2, 3), (2, 3)]), ("ijk,ijl,klm->m", [(2, 2, 3), (2, 2, 2), (3, 2, 2)]), ("ba,b->", [(2, 3), (2,)])]:
        case("einsum", equation, [T(*s) for s in shapes])
    case("einsum", "ij,jk->ik", [T(2, 3), T(2, 3)])
    case("bilinear", T(2, 3), T(2, 2), T(4, 3, 2), T(4))
    case("kron", T(2, 2), T(2, 3))
    case("cross", T(2, 3), T(2, 3))
    case("linalg_cross", T(2, 3), T(2, 3))
    case("linalg_multi_dot", [T(2, 3), T(3, 2), T(2)])
    case("chain_matmul", [T(2, 3), T(3, 2), T(2, 2)])
    case("linalg_vecdot", T(2, 3), T(2, 3))


@family
def indexing():
    case("index.Tensor", T(3, 4), [I(2, high=2)])
    case("index.Tensor", T(3, 4), [None, I(2, 2, low=-4, high=3)])
    case("index.Tensor", T(3, 4), [I(2, high=2), I(2, high=3)])
    case("index.Tensor", T(2, 3, 4), [I(2, high=1), None, I(2, high=3)])
    case("index.Tensor", T(2, 3, 4), [None, I(2, 1, high=2), I(3, high=3)])
    case("index.Tensor", T(2, 3), [torch.tensor([[True, False, True], [False, True, True]])])
    case("index.Tensor", T(2, 3), [torch.tensor([False, True])])
    case("index.Tensor", T(2, 3), [None, torch.tensor([True, False, True])])
    case("index.Tensor", T(3), [torch.tensor([5])])
    case("index.Tensor", T(3), [T(2)])
    case("index_put", T(4), [torch.tensor([1, 3])], T(2))
    case("index_put", T(3, 4), [torch.tensor([1, 1])], T(2, 4), True)
    case("index_put", T(3, 4), [None, torch.tensor([0, 2])], T(1))
    case("index_put", T(2, 2), [torch.tensor([[True, False], [True, True]])], torch.tensor(5.0))
    case("index_select", T(3, 4), 1, torch.tensor([0, 2, 2]))
    case("index_select", T(3), 0, T(1))
    case("gather", T(3, 4), 1, I(3, 2, high=3))
    case("gather", T(3, 4), 0, I(2, 3, high=2))
    case("gather", T(3), 0, torch.tensor([7]))
    for op in ["scatter.src", "scatter_add"]:
        case(op, T(3, 4), 1, torch.tensor([[0, 2], [1, 3], [2, 0]]), T(3, 2))
    case("scatter.value", T(3, 4), 0, torch.tensor([[0, 2, 1]]), 5.0)
    case("scatter.reduce", T(3), 0, torch.tensor([0, 0, 2]), T(3), reduce="add", grad=False)
    case("scatter.value_reduce", T(3), 0, torch.tensor([0, 0, 2]), 2.0, reduce="multiply", grad=False)
    for reduce in ["sum", "prod", "mean", "amax", "amin"]:
        for include in [True, False]:
            case("scatter_reduce.two", T(4), 0, torch.tensor([0, 0, 2, 2, 1]), T(5), reduce, include_self=include)
    case("index_reduce", T(3, 2), 0, torch.tensor([0, 0, 2]), T(3, 2), "prod", grad=False)
    case("index_add", T(3, 2), 0, torch.tensor([0, 0, 2]), T(3, 2), alpha=2)
    case("index_copy", T(3, 2), 0, torch.tensor([0, 2]), T(2, 2))
    case("index_fill.int_Scalar", T(3, 2), 0, torch.tensor([0, 2]), 7.0)
    case("index_fill.int_Tensor", T(3, 2), 1, torch.tensor([-1]), torch.tensor(7.0))
    case("masked_fill.Scalar", T(2, 3), B(3), 5.0)
    case("masked_fill.Tensor", T(2, 3), B(2, 3), torch.tensor(5.0))
    case("masked_select", T(2, 3), torch.tensor([[True, False, True], [False, True, True]]))
    case("masked_scatter", T(2, 3), torch.tensor([[True, False, True], [False, True, True]]), T(5))
    case("take", T(2, 3), torch.tensor([0, -1, 4]))
    case("put", T(2, 3), torch.tensor([0, 4]), T(2))
    case("take_along_dim", T(2, 3), I(2, 1, high=2), 1)
    case("select_scatter", T(2, 3), T(2), 1, 0)
    case("slice_scatter", T(5), T(2), 0, 1, 5, 2)
    case("diagonal_scatter", T(3, 4), T(3), 1)
    case("embedding", T(5, 2), I(2, 3, high=4))
    case("embedding", T(5, 2), torch.tensor([1, 4, 1]), 1)
    case("embedding", T(5, 2), torch.tensor([7]))
    case("nonzero", torch.tensor([[1, 0, 2], [0, 3, 0]]))
    case("nonzero", torch.tensor(1))
    case("argwhere", torch.tensor([[1, 0, 2], [0, 3, 0]]))
    case("where", torch.tensor([[1, 0, 2], [0, 3, 0]]))
    case("_unique2", I(6, high=3), True, True, True)
    case("_unique2", T(4), True, True, False, grad=False)
    case("unique_dim", I(4, 2, high=1), 0, True, True, True)
    case("unique_consecutive", torch.tensor([1, 1, 2, 2, 1]), True, True)
    case("bincount", I(6, high=4))
    case("bincount", I(6, high=4), P(6), 7, grad=False)
    case("histc", T(8), 4, -1, 1, grad=False)
    case("histc", T(8), 5, grad=False)
    case("repeat_interleave.Tensor", torch.tensor([1, 0, 3]))
    case("repeat_interleave.self_Tensor", T(3, 2), torch.tensor([1, 0, 3]), 0)
    case("repeat_interleave.self_Tensor", T(3), torch.tensor([2]))


@family
def convolution():
    case("conv1d", T(1, 2, 6), T(3, 2, 3), T(3))
    case("conv1d", T(2, 6), T(3, 2, 3), None, 2, 1, 2)
    case("conv2d", T(1, 2, 5, 5), T(3, 2, 3, 3), T(3), [2, 1], [1, 0])
    case("conv2d", T(1, 4, 4, 4), T(4, 2, 2, 2), None, 1, 0, 1, 2)
    case("conv2d", T(1, 4, 4, 4), T(4, 1, 2, 2), None, 1, 0, 1, 4)
    case("conv2d.padding", T(1, 1, 4, 4), T(1, 1, 2, 3), None, 1, "same")
    case("conv3d", T(1, 1, 3, 3, 3), T(2, 1, 2, 2, 2), T(2))
    case("conv2d", T(1, 3, 5, 5), T(4, 2, 3, 3))
    case("conv2d", T(1, 2, 2, 2), T(4, 2, 3, 3))
    case("conv2d", T(5, 5), T(4, 2, 3, 3))
    case("conv_transpose1d", T(1, 2, 4), T(2, 3, 3), T(3), 2, 1, 1)
    case("conv_transpose2d.input", T(1, 2, 3, 3), T(2, 2, 3, 3), None, 2, 1, 1, 1, 1)
    case("conv_transpose2d.input", T(1, 4, 3, 3), T(4, 1, 2, 2), None, 1, 0, 0, 2, 2)
    case("conv_transpose3d.input", T(1, 1, 2, 2, 2), T(1, 2, 2, 2, 2), T(2), 2)
    case("convolution", T(1, 2, 4), T(2, 2, 3), None, [1], [1], [1], False, [0], 1)
    case("conv_tbc", T(5, 2, 3), T(3, 3, 2), T(2), 1)


@family
def pooling():
    case("max_pool1d", T(1, 2, 6), 2)
    case("max_pool2d", T(1, 1, 5, 5), 3, 2, 1)
    case("max_pool2d", T(1, 1, 5, 5), 2, 2, 0, 1, True)
    case("max_pool2d", T(1, 1, 6, 6), 2, 1, 0, 2)
    case("max_pool3d", T(1, 1, 3, 3, 3), 2)
    case("max_pool1d_with_indices", T(1, 2, 6), 3, 2, 1)
    case("max_pool2d_with_indices", T(1, 2, 5, 4), [3, 2], [2, 1], [1, 0])
    case("max_pool2d_with_indices", torch.ones(1, 1, 3, 3), 2, 1)
    case("max_pool3d_with_indices", T(1, 1, 3, 3, 3), 2, 1)
    case("avg_pool1d", T(1, 2, 6), 3, 2, 1)
    case("avg_pool2d", T(1, 1, 5, 5), 3, 2, 1)
    case("avg_pool2d", T(1, 1, 5, 5), 3, 2, 1, True, False)
    case("avg_pool2d", T(1, 5, 5), 2, 2, 0, True, True, 3)
    case("avg_pool3d", T(1, 1, 3, 3, 3), 2)
    case("adaptive_avg_pool1d", T(1, 2, 5), 3)
    case("adaptive_avg_pool2d", T(1, 2, 4, 5), [2, 3])
    case("adaptive_avg_pool2d", T(1, 2, 3, 3), [1, 1])
    case("adaptive_avg_pool3d", T(1, 1, 3, 4, 5), [2, 2, 2])
    case("adaptive_max_pool1d", T(1, 2, 5), 3)
    case("adaptive_max_pool2d", T(1, 2, 4, 5), [2, 3])
    case("adaptive_max_pool3d", T(1, 1, 3, 4, 5), [2, 2, 2])
    case("max_unpool2d", T(1, 1, 2, 2), torch.tensor([[[[0, 3], [8, 15]]]]), [4, 4])
    case("max_pool2d", T(1, 1, 2, 2), 3)


@family
def normalization():
    case("layer_norm", T(2, 3, 4), [4], T(4), T(4), tolerance=1e-4)
    case("layer_norm", T(2, 3, 4), [3, 4], tolerance=1e-4)
    case("layer_norm", T(2, 3), [4])
    case("native_layer_norm", T(2, 4), [4], T(4), T(4), 1e-5, tolerance=1e-4, grad=False)
    case("group_norm", T(2, 4, 3), 2, T(4), T(4), tolerance=1e-4)
    case("native_group_norm", T(2, 4, 3), T(4), T(4), 2, 4, 3, 2, 1e-5, tolerance=1e-4)
    case("batch_norm", T(3, 2, 2), T(2), T(2), None, None, True, 0.1, 1e-5, False, tolerance=1e-4)
    case("batch_norm", T(3, 2, 2), T(2), T(2), T(2), P(2), False, 0.1, 1e-5, False, tolerance=1e-4)
    case("native_batch_norm", T(3, 2, 2), T(2), T(2), None, None, True, 0.1, 1e-5, tolerance=1e-4, grad=False)
    case("instance_norm", T(2, 3, 4), T(3), T(3), None, None, True, 0.1, 1e-5, False, tolerance=1e-4)
    case("_weight_norm", T(3, 4), P(3, 1), 0)
    case("norm_except_dim", T(3, 4), 2, 0)
    case("renorm", T(3, 4), 2, 0, 1.0)


@family
def losses():
    for reduction in [0, 1, 2]:
        for op in ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "soft_margin_loss"]:
            case(op, T(2, 3), U(2, 3), reduction)
        case("binary_cross_entropy", U(2, 3), U(2, 3), None, reduction)
        case("binary_cross_entropy_with_logits", T(2, 3), U(2, 3), T(3), P(3), reduction)
        case("nll_loss", T(3, 4), I(3, high=3), P(4), reduction)
        case("nll_loss_nd", T(2, 4, 2), I(2, 2, high=3), None, reduction)
        case("nll_loss2d", T(2, 4, 2, 2), I(2, 2, 2, high=3), P(4), reduction)
        case("cross_entropy_loss", T(3, 4), I(3, high=3), P(4), reduction)
        case("cross_entropy_loss", T(3, 4), torch.tensor([0, 2, -100]), P(4), reduction, -100, 0.1)
        case("cross_entropy_loss", T(3, 4), U(3, 4), P(4), reduction, -100, 0.1)
        case("hinge_embedding_loss", T(4), torch.tensor([1.0, -1.0, 1.0, -1.0]), 1.0, reduction)
        case("margin_ranking_loss", T(4), T(4), torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.3, reduction)
        case("triplet_margin_loss", T(2, 3), T(2, 3), T(2, 3), 1.0, 2, 1e-6, True, reduction)
        case("cosine_embedding_loss", T(2, 3), T(2, 3), torch.tensor([1, -1]), 0.1, reduction)
        case("multi_margin_loss", T(2, 4), I(2, high=3), 1, 1, P(4), reduction)
        case("multilabel_margin_loss", T(2, 4), torch.tensor([[1, 3, -1, 0], [2, -1, 1, 1]]), reduction)
        case("poisson_nll_loss", T(4), P(4), True, True, 1e-8, reduction)
    case("cross_entropy_loss", T(4), torch.tensor(2))
    case("cross_entropy_loss", T(2, 4, 3), I(2, 3, high=3))
    case("nll_loss", T(3, 4), torch.tensor([0, 9, 1]))
    case("nll_loss", T(3, 4), I(3, high=3), None, 1, 2)
    case("nll_loss_forward", T(3, 4), I(3, high=3), None, 1, -100, grad=False)
    case("kl_div", T(3), T(3), 2, log_target=True)
    case("smooth_l1_loss", T(4), T(4), 1, 0.5)
    case("huber_loss", T(4), T(4), 1, 0.5)
    case("pairwise_distance", T(2, 3), T(2, 3))
    case("cosine_similarity", T(2, 3), T(2, 3))
    case("multi_margin_loss", T(3), torch.tensor(1), 2, 0.5)


@family
def sorting():
    for descending in [False, True]:
        case("sort", T(2, 5), -1, descending)
        case("sort", edges(), 0, descending, grad=False)
        case("sort.stable", I(8, high=3), stable=True, dim=0, descending=descending)
        case("argsort", T(3, 4), 0, descending)
    case("msort", T(4, 2))
    case("topk", T(2, 6), 3)
    case("topk", T(4, 3), 2, 0, False)
    case("topk", T(3), 4)
    case("kthvalue", T(2, 5), 2)
    case("kthvalue", T(2, 5), 2, 0, True)
    case("median", T(6))
    case("median.dim", T(2, 5), 1)
    case("median.dim", T(3, 4), 0, True)
    case("median", edges(), grad=False)
    case("nanmedian", edges(), grad=False)
    case("nanmedian.dim", torch.tensor([[1.0, nan, 3.0], [nan, 5.0, 4.0]]), 1, grad=False)
    case("mode", torch.tensor([[1, 2, 2, 1, 3], [4, 4, 5, 5, 5]]))
    case("mode", torch.tensor([[1.0, 2.0, 2.0], [3.0, 3.0, 1.0]]), 1, True)
    for how in ["linear", "lower", "higher", "midpoint", "nearest"]:
        case("quantile.scalar", T(2, 5), 0.37, 1, interpolation=how)
    case("quantile", T(2, 5), torch.tensor([0.25, 0.5]), 1, True, grad=False)
    case("quantile.scalar", T(2, 5), 0.5)
    case("nanquantile.scalar", torch.tensor([[1.0, nan, 3.0], [nan, 5.0, 4.0]]), 0.5, 1, grad=False)
    case("searchsorted.Tensor", torch.tensor([1, 3, 5, 7]), I(2, 3))
    case("searchsorted.Tensor", torch.tensor([[1, 3, 5], [2, 4, 6]]), I(2, 3), right=True)
    case("searchsorted.Scalar", torch.tensor([1.0, 3.0, 5.0]), 3)
    case("bucketize.Tensor", T(4), torch.tensor([-1.0, 0.0, 1.0]), out_int32=True)


@family
def attention():
    case("_scaled_dot_product_attention_math", T(2, 3, 4), T(2, 5, 4), T(2, 5, 4), tolerance=1e-4)
    case("_scaled_dot_product_attention_math", T(2, 3, 4), T(2, 3, 4), T(2, 3, 4), None, 0.0, True, True, tolerance=1e-4)
    case("_scaled_dot_product_attention_math", T(1, 2, 3, 4), T(1, 2, 3, 4), T(1, 2, 3, 4), B(3, 3) | torch.eye(3, dtype=torch.bool), tolerance=1e-4)
    case("_scaled_dot_product_attention_math", T(2, 3, 4), T(2, 3, 4), T(2, 3, 4), T(3, 3), 0.0, True, tolerance=1e-4)
    q = lambda: T(2, 3, 4)
    case("_native_multi_head_attention", q(), q(), q(), 4, 2, T(12, 4), T(12), T(4, 4), T(4), grad=False, tolerance=1e-4)
    case("_native_multi_head_attention", q(), q(), q(), 4, 2, T(12, 4), T(12), T(4, 4), T(4), None, True, False, grad=False, tolerance=1e-4)
    case("_transformer_encoder_layer_fwd", q(), 4, 2, T(12, 4), T(12), T(4, 4), T(4), True, False, 1e-5, P(4), T(4), P(4), T(4), T(6, 4), T(6), T(4, 6), T(4), grad=False, tolerance=1e-4)
    case("_transformer_encoder_layer_fwd", q(), 4, 2, T(12, 4), T(12), T(4, 4), T(4), False, True, 1e-5, P(4), T(4), P(4), T(4), T(6, 4), T(6), T(4, 6), T(4), grad=False, tolerance=1e-4)


@family
def recurrent():
    def params(gates, size, hidden, layers, directions):
        out = []
        for layer in range(layers):
            for _ in range(directions):
                inner = size if layer == 0 else hidden * directions
                out += [T(gates * hidden, inner), T(gates * hidden, hidden), T(gates * hidden), T(gates * hidden)]
        return out
    for layers, bidirectional, batch_first in [(1, False, False), (2, True, True)]:
        directions = 2 if bidirectional else 1
        shape = (2, 3, 3) if batch_first else (3, 2, 3)
        state = lambda: T(layers * directions, 2, 2)
        case("lstm.input", T(*shape), [state(), state()], params(4, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, batch_first, tolerance=1e-4)
        case("gru.input", T(*shape), state(), params(3, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, batch_first, tolerance=1e-4)
        case("rnn_tanh.input", T(*shape), state(), params(1, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, batch_first, tolerance=1e-4)
        case("rnn_relu.input", T(*shape), state(), params(1, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, batch_first, tolerance=1e-4)
        sizes = torch.tensor([3, 2, 1])
        packed = lambda: T(layers * directions, 3, 2)
        case("lstm.data", T(6, 3), sizes, [packed(), packed()], params(4, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, tolerance=1e-4)
        case("gru.data", T(6, 3), sizes, packed(), params(3, 3, 2, layers, directions), True, layers, 0.0, False, bidirectional, tolerance=1e-4)
    case("lstm.input", T(3, 2, 4), [T(1, 2, 2), T(1, 2, 2)], params(4, 3, 2, 1, 1), True, 1, 0.0, False, False, False)
    case("lstm_cell", T(2, 3), [T(2, 2), T(2, 2)], T(8, 3), T(8, 2), T(8), T(8), tolerance=1e-4)
    case("gru_cell", T(2, 3), T(2, 2), T(6, 3), T(6, 2), T(6), T(6), tolerance=1e-4)
    case("rnn_tanh_cell", T(2, 3), T(2, 2), T(2, 3), T(2, 2), T(2), T(2))
    case("rnn_relu_cell", T(2, 3), T(2, 2), T(2, 3), T(2, 2))
    case("_pack_padded_sequence", T(3, 2, 2), torch.tensor([3, 1]), False)
    case("_pad_packed_sequence", T(4, 2), torch.tensor([2, 1, 1]), True, 0.5, 4)


@family
def embedding_bag():
    for mode in [0, 1, 2]:
        case("embedding_bag", T(5, 2), torch.tensor([0, 3, 1, 4, 4]), torch.tensor([0, 2, 2]), False, mode)
        case("embedding_bag.padding_idx", T(5, 2), torch.tensor([0, 3, 1, 4, 4]), torch.tensor([0, 2, 5]), False, mode, False, None, True, 4)
    case("embedding_bag", T(5, 2), torch.tensor([0, 3, 1]), torch.tensor([0, 1]), False, 0, False, T(3))


@family
def resampling():
    for align in [False, True]:
        case("upsample_linear1d.vec", T(1, 2, 4), [7], align, None)
        case("upsample_bilinear2d.vec", T(1, 2, 3, 4), [5, 3], align, None)
        case("upsample_trilinear3d.vec", T(1, 1, 2, 3, 2), [3, 4, 3], align, None)
        case("upsample_bicubic2d.vec", T(1, 1, 4, 4), [6, 3], align, None, tolerance=1e-4)
        case("_upsample_bilinear2d_aa.vec", T(1, 1, 6, 6), [3, 4], align, None, grad=not align, tolerance=1e-4)
        case("_upsample_bicubic2d_aa.vec", T(1, 1, 6, 6), [3, 4], align, None, tolerance=1e-4)
    case("upsample_bilinear2d.vec", T(1, 2, 3, 4), None, False, [1.5, 2.0])
    for exact in ["upsample_nearest", "_upsample_nearest_exact"]:
        case(f"{exact}1d.vec", T(1, 2, 4), [7], None)
        case(f"{exact}2d.vec", T(1, 1, 3, 4), None, [1.7, 0.6])
        case(f"{exact}3d.vec", T(1, 1, 2, 2, 2), [3, 3, 4], None)
        case(f"{exact}2d", T(1, 1, 3, 4), [6, 2])
    case("upsample_bilinear2d", T(1, 1, 3, 4), [6, 2], False)
    for mode in [0, 1, 2]:
        for padding in [0, 1, 2]:
            case("grid_sampler", T(1, 2, 4, 5), T(1, 3, 3, 2, low=-1.3, high=1.3), mode, padding, padding == 1, tolerance=2e-4)
    case("grid_sampler", T(1, 1, 3, 3, 3), T(1, 2, 2, 2, 3, low=-1.2, high=1.2), 0, 0, False, tolerance=2e-4)
    case("affine_grid_generator", T(2, 2, 3), [2, 1, 3, 4], False)
    case("affine_grid_generator", T(1, 3, 4), [1, 1, 2, 3, 2], True)


@family
def fourier():
    for norm in [None, "forward", "ortho"]:
        for op in ["fft_fft", "fft_ifft"]:
            case(op, T(2, 5, dtype=c64), None, -1, norm, tolerance=1e-4)
        case("fft_rfft", T(2, 6), None, -1, norm, tolerance=1e-4)
        case("fft_irfft", T(2, 4, dtype=c64), None, -1, norm, tolerance=1e-4)
        case("fft_hfft", T(4, dtype=c64), None, -1, norm, tolerance=1e-4)
        case("fft_ihfft", T(6), None, -1, norm, tolerance=1e-4)
    case("fft_fft", T(5), 7, 0, tolerance=1e-4)
    case("fft_fft", T(5, 2), 3, 0, tolerance=1e-4)
    case("fft_rfft", T(5), 4, 0, tolerance=1e-4)
    case("fft_irfft", T(4, dtype=c64), 5, 0, tolerance=1e-4)
    case("fft_fft2", T(3, 4, dtype=c64), tolerance=1e-4)
    case("fft_ifft2", T(3, 4, dtype=c64), tolerance=1e-4)
    case("fft_fftn", T(2, 3, 2), tolerance=1e-4)
    case("fft_ifftn", T(2, 3, 2, dtype=c64), None, [0, 2], tolerance=1e-4)
    case("fft_rfftn", T(2, 3, 4), tolerance=1e-4)
    case("fft_rfft2", T(3, 4), tolerance=1e-4)
    case("fft_irfftn", T(2, 3, 3, dtype=c64), grad=False, tolerance=1e-4)
    case("fft_irfft2", T(3, 3, dtype=c64), grad=False, tolerance=1e-4)
    case("fft_fftshift", T(5))
    case("fft_ifftshift", T(2, 5))
    case("stft", T(12), 4, 2, 4, torch.hann_window(4), False, True, True, tolerance=1e-4)
    case("stft", T(2, 12), 6, 3, 4, torch.hann_window(4), True, None, False, tolerance=1e-4)
    case("istft", T(1, 5, 4, dtype=c64), 8, 2, 8, torch.hamming_window(8), tolerance=1e-4, grad=False)


@family
def patches():
    case("im2col", T(1, 2, 4, 5), [2, 3], [1, 1], [1, 0], [2, 1])
    case("im2col", T(2, 4, 4), [2, 2], [2, 1], [0, 0], [1, 1])
    case("col2im", T(1, 8, 6), [3, 4], [2, 2], [1, 1], [0, 0], [1, 1])
    case("col2im", T(4, 9), [4, 4], [2, 2], [1, 1], [1, 1], [2, 2])
    for p in [1.0, 2.0, 3.0, inf]:
        case("cdist", T(3, 2), T(4, 2), p, tolerance=1e-4)
        case("pdist", T(4, 2), p, tolerance=1e-4)
    case("cdist", T(2, 3, 2), T(1, 4, 2), 2.0, tolerance=1e-4)
    case("cov", T(3, 5), tolerance=1e-4)
    case("cov", T(5), correction=0)
    case("cov", T(2, 4), fweights=torch.tensor([1, 2, 1, 3]), aweights=P(4), grad=False, tolerance=1e-4)
    case("corrcoef", T(3, 5), tolerance=1e-4)
    case("gradient.scalarint", T(5), spacing=2.0)
    case("gradient.scalarint", T(3, 4), spacing=None)
    case("gradient.scalararray", T(3, 4), spacing=0.5, dim=[1])
    case("gradient.array", T(4, 4), dim=[0, 1], edge_order=2)
    case("gradient.tensorarrayint", T(5), spacing=[torch.tensor([0.0, 1.0, 1.5, 3.5, 4.0])], edge_order=2, grad=False)


def spd(n, dtype=torch.float64, batch=()):
    a = T(*batch, n, n, dtype=dtype)
    return a @ a.mH + n * torch.eye(n, dtype=dtype)


@family
def linalg():
    d = torch.float64
    for dtype in [f32, d, c128]:
        near = 1e-3 if dtype == f32 else 1e-7
        sq = lambda *b: T(*b, 3, 3, dtype=dtype) + 3 * torch.eye(3, dtype=dtype)
        case("linalg_inv", sq(), tolerance=near)
        case("linalg_det", sq(2), tolerance=near)
        case("linalg_slogdet", sq(), tolerance=near)
        case("linalg_solve", sq(2), T(2, 3, 2, dtype=dtype), tolerance=near)
        case("linalg_solve", sq(), T(3, dtype=dtype), tolerance=near)
        case("linalg_solve", sq(), T(2, 3, dtype=dtype), left=False, tolerance=near)
        case("linalg_qr", T(4, 3, dtype=dtype), tolerance=near)
        case("linalg_qr", T(3, 4, dtype=dtype), tolerance=near)
        case("linalg_svdvals", T(3, 4, dtype=dtype), tolerance=near)
        case("linalg_svdvals", T(5, 3, dtype=dtype), tolerance=near)
        case("linalg_pinv.atol_rtol_float", T(4, 3, dtype=dtype), tolerance=near)
        case("linalg_pinv.atol_rtol_float", T(2, 4, dtype=dtype), tolerance=near)
        case("linalg_matrix_exp", T(3, 3, dtype=dtype), tolerance=max(near, 1e-7))
        case("linalg_lu_factor", sq(), grad=False, tolerance=near)
    case("linalg_cholesky", spd(3), grad=False)
    case("linalg_cholesky", spd(3), upper=True, grad=False)
    case("linalg_eigvalsh", spd(4), tolerance=1e-7)
    case("linalg_eigvalsh", torch.tensor([[1.0, 2.0], [2.0, -3.0]], dtype=d), tolerance=1e-7)
    case("inverse", T(3, 3, dtype=d), tolerance=1e-7)
    case("det", T(3, 3, dtype=d), tolerance=1e-7)
    case("logdet", spd(3), tolerance=1e-7)
    case("slogdet", T(2, 2, dtype=d), tolerance=1e-7)
    case("linalg_qr", T(3, 3, dtype=d), "complete", tolerance=1e-7)
    case("linalg_qr", T(4, 2, dtype=d), "complete", grad=False, tolerance=1e-7)
    case("linalg_qr", T(4, 2, dtype=d), "r", grad=False, tolerance=1e-7)
    case("qr", T(4, 2, dtype=d), tolerance=1e-7)
    case("linalg_lu", T(3, 4, dtype=d), grad=False, tolerance=1e-7)
    case("lu_solve", T(3, 2, dtype=d), T(3, 3, dtype=d) + 3 * torch.eye(3, dtype=d), torch.tensor([2, 3, 3], dtype=i32), grad=False, tolerance=1e-7)
    case("cholesky_solve", T(3, 2, dtype=d), torch.linalg.cholesky(spd(3)), grad=False, tolerance=1e-7)
    case("cholesky_inverse", torch.linalg.cholesky(spd(3)), grad=False, tolerance=1e-7)
    case("linalg_solve_triangular", T(3, 3, dtype=d) + 3 * torch.eye(3, dtype=d), T(3, 2, dtype=d), upper=True, tolerance=1e-7)
    case("linalg_solve_triangular", T(3, 3, dtype=d) + 3 * torch.eye(3, dtype=d), T(2, 3, dtype=d), upper=False, left=False, unitriangular=True, tolerance=1e-7)
    case("triangular_solve", T(3, 2, dtype=d), T(3, 3, dtype=d) + 3 * torch.eye(3, dtype=d), grad=False, tolerance=1e-7)
    for n in [0, 1, 3, -2]:
        case("linalg_matrix_power", T(3, 3, dtype=d) + 3 * torch.eye(3, dtype=d), n, tolerance=1e-7)
    case("pinverse", T(3, 2, dtype=d), tolerance=1e-7)
    case("linalg_lstsq", T(4, 2, dtype=d), T(4, 2, dtype=d), grad=False, tolerance=1e-7)
    case("linalg_lstsq", T(2, 4, dtype=d), T(2, 1, dtype=d), grad=False, tolerance=1e-7)
    for order in [1, -1, 2, -2, inf, -inf]:
        case("linalg_matrix_norm", T(3, 4, dtype=d), order, tolerance=1e-7)
        case("linalg_cond", T(3, 3, dtype=d), order, grad=False, tolerance=1e-7)
    for order in ["fro", "nuc"]:
        case("linalg_matrix_norm.str_ord", T(2, 3, 4, dtype=d), order, tolerance=1e-7)
    case("linalg_norm", T(3, 4, dtype=d), tolerance=1e-7)
    case("linalg_norm", T(3, 4, dtype=d), 2, tolerance=1e-7)
    case("linalg_norm", T(3, 4, dtype=d), 1, [1], tolerance=1e-7)
    case("nuclear_norm", T(3, 4, dtype=d), tolerance=1e-7)
    case("linalg_cond", T(3, 4, dtype=d), grad=False, tolerance=1e-7)
    case("linalg_matrix_rank.atol_rtol_tensor", torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=d))
    case("linalg_matrix_rank.atol_rtol_float", T(4, 3))
    case("linalg_tensorinv", T(2, 3, 6, dtype=d), 2, tolerance=1e-6)
    case("linalg_inv", T(2, 3))
    case("linalg_solve", T(3, 3), T(2, 2))


@family
def special():
    for op in ["i0", "special_i0e", "special_i1", "special_i1e"]:
        case(op, T(4, low=-8, high=8), tolerance=1e-4)
        case(op, torch.tensor([0.0, 25.0, -30.0], dtype=f64), grad=False)
    case("special_zeta", P(4) + 1, P(4), grad=False)
    case("polygamma", 0, P(4))
    case("polygamma", 1, P(4), tolerance=1e-4)
    case("polygamma", 3, P(4), tolerance=1e-4)
    case("igamma", P(4), P(4), grad=False)
    case("igammac", P(4), P(4), grad=False)
    case("igamma", P(2, 2, dtype=f64), P(2, dtype=f64), grad=False)
    for op in ["chebyshev_polynomial_t", "chebyshev_polynomial_u", "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"]:
        case(f"special_{op}", T(5, low=-0.9, high=0.9), torch.tensor([0.0, 1.0, 2.0, 3.0, 5.0]), grad=False, tolerance=1e-4)
    for reduction in [0, 1, 2]:
        case("ctc_loss.IntList", T(5, 2, 4).log_softmax(2), I(2, 3, low=1, high=3), [5, 4], [3, 2], 0, reduction, tolerance=1e-4)
    case("ctc_loss.Tensor", T(5, 2, 4).log_softmax(2), I(5, low=1, high=3), torch.tensor([5, 5]), torch.tensor([3, 2]), tolerance=1e-4)
    case("ctc_loss.IntList", T(2, 2, 4).log_softmax(2), torch.tensor([[1, 1, 2], [1, 2, 3]]), [2, 2], [2, 2], 0, 0, True, tolerance=1e-4)
    case("histogram.bin_ct", T(8), 4, grad=False)
    case("histogram.bin_ct", T(8), 4, range=[-1.0, 1.0], density=True, grad=False)
    case("histogram.bins_tensor", T(8), torch.tensor([-1.0, 0.0, 0.5, 2.0]), grad=False)
    for reduce in ["sum", "mean", "max", "min"]:
        case("segment_reduce", T(5, 2), reduce, lengths=torch.tensor([2, 3]), grad=False)
    case("allclose", T(3), T(3))
    case("equal", I(3), I(3))
    case("narrow.Tensor", T(5), 0, torch.tensor(2), 2)
    case("tensor_split.tensor_indices_or_sections", T(5), torch.tensor([1, 3]))


@family
def detection():
    import torchvision  # noqa: F401  (registers its operators)

    def boxes(n):
        low = T(n, 2, low=0, high=5)
        return torch.cat([low, low + P(n, 2) * 2], 1)

    case("torchvision::nms", boxes(8), U(8), 0.3, grad=False)
    # Overlaps that are the threshold itself.
    touching = torch.tensor([[0.0, 0, 4, 3], [0, 0, 4, 6], [0.1, 0.2, 0.7, 0.9], [0.1, 0.2, 0.7, 1.6]])
    case("torchvision::nms", touching, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.5, grad=False)
    case("torchvision::nms", touching.double(), torch.tensor([0.5, 0.5, 0.5, 0.5]).double(), 0.5, grad=False)
    case("torchvision::nms", T(0, 4), T(0), 0.5, grad=False)
    regions = lambda n: torch.cat([I(n, 1, high=1).float(), boxes(n)], 1)
    for ratio in [2, -1]:
        for aligned in [False, True]:
            case("torchvision::roi_align", T(2, 2, 6, 6), regions(3), 0.7, 2, 3, ratio, aligned, tolerance=1e-4)
        case("torchvision::ps_roi_align", T(2, 12, 5, 6), regions(3), 0.9, 2, 3, ratio, tolerance=1e-4)
    outside = torch.tensor([[0.0, -3, -4, 2, 3], [1, 4, 5, 30, 9], [1, 2.5, 3.5, 2.6, 3.4], [0, 20, 20, 30, 30]])
    for boxes_of in [regions(3), outside]:
        case("torchvision::roi_align", T(2, 1, 5, 6), boxes_of, 0.5, 2, 2, -1, True, tolerance=1e-4)
        case("torchvision::roi_pool", T(2, 2, 6, 5), boxes_of, 0.7, 2, 3)
        case("torchvision::ps_roi_pool", T(2, 12, 5, 6), boxes_of, 0.9, 2, 3)
    case("torchvision::roi_align", T(1, 2, 4, 4), T(0, 5), 1.0, 2, 2, 2, True)
    case("torchvision::roi_pool", T(1, 2, 4, 4), T(0, 5), 1.0, 2, 2)

    def deform(batch, channels, outputs, size, kernel, stride, pad, dilation, groups, offset_groups, masked):
        rows, columns = [(n + 2 * p - (d * (k - 1) + 1)) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, pad, dilation)]
        taps = kernel[0] * kernel[1]
        mask = U(batch, offset_groups * taps, rows, columns) if masked else torch.zeros(batch, 1)
        case("torchvision::deform_conv2d", T(batch, channels, *size), T(outputs, channels // groups, *kernel),
             T(batch, 2 * offset_groups * taps, rows, columns), mask, T(outputs),
             *stride, *pad, *dilation, groups, offset_groups, masked, tolerance=1e-4)

    deform(2, 2, 3, (4, 5), (3, 2), (1, 2), (1, 0), (1, 1), 1, 1, True)
    deform(1, 4, 4, (6, 6), (2, 2), (2, 1), (0, 1), (2, 1), 2, 2, False)
    deform(1, 4, 2, (3, 4), (1, 3), (1, 1), (1, 2), (1, 2), 1, 4, True)


@family
def backward():
    for op in ["silu", "mish", "hardswish", "hardsigmoid"]:
        case(f"{op}_backward", T(5), T(5), grad=False)
    case("gelu_backward", T(5), T(5), approximate="tanh", grad=False)
    case("hardtanh_backward", T(5), T(5), -1.0, 1.0, grad=False)
    case("softplus_backward", T(5), T(5), 1, 20, grad=False)
    case("threshold_backward", T(5), T(5), 0.5, grad=False)
    case("leaky_relu_backward", T(5), T(5), 0.1, False, grad=False)
    case("sigmoid_backward", T(5), U(5), grad=False)
    case("tanh_backward", T(5), U(5), grad=False)
    case("_softmax_backward_data", T(2, 3), T(2, 3).softmax(1), 1, f32, grad=False)
    case("_log_softmax_backward_data", T(2, 3), T(2, 3).log_softmax(1), 1, f32, grad=False)
    case("mse_loss_backward", torch.tensor(1.0), T(4), T(4), 1, grad=False)
    case("smooth_l1_loss_backward", torch.tensor(1.0), T(4), T(4), 1, 1.0, grad=False)
    case("glu_backward", T(2, 2), T(2, 4), 1, grad=False)
    case("avg_pool2d_backward", T(1, 1, 2, 2), T(1, 1, 4, 4), [2, 2], [2, 2], [0, 0], False, True, None, grad=False)
    case("_adaptive_avg_pool2d_backward", T(1, 1, 2, 2), T(1, 1, 3, 5), grad=False)
    case("max_pool2d_with_indices_backward", T(1, 1, 1, 2), T(1, 1, 2, 4), [2, 2], [2, 2], [0, 0], [1, 1], False, torch.tensor([[[[1, 6]]]]), grad=False)
    case("reflection_pad2d_backward", T(1, 5, 6), T(1, 3, 4), [1, 1, 1, 1], grad=False)
    case("upsample_bilinear2d_backward", T(1, 1, 4, 6), [4, 6], [1, 1, 2, 3], False, grad=False)
    case("upsample_nearest2d_backward.vec", T(1, 1, 4, 6), [4, 6], [1, 1, 2, 3], None, grad=False)
    case("select_backward", T(3), [2, 3], 0, 1, grad=False)
    case("slice_backward", T(2, 2), [2, 5], 1, 1, 5, 2, grad=False)
    case("diagonal_backward", T(3), [3, 4], 1, 0, 1, grad=False)
    case("unfold_backward", T(3, 3), [7], 0, 3, 2, grad=False)
    case("nll_loss_backward", torch.tensor(1.0), T(3, 4), I(3, high=3), P(4), 2, -100, torch.tensor(3.0), grad=False)
    case("convolution_backward", T(1, 3, 3, 3), T(1, 2, 5, 5), T(3, 2, 3, 3), [3], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True], grad=False, tolerance=1e-4)
    case("embedding_renorm", T(4, 2), torch.tensor([0, 2]), 1.0, 2.0, grad=False)
    case("as_strided_scatter", T(8), T(2, 3), [2, 3], [3, 1], 1, grad=False)
    case("view.dtype", T(2, 4), i32, grad=False)
    case("view.dtype", T(2, 4), f64, grad=False)
    case("view.dtype", T(2, 4), i16, grad=False)
    case("fft_hfft2", T(3, 4, dtype=c64), grad=False, tolerance=1e-4)
    case("fft_ihfftn", T(3, 4), grad=False, tolerance=1e-4)
    case("unflatten_dense_tensors", T(5), [T(2), T(3)], grad=False)


@family
def foreach():
    def lists(*shapes, make=T):
        return [make(*shape) for shape in shapes]

    two = ((2,), (2, 3))
    for op in ["abs", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "neg", "round", "sigmoid", "sin", "sinh", "tan", "tanh", "trunc", "zero"]:
        case(f"_foreach_{op}", lists(*two))
    for op in ["lgamma", "log", "log10", "log1p", "log2", "reciprocal", "sqrt"]:
        case(f"_foreach_{op}", lists(*two, make=P))
    for op in ["acos", "asin"]:
        case(f"_foreach_{op}", lists(*two, make=U))
    case("_foreach_sqrt", [torch.tensor([4, 9])])
    for op in ["exp", "sqrt", "neg", "zero"]:
        case(f"_foreach_{op}_", lists(*two, make=P))
    case("_foreach_exp_", [torch.tensor([4])])
    case("_foreach_log.out", lists(*two, make=P), out=lists(*two))
    for op in ["add", "sub", "mul", "div"]:
        case(f"_foreach_{op}.Scalar", lists(*two), 1.5)
        case(f"_foreach_{op}.ScalarList", lists(*two), [2.0, 3])
        case(f"_foreach_{op}.ScalarList", lists(*two), [2.0])
        case(f"_foreach_{op}.List", lists(*two), lists(*two, make=P))
        case(f"_foreach_{op}.List", lists(*two), lists((2,)))
        case(f"_foreach_{op}.List", [I(3)], [I(3, low=1)])
        case(f"_foreach_{op}_.Scalar", lists(*two), 2)
        case(f"_foreach_{op}_.ScalarList", lists(*two), [2.0, 3])
        case(f"_foreach_{op}_.List", lists(*two), lists(*two, make=P))
    case("_foreach_add.List", lists(*two), lists(*two), alpha=2)
    case("_foreach_add_.List", lists(*two), lists(*two), alpha=-0.5)
    case("_foreach_add_.Scalar", [I(3)], 1.5)
    case("_foreach_sub.List", [B(2)], [B(2)])
    for op in ["maximum", "minimum"]:
        case(f"_foreach_{op}.List", lists(*two), lists(*two))
        case(f"_foreach_{op}_.List", lists(*two), lists(*two))
        case(f"_foreach_{op}.List", lists(*two), lists((2,)))
    for op in ["addcmul", "addcdiv"]:
        case(f"_foreach_{op}.Scalar", lists(*two), lists(*two), lists(*two, make=P), 0.5)
        case(f"_foreach_{op}.ScalarList", lists(*two), lists(*two), lists(*two, make=P), [0.5, 2.0])
        case(f"_foreach_{op}.ScalarList", lists(*two), lists(*two), lists(*two, make=P), [0.5])
        case(f"_foreach_{op}_.Scalar", lists(*two), lists(*two), lists(*two, make=P))
        case(f"_foreach_{op}_.ScalarList", lists(*two), lists(*two), lists(*two, make=P), [0.5, 2.0])
        case(f"_foreach_{op}.Scalar", lists(*two), lists(*two), lists((2,)), 0.5)
    for p in [0, 1, 2, 3, inf]:
        case("_foreach_norm.Scalar", lists(*two), p)
    case("_foreach_norm.Scalar", [I(3)], 2)


@family
def nested():
    def N(*parts):
        return torch._nested_tensor_from_tensor_list(list(parts))

    def same(op, *args, **kwargs):
        case(op, *args, grad=False, **kwargs)

    two = lambda: N(T(2, 3), T(1, 3))
    cube = lambda: N(T(2, 2, 3), T(2, 1, 3))
    holes = torch.tensor([[True, False, True], [True, False, False]])
    left = torch.tensor([[True, True, False], [True, False, False]])
    case("_nested_tensor_from_mask", T(2, 3, 4), left, grad=False)
    case("_nested_tensor_from_mask", T(2, 3, 4), holes, grad=False)
    case("_nested_tensor_from_mask", T(2, 3, 4), holes, False, grad=False)
    for mask in [left, holes]:
        case("_nested_tensor_from_mask_left_aligned", T(2, 3, 4), mask, grad=False)
    case("_nested_tensor_from_mask", T(2, 3), left, grad=False)
    case("_nested_tensor_from_mask", T(2, 3, 4), I(2, 3), grad=False)
    case("_nested_tensor_from_mask", T(2, 3, 4), B(2), grad=False)
    case("_nested_tensor_from_mask", T(2, 3, 4), B(2, 4), grad=False)
    same("_nested_tensor_from_tensor_list", [T(2), T(3)], dtype=f64)
    same("_nested_tensor_from_tensor_list", [T(2), T(3, 1)])
    for op in ["to_padded_tensor", "nested_to_padded_tensor"]:
        same(op, two(), 0.5)
        same(op, cube(), 0.0, [3, 2, 4, 3])
        same(op, two(), 0.0, [2, 1, 3])
        same(op, two(), 0.0, [2, 3])
    for op in ["_nested_tensor_size", "_nested_tensor_strides", "_nested_tensor_offsets", "relu", "relu_", "gelu", "clone", "detach", "dim", "numel", "is_contiguous"]:
        same(op, two())
    same("size.int", two(), 0)
    same("size.int", two(), 1)
    same("size.int", two(), -1)
    same("size.int", two(), 3)
    for op in ["add", "mul"]:
        x = two()
        same(f"{op}.Tensor", x, x)
        same(f"{op}_.Tensor", two(), two())
        same(f"{op}.Tensor", two(), N(T(2, 3), T(2, 3)))
        same(f"{op}.Tensor", two(), torch.tensor(2.0))
        same(f"{op}.Tensor", two(), T(3))
        same(f"{op}.Tensor", T(3), two())
    same("bmm", two(), N(T(3, 2), T(3, 4)))
    same("bmm", two(), two())
    same("bmm", two(), T(2, 3))
    same("bmm", two(), N(T(3, 2)))
    same("bmm", cube(), cube())
    same("matmul", cube(), cube().transpose(2, 3))
    same("matmul", two(), two())
    same("matmul", two(), cube())
    same("matmul", two(), N(T(2, 3), T(1, 3), T(1, 3)))
    same("linear", two(), T(2, 3), T(2))
    same("linear", two(), T(2, 4))
    same("linear", cube(), T(2, 3))
    for dim in [-1, 1, 0, 5]:
        same("softmax.int", two(), dim)
    same("transpose.int", two(), 1, 2)
    same("transpose.int", two(), 0, 1)
    same("view", two(), [2, -1, 3, 1])
    same("view", two(), [2, -1, -1])
    same("view", two(), [2, 4, 3])
    same("view", two(), [3, -1, 3])
    same("view", two(), [2, -2, 3])
    same("reshape", two(), [2, -1, 1, 3])
    same("reshape", two(), [3, 1, 1])
    same("sum.dim_IntList", two(), [2], True)
    same("sum.dim_IntList", two(), [2])
    same("sum.dim_IntList", two(), [1], True)
    same("sum.dim_IntList", two(), [1, 2], True)
    same("sum.dim_IntList", two(), [2], True, dtype=f64)
    for dim, index in [(0, 0), (0, -1), (0, 2), (1, 0)]:
        same("select.int", two(), dim, index)
    same("unbind.int", two())
    same("unbind.int", two(), 1)
    same("embedding", T(4, 2), N(I(2, high=3), I(3, high=3)))
    same("_nested_from_padded", T(2, 3, 3), torch.tensor([[2, 3], [1, 3]]))
    same("_nested_from_padded", T(2, 2, 3, 4), torch.tensor([[3, 8], [2, 8]]), True)
    same("_nested_from_padded_and_nested_example", T(2, 3, 3), two())
    same("_nested_tensor_softmax_with_shape", T(2, 2, 3, 3), two())
    same("_nested_tensor_layer_norm", two(), P(3), T(3), 1e-5)
    same("_nested_view_from_buffer", T(9), torch.tensor([[2, 3], [1, 3]]), torch.tensor([[3, 1], [3, 1]]), [0, 6])
    layer = lambda first: [4, 2, T(12, 4), T(12), T(4, 4), T(4), first, first, 1e-5, P(4), T(4), P(4), T(4), T(8, 4), T(8), T(4, 8), T(4)]
    three = lambda: N(T(3, 4), T(1, 4))
    for first in [False, True]:
        same("_transformer_encoder_layer_fwd", three(), *layer(first), tolerance=1e-4)
    heads = lambda: [4, 2, T(12, 4), T(12), T(4, 4), T(4)]
    for weights in [False, True]:
        x = three()
        same("_native_multi_head_attention", x, x, x, *heads(), None, weights, True, tolerance=1e-4)
    x = three()
    same("_native_multi_head_attention", x, x, x, *heads(), B(2, 3), False)


@family
def distributions():
    for dtype in [f32, f64]:
        tolerance = 2e-4 if dtype == f32 else 1e-7
        shapes = torch.tensor([0.05, 0.5, 1.0, 2.0, 5.0, 9.0, 20.0, 100.0], dtype=dtype)
        for factor in [0.3, 0.95, 1.0, 1.05, 2.5]:
            case("_standard_gamma_grad", shapes, shapes * factor, grad=False, tolerance=tolerance)
        for alpha, beta in [(0.3, 0.7), (1.0, 2.0), (3.0, 0.5), (2.0, 9.0), (10.0, 12.0), (40.0, 8.0)]:
            x = torch.tensor([0.001, 0.02, 0.2, 0.45, alpha / (alpha + beta), 0.6, 0.9, 0.99], dtype=dtype)
            full = lambda value: torch.full_like(x, value)
            case("_dirichlet_grad", x, full(alpha), full(alpha + beta), grad=False, tolerance=tolerance)
        rates = torch.tensor([0.0, 0.5, 3.0, 9.9, 10.0, 50.0, 1e4], dtype=dtype)
        counts = torch.tensor([10.0, 10, 100, 100, 1000, 1000, 5, 5, 0, 7], dtype=dtype)
        probs = torch.tensor([0.2, 0.8, 0.3, 0.7, 0.001, 0.999, 0, 1, 0.5, nan], dtype=dtype)
        for seed in [1, 2]:
            case("poisson", rates, seed=seed)
            case("binomial", counts, probs, seed=seed)
            case("_standard_gamma", shapes, seed=seed, tolerance=1e-4)
            case("_standard_gamma", torch.tensor([0.0, 1e-3], dtype=dtype), seed=seed)
            case("_sample_dirichlet", shapes.reshape(2, 4), seed=seed, tolerance=1e-4)
            case("poisson.out", rates, seed=seed, out=torch.zeros(0, dtype=dtype), grad=False)
    case("binomial", torch.full((2, 1), 8.0), U(3), seed=3)
    case("binomial", P(2), U(3))
    case("binomial", P(2), U(2, dtype=f64), grad=False)
    case("binomial", I(2), I(2), strict=True)
    case("poisson", T(3, low=-2, high=-1), seed=3)
    case("poisson", torch.tensor([nan]), seed=3)
    case("poisson", I(2), strict=True)
    case("poisson", P(2, dtype=f16), grad=False, strict=True)
    case("_standard_gamma", I(2), strict=True)
    case("_sample_dirichlet", I(2), strict=True)
    case("_sample_dirichlet", torch.tensor(2.0), seed=1)
    case("_standard_gamma_grad", I(2), I(2), strict=True)
    case("_dirichlet_grad", P(2, dtype=f16), P(2, dtype=f16), P(2, dtype=f16), grad=False, strict=True)


@family
def random():
    for dtype in [f32, f64, f16, bf16]:
        z = lambda *sizes: torch.zeros(*sizes, dtype=dtype)
        near = {f32: 1e-6, f64: 1e-12, f16: 2e-3, bf16: 1e-2}[dtype]
        for size in [(5,), (4, 5)]:
            same = lambda op, *args, **kwargs: case(op, *args, seed=7, grad=False, **kwargs)
            same("uniform_", z(*size), -1.0, 2.0)
            same("exponential_", z(*size), 2.0, tolerance=near)
            same("geometric_", z(*size), 0.3)
            same("log_normal_", z(*size), 0.5, 0.25, tolerance=near)
            same("cauchy_", z(*size), 1.0, 2.0, tolerance=near)
            same("bernoulli_.float", z(*size), 0.3)
            same("bernoulli", z(*size).fill_(0.3))
            same("bernoulli.p", z(*size), 0.3)
            same("bernoulli_.Tensor", z(*size), torch.full(size, 0.3, dtype=f64))
            same("bernoulli_.Tensor", z(*size), torch.full(size, 0.3))
            same("bernoulli_.Tensor", z(*size), torch.full(size[-1:], 0.3))
            same("random_", z(*size))
            same("random_.from", z(*size), -3, 9)
            same("random_.to", z(*size), 9)
            same("normal_", z(*size), 1.0, 2.0, tolerance=max(near, 1e-5))
            same("rand", list(size), dtype=dtype)
            same("rand_like", z(*size))
            same("randn", list(size), dtype=dtype, tolerance=max(near, 1e-5))
            same("randn_like", z(*size), tolerance=max(near, 1e-5))
            same("normal.Tensor_float", z(*size), 2.0, tolerance=max(near, 1e-5))
            same("normal.float_Tensor", 1.0, z(*size).fill_(0.5), tolerance=max(near, 1e-5))
            same("normal.Tensor_Tensor", z(*size), z(*size).fill_(0.5), tolerance=max(near, 1e-5))
            same("normal.float_float", 1.0, 2.0, list(size), dtype=dtype, tolerance=max(near, 1e-5))
    for dtype in [i64, i32, i16, i8, u8, boolean]:
        z = torch.zeros(6, dtype=dtype)
        case("random_", z.clone(), seed=3)
        case("random_.to", z.clone(), 2, seed=3)
        case("bernoulli_.float", z.clone(), 0.3, seed=3)
        case("bernoulli_.Tensor", z.clone(), torch.full((6,), 0.3), seed=3)
        if dtype != boolean:
            case("geometric_", z.clone(), 0.3, seed=3)
            case("randint", 9, [6], dtype=dtype, seed=3)
            case("randint_like", z, 9, seed=3)
            case("randint_like.low_dtype", z, 2, 9, seed=3)
    case("random_.from", torch.zeros(6, dtype=i64), -(2**40), 2**40, seed=3)
    out = lambda dtype=f32: torch.zeros(0, dtype=dtype)
    case("rand.out", [5], seed=4, out=out())
    case("rand.generator_out", [5], None, seed=4, out=out(f64))
    case("rand.generator", [5], None, seed=4)
    case("rand_like.out", T(5), seed=4, out=out(), grad=False)
    case("randn.out", [5], seed=4, out=out())
    case("randn.generator_out", [5], None, seed=4, out=out())
    case("randn.generator", [5], None, seed=4)
    case("randn_like.out", T(5), seed=4, out=out(), grad=False)
    case("randint.out", 9, [5], seed=4, out=out(i64))
    case("randint.generator_out", 9, [5], None, seed=4, out=out(i32))
    case("randint.low_out", 2, 9, [5], seed=4, out=out(i64))
    case("randint.low_generator_out", 2, 9, [5], None, seed=4, out=out())
    case("randint.low", 2, 9, [5], seed=4)
    case("randint.low_generator", 2, 9, [5], None, seed=4)
    case("randint.generator", 9, [5], None, seed=4)
    case("randint_like.out", I(5), 9, seed=4, out=out(i64))
    case("randint_like.low_dtype_out", I(5), 2, 9, seed=4, out=out(i64))
    case("randperm", 9, seed=4)
    case("randperm.generator", 9, None, seed=4)
    case("randperm.out", 9, seed=4, out=out(i64))
    case("randperm.generator_out", 9, None, seed=4, out=out(i64))
    case("normal.float_float_out", 1.0, 2.0, [5], seed=4, out=out())
    case("normal.Tensor_float_out", T(5), 2.0, seed=4, out=torch.zeros(5), grad=False)
    case("normal.float_Tensor_out", 0.0, P(5), seed=4, out=torch.zeros(5), grad=False)
    case("normal.Tensor_Tensor_out", T(5), P(5), seed=4, out=torch.zeros(5), grad=False)
    case("normal.out", T(5), 1.0, 2.0, seed=4, out=torch.zeros(5), grad=False)
    case("normal_functional", T(5), 1.0, 2.0, seed=4, grad=False)
    case("bernoulli.out", U(5), seed=4, out=out(), grad=False)
    case("bernoulli.Tensor", T(5), U(5), seed=4, grad=False)
    for probs in [P(6), P(2, 5), P(3, 4, dtype=f64)]:
        for count, replacement in [(1, False), (3, False), (4, True), (1, True)]:
            case("multinomial", probs, count, replacement, seed=4, grad=False)
    case("multinomial.out", P(6), 2, False, seed=4, out=out(i64), grad=False)
    case("dropout", P(8), 0.4, True, seed=4)
    case("native_dropout", P(8), 0.4, True, seed=4)
    case("alpha_dropout", P(8), 0.4, True, seed=4)
    case("feature_dropout", P(2, 4, 2), 0.4, True, seed=4)
    case("feature_alpha_dropout", P(2, 4, 2), 0.4, True, seed=4)
    for op in ["uniform_", "exponential_", "geometric_", "log_normal_", "cauchy_", "bernoulli_.float", "normal_"]:
        case(op, torch.zeros(2), -1.0, **({"to": -2.0} if op == "uniform_" else {}), seed=5, grad=False)
    for op in ["normal_", "log_normal_", "cauchy_"]:
        case(op, torch.zeros(2), 0.0, -1.0, seed=5, grad=False)
    case("exponential_", torch.zeros(2), 0.0, seed=5, grad=False)
    case("random_.from", torch.zeros(2), 3, 1, seed=5, grad=False)
    case("randint", 0, [2], seed=5)
    case("multinomial", T(4, low=-2, high=-1), 2, seed=5)
    case("multinomial", P(4), 5, seed=5)
    case("multinomial", P(4), 0, seed=5)
    case("multinomial", torch.zeros(4), 1, seed=5)


@family
def backward_normalization():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, tolerance=1e-4, **kwargs)
    for train in [True, False]:
        for weight in [P(3), None]:
            x, g, mean, var = T(4, 3, 2), T(4, 3, 2), T(3), P(3)
            save = [x.mean((0, 2)), 1 / (x.var((0, 2), unbiased=False) + 1e-5).sqrt()] if train else [None, None]
            same("native_batch_norm_backward", g, x, weight, mean, var, *save, train, 1e-5, [True, True, True])
            same("_batch_norm_impl_index_backward", 0, x, g, weight, mean, var, *save, train, 1e-5, [True, True, True], torch.zeros(0, dtype=u8))
        same("native_batch_norm_backward", g, x, P(3), mean, var, *save, train, 1e-5, [True, False, True])
        same("native_batch_norm_backward", T(4, 3), T(4, 3), P(3), mean, var, *([T(3), P(3)] if train else [None, None]), train, 1e-3, [True, True, True])
        case("_batch_norm_impl_index", T(4, 3, 2), P(3), T(3), T(3), P(3), train, 0.1, 1e-5, False, tolerance=1e-4)
    case("batch_norm_update_stats", T(4, 3, 2), T(3), P(3), 0.3, grad=False)
    for weight in [P(4), None]:
        x = T(2, 4, 3)
        _, mean, rstd = torch.native_group_norm(x, weight, None, 2, 4, 3, 2, 1e-5)
        same("native_group_norm_backward", T(2, 4, 3), x, mean, rstd, weight, 2, 4, 3, 2, [True, weight is not None, weight is not None])
    for dim, g in [(0, P(3, 1, 1)), (2, P(1, 1, 4))]:
        v = T(3, 2, 4)
        case("_weight_norm_interface", v, g, dim, tolerance=1e-4)
        norms = torch._weight_norm_interface(v, g, dim)[1]
        same("_weight_norm_interface_backward", T(3, 2, 4), v, g, norms, dim)
        same("_weight_norm_differentiable_backward", T(3, 2, 4), v, g, norms, dim)


@family
def backward_indexing():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, tolerance=kwargs.pop("tolerance", 1e-4), **kwargs)
    at = torch.tensor([[0, 3, 1], [4, 4, 0]])
    for padding in [-1, 4]:
        for scale in [False, True]:
            same("embedding_backward", T(2, 3, 2), at, 5, padding, scale, False)
    indices, offsets = torch.tensor([0, 3, 1, 4, 4]), torch.tensor([0, 2, 2])
    for mode in [0, 1, 2]:
        for padding in [-1, 4]:
            _, bag, size, maxima = torch._embedding_bag(T(5, 2), indices, offsets, False, mode, False, None, False, padding)
            if bag.numel() == 0:
                bag = torch.tensor([0, 0, 2, 2, 2])
            for scale in [False, True]:
                same("_embedding_bag_dense_backward", T(3, 2), indices, bag, size, maxima, 5, scale, mode, None, padding)
                same("_embedding_bag_backward", T(3, 2), indices, offsets, bag, size, maxima, 5, scale, mode, False, None, padding)
    same("_embedding_bag_dense_backward", T(3, 2), indices, torch.tensor([0, 0, 2, 2, 2]), torch.zeros(3, dtype=i64), torch.zeros(3, dtype=i64), 5, False, 0, T(5), 3)
    same("_embedding_bag_backward", T(3, 2), indices, offsets, torch.zeros(0, dtype=i64), torch.zeros(3, dtype=i64), torch.zeros(3, dtype=i64), 5, False, 0, False, T(5))
    same("_embedding_bag_per_sample_weights_backward", T(3, 2), T(5, 2), indices, offsets, torch.zeros(0, dtype=i64), 0)
    same("_embedding_bag_per_sample_weights_backward", T(3, 2), T(5, 2), indices, offsets, torch.tensor([0, 0, 2, 2, 2]), 0, 3)
    same("gather_backward", T(2, 2), T(3, 2), 0, torch.tensor([[0, 2], [0, 1]]), False)
    same("gather_backward", T(2, 2), T(2, 4), -1, torch.tensor([[0, 2], [0, 0]]), False)
    for keep in [False, True]:
        same("value_selecting_reduction_backward", T(2, 1) if keep else T(2), 1, torch.tensor([[2], [0]]) if keep else torch.tensor([2, 0]), [2, 3], keep)
    same("value_selecting_reduction_backward", torch.tensor(2.0), 0, torch.tensor(0), [], False)
    x = T(2, 4)
    for dim in [0, -1]:
        same("cummaxmin_backward", T(2, 4), x, torch.cummax(x, dim)[1], dim)
        same("cumprod_backward", T(2, 4), x, dim, x.cumprod(dim))
    zeros = torch.tensor([[1.0, 0.0, 2.0, 3.0], [0.0, 2.0, 0.0, 1.0]])
    same("cumprod_backward", T(2, 4), zeros, 1, zeros.cumprod(1))
    for diagonal in [-1, 0, 1]:
        same("diag_backward", torch.diag(T(3, 4), diagonal), [3, 4], diagonal)
        same("diag_backward", torch.diag(T(3), diagonal), [3], diagonal)
    same("masked_select_backward", T(3), T(2, 3), torch.tensor([[True, False, True], [False, False, True]]))
    same("masked_select_backward", T(4), T(3), torch.tensor([[True, False, True], [False, True, True]]))
    same("masked_select_backward", T(2, dtype=c64), T(3, dtype=c64), torch.tensor([True, False, True]))
    mask = torch.tensor([[True, False, False], [False, False, True]])
    out = T(2, 3).masked_fill(mask, -inf).softmax(1)
    same("_masked_softmax_backward", T(2, 3), out, mask, 1)
    same("_masked_softmax_backward", T(2, 3), out, mask)
    data = torch.tensor([[1.0, 2.0], [3.0, 2.0], [0.5, -1.0], [0.5, 4.0], [2.0, 2.0]])
    lengths = torch.tensor([2, 3])
    for reduce in ["sum", "mean", "max", "min"]:
        result = torch.segment_reduce(data, reduce, lengths=lengths)
        same("_segment_reduce_backward", T(2, 2), result, data, reduce, lengths=lengths)
    sizes = torch.tensor([3, 2, 2, 1])
    same("_pack_padded_sequence_backward", T(8, 2), [4, 3, 2], sizes, False)
    same("_pack_padded_sequence_backward", T(8, 2), [3, 4, 2], sizes, True)
    same("_pack_padded_sequence_backward", T(8, 2), [5, 3, 2], sizes, False)


@family
def backward_losses():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, tolerance=1e-4, **kwargs)
    for reduction in [0, 1, 2]:
        shape = (3,) if reduction == 0 else ()
        for p in [1, 2]:
            same("multi_margin_loss_backward", T(*shape), T(3, 4), I(3, high=3), p, 0.7, None, reduction)
            same("multi_margin_loss_backward", T(*shape), T(3, 4), I(3, high=3), p, 1, P(4), reduction)
        x, target = T(3, 4), torch.tensor([[1, 2, -1, 0], [3, -1, 0, 0], [0, 1, 2, 3]])
        is_target = torch.ops.aten.multilabel_margin_loss_forward(x, target, reduction)[1]
        same("multilabel_margin_loss_backward", T(*shape), x, target, reduction, is_target)
    same("prelu_backward", T(2, 3, 2), T(2, 3, 2), P(3))
    same("prelu_backward", T(2, 3, 2), T(2, 3, 2), P(1))
    for training in [True, False]:
        same("rrelu_with_noise_backward", T(5), T(5), P(5), 0.1, 0.3, training, False)
    same("rrelu_with_noise_backward", T(5), T(5), P(5), 0.2, 0.2, True, False)
    case("infinitely_differentiable_gelu_backward", T(5), T(5), tolerance=1e-4)
    for dim in [0, -1]:
        x = T(4, 2)
        glu = torch.nn.functional.glu(x, dim)
        same("glu_jvp", glu, x, T(4, 2), dim)
        g = T(*glu.shape)
        same("glu_backward_jvp", torch.ops.aten.glu_backward(g, x, dim), g, x, T(*glu.shape), T(4, 2), dim)
    same("affine_grid_generator_backward", T(2, 3, 4, 2), [2, 1, 3, 4], False)
    same("affine_grid_generator_backward", T(1, 2, 3, 2, 3), [1, 1, 2, 3, 2], True)
    for mode in [0, 1, 2]:
        same("_grid_sampler_2d_cpu_fallback_backward", T(1, 2, 3, 3), T(1, 2, 4, 5), T(1, 3, 3, 2, low=-1.3, high=1.3), mode, 1, True)
    same("adaptive_avg_pool3d_backward.grad_input", T(1, 2, 2, 1, 2), T(1, 2, 3, 2, 5), grad_input=torch.zeros(0))
    same("matrix_exp_backward", T(3, 3), T(3, 3))
    log_probs, targets = T(5, 2, 4).log_softmax(2), I(2, 3, low=1, high=3)
    loss, alpha = torch._ctc_loss(log_probs, targets, [5, 5], [3, 3])
    case("_ctc_loss", log_probs, targets, [5, 5], [3, 3], tolerance=1e-4)
    case("_ctc_loss.Tensor", log_probs, targets, torch.tensor([5, 5]), torch.tensor([3, 3]), grad=False)
    for zero in [False, True]:
        same("_ctc_loss_backward", T(2), log_probs, targets, [5, 5], [3, 3], loss, alpha, 0, zero)
        same("_ctc_loss_backward.Tensor", T(2), log_probs, targets, torch.tensor([5, 5]), torch.tensor([3, 3]), loss, alpha, 0, zero)


@family
def backward_products():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, tolerance=1e-4, **kwargs)
    all3 = [True, True, True]
    for transposed, w in [(False, (4, 1, 3)), (True, (2, 2, 3))]:
        x, weight = T(2, 2, 5), T(*w)
        y = torch.convolution(x, weight, None, [1], [1], [1], transposed, [0], 2)
        same("_convolution_double_backward", T(2, 2, 5), T(*w), T(4), T(*y.shape), weight, x, [1], [1], [1], transposed, [0], 2, all3)
        same("_convolution_double_backward", T(2, 2, 5), None, None, T(*y.shape), weight, x, [1], [1], [1], transposed, [0], 2, all3)
        same("_convolution_double_backward", None, T(*w), None, T(*y.shape), weight, x, [1], [1], [1], transposed, [0], 2, all3)
    same("_slow_conv2d_backward.output_mask", T(1, 3, 3, 2), T(1, 2, 5, 4), T(3, 2, 3, 3), [3, 3], [1, 1], [0, 0], all3)
    same("_slow_conv2d_backward.output_mask", T(1, 3, 2, 2), T(1, 2, 4, 4), T(3, 2, 3, 3), [3, 3], [2, 2], [1, 1], [True, False, False])
    same("_slow_conv2d_backward.grad_input", T(1, 3, 3, 2), T(1, 2, 5, 4), T(3, 2, 3, 3), [3, 3], [1, 1], [0, 0], grad_input=torch.zeros(1, 2, 5, 4), grad_weight=torch.zeros(3, 2, 3, 3), grad_bias=torch.zeros(3))
    same("conv_tbc_backward", T(5, 2, 4), T(5, 2, 3), T(3, 3, 4), T(4), 1)
    case("mkldnn_convolution", T(1, 2, 5, 4), T(3, 2, 3, 3), T(3), [1, 0], [1, 2], [1, 1], 1, tolerance=1e-4, grad=False)
    case("mkldnn_convolution", T(1, 4, 5), T(4, 2, 3), None, [1], [1], [2], 2, tolerance=1e-4, grad=False)


@family
def backward_recurrent():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, tolerance=1e-4, **kwargs)
    for bias in [True, False]:
        one = (lambda n: T(n)) if bias else (lambda n: None)
        gates = T(2, 12), T(2, 12)
        cx = T(2, 3)
        i, f, g, o = (gates[0] + gates[1]).chunk(4, 1)
        cy = f.sigmoid() * cx + i.sigmoid() * g.tanh()
        same("_thnn_differentiable_lstm_cell_backward", T(2, 3), T(2, 3), *gates, *([torch.zeros(12)] * 2 if bias else [None, None]), cx, cy)
        same("_thnn_differentiable_lstm_cell_backward", T(2, 3), None, *gates, None, None, cx, cy)
        same("_thnn_differentiable_gru_cell_backward", T(2, 3), T(2, 9), T(2, 9), T(2, 3), one(9), one(9))


@family
def layouts():
    same = lambda op, *args, **kwargs: case(op, *args, grad=False, **kwargs)
    x = T(2, 3)
    case("to_dense", T(2, 3))
    same("to_dense", T(2, 3), f64)
    case("_grad_sum_to_size", T(2, 3), [3])
    case("_grad_sum_to_size", T(2, 3), None)
    same("_saturate_weight_to_fp16", torch.tensor([[1e6, -1e6], [1.0, 65504.0]]))
    same("_shape_as_tensor", x)
    same("_list_to_tensor", [1, 2, 3])
    same("_tensor_to_list", I(3, dtype=i32))
    same("_tensor_to_list", I(3))
    case("_reshape_from_tensor", x, torch.tensor([3, 2]))
    case("_ncf_unsqueeze", T(3), 4)
    case("_compute_linear_combination", T(2, 3, 2), T(4, 2), tolerance=1e-4)
    same("_symeig_helper", spd(3), False, True, tolerance=1e-7)
    for norm in [0, 1, 2]:
        for forward in [True, False]:
            case("_fft_c2c", T(2, 4, dtype=c64), [1], norm, forward, tolerance=1e-4)
            case("_fft_c2c", T(3, 4, dtype=c64), [0, 1], norm, forward, tolerance=1e-4)
        case("_fft_r2c", T(2, 5), [1], norm, True, tolerance=1e-4)
        case("_fft_r2c", T(2, 4), [0, 1], norm, False, tolerance=1e-4)
        same("_fft_c2r", T(2, 3, dtype=c64), [1], norm, 5, tolerance=1e-4)
    same("_convert_indices_from_coo_to_csr", torch.tensor([0, 0, 2]), 4)
    same("_convert_indices_from_coo_to_csr", torch.tensor([0, 0, 2]), 4, out_int32=True)
    same("_convert_indices_from_csr_to_coo", torch.tensor([0, 2, 2, 3]), torch.tensor([1, 0, 2]))
    same("_convert_indices_from_csr_to_coo", torch.tensor([0, 2, 2, 3]), torch.tensor([1, 0, 2]), out_int32=True, transpose=True)
    same("_autocast_to_full_precision", T(2, dtype=bf16), False, True)
    same("_autocast_to_full_precision", T(2, dtype=f16), False, False)
    same("_autocast_to_reduced_precision", T(2), False, True, f16, bf16)
    same("_autocast_to_reduced_precision", T(2), False, False, f16, bf16)
    for size in [[4], [2, 2], [3, 2]]:
        same("resize", T(2, 3), size)
    same("resize_as", T(2, 3), T(2))
    same("set.source_Tensor", T(2), T(3))
    same("set", T(2))
    same("set_", T(2))
    same("set_.source_Tensor_storage_offset", T(2), T(6), 1, [2, 2], [2, 1])
    same("set_.source_Tensor_storage_offset", T(2), T(6), 1, [2, 2])
    same("copy_.Tensor", T(2, 3), T(3))
    same("copy_.int", T(2), 3)
    same("copy_.float", T(2), 1.5)
    for op in ["sym_stride", "sym_storage_offset", "is_pinned", "is_distributed", "_is_zerotensor", "_debug_has_internal_overlap"]:
        same(op, T(2, 3))
    same("sym_stride.int", T(2, 3), 0)
    same("_has_same_storage_numel", x, T(6))
    same("_has_same_storage_numel", x, T(5))
    same("_has_compatible_shallow_copy_type", x, T(5))
    for t in [torch.tensor(1.0), torch.tensor(0.0), T(2)]:
        same("_assert_async", t)
    same("_assert_tensor_metadata", x, [2, 3], [3, 1], f32)
    for name in ["linalg.inv", "linalg.solve", "linalg.cholesky", "linalg.svd"]:
        for info in [torch.tensor(0, dtype=i32), torch.tensor(2, dtype=i32)]:
            same("_linalg_check_errors", info, name, is_matrix=True)
        same("_linalg_check_errors", torch.tensor([0, 3], dtype=i32), name, is_matrix=False)
    same("dequantize.self", T(2))


@family
def results():
    """Forms that write to a given tensor and are derived from forms that make one."""
    out = lambda dtype=f32: torch.zeros(0, dtype=dtype)
    for op in ["ones", "zeros"]:
        case(f"{op}.out", [2, 3], out=out())
        case(f"{op}.out", [2], out=out(i64))
        case(f"{op}_like.out", T(2, 3), out=out(f64), grad=False)
        case(f"new_{op}.out", T(2), [2, 3], out=out(), grad=False)
    case("full.out", [2, 2], 3, out=out())
    case("full.out", [2, 2], 1.5, out=out(f64))
    case("full_like.out", T(2), 1.5, out=out(), grad=False)
    case("new_full.out", T(2), [3], 2, out=out(i64), grad=False)
    case("arange.out", 5, out=out(i64))
    case("arange.start_out", 1, 4.5, 0.5, out=out())
    case("arange.start_out", 1, 4, 2, out=out(i32))
    case("range.out", 1, 4, 1, out=out())
    case("range.out_", 1, 4, out=out())
    case("linspace.out", 0, 1, 5, out=out(f64))
    case("logspace.out", 0, 1, 4, 2.0, out=out())
    case("eye.out", 3, out=out())
    case("eye.m_out", 2, 3, out=out(i64))
    case("tril_indices.out", 3, 3, out=out(i64))
    case("triu_indices.out", 3, 2, 1, out=out(i32))
    case("scalar_tensor.out", 2.5, out=out())
    for op in ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"]:
        case(f"{op}.out", 5, out=out())
        case(f"{op}.periodic_out", 5, False, out=out(f64))
    case("hamming_window.periodic_alpha_out", 5, True, 0.6, out=out())
    case("hamming_window.periodic_alpha_beta_out", 5, True, 0.6, 0.4, out=out())
    case("kaiser_window.beta_out", 5, True, 6.0, out=out())
    case("fft_fftfreq.out", 5, 0.5, out=out())
    case("fft_rfftfreq.out", 5, 0.5, out=out(f64))
    case("_to_copy.out", T(2, 2), out=out(f64))
    case("_efficientzerotensor.out", [2], out=out())
    case("add.out", T(2), T(2), out=out())
    case("sum.IntList_out", T(2, 3), [1], out=out())


def write(name):
    CASES.clear()
    _generator.manual_seed(sum(map(ord, name)))
    FAMILIES[name]()
    with open(os.path.join(OUT, f"{name}.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES) + "\n]\n")
    print(name, len(CASES), "cases")


if __name__ == "__main__":
    for each in sys.argv[1:] or FAMILIES:
        write(each)
