"""One operator call: running it on PyTorch, and its written form.

A call is a line of JSON: {"op": "aten::add.Tensor", "args": [...]} with then "out" (a list of the returns) and "after" (the
contents of arguments that were written, by index), or "error" (PyTorch's message). Values: null, true, "str", 3 (int),
{"i": "9223372036854775807"}, {"f": 1.5}, {"c": [re, im]}, {"device": "cpu"}, lists, and tensors {"t": dtype, "s": sizes, "d": base64
of the row-major little-endian bytes}. Numbers that are not finite are written "nan", "inf", "-inf".
"""

import base64
import json
import math
import re

import torch

#: Messages that tell of this build or machine, and of arguments that no schema takes.
UNTELLING = re.compile(
    r"not enough memory|INTERNAL ASSERT|Could not run 'aten|Expected a value of type|missing value for argument|"
    r"expected at most|Unknown keyword|could not create a primitive|std::bad_alloc|vector::|INVALID_VALUE|"
    r"sparse|Sparse|mkldnn|MKL|Storage size calculation overflowed|cannot create std::vector|Unable to cast|"
    r"FIXME|quantiz|Quantiz|named tensor|invalid layout|Unsupported device type|Overflow when|"
    r"C\+\+ exception|std::|basic_string"
)


class Untellable(Exception):
    """The call says nothing about the operator."""


def resolve(name):
    """The OpOverload of a qualified name (`aten::add.Tensor`)."""
    namespace, _, rest = name.partition("::")
    base, _, overload = rest.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")


DTYPES = [
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64,
    None, torch.complex64, torch.complex128, torch.bool, None, None, None, torch.bfloat16,
]  # fmt: skip


MEMORY_FORMATS = [torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d]


def float_text(x):
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return x


def encode(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, torch.Tensor):
        return encode_tensor(value)
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"i": str(value)}
    if isinstance(value, float):
        return {"f": float_text(value)}
    if isinstance(value, complex):
        return {"c": [float_text(value.real), float_text(value.imag)]}
    if isinstance(value, torch.dtype) and value in DTYPES:
        return DTYPES.index(value)
    if isinstance(value, torch.layout) and value == torch.strided:
        return 0
    if isinstance(value, torch.memory_format):
        return MEMORY_FORMATS.index(value)
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    raise Untellable(type(value))


def encode_tensor(tensor):
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise Untellable("layout")
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    dtype = str(plain.dtype).replace("torch.", "")
    if plain.numel() > 6000:
        raise Untellable("size")
    if plain.is_complex():
        plain = torch.view_as_real(plain).contiguous()
    if plain.dtype == torch.bfloat16:
        plain = plain.view(torch.int16)
    data = base64.b64encode(plain.numpy().tobytes()).decode()
    return {"t": dtype, "s": list(tensor.shape), "d": data}


def decode(value):
    """The value of a written form."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "i" in value:
        return int(value["i"])
    if "f" in value:
        return float(value["f"])
    if "c" in value:
        return complex(float(value["c"][0]), float(value["c"][1]))
    if "device" in value:
        return torch.device(value["device"])
    dtype = getattr(torch, value["t"])
    data = bytearray(base64.b64decode(value["d"]))
    if not data:
        return torch.empty(value["s"], dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(value["s"])


def copy(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return [copy(each) for each in value]
    return value


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors_in(each)


class Call:
    """A call that can be made any number of times; `args` has a value for each argument of the schema."""

    __slots__ = ("op", "args")

    def __init__(self, op, args):
        self.op = op
        self.args = args

    @property
    def schema(self):
        return resolve(self.op)._schema

    def replaced(self, index, value):
        args = list(self.args)
        args[index] = value
        return Call(self.op, args)

    def mapped(self, change):
        """The same call with every tensor replaced by `change(tensor)`."""

        def each(value):
            if isinstance(value, torch.Tensor):
                return change(value)
            if isinstance(value, (list, tuple)) and any(True for _ in tensors_in(value)):
                return [each(item) for item in value]
            return value

        return Call(self.op, [each(value) for value in self.args])

    def tensors(self):
        return list(tensors_in(self.args))

    def written(self):
        """The call without its results."""
        return {"op": self.op, "args": [encode(value) for value in self.args]}

    def run(self, args):
        operator = resolve(self.op)
        formals = operator._schema.arguments
        positional = [value for value, formal in zip(args, formals) if not formal.kwarg_only]
        keywords = {formal.name: value for value, formal in zip(args, formals) if formal.kwarg_only}
        return operator(*positional, **keywords)

    def check(self):
        """Refuses calls whose answers say nothing: undefined shifts, and a bool for a Scalar, which only Python gives."""
        for value, formal in zip(self.args, self.schema.arguments):
            if isinstance(value, bool) and str(formal.type) in ("number", "Optional[number]"):
                raise Untellable("a bool for a Scalar")
        if "shift" in self.op:
            amounts = self.args[1]
            amounts = amounts.reshape(-1).tolist() if isinstance(amounts, torch.Tensor) else [amounts]
            if any(not isinstance(each, complex) and not 0 <= each < 8 for each in amounts):
                raise Untellable("a shift that C++ leaves undefined")

    def record(self):
        """Makes the call; returns its line."""
        self.check()
        schema = self.schema
        line = self.written()
        args = [copy(value) for value in self.args]
        torch.manual_seed(0)
        try:
            result = self.run(args)
        except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError, ZeroDivisionError) as error:
            message = str(error)
            if UNTELLING.search(message):
                raise Untellable(message) from None
            line["error"] = message
            return json.dumps(line, separators=(",", ":"))
        returns = schema.returns
        results = [] if not returns else [result] if len(returns) == 1 else list(result)
        line["out"] = [encode(value) for value in results]
        written = {
            str(index): encode(args[index])
            for index, formal in enumerate(schema.arguments)
            if formal.alias_info is not None and formal.alias_info.is_write and args[index] is not None
        }
        if written:
            line["after"] = written
        return json.dumps(line, separators=(",", ":"))
