"""Checks weft with models as they are used: each is built with random weights, scripted or traced, saved and called by
PyTorch, and `weft verify` does the same and compares. Prints the outcome, time, memory and largest error of each; the error of
a number is |weft's - PyTorch's| / max(1, |PyTorch's|).

    python3 tools/check-models [text ...]        # only models whose name contains one of the texts
        --only-record    makes the archives and stops
        --keep FOLDER    records there and keeps it; what is there already is not made again
        --jobs N         processes at once (2)
        --timeout S      how long weft may take for one model (300)

Needs PyTorch and torchvision, and weft built (npm run build).
"""
import argparse
import concurrent.futures
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def record(case, folder):
    """(reasons why there is no archive, seconds). In a child of its own, which has PyTorch from here; its memory goes back."""
    began = time.monotonic()
    made = folder + ".part"
    shutil.rmtree(made, ignore_errors=True)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=record_here, args=(case, made, sender))
    child.start()
    sender.close()
    try:
        reasons = receiver.recv()
    except EOFError:
        reasons = ["its process ended"]
    child.join()
    if not reasons:
        os.rename(made, folder)
    return reasons, time.monotonic() - began


def record_here(case, folder, sender):
    import torch
    import recording
    torch.set_num_threads(1)
    try:
        recording.record(case, folder)
        sender.send([])
    except Exception as error:  # noqa: BLE001  whatever PyTorch refuses is the outcome
        sender.send([f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else ''}"])


def verify(folder, timeout):
    """(reasons of a failure, largest error or None, seconds, bytes at most) of weft for one recorded model."""
    report = folder + ".json"
    began = time.monotonic()
    child = subprocess.Popen(
        ["node", os.path.join(ROOT, "apps/cli/bin/weft.mjs"), "verify", folder, "--jobs", "1", "--timeout", str(timeout),
         "--json", report], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds, memory = time.monotonic() - began, usage.ru_maxrss * 1024
    if not os.path.exists(report):
        return [printed.strip() or f"weft ended with status {child.returncode}"], None, seconds, memory
    with open(report) as file:
        outcome = json.load(file)["cases"][0]
    os.remove(report)
    reasons = [] if outcome["status"] == "passed" else outcome["reasons"] or [outcome["status"]]
    return reasons, outcome.get("largestError"), seconds, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", help="only models whose name contains one of these")
    parser.add_argument("--only-record", action="store_true")
    parser.add_argument("--keep", metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=300)
    flags = parser.parse_args()

    try:
        import style_models  # noqa: F401  registers its cases
        import torchvision_models  # noqa: F401
    except ImportError as error:
        sys.exit(f"check-models needs PyTorch and torchvision (Debian: python3-torch, python3-torchvision): {error}")
    from cases import cases
    chosen = [c for c in cases if not flags.texts or any(text in c.name for text in flags.texts)]
    if not chosen:
        sys.exit(f"no model is named like {' or '.join(flags.texts)}; there are: {', '.join(c.name for c in cases)}")
    target = flags.keep or tempfile.mkdtemp(prefix="weft-models-")
    os.makedirs(target, exist_ok=True)

    def check(case):
        folder = os.path.join(target, case.name)
        made = 0.0
        if not os.path.exists(folder):
            reasons, made = record(case, folder)
            if reasons:
                return case, [f"not recorded: {reasons[0]}"], None, made, 0.0, 0
        if flags.only_record:
            return case, [], None, made, 0.0, 0
        reasons, error, seconds, memory = verify(folder, flags.timeout)
        if not flags.keep:
            shutil.rmtree(folder)
        return case, reasons, error, made, seconds, memory

    failed, began = 0, time.monotonic()
    print(f"{'model':48} {'record s':>8} {'weft s':>8} {'weft MB':>8} {'error':>8}", flush=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
            for done in concurrent.futures.as_completed([pool.submit(check, c) for c in chosen]):
                case, reasons, error, made, seconds, memory = done.result()
                largest = "" if error is None else f"{error:.1e}"
                print(f"{case.name:48} {made:8.1f} {seconds:8.1f} {memory / 1e6:8.0f} {largest:>8}  {'FAILED' if reasons else 'ok'}",
                      flush=True)
                for reason in reasons[:5]:
                    print(f"    {reason[:600]}", flush=True)
                failed += bool(reasons)
    finally:
        if not flags.keep:
            shutil.rmtree(target, ignore_errors=True)
    print(f"{len(chosen) - failed} of {len(chosen)} models agree, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


main()
