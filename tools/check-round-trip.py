"""Opens archives that weft wrote and says where they differ from what they should be. Used by check-round-trip.ts.

    python3 tools/check-round-trip.py MANIFEST

MANIFEST is a JSON list of checks, each {"name", "saved": archive, "record": folder with io.json and tensors.bin} and, when the
archive was made from one that PyTorch wrote, {"original": archive}. With an original, both are called in the same way and
must give the same bits, errors and prints, and have the same attributes, methods and shared tensors; else the results
must be those of the record. Prints one JSON list: [name, [what differs, ...]] for each check.
"""
import ctypes
import io
import json
import math
import os
import re
import sys
import tempfile
import warnings

import torch

DTYPES = {
    "float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16,
    "int64": torch.int64, "int32": torch.int32, "int16": torch.int16, "int8": torch.int8, "uint8": torch.uint8,
    "bool": torch.bool, "complex64": torch.complex64, "complex128": torch.complex128,
}


class Record:
    def __init__(self, folder):
        with open(os.path.join(folder, "io.json")) as file:
            self.case = json.load(file)
        with open(os.path.join(folder, "tensors.bin"), "rb") as file:
            self.data = file.read()

    def tensor(self, entry):
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        count = math.prod(shape)
        if count == 0:
            x = torch.empty(shape, dtype=dtype)
        else:
            x = torch.frombuffer(bytearray(self.data), dtype=dtype, count=count, offset=entry["offset"]).clone().reshape(shape)
        if "strides" not in entry:
            return x
        strides = entry["strides"]
        for dim, stride in enumerate(strides):
            if stride == 0 and shape[dim] > 1:
                x = x.narrow(dim, 0, 1)
        return torch.empty_strided(x.shape, strides, dtype=dtype).copy_(x).as_strided(shape, strides)

    def value(self, v):
        if v is None:
            return None
        (kind, x), = v.items()
        if kind == "tensor":
            return self.tensor(x)
        if kind in ("int", "float"):
            return int(x) if kind == "int" else float(x)
        if kind == "complex":
            return complex(float(x[0]), float(x[1]))
        if kind == "list":
            return [self.value(y) for y in x]
        if kind == "tuple":
            return tuple(self.value(y) for y in x)
        if kind == "namedtuple":
            return tuple(self.value(y) for _, y in x["fields"])
        if kind == "dict":
            return {self.value(k): self.value(y) for k, y in x}
        return torch.device(x) if kind == "device" else x


# ---- comparing -------------------------------------------------------------------------------------------------------

def unmangled(text):
    """Without what differs from one load to the next: mangled names and addresses."""
    return re.sub(r"0x[0-9a-f]{6,}", "0x", re.sub(r"\.___torch_mangle_\d+", "", text))


def difference(a, b, where, rtol=0.0, atol=0.0):
    """How `a` differs from the expected `b`, or None. Floats may differ within the tolerance."""
    if isinstance(b, torch.Tensor):
        if not isinstance(a, torch.Tensor):
            return f"{where}: {a!r} instead of a tensor"
        if a.is_sparse or a.is_quantized or a.is_nested:
            return None
        for what, x, y in [("dtype", a.dtype, b.dtype), ("shape", tuple(a.shape), tuple(b.shape)),
                           ("strides", a.stride(), b.stride()), ("requires_grad", a.requires_grad, b.requires_grad)]:
            if x != y and (rtol == 0 or what in ("dtype", "shape")):
                return f"{where}: {what} {x} instead of {y}"
        a, b = (x.detach().resolve_conj().resolve_neg() for x in (a, b))
        if rtol == 0 or not (b.is_floating_point() or b.is_complex()):
            same = bool(((a == b) | ((a != a) & (b != b))).all())
        else:
            same = torch.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        return None if same else f"{where}: {a} instead of {b}"
    if isinstance(b, (list, tuple)) and isinstance(a, (list, tuple)):
        if len(a) != len(b) or getattr(a, "_fields", None) != getattr(b, "_fields", getattr(a, "_fields", None)):
            return f"{where}: {a!r} instead of {b!r}"
        return first(difference(x, y, f"{where}[{i}]", rtol, atol) for i, (x, y) in enumerate(zip(a, b)))
    if isinstance(b, dict) and isinstance(a, dict):
        if len(a) != len(b):
            return f"{where}: keys {list(a)} instead of {list(b)}"
        pairs = zip(a.items(), b.items())
        return first(first((difference(k, l, f"{where} key", rtol, atol), difference(x, y, f"{where}[{l!r}]", rtol, atol)))
                     for (k, x), (l, y) in pairs)
    if isinstance(b, float) and isinstance(a, float):
        same = a == b or (a != a and b != b) or abs(a - b) <= atol + rtol * abs(b)
        return None if same else f"{where}: {a} instead of {b}"
    if b is None or type(b).__module__ == "builtins" or isinstance(b, torch.device):
        return None if type(a) is type(b) and a == b else f"{where}: {a!r} instead of {b!r}"
    a, b = unmangled(str(a)), unmangled(str(b))
    return None if a == b else f"{where}: {a} instead of {b}"


