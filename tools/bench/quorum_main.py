"""Measures a quorum of three controllers beside etcd and the machine's limits, and writes docs/benchmarks_quorum.md.

Usage: quorum_main.py --programs DIR --out FILE [--quick] [--no-peers] [--rounds N] [--kills N] [--pauses N]
                      [--scratch DIR]
       quorum_main.py --render FILE.json --out FILE      the page again, of figures already measured
"""

import argparse
import dataclasses
import os
import sys
import time

import benchmark_run
import lines
import machine
import page
import processes
import quorum_lines
from peers import etcd
from quorum_cluster import QuorumCluster, Runs

_SYNCING = 3
_MICRO = "100k_partitions"
_TITLES = {"probe": "The machine", "millrace": "Millrace", "etcd": "etcd", "micro": "Parts alone (micro benchmarks)"}


@dataclasses.dataclass(frozen=True)
class Programs:
    """Paths of what Bazel built."""

    millrace: str
    quorum_probe: str
    phantom_brokers: str
    disk_probe: str
    network_probe: str
    micro: str

    @classmethod
    def below(cls, folder):
        probe = os.path.join(folder, "tools/bench/probe")
        found = cls(os.path.join(folder, "tools/millrace/millrace"), f"{probe}/quorum_probe",
                    f"{probe}/phantom_brokers", f"{probe}/disk_probe", f"{probe}/network_probe",
                    os.path.join(folder, "tools/bench/micro/micro"))
        benchmark_run.built(dataclasses.astuple(found), "tools/bench/quorum.sh")
        return found


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int
    seconds: float
    kills: int
    pauses: int
    flaps: int
    idle_seconds: float
    micro_seconds: float
    peers: bool


FULL = Plan(rounds=5, seconds=4, kills=50, pauses=20, flaps=5, idle_seconds=20, micro_seconds=0.5, peers=True)
QUICK = Plan(rounds=1, seconds=0.5, kills=1, pauses=1, flaps=1, idle_seconds=1, micro_seconds=0.001, peers=False)


def measure(session):
    """Latency and throughput in rounds, probes and both sides in turn; then what stands alone."""
    plan = session.plan
    session.say("starting")
    peer = session.peer("etcd", lambda: etcd.Etcd(session.cache, session.scratch))
    if peer:
        session.into.note_command("etcd", f"etcd {peer.version} (Debian), three members, all at its defaults")
    session.step("millrace", _beside_etcd, session, peer, tries=1)
    session.step("millrace", _alone, session, tries=1)
    session.step("micro", _micro, session)
    for name in ("millrace.killed.ms", "millrace.stopped.ms"):
        quorum_lines.add_percentiles(session.into, name)
    if plan.peers and peer is None:
        session.say("etcd could not be had: its lines are not measured")


def _beside_etcd(session, peer):
    cluster = QuorumCluster(session.programs, os.path.join(session.scratch, "quorum"))
    other = None
    try:
        runs = Runs(session.programs, cluster, session.into)
        other = peer.start() if peer else None
        for number in range(session.plan.rounds):
            session.say(f"side by side, round {number + 1} of {session.plan.rounds}")
            _round(session, runs, other)
    finally:
        cluster.stop()
        if other:
            other.stop()


def _round(session, runs, other):
    plan = session.plan
    probes = machine.Probes(session.programs, session.scratch, session.into, min(1, plan.seconds), 0)
    session.step("probe.network", probes.network)
    session.step("probe.sync3", probes.syncing_together, _SYNCING, plan.seconds / 2)
    for clients in (1, 64):
        processes.settle()
        session.step(f"millrace.changes.{clients}", runs.changes, clients, plan.seconds)
        if other:
            processes.settle()
            session.step(f"etcd.changes.{clients}", _etcd_changes, session, other, clients)
    session.step("millrace.topics", runs.topics, 10, 1000)


