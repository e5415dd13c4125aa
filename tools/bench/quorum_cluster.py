"""A quorum of three controllers under measurement: real processes, run by tools/local_cluster.sh."""

import os
import random
import shutil
import signal
import subprocess
import time

import processes
from processes import MeasurementError

_CONTROLLERS = 3
_SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "local_cluster.sh")


class QuorumCluster:
    """Controllers 1 to 3 on the loopback, with three registered brokers that have no process."""

    def __init__(self, programs, folder):
        self._programs = programs
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        # The script takes its ports in a row.
        self._base_port = random.randrange(21000, 31000)
        self._run("start", "--controllers", str(_CONTROLLERS), "--brokers", "0", "--phantom-brokers", "3",
                  "--base-port", str(self._base_port), "--millrace", programs.millrace, "--phantoms", programs.phantom_brokers)

    def _run(self, *arguments):
        done = subprocess.run([_SCRIPT, *arguments, "--data-dir", self._folder], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise MeasurementError(f"local_cluster.sh {arguments[0]} failed: {done.stderr.strip()[-500:]}")

    def address(self, node):
        return f"127.0.0.1:{self._base_port + node - 1}"

    def pid(self, node):
        with open(os.path.join(self._folder, f"node-{node}", "pid"), encoding="utf-8") as file:
            return int(file.read())

    def nodes(self):
        return range(1, _CONTROLLERS + 1)

    def others(self, node):
        return [other for other in self.nodes() if other != node]

    def describe(self, nodes=None):
        """{leader, term, members...} as the quorum says."""
        bootstrap = ",".join(self.address(node) for node in nodes or self.nodes())
        return processes.run_json([self._programs.millrace, "quorum", "describe", "--timeout", "10", "--bootstrap",
                                   bootstrap, "-o", "json"])

    def leader(self):
        return self.describe()["leader"]

    def create_topic(self, name):
        processes.run_json([self._programs.millrace, "topic", "create", name, "--partitions", "1", "--bootstrap",
                            self.address(1), "-o", "json"])

    def restart(self, node):
        """A controller that was killed comes back; returns when it has caught up."""
        if self._is_running(node):
            raise MeasurementError(f"controller {node} runs")
        self._run("start")
        return self.await_caught_up()

    def _is_running(self, node):
        try:
            return os.path.exists(f"/proc/{self.pid(node)}")
        except FileNotFoundError:
            return False

    def await_caught_up(self, patience=30):
        """Returns what the quorum says once no member lacks anything."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            quorum = self.describe()
            if all(member["lag"] == 0 and member["state"] != "probe" for member in quorum["members"]):
                return quorum
            time.sleep(0.05)
        raise MeasurementError("a controller does not catch up")

    def kill(self, node):
        self._run("kill", str(node))

    def signal(self, node, number):
        os.kill(self.pid(node), number)

    def forget(self, node):
        """The probe has killed it: its process id means nothing any more."""
        path = os.path.join(self._folder, f"node-{node}", "pid")
        deadline = time.monotonic() + 5
        while self._is_running(node) and time.monotonic() < deadline:
            time.sleep(0.01)
        if os.path.exists(path):
            os.unlink(path)

    def idle_percent(self, seconds):
        return processes.idle_percents([self.pid(node) for node in self.nodes()], seconds)

    def stop(self):
        for node in self.nodes():
            if self._is_running(node):
                self.signal(node, signal.SIGCONT)
        try:
            self._run("stop")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


class Runs:
    """Figures of one quorum, into `into`."""

    def __init__(self, programs, cluster, into):
        self._programs = programs
        self._cluster = cluster
        self._into = into
        cluster.create_topic("bench")

    def _probe(self, group, *arguments):
        command = ["quorum_probe", *map(str, arguments)]
        self._into.note_command(group, " ".join("HOST:PORT" if word.startswith("127.") else word for word in command))
        return processes.run_json([self._programs.quorum_probe, *command[1:]])

    def changes(self, clients, seconds):
        leader = self._cluster.address(self._cluster.leader())
        self._into.add_all(f"millrace.changes.{clients}", self._probe(
            f"millrace.changes.{clients}", "changes", "--target", "millrace", "--address", leader, "--clients",
            clients, "--seconds", f"{seconds:g}", "--topic", "bench"))

    def topics(self, topics, partitions):
        leader = self._cluster.address(self._cluster.leader())
        self._into.add_all("millrace.topics", self._probe(
            "millrace.topics", "topics", "--address", leader, "--topics", topics, "--partitions", partitions))

    def _next_commit(self, group, leader, number):
        addresses = ",".join(self._cluster.address(node) for node in self._cluster.others(leader))
        figures = self._probe(group, "next-commit", "--addresses", addresses, "--topic", "bench", "--pid",
                              self._cluster.pid(leader), "--signal", int(number))
        self._into.add(f"{group}.ms", figures["ms"])

    def leader_killed(self):
        """kill -9 of the leader; then it comes back, which must not change who leads."""
        leader = self._cluster.await_caught_up()["leader"]
        self._next_commit("millrace.killed", leader, signal.SIGKILL)
        self._cluster.forget(leader)
        before = self._cluster.describe(self._cluster.others(leader))["term"]
        after = self._cluster.restart(leader)["term"]
        self._into.add("millrace.rejoin.elections", after - before)

    def leader_stopped(self):
        """SIGSTOP of the leader; then it runs again."""
        leader = self._cluster.await_caught_up()["leader"]
        try:
            self._next_commit("millrace.stopped", leader, signal.SIGSTOP)
            before = self._cluster.describe(self._cluster.others(leader))["term"]
        finally:
            self._cluster.signal(leader, signal.SIGCONT)
        time.sleep(1.5)
        self._into.add("millrace.rejoin.elections", self._cluster.await_caught_up()["term"] - before)

    def follower_flaps(self, times):
        """A follower is killed and comes back, and is paused for longer than an election takes, again and again."""
        before = self._cluster.await_caught_up()
        follower = self._cluster.others(before["leader"])[0]
        for _ in range(times):
            self._cluster.kill(follower)
            self._cluster.restart(follower)
            self._cluster.signal(follower, signal.SIGSTOP)
            time.sleep(1.5)
            self._cluster.signal(follower, signal.SIGCONT)
            time.sleep(0.3)
        self._into.add("millrace.flapping.elections", self._cluster.await_caught_up()["term"] - before["term"])

    def idle(self, seconds):
        for percent in self._cluster.idle_percent(seconds):
            self._into.add("millrace.idle.cpu_percent", percent)
