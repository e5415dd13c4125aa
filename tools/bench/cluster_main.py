"""Measures a cluster of three controllers and three brokers beside Kafka, NATS and the machine's limits, and writes
docs/benchmarks_cluster.md.

Usage: cluster_main.py --programs DIR --out FILE [--quick] [--no-peers] [--rounds N] [--kills N] [--scratch DIR]
       cluster_main.py --render FILE.json --out FILE      the page again, of figures already measured
"""

import argparse
import dataclasses
import os
import sys
import time

import benchmark_run
import cluster_lines
import cluster_runs
import lines
import machine
import page
import processes
import quorum_lines
from cluster_faults import Faults
from data_cluster import DataCluster
from peers import kafka, kafka_cluster, nats

_TITLES = {"probe": "The machine", "millrace": "Millrace", "kafka": "Apache Kafka", "nats": "NATS JetStream"}
_SIZES = (100, 1024)
_NATS_RECORDS = {100: 150_000, 1024: 80_000}
_SYNCING = 3
# What was measured once for each time that something befell a cluster: name, and what is said of all times.
_EACH_TIME = [f"{subject}.gap.{kind}.ms" for subject in ("millrace", "kafka") for kind in ("kill", "shutdown", "stop")] + [
    "millrace.controller.topic_ms", "millrace.controller.longest_ms", "millrace.controller.undisturbed_ms",
    "kafka.next_topic.ms"]


@dataclasses.dataclass(frozen=True)
class Programs:
    """Paths of what Bazel built."""

    millrace: str
    client_probe: str
    delivery_check: str
    disk_probe: str
    network_probe: str

    @classmethod
    def below(cls, folder):
        probe = os.path.join(folder, "tools/bench/probe")
        found = cls(os.path.join(folder, "tools/millrace/millrace"), f"{probe}/client_probe", f"{probe}/delivery_check",
                    f"{probe}/disk_probe", f"{probe}/network_probe")
        benchmark_run.built(dataclasses.astuple(found), "tools/bench/cluster.sh")
        return found


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much of everything."""

    # Of throughput and latency, before the peers and once more behind them.
    rounds: int
    rounds_behind: int
    scale: float
    starts: int
    kills: int
    shutdowns: int
    stops: int
    controllers: int
    partitions: int
    idle_seconds: float
    probe_seconds: float
    probe_mib: int
    pairs: int
    catch_ups: int
    # How often each of them befalls Kafka.
    peer_faults: int
    peers: bool


FULL = Plan(rounds=2, rounds_behind=1, scale=1, starts=3, kills=12, shutdowns=5, stops=3, controllers=5,
            partitions=1000, idle_seconds=10, probe_seconds=1, probe_mib=768, pairs=4, catch_ups=2, peer_faults=2,
            peers=True)
QUICK = Plan(rounds=1, rounds_behind=0, scale=0.002, starts=1, kills=1, shutdowns=1, stops=0, controllers=1,
             partitions=30, idle_seconds=0.5, probe_seconds=0.1, probe_mib=12, pairs=1, catch_ups=1, peer_faults=0,
             peers=False)


def measure(session):
    """One cluster at a time, so that none waits for another's idle threads; ours before the peers and behind them."""
    plan = session.plan
    probes = machine.Probes(session.programs, session.scratch, session.into, plan.probe_seconds, plan.probe_mib)
    session.say("preparing")
    session.step("probe", probes.touch_memory)
    kafka_peer = session.peer("kafka", lambda: kafka.Kafka(session.cache, session.scratch))
    nats_peer = session.peer("nats", lambda: nats.Nats(session.cache, session.scratch))
    for number in range(plan.starts):
        session.say(f"starts, {number + 1} of {plan.starts}")
        session.step("millrace.start", _start, session)
    session.step("millrace", _beside, session, probes, True, tries=1)
    if nats_peer:
        session.step("nats", _nats, session, nats_peer, tries=1)
    if kafka_peer:
        session.step("kafka", _kafka, session, kafka_peer, tries=1)
    if plan.rounds_behind:
        session.step("millrace", _beside, session, probes, False, tries=1)
    session.step("millrace", _alone, session, tries=1)
    for name in _EACH_TIME:
        quorum_lines.add_percentiles(session.into, name)


