"""Apache Kafka as a peer: brings its jars, starts one combined node (KRaft), and loads it with its own Java clients.

Nothing is invented: what cannot be had or run raises PeerUnavailable or MeasurementError with the reason.
"""

import json
import os
import shutil
import subprocess
import threading

import processes
from peers.availability import PeerUnavailable, have_program, run_setup
from processes import MeasurementError

VERSION = "4.1.1"
_HERE = os.path.dirname(os.path.realpath(__file__))
_CLUSTER_ID = "bWlsbHJhY2UtYmVuY2gtMA"
_HEAP = ["-Xms1g", "-Xmx1g"]
# What Kafka's start scripts pass to the JVM.
_JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={_HERE}/kafka/log4j2.xml"]


def properties(data_dir, port, controller_port):
    """server.properties of one combined node; the rest are Kafka's defaults for a single server."""
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    return "\n".join([
        "process.roles=broker,controller", "node.id=1",
        f"controller.quorum.voters=1@127.0.0.1:{controller_port}",
        f"listeners={listener},CONTROLLER://127.0.0.1:{controller_port}", f"advertised.listeners={listener}",
        "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        f"log.dirs={data_dir}", "num.network.threads=3", "num.io.threads=8",
        "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1", "share.coordinator.state.topic.replication.factor=1",
        "share.coordinator.state.topic.min.isr=1", ""])


class Kafka:
    """Jars and compiled load generator; makes servers."""

    def __init__(self, cache, scratch):
        for program in ("java", "javac", "mvn"):
            have_program(program, "a JDK of version 17 or later, and Maven")
        self._libs = os.path.join(cache, f"kafka-{VERSION}")
        self._classes = os.path.join(cache, "kafka-load-classes")
        self._scratch = scratch
        if not os.path.exists(os.path.join(self._libs, f"kafka_2.13-{VERSION}.jar")):
            run_setup(["mvn", "-q", "-B", "-f", f"{_HERE}/kafka/pom.xml", "dependency:copy-dependencies",
                       f"-DoutputDirectory={self._libs}"], "Kafka's jars could not be brought with Maven")
        os.makedirs(self._classes, exist_ok=True)
        run_setup(["javac", "-d", self._classes, "-cp", f"{self._libs}/*", f"{_HERE}/kafka/KafkaLoad.java"],
                  "the load generator could not be compiled")

    def java(self, heap):
        return ["java", *heap, *_JVM, "-cp", f"{self._libs}/*:{self._classes}"]

    def format(self):
        """A fresh, formatted server, not started."""
        return KafkaServer(self, os.path.join(self._scratch, "kafka"))

    def load(self):
        return Load(self, os.path.join(self._scratch, "kafka-load.log"))