def first(found):
    return next((text for text in found if text is not None), None)


class Printed:
    """Catches what is printed, from Python or from C++."""

    def __enter__(self):
        sys.stdout.flush()
        self.file, self.saved = tempfile.TemporaryFile(), os.dup(1)
        os.dup2(self.file.fileno(), 1)
        return self

    def __exit__(self, *_):
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)
        os.dup2(self.saved, 1)
        os.close(self.saved)
        self.file.seek(0)
        self.text = self.file.read().decode()
        self.file.close()


def error_line(error):
    """The class and message beneath the TorchScript traceback."""
    text = str(error)
    if not text.startswith("The following operation failed in the TorchScript interpreter."):
        return f"{type(error).__name__}: {unmangled(text)}"
    tail = text[text.rindex("<--- HERE" if "<--- HERE" in text else "Traceback"):]
    match = re.search(r"^([A-Za-z_][\w.]*: ?.*)$", tail, re.M)
    return f"{type(error).__name__}: {unmangled(match.group(1) if match else tail.strip())}"


def perform(module, call, record):
    """(output, inputs after the call, error, printed text) of one recorded call."""
    args = [record.value(v) for v in call["inputs"]]
    kwargs = {k: record.value(v) for k, v in call.get("kwargs", {}).items()}
    torch.manual_seed(call.get("seed", record.case.get("seed", 0)))
    output = error = None
    with Printed() as printed:
        try:
            output = (module if call["method"] == "forward" else getattr(module, call["method"]))(*args, **kwargs)
        except Exception as e:  # noqa: BLE001  a program may raise anything
            error = error_line(e)
    return output, args, error, printed.text


def outline(module):
    """Methods and attributes of every submodule as text, by place."""
    lines = {}
    for path, part in module.named_modules():
        script = part._c
        for name in sorted(script._method_names()):
            lines[f"{path}.{name}()"] = unmangled(str(script._get_method(name).schema))
        lines[f"attributes of '{path}'"] = unmangled(script.dump_to_str(False, True, True))
        lines[f"class of '{path}'"] = unmangled(script.qualified_name)
    return lines


def tensors_of(module):
    """Every tensor of the module, and the first one whose memory it shares, by place."""
    found, owners = {}, {}
    for path, part in module.named_modules():
        for kind in ("_parameters", "_buffers"):
            for name, tensor in getattr(part, kind).items():
                if tensor is not None:
                    place = f"{path}.{name}" if path else name
                    found[place] = tensor
                    if tensor.numel() > 0 and not (tensor.is_sparse or tensor.is_quantized):
                        found[f"memory of {place}"] = owners.setdefault(tensor.storage().data_ptr(), place)
    return found


def compare_places(here, there, when=""):
    for place in list(there) + [name for name in here if name not in there]:
        if place not in here or place not in there:
            yield f"{place} is {'missing' if place not in here else 'new'}{when}"
        else:
            yield difference(here[place], there[place], f"{place}{when}")


def check(entry):
    record = Record(entry["record"])
    saved = torch.jit.load(entry["saved"])
    found = []
    if "original" not in entry:
        tolerance = record.case["tolerance"]
        for index, call in enumerate(record.case["calls"]):
            output, _, error, _ = perform(saved, call, record)
            expected = record.value(call["output"])
            found.append(error and f"call {index}: {error}"
                         or difference(output, expected, f"call {index}", tolerance["rtol"], tolerance["atol"]))
        return [text for text in found if text]
    original = torch.jit.load(entry["original"])
    if any("__getstate__" in part._c._method_names() for part in original.modules()):
        # Saving and loading changes such a module as it says itself, so PyTorch has to do that too.
        buffer = io.BytesIO()
        torch.jit.save(original, buffer)
        buffer.seek(0)
        original = torch.jit.load(buffer)
    found += compare_places(outline(saved), outline(original))
    found += compare_places(tensors_of(saved), tensors_of(original))
    for index, call in enumerate(record.case["calls"]):
        results = [perform(module, call, record) for module in (saved, original)]
        for what, a, b in zip(("output", "inputs", "error", "printed"), *results):
            found.append(difference(a, b, f"call {index} {what}"))
    found += compare_places(tensors_of(saved), tensors_of(original), " after the calls")
    return [text for text in found if text]


def main(manifest):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with open(manifest) as file:
        entries = json.load(file)
    results = []
    for entry in entries:
        try:
            results.append([entry["name"], check(entry)])
        except Exception as error:  # noqa: BLE001  an archive that does not open is an outcome
            results.append([entry["name"], [f"{type(error).__name__}: {str(error)[:2000]}"]])
    print(json.dumps(results))


main(sys.argv[1])
