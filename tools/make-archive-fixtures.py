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


print(json.dumps({"errors": errors()}, ensure_ascii=False, indent=1))
