"""Measures Millrace beside the limits of the machine and its peers, and writes docs/benchmarks.md.

Usage: report_main.py --programs DIR --out FILE [--quick] [--no-peers] [--rounds N] [--scale X] [--scratch DIR]
       report_main.py --render FILE.json --out FILE      the page again, of figures already measured
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time

import machine
import millrace_runs
import page
import processes
from measurements import Measurements
from peers import kafka, nats
from peers.availability import PeerUnavailable

_HERE = os.path.dirname(os.path.realpath(__file__))
_SIZES = (100, 1024, 10240)
_ROOT = os.path.dirname(os.path.dirname(_HERE))


@dataclasses.dataclass(frozen=True)
class Programs:
    """Paths of what Bazel built."""

    millrace: str
    client_probe: str
    disk_probe: str
    network_probe: str
    counting_memory: str
    micro: str

    @classmethod
    def below(cls, folder):
        bench = os.path.join(folder, "tools/bench")
        found = cls(os.path.join(folder, "tools/millrace/millrace"), f"{bench}/probe/client_probe",
                    f"{bench}/probe/disk_probe", f"{bench}/probe/network_probe",
                    f"{bench}/probe/libcounting_memory.so", f"{bench}/micro/micro")
        for path in dataclasses.astuple(found):
            if not os.path.exists(path):
                raise FileNotFoundError(f"{path} is not built: run tools/bench/run.sh")
        return found


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int
    scale: float
    idle_seconds: float
    probe_seconds: float
    probe_mib: int
    micro_seconds: float
    peers: bool


FULL = Plan(rounds=3, scale=1.0, idle_seconds=10, probe_seconds=1, probe_mib=1024, micro_seconds=0.2, peers=True)
QUICK = Plan(rounds=1, scale=0.02, idle_seconds=1, probe_seconds=0.1, probe_mib=64, micro_seconds=0.001, peers=False)


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
        for path, name in ((self.scratch, "SCRATCH"), (self.cache, "CACHE"), (_ROOT, "."),
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


def measure(session):
    """All groups in turn; within a group, round by round, everybody after the other."""
    plan = session.plan
    probes = machine.Probes(session.programs, session.scratch, session.into, plan.probe_seconds, plan.probe_mib)
    session.say("preparing")
    session.step("probe", probes.touch_memory)
    session.step("millrace.size", lambda: session.into.add_all("millrace.size", processes.size_with_libraries(
        session.programs.millrace, session.scratch)))
    kafka_peer = session.peer("kafka", lambda: kafka.Kafka(session.cache, session.scratch))
    nats_peer = session.peer("nats", lambda: nats.Nats(session.cache, session.scratch))
    load = kafka_peer.load() if kafka_peer else None
    try:
        measure_starts(session, kafka_peer, load, nats_peer)
        measure_alone(session)
        # A server that does not come up takes its figures with it, not the page.
        session.step("millrace", measure_beside, session, probes, kafka_peer, load, nats_peer, tries=1)
    finally:
        if load is not None:
            load.stop()


def measure_starts(session, kafka_peer, load, nats_peer):
    """exec to first acknowledged record, and idleness, each server alone."""
    into, plan = session.into, session.plan
    for number in range(plan.rounds):
        session.say(f"starts, round {number + 1} of {plan.rounds}")
        session.step("millrace.start", millrace_runs.start_to_first_ack, session.programs, session.scratch, into)
        if nats_peer:
            session.step("nats.start", _nats_start, nats_peer, into)
        if kafka_peer:
            session.step("kafka.start", _kafka_start, kafka_peer, load, into,
                         plan.idle_seconds if number == plan.rounds - 1 else 0)
    session.step("millrace.idle", millrace_runs.idle_on_empty_directory, session.programs, session.scratch, into,
                 plan.idle_seconds)
    if nats_peer:
        session.step("nats.idle", _nats_idle, nats_peer, into, plan.idle_seconds)


def _nats_start(peer, into):
    server = peer.start()
    try:
        into.add("nats.start.first_ack_s", server.first_ack_s)
    finally:
        server.stop()


def _nats_idle(peer, into, seconds):
    server = peer.start()
    try:
        time.sleep(min(2, seconds))
        nats.Runs(peer, server, into, 1).idle(seconds)
    finally:
        server.stop()


def _kafka_start(peer, load, into, idle_seconds):
    server = peer.format()
    try:
        begin = time.monotonic()
        server.start()
        load.run("first-ack", server.address, "first")
        into.add("kafka.start.first_ack_s", time.monotonic() - begin)
        if idle_seconds:
            time.sleep(3)
            kafka.Runs(server, load, into, 1).idle(idle_seconds)
    finally:
        server.stop()


def measure_alone(session):
    """What is compared with the machine, or with nothing."""
    plan = session.plan
    for number in range(plan.rounds):
        session.say(f"parts alone, round {number + 1} of {plan.rounds}")
        session.step("micro", machine.run_micro, session.programs, session.scratch, session.into, plan.micro_seconds)
    session.step("millrace.recovery", millrace_runs.recovery, session.programs, session.scratch, session.into,
                 plan.scale)
    session.step("millrace.counted", millrace_runs.count_memory, session.programs, session.scratch, session.into,
                 plan.scale)


def measure_beside(session, probes, kafka_peer, load, nats_peer):
    """Throughput and latency: machine, Millrace, Kafka and NATS in turn, in each round."""
    into, plan = session.into, session.plan
    data_dir = os.path.join(session.scratch, "millrace")
    servers = []
    try:
        server = millrace_runs.Server(session.programs, data_dir).start()
        servers.append(server)
        ours = millrace_runs.Runs(server, into, plan.scale)
        theirs = None
        if kafka_peer:
            kafka_server = kafka_peer.format()
            servers.append(kafka_server)
            kafka_server.start()
            load.run("first-ack", kafka_server.address, "first")
            theirs = kafka.Runs(kafka_server, load, into, plan.scale)
            session.say("warming Kafka up")
            session.step("kafka.warm_up", theirs.warm_up)
        others = None
        if nats_peer:
            nats_server = nats_peer.start()
            servers.append(nats_server)
            others = nats.Runs(nats_peer, nats_server, into, plan.scale)
        for number in range(plan.rounds):
            session.say(f"side by side, round {number + 1} of {plan.rounds}")
            _one_round(session, probes, ours, theirs, others)
    finally:
        for running in servers:
            running.stop()


def _one_round(session, probes, ours, theirs, others):
    session.step("probe.network", probes.network)
    for size in _SIZES:
        processes.settle()
        session.step("probe.disk", probes.disk)
        session.step(f"millrace.produce.{size}", ours.produce_and_consume, size)
        processes.settle()
        if theirs:
            session.step(f"kafka.produce.{size}", theirs.produce_and_consume, size)
        if others:
            session.step(f"nats.produce.{size}", others.produce_and_consume, size)
    for count in (1, 100):
        processes.settle()
        session.step(f"millrace.partitions.{count}", ours.partitions, count)
    if theirs:
        processes.settle()
        session.step("kafka.synced", theirs.synced)
    processes.settle()
    session.step("probe.network", probes.network)
    session.step("probe.disk", probes.disk)
    processes.settle()
    for durability in ("replicated", "durable"):
        session.step(f"millrace.one.{durability}", ours.one_in_flight, durability)
    if others:
        session.step("nats.one", others.one_in_flight)
    for name in ("fixed_rate", "end_to_end"):
        key = {"fixed_rate": "rate", "end_to_end": "e2e"}[name]
        session.step(f"millrace.{key}", getattr(ours, name))
        if theirs:
            session.step(f"kafka.{key}", getattr(theirs, name))


def write_page(out, measurements, about, duration_s):
    """The page, its plots in a folder beside it, and the figures as JSON in there too."""
    with open(os.path.join(_HERE, "notes.md"), encoding="utf-8") as file:
        notes = page.parse_notes(file.read())
    folder = os.path.splitext(out)[0]
    os.makedirs(folder, exist_ok=True)
    for name, svg in page.make_plots(measurements).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(svg)
    with open(os.path.join(folder, "figures.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, "duration_s": duration_s, "measurements": json.loads(measurements.to_json())},
                  file, indent=1)
        file.write("\n")
    with open(out, "w", encoding="utf-8") as file:
        file.write(page.render(measurements, about, notes, os.path.basename(folder), duration_s))


def main():
    parser = argparse.ArgumentParser(description="Benchmarks beside the machine's limits, Kafka and NATS.")
    parser.add_argument("--programs", help="Bazel's folder of built programs (bazel-bin)")
    parser.add_argument("--out", default=os.path.join(_ROOT, "docs", "benchmarks.md"), help="the page to write")
    parser.add_argument("--quick", action="store_true", help="few records, one round, no peers: does it work at all?")
    parser.add_argument("--no-peers", action="store_true", help="leave out Kafka and NATS")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--scale", type=float, help="multiplies the numbers of records")
    parser.add_argument("--scratch", help="folder for all data; must lie on the disk to be measured")
    parser.add_argument("--cache", default=os.path.join(os.path.expanduser("~"), ".cache", "millrace-bench"),
                        help="where the peers' programs are kept")
    parser.add_argument("--render", help="make the page again from a figures.json, without measuring")
    options = parser.parse_args()
    if options.render:
        with open(options.render, encoding="utf-8") as file:
            loaded = json.load(file)
        write_page(options.out, Measurements.from_json(json.dumps(loaded["measurements"])), loaded["about"],
                   loaded["duration_s"])
        return 0
    if not options.programs:
        parser.error("--programs is needed to measure")
    plan = QUICK if options.quick else FULL
    changes = {"rounds": options.rounds, "scale": options.scale, "peers": False if options.no_peers else None}
    plan = dataclasses.replace(plan, **{key: value for key, value in changes.items() if value is not None})

    begin = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begin:6.0f} s] {text}", file=sys.stderr, flush=True)

    os.makedirs(options.cache, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="millrace-bench-", dir=options.scratch)
    try:
        about = machine.describe(scratch, _ROOT)
        session = Session(Programs.below(options.programs), plan, scratch, options.cache, say)
        measure(session)
        write_page(options.out, session.into, about, time.monotonic() - begin)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"wrote {options.out}")
    if session.failed:
        say(f"{len(session.failed)} steps were not measured: {', '.join(sorted(set(session.failed)))}")
    return 1 if session.failed else 0


if __name__ == "__main__":
    sys.exit(main())
