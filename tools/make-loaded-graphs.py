# Records what graphs PyTorch gives the archives of recorded cases when it loads them, as digests:
#   python3 tools/make-loaded-graphs.py FOLDER_OF_CASES > libs/jit/src/archive/loaded-graphs.json
# An entry is [method, digest of the graph, digest of the inlined graph]. Values are numbered in the order in which they
# are defined; the ids of warnings, which count up through a process, are left out. With --text CASE the texts that are
# digested are printed instead.
import hashlib
import json
import os
import re
import sys

import torch

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|%[\w.]+')


def canonical(graph):
    """The printed graph with its values numbered anew, in each subgraph."""
    text = re.sub(r"[ \t]+# \S*:\d+:\d+[ \t]*$", "", str(graph), flags=re.M)
    text = re.sub(r"\[warn_id=\d+\]", "", text)
    parts = re.split(r"^(?=with )", text, flags=re.M)
    return "\n".join(renumbered(part).strip() for part in parts) + "\n"


def renumbered(text):
    names = {}

    def name(match):
        token = match.group(0)
        return token if token.startswith('"') else names.setdefault(token, f"%{len(names)}")

    return TOKEN.sub(name, text)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def graphs(path):
    with open(os.path.join(path, "io.json")) as file:
        calls = json.load(file)["calls"]
    module = torch.jit.load(os.path.join(path, "model.pt"))
    for name in dict.fromkeys(call["method"] for call in calls):
        method = module._c._get_method(name)
        yield name, canonical(method.graph), canonical(method.inlined_graph)


def main(folder, case=None):
    if case is not None:
        for name, graph, inlined in graphs(os.path.join(folder, case)):
            print(f"# {name}\n{graph}# {name}, inlined\n{inlined}")
        return
    with open(os.path.join(folder, "index.json")) as file:
        cases = [entry for entry in json.load(file)["cases"] if entry["kind"] in ("script", "trace")]
    lines = []
    for entry in cases:
        key = f"{entry['group']}/{entry['name']}"
        found = [[name, digest(a), digest(b)] for name, a, b in graphs(os.path.join(folder, key))]
        lines.append(f"  {json.dumps(key)}: {json.dumps(found)}")
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3] if "--text" in sys.argv else None)
