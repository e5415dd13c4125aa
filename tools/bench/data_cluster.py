"""Three controllers and three brokers under measurement, with topics that have a copy on every broker."""

import os
import time

import processes
from local_cluster import LocalCluster
from processes import MeasurementError

CONTROLLERS = 3
BROKERS = 3


class DataCluster(LocalCluster):
    """On empty directories; returns at once: await_started."""

    def __init__(self, programs, folder):
        super().__init__(programs, folder, CONTROLLERS, BROKERS)
        self.bootstrap = self.addresses(self.brokers)

    def create_topic(self, name, partitions, **configs):
        settings = {"file_delete_delay_ms": 1000, **configs}
        words = [word for key, value in settings.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        self.ask("topic", "create", name, "--partitions", partitions, "--replication-factor", BROKERS, *words)
        self.await_in_sync(name)

    def delete_topic(self, name):
        self.ask("topic", "delete", name)

    def partitions(self, name, nodes=None):
        """What is known of each partition of a topic; asked of these nodes."""
        return self.ask("topic", "describe", name, nodes=nodes)["topics"][0]["partitions"]

    def await_in_sync(self, name, patience=60):
        """Until every replica of a topic is in sync and somebody leads."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if in_sync(self.partitions(name)):
                return
            time.sleep(0.02)
        raise MeasurementError(f"the replicas of {name} are not in sync after {patience} s")

    def leader_of(self, name):
        return self.partitions(name)[0]["leader"]

    def broker_state(self, broker):
        return next(found["state"] for found in self.ask("cluster", "describe")["brokers"] if found["broker"] == broker)

    def perf(self, *arguments):
        """One run of `millrace perf`, with the CPU of all nodes together as server_cpu_s."""
        before = processes.cpu_seconds_of(self.pids())
        figures = self.ask("perf", *arguments)
        if figures["errors"]:
            raise MeasurementError(f"perf {' '.join(map(str, arguments))}: {figures['errors']} errors")
        figures["server_cpu_s"] = processes.cpu_seconds_of(self.pids()) - before
        return figures

    def log_folders(self, node, topic):
        """Directories of a topic's partitions on a broker, those that wait for their deletion too."""
        logs = os.path.join(self.folder(node), "data", "logs")
        return [os.path.join(logs, name) for name in os.listdir(logs) if name.startswith(topic + "-")]

    def log_bytes(self, node, topic):
        """What the segments of a topic hold on a broker."""
        total = 0
        for folder in self.log_folders(node, topic):
            for name in os.listdir(folder):
                if name.endswith(".log"):
                    total += os.path.getsize(os.path.join(folder, name))
        return total


def in_sync(partitions):
    return all(set(one["isr"]) == set(one["replicas"]) and one["leader"] in one["isr"] for one in partitions)
