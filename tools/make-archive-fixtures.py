# Writes archives with PyTorch and what it answers about them, for the tests of libs/jit/src/archive:
#   python3 tools/make-archive-fixtures.py > libs/jit/src/archive/pytorch.fixture.json
import base64
import io
import json
import linecache
import pickle
import sys
import types
import zipfile

import torch


PROGRAM = '''
class Inner(torch.nn.Module):
    def forward(self, x, n: int):
        # Größe: a comment whose letters take more bytes than characters
        y = x + n
        return y.view(3, n)


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x, n: int):
        if n > 100:  # zu groß
            raise ValueError(
                "too large: {}"
                .format(n)
            )
        return self.inner(x * self.weight, n)
'''


def defined(program, file):
    """The names that a program defines, as if it stood in that file."""
    linecache.cache[file] = (len(program), None, program.splitlines(True), file)
    names = {"torch": torch, "__name__": "model"}
    exec(compile(program, file, "exec"), names)  # noqa: S102
    sys.modules["model"] = types.SimpleNamespace(__file__=file, **names)
    return names


def saved(module):
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def error_of(archive, *args):
    try:
        torch.jit.load(io.BytesIO(archive))(*args)
    except Exception as error:  # noqa: BLE001 - the message is the result
        return str(error)
    raise AssertionError("nothing went wrong")


class DebugUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        assert name == "build_intlist"
        return lambda items: items


def rewritten(archive, change):
    """The archive with every entry as `change(name, bytes)` gives it; None leaves it out."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            contents = change(name, old.read(name))
            if contents is not None:
                new.writestr(name, contents)
    return result.getvalue()


def without_string_table(name, contents):
    """Debug information in the form that each range has the text it is in."""
    if not name.endswith(".debug_pkl"):
        return contents
    _, table, records = DebugUnpickler(io.BytesIO(contents)).load()
    old = []
    for offset, ((lines, file, first), start, end), _ in records:
        text = "".join(table[index] for index in lines)
        old.append((offset, ((text, table[file] or None, first), start, end)))
    return pickle.dumps(tuple(old), protocol=2)


def errors():
    archive = saved(torch.jit.script(defined(PROGRAM, "model.py")["Outer"]()))
    forms = {
        "table": archive,
        "texts": rewritten(archive, without_string_table),
        "none": rewritten(archive, lambda name, data: None if name.endswith(".debug_pkl") else data),
    }
    return {
        form: {
            "archive": base64.b64encode(each).decode(),
            "errors": [[n, error_of(each, torch.ones(2), n)] for n in (7, 101)],
        }
        for form, each in forms.items()
    }


PLAIN = """
class Main(torch.nn.Module):
    def forward(self, x, y):
        return x
"""
plain = None

HISTORIC = """class Main(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.Main,
    x: Tensor,
    y: Tensor) -> Tensor:
    {body}
"""


def historic_archive(body, version):
    """An archive of that version by hand: PyTorch 1.13 writes none below the version that its operators need."""

    global plain
    plain = plain or saved(torch.jit.script(defined(PLAIN, "model.py")["Main"]()))
    path = "code/__torch__/model.py"
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            contents = old.read(name)
            if name.endswith(path):
                name = name.replace(path, "code/__torch__.py")
                contents = HISTORIC.format(body=body).encode()
            elif name.endswith("data.pkl"):
                contents = contents.replace(b"c__torch__.model\nMain", b"c__torch__\nMain")
            elif name.endswith("version"):
                contents = f"{version}\n".encode()
            elif name.endswith(".debug_pkl"):
                continue
            new.writestr(name, contents)
    return result.getvalue()


INTS = [[-7, 7, 9], [2, 2, -4]]
FLOATS = [[-7.5, 7.0, 9.0], [2.0, 2.0, -4.0]]
PROGRAMS = [
    ("return torch.div(x, y)", (2, 3, 4), (INTS, FLOATS)),
    ("return torch.div(x, torch.to(y, 6))", (3, 4), (INTS,)),
    ("return x / y", (3, 4), (INTS, FLOATS)),
    ("return torch.div(x, 2)", (3, 4), (INTS, FLOATS)),
    ("return torch.div(x, 2.)", (3, 4), (INTS,)),
    ("return torch.div_(x, y)", (3, 4), (INTS, FLOATS)),
    ("return torch.div_(x, 4)", (3, 4), (INTS, FLOATS)),
    ("return torch.div_(x, 4.)", (3,), (INTS, FLOATS)),
    ("return torch.div(x, y, out=torch.zeros_like(x))", (3, 4), (INTS, FLOATS)),
    ("return torch.div(x, y, out=torch.zeros([3]))", (3, 4), (INTS, FLOATS)),
    ("return torch.div(x, y, rounding_mode=None)", (3,), (INTS,)),
    ("return torch.div(x, y, rounding_mode=\"floor\")", (3, 4), (INTS, FLOATS)),
    ("return torch.div(x, 4, rounding_mode=\"floor\")", (3,), (INTS,)),
    ("return torch.div_(x, y, rounding_mode=\"floor\")", (3,), (INTS,)),
    ("return torch.div_(x, 4, rounding_mode=\"trunc\")", (3,), (INTS,)),
    ("return torch.div(x, y, rounding_mode=\"floor\", out=torch.zeros_like(x))", (3,), (INTS,)),
    ("return torch.full([2], 3)", (3, 4, 5), (INTS,)),
    ("return torch.full([2], True)", (4, 5), (INTS,)),
    ("return torch.full([2], 3.5)", (4, 5), (INTS,)),
    ("return torch.full([2], 3, dtype=4)", (4, 5), (INTS,)),
    ("return torch.full([2], 7, out=torch.zeros([2]))", (4, 5), (INTS,)),
    ("return torch.linspace(0, 5)", (7, 8), (INTS,)),
    ("return torch.linspace(0, 5, 3)", (7, 8), (INTS,)),
    ("return torch.linspace(0, 5, out=torch.zeros([0]))", (7,), (INTS,)),
    ("return torch.linspace(0, 5, 4, out=torch.zeros([4]))", (7, 8), (INTS,)),
    ("return torch.logspace(0, 2)", (8, 9), (INTS,)),
    ("return torch.logspace(0, 2, 3, 2.)", (8, 9), (INTS,)),
    ("return torch.logspace(0, 2, out=torch.zeros([0]))", (8,), (INTS,)),
    ("return torch.gelu(x)", (9, 10), (FLOATS,)),
    ("return torch.gelu(x, approximate=\"tanh\")", (9, 10), (FLOATS,)),
    ("return torch.gelu(x, out=torch.zeros([3]))", (9, 10), (FLOATS,)),
]


def historic():
    cases = []
    for body, versions, inputs in PROGRAMS:
        for version in versions:
            for x, y in inputs:
                case = {"body": body, "version": version, "x": x, "y": y}
                try:
                    module = torch.jit.load(io.BytesIO(historic_archive(body, version)))
                except Exception:  # noqa: BLE001 - that it does not load is the result
                    case["loads"] = False
                else:
                    try:
                        result = module(torch.tensor(x), torch.tensor(y))
                        case["dtype"] = str(result.dtype).replace("torch.", "")
                        case["result"] = result.tolist()
                    except Exception as error:  # noqa: BLE001 - the message is the result
                        case["error"] = str(error).strip().split("\n")[-1]
                cases.append(case)
    return cases


print(json.dumps({"errors": errors(), "historic": historic()}, ensure_ascii=False, indent=1))
