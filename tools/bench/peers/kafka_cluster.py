"""Kafka with three controllers and three brokers: what kafka.py measures of one node, and what befalls a cluster."""

import signal
import time

import processes
from peers import kafka

CONTROLLERS = 3
BROKERS = 3
# Longer than a session of a broker (9 s) and what follows it.
_LONGEST_OUTAGE_S = 18
# With its default of 30 s the client waits that long for a leader that is stopped.
_REQUEST_TIMEOUT = "request.timeout.ms=2000"


class Runs(kafka.Runs):
    """Three replicas of everything, of which two must have a record."""

    produced = {100: 400_000, 1024: 100_000}
    warming = {100: 300_000, 1024: 60_000}
    rate = 2000
    at_rate = 16_000
    one_at_a_time = 2000

    def _gap(self, kind, number, seconds, *settings):
        """A broker that leads is sent a signal under load; returns its number."""
        topic = self._topic(1)
        victim = int(self._run("leader", topic)["leader"])
        self._into.note_command(f"kafka.gap.{kind}", " ".join(
            ["KafkaLoad: gap TOPIC 1000", str(seconds), "PID", str(int(number)), *settings]))
        figures = self._run("gap", topic, 1000, seconds, self._servers.pid_of(victim), int(number), *settings)
        self._into.add(f"kafka.gap.{kind}.ms", figures["longest_gap_ms"])
        self._into.add(f"kafka.gap.{kind}.failed", figures["failed"])
        return victim

    def leader_killed(self):
        self._come_back(self._gap("kill", signal.SIGKILL, _LONGEST_OUTAGE_S))

    def leader_shut_down(self):
        self._come_back(self._gap("shutdown", signal.SIGTERM, 6))

    def leader_stopped(self):
        victim = self._gap("stop", signal.SIGSTOP, _LONGEST_OUTAGE_S, _REQUEST_TIMEOUT)
        processes.resume(self._servers.pid_of(victim))
        self._run("await-in-sync", BROKERS)

    def _come_back(self, number):
        self._servers.start_node(number)
        self._run("await-in-sync", BROKERS)

    def controller_killed(self):
        """Until a topic can be made."""
        victim = int(self._run("controller")["controller"])
        self._topics += 1
        self._into.note_command("kafka.next_topic", "KafkaLoad: next-topic TOPIC PID")
        self._into.add("kafka.next_topic.ms", self._run(
            "next-topic", f"next-{self._topics}", self._servers.pid_of(victim))["ms"])
        self._servers.start_node(victim)
        # Nothing tells a client whether a controller is back.
        time.sleep(5)

    def many_partitions(self, partitions):
        self._topics += 1
        self._into.note_command("kafka.many", f"KafkaLoad: many TOPIC {partitions}")
        self._into.add_all("kafka.many", self._run("many", f"many-{self._topics}", partitions))