def _cluster(session):
    return DataCluster(session.programs, os.path.join(session.scratch, "cluster"))


def _start(session):
    cluster = _cluster(session)
    try:
        cluster_runs.first_record(session.programs, cluster, session.into)
        cluster.await_started()
    finally:
        cluster.stop()


def _beside(session, probes, first):
    """Throughput and latency; the first time also what an idle cluster costs."""
    cluster = _cluster(session)
    try:
        cluster.await_started()
        runs = cluster_runs.Runs(session.programs, cluster, session.into, session.plan.scale)
        if first:
            session.say("idle")
            _idle(session, runs)
        for number in range(session.plan.rounds if first else session.plan.rounds_behind):
            session.say(f"throughput and latency, {'before' if first else 'behind'} the peers, round {number + 1}")
            _round(session, probes, runs)
    finally:
        cluster.stop()


def _idle(session, runs):
    plan = session.plan
    time.sleep(min(3, plan.idle_seconds))
    session.step("millrace.idle", runs.idle, plan.idle_seconds)
    session.step("millrace.many", runs.many_partitions, plan.partitions, plan.idle_seconds, tries=1)


def _round(session, probes, runs):
    session.step("probe.network", probes.network)
    session.step("probe.write1", probes.writing_together, 1)
    session.step("probe.write3", probes.writing_together, 3)
    for size in _SIZES:
        for durability in cluster_runs.DURABILITIES:
            processes.settle()
            session.step(f"millrace.produce.{durability}.{size}", runs.produce, durability, size)
    processes.settle()
    session.step("probe.sync3", probes.syncing_together, _SYNCING, session.plan.probe_seconds)
    for durability in cluster_runs.DURABILITIES:
        session.step(f"millrace.one.{durability}", runs.one_in_flight, durability)
        session.step(f"millrace.rate.{durability}", runs.fixed_rate, durability)
        session.step(f"millrace.e2e.{durability}", runs.end_to_end, durability)


def _nats(session, peer):
    for number in range(session.plan.starts):
        session.say(f"NATS, start {number + 1} of {session.plan.starts}")
        servers = peer.start(3)
        try:
            session.into.add("nats.start.first_ack_s", servers.first_ack_s)
            if number + 1 == session.plan.starts:
                _nats_load(session, nats.Runs(peer, servers, session.into, session.plan.scale))
        finally:
            servers.stop()


def _nats_load(session, runs):
    time.sleep(2)
    session.step("nats.idle", runs.idle, session.plan.idle_seconds)
    for _ in range(session.plan.rounds):
        for size in _SIZES:
            processes.settle()
            session.step(f"nats.produce.{size}", runs.throughput, "produce", size, _NATS_RECORDS[size])
        session.step("nats.one", runs.one_in_flight)


def _kafka(session, peer):
    plan = session.plan
    session.say("Kafka: formatting")
    servers = peer.format(kafka_cluster.CONTROLLERS, kafka_cluster.BROKERS)
    load = peer.load()
    try:
        session.say("Kafka: starting")
        begin = time.monotonic()
        servers.start()
        load.run("first-ack", servers.address, "first")
        session.into.add("kafka.start.first_ack_s", time.monotonic() - begin)
        runs = kafka_cluster.Runs(servers, load, session.into, plan.scale)
        time.sleep(5)
        session.step("kafka.idle", runs.idle, plan.idle_seconds)
        session.step("kafka.many", runs.many_partitions, plan.partitions, tries=1)
        session.say("Kafka: warming up")
        session.step("kafka.warm_up", runs.warm_up)
        for number in range(plan.rounds):
            session.say(f"Kafka: throughput and latency, round {number + 1}")
            _kafka_round(session, runs)
        for number in range(plan.peer_faults):
            session.say(f"Kafka: faults, {number + 1} of {plan.peer_faults}")
            session.step("kafka.gap.kill", runs.leader_killed, tries=1)
            session.step("kafka.gap.shutdown", runs.leader_shut_down, tries=1)
            if number == 0:
                session.step("kafka.gap.stop", runs.leader_stopped, tries=1)
        for _ in range(plan.peer_faults):
            session.step("kafka.next_topic", runs.controller_killed, tries=1)
    finally:
        load.stop()
        servers.stop()


