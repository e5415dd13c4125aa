"""What is measured of a cluster while nodes of it are killed, stopped and shut down: the longest time without an answer."""

import signal
import subprocess
import time

import processes
from processes import MeasurementError

_RATE = 1000
# Before something happens, so that all connections are there.
_WARM_S = 1.2


class Faults:
    """Of one cluster, into `into`. Each fault is over, and everything in sync, when its function returns."""

    def __init__(self, programs, cluster, into):
        self._programs = programs
        self._cluster = cluster
        self._into = into
        self._topics = 0

    def _topic(self):
        self._topics += 1
        name = f"fault-{self._topics}"
        self._cluster.create_topic(name, 1)
        return name

    def leader_killed(self):
        def kill(leader):
            self._cluster.kill(leader)
        self._gap("kill", 1.5, kill, lambda leader: self._cluster.start_missing())

    def leader_shut_down(self):
        def stop(leader):
            self._cluster.run("stop", str(leader))
        self._gap("shutdown", 1.5, stop, lambda leader: self._cluster.start_missing())

    def leader_stopped(self):
        def pause(leader):
            self._cluster.signal(leader, signal.SIGSTOP)

        def resume(leader):
            processes.resume(self._cluster.pid(leader))
        self._gap("stop", 6, pause, resume)

    def _gap(self, kind, seconds, fault, repair):
        """A fault that befalls the leader of a partition under load; `seconds` more of load."""
        topic = self._topic()
        leader = self._cluster.leader_of(topic)
        command = ["--topic", topic, "--rate", str(_RATE), "--seconds", f"{_WARM_S + seconds:g}"]
        self._into.note_command(f"millrace.gap.{kind}", " ".join(["delivery_check", *command[2:], "--topic TOPIC"]))
        checking = subprocess.Popen([self._programs.delivery_check, *command, "--bootstrap", self._cluster.bootstrap],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            time.sleep(_WARM_S)
            fault(leader)
            said, complaints = checking.communicate(timeout=120)
        finally:
            checking.kill()
            repair(leader)
        if checking.returncode:
            raise MeasurementError(f"after '{kind}' the records are not what was acknowledged: {said} {complaints[-300:]}")
        report = processes.last_json(said)
        self._into.add(f"millrace.gap.{kind}.ms", report["longest_partition_gap_ms"])
        self._into.add(f"millrace.gap.{kind}.failed", sum(report["failed"].values()))
        self._cluster.await_in_sync(topic)
        self._cluster.delete_topic(topic)

    def controller_killed(self, seconds):
        """The active one; meanwhile records are sent and read at a steady rate, before that without any fault."""
        topic = self._topic()
        quiet = self._flow(topic, seconds)
        self._into.add("millrace.controller.undisturbed_ms", quiet.wait())
        victim = self._cluster.await_caught_up()["leader"]
        flow = self._flow(topic, seconds)
        time.sleep(0.5)
        command = ["next-topic", "--topic", f"{topic}-next", "--replicas", "3"]
        self._into.note_command("millrace.controller", " ".join(["client_probe", *command, "--pid PID"]))
        try:
            made = processes.run_json([self._programs.client_probe, *command, "--bootstrap", self._cluster.bootstrap,
                                       "--pid", str(self._cluster.pid(victim))])
            longest = flow.wait()
        finally:
            flow.end()
            self._cluster.forget(victim)
            self._cluster.start_missing()
            self._cluster.await_caught_up()
        self._into.add("millrace.controller.topic_ms", made["ms"])
        self._into.add("millrace.controller.longest_ms", longest)
        self._cluster.delete_topic(topic)

    def _flow(self, topic, seconds):
        return Flow([self._programs.millrace, "perf", "e2e", topic, "--rate", "500", "--records",
                     str(int(500 * seconds)), "--bootstrap", self._cluster.bootstrap, "-o", "json"])


class Flow:
    """`millrace perf e2e` in the background: how long the slowest record took from when it was due until it was read."""

    def __init__(self, command):
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)

    def wait(self):
        """In ms. Raises MeasurementError if anything failed."""
        said, complaints = self._process.communicate(timeout=120)
        if self._process.returncode:
            raise MeasurementError(f"perf e2e ended with {self._process.returncode}: {complaints.strip()[-300:]}")
        figures = processes.last_json(said)
        if figures["errors"]:
            raise MeasurementError(f"perf e2e: {figures['errors']} records failed")
        return figures["latency_ms"]["max"]

    def end(self):
        self._process.kill()
        self._process.communicate()
