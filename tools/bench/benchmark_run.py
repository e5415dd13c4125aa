"""One run of a benchmark, from its command line to its page: steps that may fail, and what they leave."""

import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import machine
import page
import processes
from measurements import Measurements
from peers.availability import PeerUnavailable

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def built(paths, command):
    """These paths, if all of them are there."""
    for path in paths:
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is not built: run {command}")


class Session:
    """One run of everything: steps that fail leave a reason instead of a figure, and the rest goes on."""

    def __init__(self, programs, plan, scratch, cache, say):
        self.programs = programs
        self.plan = plan
        self.scratch = scratch
        self.cache = cache
        self.into = Measurements()
        self.say = say
        self.failed = []

    def step(self, prefix, action, *arguments, tries=2):
        """Runs one measurement; `prefix` names the figures that are missing if it fails again and again."""
        for attempt in range(1, tries + 1):
            begin = time.monotonic()
            try:
                action(*arguments)
            except (processes.MeasurementError, PeerUnavailable, OSError) as error:
                self.say(f"  {prefix}: try {attempt} of {tries} failed: {error}")
                reason = self.plain(error)
            else:
                self.say(f"  {prefix}: {time.monotonic() - begin:.1f} s")
                return
        self.into.not_measured(prefix, reason)
        self.failed.append(prefix)

    def plain(self, error):
        """One line of what went wrong, without the paths of this machine: it may end up on the page."""
        text = " ".join(str(error).split())
        for path, name in ((self.scratch, "SCRATCH"), (self.cache, "CACHE"), (ROOT, "."),
                           (os.path.expanduser("~"), "~")):
            text = text.replace(path, name) if len(path) > 1 else text
        return text[:400]

    def peer(self, name, make):
        """The peer, or None with the reason noted."""
        if not self.plan.peers:
            self.into.not_measured(name, "this run was made without peers")
            return None
        try:
            return make()
        except (PeerUnavailable, processes.MeasurementError, OSError) as error:
            self.into.not_measured(name, self.plain(error))
            self.say(f"  {name} is not to be had: {error}")
            return None


def add_options(parser, page_name, peers):
    """What every benchmark can be told; `peers` names those that may be left out."""
    parser.add_argument("--programs", help="Bazel's folder of built programs (bazel-bin)")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", page_name), help="the page to write")
    parser.add_argument("--quick", action="store_true", help="as little as possible, no peers: does it work at all?")
    parser.add_argument("--no-peers", action="store_true", help=f"leave out {peers}")
    parser.add_argument("--rounds", type=int, help="how often throughput and latency are measured")
    parser.add_argument("--scratch", help="folder for all data; must lie on the disk to be measured")
    parser.add_argument("--cache", default=os.path.join(os.path.expanduser("~"), ".cache", "millrace-bench"),
                        help="where the peers' programs are kept")
    parser.add_argument("--render", help="make the page again from a figures.json, without measuring")


def planned(options, full, quick, *more):
    """The plan that the options ask for; `more`: names of options that are fields of it, too."""
    plan = quick if options.quick else full
    changes = {name: getattr(options, name) for name in ("rounds", *more)}
    if options.no_peers:
        changes["peers"] = False
    return dataclasses.replace(plan, **{key: value for key, value in changes.items() if value is not None})


def run(parser, options, make_programs, plan, measure, render):
    """Measures (or not, with --render) and writes the page: render(measurements, about, duration_s, folder).

    Returns the exit code: 1 if a step was not measured."""
    if options.render:
        with open(options.render, encoding="utf-8") as file:
            loaded = json.load(file)
        page.write(options.out, Measurements.from_json(json.dumps(loaded["measurements"])), loaded["about"],
                   loaded["duration_s"], render)
        return 0
    if not options.programs:
        parser.error("--programs is needed to measure")
    begin = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begin:6.0f} s] {text}", file=sys.stderr, flush=True)

    # Whoever ends it, also from where nobody can interrupt it, ends the servers that it has started.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.makedirs(options.cache, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="millrace-bench-", dir=options.scratch)
    try:
        about = machine.describe(scratch, ROOT)
        session = Session(make_programs(options.programs), plan, scratch, options.cache, say)
        measure(session)
        page.write(options.out, session.into, about, time.monotonic() - begin, render)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"wrote {options.out}")
    if session.failed:
        say(f"{len(session.failed)} steps were not measured: {', '.join(sorted(set(session.failed)))}")
    return 1 if session.failed else 0