def _kafka_round(session, runs):
    for size in _SIZES:
        processes.settle()
        session.step(f"kafka.produce.{size}", runs.produce, size)
    session.step("kafka.rate", runs.fixed_rate)
    session.step("kafka.e2e", runs.end_to_end)


def _alone(session):
    """What is compared with the machine or with nothing, and then everything that befalls a cluster."""
    plan = session.plan
    cluster = _cluster(session)
    try:
        cluster.await_started()
        runs = cluster_runs.Runs(session.programs, cluster, session.into, plan.scale)
        session.say("with and without idempotence")
        session.step("millrace.idempotence", runs.idempotence, plan.pairs)
        for number in range(plan.catch_ups):
            session.say(f"a follower catches up, {number + 1} of {plan.catch_ups}")
            session.step("millrace.catch_up.alone", runs.catch_up, False, tries=1)
            session.step("millrace.catch_up.loaded", runs.catch_up, True, tries=1)
        session.say("many partitions")
        session.step("millrace.many", runs.many_partitions, plan.partitions, tries=1)
        _faults(session, Faults(session.programs, cluster, session.into))
    finally:
        cluster.stop()


def _faults(session, faults):
    plan = session.plan
    for kind, name, times, action in (
            ("killed", "millrace.gap.kill", plan.kills, faults.leader_killed),
            ("shut down", "millrace.gap.shutdown", plan.shutdowns, faults.leader_shut_down),
            ("stopped", "millrace.gap.stop", plan.stops, faults.leader_stopped)):
        for number in range(times):
            session.say(f"a leader is {kind}, {number + 1} of {times}")
            session.step(name, action, tries=1)
    for number in range(plan.controllers):
        session.say(f"the active controller is killed, {number + 1} of {plan.controllers}")
        session.step("millrace.controller", faults.controller_killed, 2.5, tries=1)


def render(measurements, about, duration_s, _folder=None):
    results = lines.judge_all(measurements, cluster_lines.LINES)
    return "\n".join([
        "# Benchmarks of the cluster\n",
        "Made by `tools/bench/cluster.sh`; do not edit. Three controllers and three brokers, three copies of everything, of "
        "which two must have a record (`min.insync.replicas=2`), acks=all: Millrace; Apache Kafka with as many nodes; NATS "
        "JetStream with three servers and streams of three replicas. All nodes of a cluster and its clients share one machine, "
        "its loopback and its disk, and one cluster runs at a time: Millrace, NATS, Kafka, and Millrace again. Kafka and NATS "
        "acknowledge from the page caches; Millrace's topics are `replicated` (the same) or `durable` (from the disks of all "
        "in-sync replicas; its default, and that of the faults below). Kafka's clients live in one warm JVM. Each line compares "
        "figures of this run; the best round counts on every side, with the ratio of the medians beside it in brackets. Of "
        "what befalls a cluster each time counts.\n",
        page.about_table(about, duration_s),
        page.counts(results) + "\n",
        page.table(results) + "\n",
        "## Where the time goes, for what is not met\n", page.where_the_time_goes(results, page.read_notes("cluster_notes.md")),
        "## Raw figures\n",
        "Names say subject, what, and unit; CPU is that of all nodes together, per 10^9 bytes of payload. `one`: one record in "
        "flight. `rate`: 2,000 records/s. `e2e`: sent and read, one at a time. `gap`: longest time between two acknowledgements "
        "of a partition at 1,000 records/s. `writeN`, `syncN`: N processes at once.\n",
        page.raw_tables(measurements, _TITLES),
        "## Commands\n",
        "`tools/bench/cluster.sh` runs all of this; the single programs, by hand:\n",
        page.commands(measurements)])


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of a cluster beside Kafka and NATS.")
    benchmark_run.add_options(parser, "benchmarks_cluster.md", "Kafka and NATS")
    parser.add_argument("--kills", type=int, help="how often a leader is killed")
    options = parser.parse_args()
    plan = benchmark_run.planned(options, FULL, QUICK, "kills")
    return benchmark_run.run(parser, options, Programs.below, plan, measure, render)


if __name__ == "__main__":
    sys.exit(main())
