"""Records calls of operators on PyTorch, for weft to make the same calls and compare (compare.ts):

    python3 tools/differential/record.py OUT [--ops REGEX] [--per 60] [--seed 0]

Writes OUT/<operator>.jsonl for the operators in OUT/operators.txt (`compare.ts --list` writes it) whose qualified names match.
Calls are seeds (seeds.py, kept in OUT/seeds.jsonl) and mutations of them (mutations.py). PyTorch 1.13 runs every operator in a
process of its own, because some calls end it.
"""

import argparse
import json
import os
import random
import re
import resource
import sys
import warnings

import torch

import seeds as seed_calls
from calls import Untellable
from mutations import Mutator, from_sibling, made_up


def base_of(name):
    """`add` for `aten::add_.Tensor`, so that in-place and out= forms find their siblings."""
    base = name.partition("::")[2].partition(".")[0]
    return base.rstrip("_") if not base.startswith("__") else base


def pool_of(name, seeds, siblings, rng):
    """Calls to start from."""
    own = list(seeds.get(name, []))
    if len(own) < 20:
        others = [call for other in siblings.get(base_of(name), []) if other != name for call in seeds[other]]
        rng.shuffle(others)
        for call in others[:60]:
            try:
                made = from_sibling(name, call, rng)
            except Exception:
                made = None
            if made is not None:
                own.append(made)
    if own:
        return own
    found = []
    for _ in range(300):
        call = made_up(name, rng)
        try:
            if '"error"' not in call.record():
                found.append(call)
        except Exception:
            continue
        if len(found) == 12:
            break
    return found


def lines_of(name, pool, per, rng):
    """Records of seeds and of their mutations."""
    seen = set()
    mutator = Mutator(rng, pool)
    if not pool:
        return
    direct = rng.sample(pool, min(len(pool), per // 3))
    errors = {}
    tries = 0
    while len(seen) < per and tries < 4 * per:
        call = direct[tries] if tries < len(direct) else rng.choice(pool)
        tries += 1
        if tries > len(direct):
            try:
                for _ in range(rng.choice([1, 1, 1, 2, 3])):
                    call = mutator.mutate(call)
            except Exception:  # a value that has no such variant
                continue
        yield "starting", None
        try:
            line = call.record()
        except Exception as error:
            if not isinstance(error, Untellable):
                print(f"{name}: {error}"[:200], file=sys.stderr)
            continue
        error = json.loads(line).get("error")
        if error is not None:
            kind = re.sub(r"[\d\[\], -]+", "#", error)
            errors[kind] = errors.get(kind, 0) + 1
            if errors[kind] > max(2, per // 20):
                continue
        if line not in seen:
            seen.add(line)
            yield "line", line


def record(name, seeds, siblings, per, seed, path):
    """Records an operator in child processes; one that dies is followed by another with other choices."""
    for attempt in range(6):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            rng = random.Random(f"{seed} {name} {attempt}")
            torch.manual_seed(rng.randrange(1 << 30))
            with open(path, "w" if attempt == 0 else "a") as file:
                for kind, line in lines_of(name, pool_of(name, seeds, siblings, rng), per, rng):
                    if kind == "line":
                        file.write(line + "\n")
                        file.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--ops", default="")
    parser.add_argument("--per", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    seed_path = os.path.join(options.out, "seeds.jsonl")
    if not os.path.exists(seed_path):
        seed_calls.write(seed_path, 8)
    seeds = seed_calls.read(seed_path)
    siblings = {}
    for name in seeds:
        siblings.setdefault(base_of(name), []).append(name)
    for line in open(os.path.join(options.out, "operators.txt")):
        name = line.strip()
        if re.search(options.ops, name):
            path = os.path.join(options.out, name.partition("::")[2] + ".jsonl")
            record(name, seeds, siblings, options.per, options.seed, path)


if __name__ == "__main__":
    main()
