"""Measures Millrace beside the limits of the machine and its peers, and writes docs/benchmarks.md.

Usage: report_main.py --programs DIR --out FILE [--quick] [--no-peers] [--rounds N] [--scale X] [--scratch DIR]
       report_main.py --render FILE.json --out FILE      the page again, of figures already measured
"""

import argparse
import dataclasses
import os
import sys
import time

import benchmark_run
import machine
import millrace_runs
import page
import processes
from peers import kafka, nats

_SIZES = (100, 1024, 10240)


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
        benchmark_run.built(dataclasses.astuple(found), "tools/bench/run.sh")
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


def render(measurements, about, duration_s, folder):
    """The page; its plots go into a folder beside it."""
    for name, svg in page.make_plots(measurements).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(svg)
    return page.render(measurements, about, page.read_notes("notes.md"), os.path.basename(folder), duration_s)


def main():
    parser = argparse.ArgumentParser(description="Benchmarks beside the machine's limits, Kafka and NATS.")
    benchmark_run.add_options(parser, "benchmarks.md", "Kafka and NATS")
    parser.add_argument("--scale", type=float, help="multiplies the numbers of records")
    options = parser.parse_args()
    return benchmark_run.run(parser, options, Programs.below, benchmark_run.planned(options, FULL, QUICK, "scale"), measure, render)


if __name__ == "__main__":
    sys.exit(main())
