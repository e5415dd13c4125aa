"""What is measured of a cluster of three controllers and three brokers: throughput, latency, and what it costs when idle."""

import os
import signal
import subprocess
import time

import processes
from data_cluster import BROKERS
from millrace_runs import latency_figures_us, throughput_figures
from processes import MeasurementError

DURABILITIES = ("replicated", "durable")
_PRODUCED = {100: 2_000_000, 1024: 300_000}
_RATE = 2000
# What a follower that was away lacks.
_CATCH_UP_RECORDS = 600_000
_LOAD_RATE = 2000
_DELETE_DELAY_MS = 1000


class Runs:
    """Figures of one cluster, into `into` (Measurements). `scale` shrinks the number of records."""

    def __init__(self, programs, cluster, into, scale):
        self._programs = programs
        self._cluster = cluster
        self._into = into
        self._scale = scale
        self._topics = 0

    def _records(self, full, least=200):
        return max(least, int(full * self._scale))

    def _topic(self, partitions, **configs):
        self._topics += 1
        name = f"bench-{self._topics}"
        self._cluster.create_topic(name, partitions, **configs)
        return name

    def _note(self, group, *words):
        self._into.note_command(group, " ".join("TOPIC" if str(w).startswith("bench-") else str(w) for w in words))

    def _perf(self, group, *arguments):
        self._note(group, "millrace perf", *arguments)
        return self._cluster.perf(*arguments)

    def _probe(self, group, what, *arguments):
        """A measurement of client_probe."""
        self._note(group, "client_probe", what, "--bootstrap HOST:PORT,...", *arguments)
        return processes.run_json([self._programs.client_probe, what, "--bootstrap", self._cluster.bootstrap,
                                   *map(str, arguments)])

    # ---- Under load. ----

    def produce(self, durability, size):
        """Flat out to 6 partitions."""
        topic = self._topic(6, durability=durability)
        group = f"millrace.produce.{durability}.{size}"
        figures = self._perf(group, "produce", topic, "--records", self._records(_PRODUCED[size]), "--size", size)
        self._into.add_all(group, throughput_figures(figures, size))
        self._cluster.delete_topic(topic)

    def one_in_flight(self, durability):
        topic = self._topic(1, durability=durability)
        self._into.add_all(f"millrace.one.{durability}", self._probe(
            "millrace.one", "one-in-flight", "--topic", topic, "--records", self._records(3000)))
        self._cluster.delete_topic(topic)

    def fixed_rate(self, durability):
        topic = self._topic(1, durability=durability)
        figures = self._perf("millrace.rate", "produce", topic, "--records", self._records(8 * _RATE), "--size", 1024,
                             "--rate", _RATE, "--linger-ms", 0)
        self._into.add_all(f"millrace.rate.{durability}", latency_figures_us(figures))
        self._cluster.delete_topic(topic)

    def end_to_end(self, durability):
        topic = self._topic(1, durability=durability)
        figures = self._perf("millrace.e2e", "e2e", topic, "--records", self._records(2000), "--size", 100,
                             "--rate", 0)
        self._into.add_all(f"millrace.e2e.{durability}", latency_figures_us(figures))
        self._cluster.delete_topic(topic)

    def idempotence(self, pairs):
        """The same load with and without, in turn, each at its best and in the middle."""
        topic = self._topic(6, durability="replicated")
        for number in range(pairs):
            # Nobody is always the second.
            for value in ("true", "false") if number % 2 else ("false", "true"):
                figures = self._perf("millrace.idempotence", "produce", topic, "--records",
                                     self._records(_PRODUCED[100] // 2), "--size", 100, "--property",
                                     f"enable.idempotence={value}")
                self._into.add(f"millrace.idempotence.{value}.records_per_s", figures["records_per_s"])
        self._cluster.delete_topic(topic)

    # ---- Without load. ----

    def idle(self, seconds):
        """CPU and memory of all nodes together."""
        pids = self._cluster.pids()
        self._into.add("millrace.idle.cpu_percent", sum(processes.idle_percents(pids, seconds)))
        self._into.add_all("millrace.idle", processes.memory_and_threads_of(pids))

    def many_partitions(self, partitions, idle_seconds=0):
        """A topic of many is made, and deleted; between the two, if asked for, what it costs when nothing is done."""
        pids = [self._cluster.pid(broker) for broker in self._cluster.brokers]
        before = self._costs(pids, idle_seconds) if idle_seconds else None
        self._topics += 1
        topic = f"bench-{self._topics}"
        self._into.add_all("millrace.many", self._probe(
            "millrace.many", "many-partitions", "--topic", topic, "--partitions", partitions, "--replicas", BROKERS,
            "--delete-delay-ms", _DELETE_DELAY_MS))
        self._cluster.await_in_sync(topic)
        if before:
            time.sleep(min(3, idle_seconds))
            self._into.add_all("millrace.idle_partitions", worst_increase(before, self._costs(pids, idle_seconds)))
        begin = time.monotonic()
        self._cluster.delete_topic(topic)
        while any(self._cluster.log_folders(broker, topic) for broker in self._cluster.brokers):
            if time.monotonic() - begin > 60:
                raise MeasurementError("directories of a deleted topic are left after a minute")
            time.sleep(0.02)
        self._into.add("millrace.many.gone_s", time.monotonic() - begin)

    @staticmethod
    def _costs(pids, seconds):
        cpu = processes.idle_percents(pids, seconds)
        return [{"cpu_percent": percent, "rss_mib": processes.memory_and_threads(pid)["rss_mib"]}
                for pid, percent in zip(pids, cpu)]

    # ---- A follower that was away. ----

    def catch_up(self, loaded):
        """A broker is away while records come, and comes back: how fast it has them; `loaded`: and what others notice."""
        topic = self._topic(6, durability="replicated")
        group = f"millrace.catch_up.{'loaded' if loaded else 'alone'}"
        away = self._cluster.brokers[-1]
        self._note(group, "kill -9 of a broker; millrace perf produce TOPIC --size 1024 --records",
                   self._records(_CATCH_UP_RECORDS), "; then it comes back")
        if loaded:
            self._into.add_all(f"{group}.before", self._paced(topic, group, lambda: time.sleep(max(0.5, 4 * self._scale))))
        self._cluster.kill(away)
        try:
            self._cluster.ask("perf", "produce", topic, "--size", 1024, "--records", self._records(_CATCH_UP_RECORDS, 2000))
            # What is written back falls into nobody's figures.
            processes.settle()
        except MeasurementError:
            self._cluster.start_missing()
            raise

        def back():
            # While the script waits until it answers, it copies already.
            had = self._cluster.log_bytes(away, topic)
            starting = self._cluster.start_missing_in_background()
            begin = _first_growth(lambda: self._cluster.log_bytes(away, topic), had)
            self._cluster.await_in_sync(topic, patience=120)
            copied = self._cluster.log_bytes(away, topic) - had
            self._into.add(f"{group}.bytes_per_s", copied / (time.monotonic() - begin))
            starting()
        if loaded:
            self._into.add_all(f"{group}.during", self._paced(topic, group, back))
        else:
            back()
        self._cluster.delete_topic(topic)

    def _paced(self, topic, group, meanwhile):
        """Percentiles of a steady load while something else is done."""
        command = ["paced", "--topic", topic, "--rate", str(_LOAD_RATE), "--size", "1024"]
        self._note(f"{group}.load", "client_probe", *command, "--bootstrap HOST:PORT,...")
        with subprocess.Popen([self._programs.client_probe, *command, "--bootstrap", self._cluster.bootstrap],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as load:
            try:
                meanwhile()
            finally:
                load.send_signal(signal.SIGTERM)
            said, complaints = load.communicate(timeout=60)
        if load.returncode:
            raise MeasurementError(f"client_probe paced ended with {load.returncode}: {complaints.strip()[-300:]}")
        return processes.last_json(said)


def _first_growth(size, had, patience=30):
    """When a log began to grow."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        begin = time.monotonic()
        if size() > had:
            return begin
        time.sleep(0.002)
    raise MeasurementError("the broker that came back copies nothing")


def worst_increase(before, after):
    """By figure, the largest increase of any process."""
    return {key: max(now[key] - then[key] for then, now in zip(before, after)) for key in before[0]}


def first_record(programs, cluster, into):
    """From the start of all nodes on empty directories until a record is acknowledged by all."""
    into.note_command("millrace.start", "local_cluster.sh start; client_probe cluster-first-ack --bootstrap HOST:PORT,... "
                                        f"--replicas {BROKERS} --since SECONDS")
    into.add_all("millrace.start", processes.run_json(
        [programs.client_probe, "cluster-first-ack", "--bootstrap", cluster.bootstrap, "--replicas", str(BROKERS),
         "--since", f"{cluster.begun_s:.6f}"]))