class KafkaServer:
    """One combined node."""

    def __init__(self, kafka, folder):
        self._kafka = kafka
        self._folder = folder
        self._process = None
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        port = processes.free_port()
        self.address = f"127.0.0.1:{port}"
        self._properties = os.path.join(folder, "server.properties")
        with open(self._properties, "w", encoding="utf-8") as file:
            file.write(properties(os.path.join(folder, "data"), port, processes.free_port()))
        run_setup([*kafka.java(["-Xmx256m", "-XX:TieredStopAtLevel=1"]), "kafka.tools.StorageTool", "format",
                   "-t", _CLUSTER_ID, "-c", self._properties], "Kafka's storage could not be formatted")

    def start(self):
        with open(os.path.join(self._folder, "log"), "wb") as log:
            self._process = subprocess.Popen([*self._kafka.java(_HEAP), "kafka.Kafka", self._properties],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        """At once: nothing of it is needed any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


class Load:
    """The one long-lived JVM of clients."""

    def __init__(self, kafka, log_path, patience=300):
        self._patience = patience
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen([*kafka.java(["-Xmx1g"]), "KafkaLoad"], stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=log, text=True)

    def run(self, *command):
        """The answer to one command. Raises MeasurementError if it failed or took too long."""
        text = " ".join(map(str, command))
        watchdog = threading.Timer(self._patience, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError as error:
            raise MeasurementError(f"Kafka's clients ended before '{text}'") from error
        finally:
            watchdog.cancel()
        if not answer:
            raise MeasurementError(f"Kafka's clients ended, or took more than {self._patience} s, in '{text}'")
        figures = json.loads(answer)
        if "error" in figures:
            raise MeasurementError(f"'{text}' failed: {figures['error']}")
        return figures

    def stop(self):
        self._process.kill()
        self._process.wait()


class Runs:
    """Figures of one Kafka server, into `into`, under the names that lines.py asks for."""

    def __init__(self, server, load, into, scale):
        self._server = server
        self._load = load
        self._into = into
        self._scale = scale
        self._topics = 0

    def _records(self, full):
        return max(200, int(full * self._scale))

    def _topic(self, partitions, *configs):
        self._topics += 1
        name = f"bench-{self._topics}"
        self._run("create", name, partitions, "file.delete.delay.ms=1000", *configs)
        return name

    def _run(self, command, *arguments):
        return self._load.run(command, self._server.address, *arguments)

    def _throughput(self, group, size, *command):
        self._into.note_command(f"kafka.{group}", "KafkaLoad: " + " ".join(
            "TOPIC" if str(word).startswith("bench-") else str(word) for word in command))
        before = processes.cpu_seconds(self._server.pid)
        figures = self._run(*command)
        gb = figures.pop("records") * size / 1e9
        figures["server_cpu_s_per_gb"] = (processes.cpu_seconds(self._server.pid) - before) / gb
        figures["client_cpu_s_per_gb"] = figures.pop("client_cpu_s") / gb
        return figures

    def warm_up(self):
        """Load whose figures nobody keeps, so that all that follows meets compiled code."""
        topic = self._topic(6)
        for size, records in ((100, 3_000_000), (1024, 300_000)):
            for command in ("produce", "lean"):
                self._run(command, topic, self._records(records), size)
        self._run("consume", topic, self._records(3_000_000) + self._records(300_000))
        self._run("delete", topic)
        topic = self._topic(1)
        self._run("rate", topic, self._records(20_000), 1024, 5000)
        self._run("e2e", topic, self._records(3000), 100)
        self._run("delete", topic)

    def produce_and_consume(self, size):
        topic = self._topic(6)
        records = self._records({100: 4_000_000, 1024: 600_000, 10240: 60_000}[size])
        self._into.add_all(f"kafka.produce.{size}",
                           self._throughput(f"produce.{size}", size, "produce", topic, records, size))
        self._into.add_all(f"kafka.consume.{size}",
                           self._throughput(f"consume.{size}", size, "consume", topic, records))
        self._into.add_all(f"kafka.lean.{size}",
                           self._throughput(f"lean.{size}", size, "lean", topic, records, size))
        self._run("delete", topic)

    def synced(self):
        topic = self._topic(6, "flush.messages=1")
        self._into.add_all("kafka.synced.1024", self._throughput(
            "synced.1024", 1024, "produce", topic, self._records(120_000), 1024))
        self._run("delete", topic)

    def fixed_rate(self):
        topic = self._topic(1)
        self._into.note_command("kafka.rate", "KafkaLoad: rate TOPIC 50000 1024 5000")
        self._into.add_all("kafka.rate", self._run("rate", topic, self._records(50_000), 1024, 5000))
        self._run("delete", topic)

    def end_to_end(self):
        topic = self._topic(1)
        self._into.note_command("kafka.e2e", "KafkaLoad: e2e TOPIC 8000 100")
        self._into.add_all("kafka.e2e", self._run("e2e", topic, self._records(8000), 100))
        self._run("delete", topic)

    def idle(self, seconds):
        self._into.add_all("kafka.idle", processes.memory_and_threads(self._server.pid))
        self._into.add("kafka.idle.cpu_percent", processes.idle_percent(self._server.pid, seconds))


__all__ = ["Kafka", "KafkaServer", "Load", "PeerUnavailable", "Runs", "VERSION", "properties"]
