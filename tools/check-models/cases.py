"""What a case of a model is; the files of models register theirs here."""
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

import torch


@dataclass
class Case:
    name: str
    build: Callable[[], torch.nn.Module]
    """Argument lists, one for each call."""
    inputs: Callable[[], List[Any]]
    """'script' or 'trace'."""
    kind: str
    training: bool = False
    """Whether gradients of inputs and parameters are compared too."""
    gradients: bool = False
    method: str = "forward"
    seed: int = 7
    rtol: float = 1e-3
    atol: float = 1e-4
    """What is done to the compiled module before it is saved, such as freezing."""
    after: Optional[Callable[[Any, Any], Any]] = None
    """(module, inputs) -> a function that runs the layers with batch norms once; the module on its first input if absent."""
    settle: Optional[Callable[[Any, Any], Callable[[], Any]]] = None
    # In float64: for models whose float32 results PyTorch itself gives otherwise with other kernels.
    double: bool = False
    # Called with the module, once it is settled, and the inputs: what else random weights need to be like trained ones.
    prepare: Optional[Callable[[Any, Any], None]] = None


cases: List[Case] = []


def both(name, build, inputs, **options):
    """A case for the scripted and one for the traced module."""
    for kind in ("script", "trace"):
        case(name, build, inputs, kind, **options)


def case(name, build, inputs, kind, **options):
    cases.append(Case(f"{name}-{kind}", build, inputs, kind, **options))