def _etcd_changes(session, other, clients):
    command = ["changes", "--target", "etcd", "--clients", str(clients), "--seconds", f"{session.plan.seconds:g}"]
    session.into.note_command(f"etcd.changes.{clients}", " ".join(["quorum_probe", *command, "--address HOST:PORT"]))
    session.into.add_all(f"etcd.changes.{clients}", processes.run_json(
        [session.programs.quorum_probe, *command, "--address", other.leader]))


def _alone(session):
    """What nobody else is measured beside: idleness, then what happens to leaders and followers."""
    plan = session.plan
    folder = os.path.join(session.scratch, "quorum")
    cluster = QuorumCluster(session.programs, folder)
    try:
        runs = Runs(session.programs, cluster, session.into)
        time.sleep(min(3, plan.idle_seconds))
        session.step("millrace.idle", runs.idle, plan.idle_seconds)
        session.step("millrace.flapping", runs.follower_flaps, plan.flaps, tries=1)
        for number in range(plan.kills):
            session.say(f"leader killed, {number + 1} of {plan.kills}")
            session.step("millrace.killed", runs.leader_killed, tries=1)
        for number in range(plan.pauses):
            session.say(f"leader stopped, {number + 1} of {plan.pauses}")
            session.step("millrace.stopped", runs.leader_stopped, tries=1)
    finally:
        cluster.stop()
    peer = session.peer("etcd", lambda: etcd.Etcd(session.cache, session.scratch))
    if peer:
        session.step("etcd.idle", _etcd_idle, session, peer)


def _etcd_idle(session, peer):
    other = peer.start()
    try:
        time.sleep(min(3, session.plan.idle_seconds))
        for percent in other.idle_percent(session.plan.idle_seconds):
            session.into.add("etcd.idle.cpu_percent", percent)
    finally:
        other.stop()


def _micro(session):
    machine.run_micro(session.programs, session.scratch, session.into, session.plan.micro_seconds, only=_MICRO)


def render(measurements, about, duration_s, _folder=None):
    results = lines.judge_all(measurements, quorum_lines.LINES)
    return "\n".join([
        "# Benchmarks of the quorum\n",
        "Made by `tools/bench/quorum.sh`; do not edit. Three controllers, three members of etcd (Debian's) and the client "
        "share one machine and one disk, with etcd's defaults and ours. The client is the same program for both: gRPC in "
        "C++, connections that are kept, one call at a time on each, sent to the leader; it differs in method and bytes "
        "only. Our change sets one config value of a topic and carries a request id, etcd's puts a value of the same "
        "length. Both answer when a majority has the change on disk. All lines compare figures of one run; probes, "
        "Millrace and etcd take turns in rounds, and the best round counts on every side, with the ratio of the medians "
        "beside it in brackets. Kills and stops count each run.\n",
        page.about_table(about, duration_s),
        page.counts(results) + "\n",
        page.table(results) + "\n",
        "## Where the time goes, for what is not met\n", page.where_the_time_goes(results, page.read_notes("quorum_notes.md")),
        "## Raw figures\n",
        "`changes.N`: N clients. `sync3`: 4 KiB appended to a growing file and synced, by three processes at once.\n",
        page.raw_tables(measurements, _TITLES),
        "## Commands\n",
        "`tools/bench/quorum.sh` runs all of this; the single programs, by hand:\n",
        page.commands(measurements)])


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of a quorum of controllers beside etcd.")
    benchmark_run.add_options(parser, "benchmarks_quorum.md", "etcd")
    parser.add_argument("--kills", type=int, help="how often the leader is killed")
    parser.add_argument("--pauses", type=int, help="how often the leader is stopped")
    options = parser.parse_args()
    plan = benchmark_run.planned(options, FULL, QUICK, "kills", "pauses")
    return benchmark_run.run(parser, options, Programs.below, plan, measure, render)


if __name__ == "__main__":
    sys.exit(main())
