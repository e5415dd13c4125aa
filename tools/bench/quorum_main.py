"""Measures a quorum of three controllers beside etcd and the machine's limits, and writes docs/benchmarks_quorum.md.

Usage: quorum_main.py --programs DIR --out FILE [--quick] [--no-peers] [--rounds N] [--kills N] [--pauses N]
                      [--scratch DIR]
       quorum_main.py --render FILE.json --out FILE      the page again, of figures already measured
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time

import lines
import machine
import page
import processes
import quorum_lines
from measurements import Measurements
from peers import etcd
from quorum_cluster import QuorumCluster, Runs
from report_main import Session

_HERE = os.path.dirname(os.path.realpath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_HERE))
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
        for path in dataclasses.astuple(found):
            if not os.path.exists(path):
                raise FileNotFoundError(f"{path} is not built: run tools/bench/quorum.sh")
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
    session.step("probe.network", _network, session)
    session.step("probe.sync3", _syncing_together, session)
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


def _network(session):
    seconds = min(1, session.plan.seconds)
    session.into.note_command("probe.network", f"network_probe --seconds {seconds:g}")
    session.into.add_all("probe.network", processes.run_json(
        [session.programs.network_probe, "--seconds", f"{seconds:g}"]))


def _syncing_together(session):
    """4 KiB appended and synced, again and again, by three processes at once; the median of their medians."""
    command = ["--dir", session.scratch, "--seconds", f"{session.plan.seconds / 2:g}", "--only", "append"]
    session.into.note_command("probe.sync3", "disk_probe " + " ".join(["--dir", "DIR", *command[2:]]) + ", three at once")
    together = processes.run_json_together([
        [session.programs.disk_probe, "--dir", _made(os.path.join(session.scratch, f"sync-{i}")), *command[2:]]
        for i in range(_SYNCING)])
    for key in ("p50_us", "p99_us"):
        session.into.add(f"probe.sync3.{key}", sorted(found["append"][key] for found in together)[_SYNCING // 2])


def _made(folder):
    os.makedirs(folder, exist_ok=True)
    return folder


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


def render(measurements, about, notes, duration_s):
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
        "## Where the time goes, for what is not met\n", page.where_the_time_goes(results, notes),
        "## Raw figures\n",
        "`changes.N`: N clients. `sync3`: 4 KiB appended to a growing file and synced, by three processes at once.\n",
        page.raw_tables(measurements, _TITLES),
        "## Commands\n",
        "`tools/bench/quorum.sh` runs all of this; the single programs, by hand:\n",
        page.commands(measurements)])


def write_page(out, measurements, about, duration_s):
    """The page, and the figures as JSON in a folder beside it."""
    with open(os.path.join(_HERE, "quorum_notes.md"), encoding="utf-8") as file:
        notes = page.parse_notes(file.read())
    folder = os.path.splitext(out)[0]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "figures.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, "duration_s": duration_s, "measurements": json.loads(measurements.to_json())},
                  file, indent=1)
        file.write("\n")
    with open(out, "w", encoding="utf-8") as file:
        file.write(render(measurements, about, notes, duration_s))


def _parse():
    parser = argparse.ArgumentParser(description="Benchmarks of a quorum of controllers beside etcd.")
    parser.add_argument("--programs", help="Bazel's folder of built programs (bazel-bin)")
    parser.add_argument("--out", default=os.path.join(_ROOT, "docs", "benchmarks_quorum.md"), help="the page to write")
    parser.add_argument("--quick", action="store_true", help="one short round, no peers: does it work at all?")
    parser.add_argument("--no-peers", action="store_true", help="leave out etcd")
    parser.add_argument("--rounds", type=int, help="how often latency and throughput are measured")
    parser.add_argument("--kills", type=int, help="how often the leader is killed")
    parser.add_argument("--pauses", type=int, help="how often the leader is stopped")
    parser.add_argument("--scratch", help="folder for all data; must lie on the disk to be measured")
    parser.add_argument("--cache", default=os.path.join(os.path.expanduser("~"), ".cache", "millrace-bench"),
                        help="where etcd's programs are kept")
    parser.add_argument("--render", help="make the page again from a figures.json, without measuring")
    options = parser.parse_args()
    if not options.render and not options.programs:
        parser.error("--programs is needed to measure")
    return options


def main():
    options = _parse()
    if options.render:
        with open(options.render, encoding="utf-8") as file:
            loaded = json.load(file)
        write_page(options.out, Measurements.from_json(json.dumps(loaded["measurements"])), loaded["about"],
                   loaded["duration_s"])
        return 0
    plan = QUICK if options.quick else FULL
    changes = {"rounds": options.rounds, "kills": options.kills, "pauses": options.pauses,
               "peers": False if options.no_peers else None}
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
