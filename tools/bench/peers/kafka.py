"""Apache Kafka as a peer: brings its jars, starts nodes (KRaft), and loads them with its own Java clients.

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


class Node:
    """Where a node is, and its roles ("broker", "controller")."""

    def __init__(self, number, roles):
        self.number = number
        self.roles = roles
        self.port = processes.free_port() if "broker" in roles else 0
        self.controller_port = processes.free_port() if "controller" in roles else 0


def properties(data_dir, node, nodes):
    """server.properties of one of these nodes; the rest are what the file that Kafka ships says, or its defaults."""
    replicas = sum("broker" in other.roles for other in nodes)
    min_in_sync = max(1, replicas - 1)
    client = f"PLAINTEXT://127.0.0.1:{node.port}"
    listeners = ([client] if node.port else []) + (
        [f"CONTROLLER://127.0.0.1:{node.controller_port}"] if node.controller_port else [])
    voters = ",".join(f"{other.number}@127.0.0.1:{other.controller_port}" for other in nodes if other.controller_port)
    return "\n".join([
        f"process.roles={','.join(node.roles)}", f"node.id={node.number}", f"controller.quorum.voters={voters}",
        f"listeners={','.join(listeners)}", *([f"advertised.listeners={client}"] if node.port else []),
        "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        f"log.dirs={data_dir}", "num.network.threads=3", "num.io.threads=8",
        f"default.replication.factor={replicas}", f"min.insync.replicas={min_in_sync}",
        f"offsets.topic.replication.factor={replicas}", f"transaction.state.log.replication.factor={replicas}",
        f"transaction.state.log.min.isr={min_in_sync}", f"share.coordinator.state.topic.replication.factor={replicas}",
        f"share.coordinator.state.topic.min.isr={min_in_sync}", ""])


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
        run_setup(["javac", "-d", self._classes, "-cp", f"{self._libs}/*",
                   *(f"{_HERE}/kafka/{name}.java" for name in ("KafkaLoad", "KafkaClusterLoad"))],
                  "the load generator could not be compiled")

    def java(self, heap):
        return ["java", *heap, *_JVM, "-cp", f"{self._libs}/*:{self._classes}"]

    def format(self, controllers=0, brokers=0):
        """Fresh, formatted servers, not started: one that is both, or so many of each."""
        nodes = [Node(number + 1, ["controller"]) for number in range(controllers)]
        nodes += [Node(number + controllers + 1, ["broker"]) for number in range(brokers)]
        return KafkaServers(self, os.path.join(self._scratch, "kafka"), nodes or [Node(1, ["broker", "controller"])])

    def load(self):
        return Load(self, os.path.join(self._scratch, "kafka-load.log"))


class KafkaServers:
    """All nodes of one Kafka."""

    def __init__(self, kafka, folder, nodes):
        self._kafka = kafka
        self._folder = folder
        self._nodes = {node.number: node for node in nodes}
        self._processes = {}
        shutil.rmtree(folder, ignore_errors=True)
        self.address = ",".join(f"127.0.0.1:{node.port}" for node in nodes if node.port)
        for node in nodes:
            home = self._home(node.number)
            os.makedirs(home)
            with open(self._properties(node.number), "w", encoding="utf-8") as file:
                file.write(properties(os.path.join(home, "data"), node, nodes))
            run_setup([*kafka.java(["-Xmx256m", "-XX:TieredStopAtLevel=1"]), "kafka.tools.StorageTool", "format",
                       "-t", _CLUSTER_ID, "-c", self._properties(node.number)], "Kafka's storage could not be formatted")

    def _home(self, number):
        return os.path.join(self._folder, f"n{number}")

    def _properties(self, number):
        return os.path.join(self._home(number), "server.properties")

    def start(self):
        for number in self._nodes:
            self.start_node(number)

    def start_node(self, number):
        """Also of one that has ended."""
        if number in self._processes:
            self._processes.pop(number).wait(timeout=60)
        with open(os.path.join(self._home(number), "log"), "ab") as log:
            self._processes[number] = subprocess.Popen(
                [*self._kafka.java(_HEAP), "kafka.Kafka", self._properties(number)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pid_of(self, number):
        return self._processes[number].pid

    @property
    def pids(self):
        return [process.pid for process in self._processes.values()]

    @property
    def brokers(self):
        return sum("broker" in node.roles for node in self._nodes.values())

    def stop(self):
        """At once: nothing of it is needed any more."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._processes = {}
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
    """Figures of Kafka servers, into `into`, under the names that lines.py asks for."""

    produced = {100: 4_000_000, 1024: 600_000, 10240: 60_000}
    warming = {100: 3_000_000, 1024: 300_000}
    rate = 5000
    at_rate = 50_000
    one_at_a_time = 8000

    def __init__(self, servers, load, into, scale):
        self._servers = servers
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
        return self._load.run(command, self._servers.address, *arguments)

    def _throughput(self, group, size, *command):
        self._into.note_command(f"kafka.{group}", "KafkaLoad: " + " ".join(
            "TOPIC" if str(word).startswith("bench-") else str(word) for word in command))
        before = processes.cpu_seconds_of(self._servers.pids)
        figures = self._run(*command)
        gb = figures.pop("records") * size / 1e9
        figures["server_cpu_s_per_gb"] = (processes.cpu_seconds_of(self._servers.pids) - before) / gb
        figures["client_cpu_s_per_gb"] = figures.pop("client_cpu_s") / gb
        return figures

    def warm_up(self):
        """Load whose figures nobody keeps, so that all that follows meets compiled code."""
        topic = self._topic(6)
        for size, records in self.warming.items():
            for command in ("produce", "lean"):
                self._run(command, topic, self._records(records), size)
        self._run("consume", topic, sum(self._records(records) for records in self.warming.values()))
        self._run("delete", topic)
        topic = self._topic(1)
        self._run("rate", topic, self._records(4 * self.rate), 1024, self.rate)
        self._run("e2e", topic, self._records(3 * self.one_at_a_time // 8), 100)
        self._run("delete", topic)

    def produce_and_consume(self, size):
        self._flat_out(size, ("produce", "consume", "lean"))

    def produce(self, size):
        self._flat_out(size, ("produce", "lean"))

    def _flat_out(self, size, commands):
        topic = self._topic(6)
        records = self._records(self.produced[size])
        for command in commands:
            arguments = (records,) if command == "consume" else (records, size)
            self._into.add_all(f"kafka.{command}.{size}",
                               self._throughput(f"{command}.{size}", size, command, topic, *arguments))
        self._run("delete", topic)

    def synced(self):
        topic = self._topic(6, "flush.messages=1")
        self._into.add_all("kafka.synced.1024", self._throughput(
            "synced.1024", 1024, "produce", topic, self._records(120_000), 1024))
        self._run("delete", topic)

    def fixed_rate(self):
        topic = self._topic(1)
        self._into.note_command("kafka.rate", f"KafkaLoad: rate TOPIC {self.at_rate} 1024 {self.rate}")
        self._into.add_all("kafka.rate", self._run("rate", topic, self._records(self.at_rate), 1024, self.rate))
        self._run("delete", topic)

    def end_to_end(self):
        topic = self._topic(1)
        self._into.note_command("kafka.e2e", f"KafkaLoad: e2e TOPIC {self.one_at_a_time} 100")
        self._into.add_all("kafka.e2e", self._run("e2e", topic, self._records(self.one_at_a_time), 100))
        self._run("delete", topic)

    def idle(self, seconds):
        self._into.add_all("kafka.idle", processes.memory_and_threads_of(self._servers.pids))
        self._into.add("kafka.idle.cpu_percent", sum(processes.idle_percents(self._servers.pids, seconds)))


__all__ = ["Kafka", "KafkaServers", "Load", "Node", "PeerUnavailable", "Runs", "VERSION", "properties"]
