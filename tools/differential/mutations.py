"""Changes of calls: other dtypes, shapes, values and arguments. Many of the results are calls that PyTorch refuses; so are
many of users' calls. Also the calls of operators that have no seeds, made from those of their siblings (`add_`, `add.out` and
`add.Scalar` from `add.Tensor`)."""

import random

import torch

from calls import Call, Untellable, copy, resolve, tensors_in

ALL = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip
FLOATS = ALL[:4]
INTS = [0, 1, -1, 2, -2, 3, -3, 4, 5, 7, -5, 9]
REALS = [0.0, 1.0, -1.0, 0.5, 2.5, -2.0, 1e-8, 100.0, float("inf"), float("-inf"), float("nan")]
SPECIAL = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-40, 1e-310, 3e38, -1e30, 1.0, -1.0, 0.5, 65504.0, 1e-7]
#: Arguments that say where and how a tensor lies.
PLACING = {"layout", "device", "pin_memory", "generator", "memory_format", "non_blocking"}


def converted(tensor, dtype):
    if tensor.dtype == dtype:
        return tensor
    if dtype == torch.bool:
        return (tensor.real if tensor.is_complex() else tensor) > 0
    if tensor.is_complex() and not dtype.is_complex:
        tensor = tensor.real
    if dtype == torch.uint8:
        tensor = tensor.abs() if tensor.dtype != torch.bool else tensor
    return tensor.to(dtype)


class Mutator:
    """Makes variants of calls; `pool` has the seeds of the operator, from which arguments are exchanged."""

    def __init__(self, rng, pool):
        self.rng = rng
        self.pool = pool

    def mutate(self, call):
        changes = self.changes(call)
        change = self.rng.choices(list(changes), weights=list(changes.values()))[0]
        return change(call)

    def changes(self, call):
        found = {self.exchange: 1}
        if call.tensors():
            found.update({self.dtype: 4, self.one_dtype: 1, self.special: 3, self.empty: 1, self.size: 2, self.rank: 2})
        if any(isinstance(v, (bool, int, float, complex, str, type(None))) for v in call.args):
            found[self.scalar] = 3
        if any(isinstance(v, list) and v and not list(tensors_in(v)) for v in call.args):
            found[self.entry] = 3
        return found

    # Tensors

    def dtype(self, call):
        old = self.rng.choice(call.tensors()).dtype
        new = self.rng.choice(ALL)
        return call.mapped(lambda tensor: converted(tensor, new) if tensor.dtype == old else tensor)

    def one(self, call, change):
        """Changes one tensor."""
        chosen = self.rng.choice(call.tensors())
        return call.mapped(lambda tensor: change(tensor) if tensor is chosen else tensor)

    def one_dtype(self, call):
        return self.one(call, lambda tensor: converted(tensor, self.rng.choice(ALL)))

    def special(self, call):
        def change(tensor):
            if tensor.numel() == 0:
                return tensor
            flat = tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
            for _ in range(self.rng.randint(1, 3)):
                at = self.rng.randrange(flat.numel())
                if flat.is_floating_point() or flat.is_complex():
                    flat[at] = self.rng.choice(SPECIAL)
                elif flat.dtype != torch.bool:
                    info = torch.iinfo(flat.dtype)
                    flat[at] = self.rng.choice([info.min, info.max, 0, 1, info.max - 1])
            return flat.reshape(tensor.shape)

        return self.one(call, change)

    def empty(self, call):
        """Every dimension of one length becomes empty, in one tensor or in all."""
        chosen = self.rng.choice(call.tensors())
        if chosen.dim() == 0:
            return call
        length = self.rng.choice(list(chosen.shape))
        everywhere = self.rng.random() < 0.7

        def change(tensor):
            if tensor is not chosen and not everywhere:
                return tensor
            return tensor.new_zeros([0 if size == length else size for size in tensor.shape])

        return call.mapped(change)

    def size(self, call):
        chosen = self.rng.choice(call.tensors())
        if chosen.dim() == 0:
            return call
        dim = self.rng.randrange(chosen.dim())
        length = chosen.shape[dim]
        new = self.rng.choice([1, 1, max(length - 1, 0), length + 1])
        everywhere = self.rng.random() < 0.3

        def resized(tensor, dim):
            if tensor.shape[dim] == 0:
                return tensor
            index = torch.arange(new) % tensor.shape[dim]
            return tensor.index_select(dim, index)

        def change(tensor):
            if tensor is chosen:
                return resized(tensor, dim)
            if everywhere and tensor.dim() > dim and tensor.shape[dim] == length:
                return resized(tensor, dim)
            return tensor

        return call.mapped(change)

    def rank(self, call):
        how = self.rng.choice(["drop", "add", "scalar", "last"])

        def change(tensor):
            if how == "add":
                return tensor.unsqueeze(0)
            if tensor.dim() == 0 or 0 in tensor.shape:
                return tensor
            if how == "drop":
                return tensor[0]
            return tensor.reshape(-1)[0] if how == "scalar" else tensor.select(-1, 0)

        if self.rng.random() < 0.4:
            return call.mapped(change)
        return self.one(call, change)

    # Other arguments

    def exchange(self, call):
        """An argument of another call of the operator."""
        other = self.rng.choice(self.pool)
        index = self.rng.randrange(len(call.args)) if call.args else 0
        return call.replaced(index, other.args[index]) if call.args else call

    def positions(self, call, accepts):
        formals = call.schema.arguments
        return [i for i, v in enumerate(call.args) if formals[i].name not in PLACING and accepts(v)]

    def scalar(self, call):
        formals = call.schema.arguments
        found = self.positions(call, lambda v: isinstance(v, (bool, int, float, complex, str, type(None))))
        if not found:
            return call
        index = self.rng.choice(found)
        kind = str(formals[index].type)
        return call.replaced(index, self.value(kind, formals[index].name, call.args[index]))

    def value(self, kind, name, old):
        rng = self.rng
        if kind.startswith("Optional"):
            if rng.random() < 0.4:
                return None
            kind = kind[9:-1]
        if name.endswith("dtype") and kind == "int":
            return rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15])
        if kind == "int":
            return rng.choice(INTS)
        if kind == "float":
            return rng.choice(REALS)
        if kind == "bool":
            return not old
        if kind in ("number", "Scalar"):
            return rng.choice(INTS + REALS + [True, False, 1.5 + 0.5j, 3.0])
        if kind == "str":
            others = [v for call in self.pool for v in call.args if isinstance(v, str)]
            return rng.choice([*others, "bogus"])
        if kind.startswith("List[int]"):
            return [rng.choice(INTS) for _ in range(rng.randint(0, 3))]
        if kind.startswith("List[float]"):
            return [rng.choice(REALS[:8]) for _ in range(rng.randint(0, 3))]
        return old

    def entry(self, call):
        found = self.positions(call, lambda v: isinstance(v, list) and v and not list(tensors_in(v)))
        if not found:
            return call
        index = self.rng.choice(found)
        items = list(call.args[index])
        at = self.rng.randrange(len(items))
        how = self.rng.random()
        if how < 0.6:
            old = items[at]
            kind = "bool" if isinstance(old, bool) else "int" if isinstance(old, int) else "float"
            items[at] = self.value(kind, "", old)
        elif how < 0.8:
            del items[at]
        else:
            items.insert(at, items[at])
        return call.replaced(index, items)


