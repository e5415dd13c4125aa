"""A quorum of three controllers under measurement: real processes, run by tools/local_cluster.sh."""

import signal
import time

import processes
from local_cluster import LocalCluster
from processes import MeasurementError

_CONTROLLERS = 3


class QuorumCluster(LocalCluster):
    """Controllers 1 to 3 on the loopback, with three registered brokers that have no process."""

    def __init__(self, programs, folder):
        super().__init__(programs, folder, _CONTROLLERS, 0, "--phantom-brokers", "3", "--phantoms",
                         programs.phantom_brokers)
        self.await_started()

    def others(self, node):
        return [other for other in self.nodes() if other != node]

    def create_topic(self, name):
        self.ask("topic", "create", name, "--partitions", "1")

    def restart(self, node):
        """A controller that was killed comes back; returns when it has caught up."""
        if self.is_running(node):
            raise MeasurementError(f"controller {node} runs")
        self.start_missing()
        return self.await_caught_up()

    def idle_percent(self, seconds):
        return processes.idle_percents(self.pids(), seconds)


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
        leader = self._cluster.address(self._cluster.quorum()["leader"])
        self._into.add_all(f"millrace.changes.{clients}", self._probe(
            f"millrace.changes.{clients}", "changes", "--target", "millrace", "--address", leader, "--clients",
            clients, "--seconds", f"{seconds:g}", "--topic", "bench"))

    def topics(self, topics, partitions):
        leader = self._cluster.address(self._cluster.quorum()["leader"])
        self._into.add_all("millrace.topics", self._probe(
            "millrace.topics", "topics", "--address", leader, "--topics", topics, "--partitions", partitions))

    def _next_commit(self, group, leader, number):
        addresses = self._cluster.addresses(self._cluster.others(leader))
        figures = self._probe(group, "next-commit", "--addresses", addresses, "--topic", "bench", "--pid",
                              self._cluster.pid(leader), "--signal", int(number))
        self._into.add(f"{group}.ms", figures["ms"])

    def leader_killed(self):
        """kill -9 of the leader; then it comes back, which must not change who leads."""
        leader = self._cluster.await_caught_up()["leader"]
        self._next_commit("millrace.killed", leader, signal.SIGKILL)
        self._cluster.forget(leader)
        before = self._cluster.quorum(self._cluster.others(leader))["term"]
        after = self._cluster.restart(leader)["term"]
        self._into.add("millrace.rejoin.elections", after - before)

    def leader_stopped(self):
        """SIGSTOP of the leader; then it runs again."""
        leader = self._cluster.await_caught_up()["leader"]
        try:
            self._next_commit("millrace.stopped", leader, signal.SIGSTOP)
            before = self._cluster.quorum(self._cluster.others(leader))["term"]
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