def from_sibling(name, sibling, rng):
    """A call of the operator with the arguments that a call of a sibling has; None when they do not fit."""
    formals = resolve(name)._schema.arguments
    given = dict(zip((formal.name for formal in sibling.schema.arguments), sibling.args))
    args = []
    for position, formal in enumerate(formals):
        kind = str(formal.type)
        if formal.name in given:
            args.append(fitted(given[formal.name], kind))
        elif formal.kwarg_only and formal.alias_info is not None:
            args.append(None)
        elif position < len(sibling.args) and not formal.has_default_value() and not formal.kwarg_only:
            args.append(fitted(sibling.args[position], kind))
        elif formal.has_default_value():
            args.append(formal.default_value)
        else:
            return None
    outs = [i for i, formal in enumerate(formals) if formal.kwarg_only and formal.alias_info is not None]
    if outs:
        try:
            result = list(tensors_in([sibling.run(copy(sibling.args))]))
        except Exception:
            return None
        for index, tensor in zip(outs, result):
            dtype = tensor.dtype if rng.random() < 0.7 else rng.choice(ALL)
            args[index] = tensor.new_zeros(tensor.shape if rng.random() < 0.6 else (0,), dtype=dtype)
        if any(args[index] is None for index in outs):
            return None
    return Call(name, args)


def fitted(value, kind):
    """A tensor's element where a number is expected, and the other way round."""
    if isinstance(value, torch.Tensor) and "Tensor" not in kind:
        element = value.reshape(-1)[0].item() if value.numel() > 0 else 1
        if "List" in kind:
            return value.reshape(-1).tolist()
        if kind.endswith("int") or kind == "Optional[int]":
            return int(element.real)
        return float(element.real) if "float" in kind else element
    if isinstance(value, (int, float)) and kind == "Tensor":
        return torch.tensor(value)
    if isinstance(value, list) and kind == "Tensor" and not list(tensors_in(value)):
        return torch.tensor(value)
    if isinstance(value, (int, float, bool)) and kind.startswith(("List[int]", "Optional[List[int]]")):
        return [int(value)]
    return value


def made_up(name, rng):
    """A call with arguments of the schema's types and nothing else known."""
    shape = rng.choice([[2, 3], [3], [], [2, 3, 4], [1, 2, 4, 4], [3, 3], [4, 4]])
    args = []
    for formal in resolve(name)._schema.arguments:
        kind = str(formal.type)
        if formal.has_default_value() and (formal.name in PLACING or rng.random() < 0.7):
            args.append(formal.default_value)
        elif kind == "Tensor" or kind == "Optional[Tensor]":
            dtype = rng.choice([torch.float32] * 3 + [torch.int64, torch.bool])
            args.append((torch.rand(shape) * 4 - 1).to(dtype))
        elif kind.startswith("List[Tensor") or kind.startswith("List[Optional[Tensor"):
            args.append([torch.rand(shape) for _ in range(rng.randint(1, 3))])
        else:
            args.append(Mutator(rng, []).value(kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional") else kind, formal.name, False) if kind != "str" else "mean")
    return Call(name, args)
