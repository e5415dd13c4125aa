"""NATS JetStream (file storage, one server or a cluster) as a peer: built from the Go module proxy, with its Go client."""

import os
import shutil

import processes
from peers.availability import have_program, run_setup

VERSION = "2.15.2"
_HERE = os.path.dirname(os.path.realpath(__file__))


def configuration(folder, port, name="", cluster_port=0, routes=()):
    """JetStream on files, all else at its defaults: an acknowledgement is no sync. With `routes`, one of a cluster."""
    text = f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data" }}\n'
    if routes:
        others = ", ".join(f"nats://127.0.0.1:{route}" for route in routes)
        text += (f'server_name: {name}\n'
                 f'cluster {{ name: bench, listen: "127.0.0.1:{cluster_port}", routes: [{others}] }}\n')
    return text


class Nats:
    """Built programs; makes servers."""

    def __init__(self, cache, scratch):
        have_program("go", "the Go toolchain")
        self._scratch = scratch
        self._server_program = os.path.join(cache, f"nats-server-{VERSION}")
        self._load_program = os.path.join(cache, "nats-load")
        environment = {**os.environ, "GOBIN": cache, "GOFLAGS": "-mod=mod"}
        if not os.path.exists(self._server_program):
            run_setup(["go", "install", f"github.com/nats-io/nats-server/v2@v{VERSION}"],
                      "nats-server could not be built", environment=environment, folder=scratch)
            os.rename(os.path.join(cache, "nats-server"), self._server_program)
        run_setup(["go", "build", "-o", self._load_program, "."], "NATS's load generator could not be built",
                  folder=os.path.join(_HERE, "nats"))

    def start(self, servers=1):
        """One server, or a cluster of them, on empty directories, serving."""
        return NatsServers(self._server_program, self._load_program, os.path.join(self._scratch, "nats"), servers)

    def load(self, servers, *command):
        return processes.run_json([self._load_program, servers.url, *map(str, command)])


class NatsServers:
    """Servers. The load generator starts them, so that its own start falls into no figure."""

    def __init__(self, program, load_program, folder, servers):
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        ports = [processes.free_port() for _ in range(servers)]
        routes = [processes.free_port() for _ in range(servers)] if servers > 1 else []
        self.url = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
        configs = []
        for number, port in enumerate(ports):
            home = os.path.join(folder, f"n{number}")
            os.makedirs(home)
            configs.append(os.path.join(home, "nats.conf"))
            with open(configs[-1], "w", encoding="utf-8") as file:
                file.write(configuration(home, port, f"n{number}", routes[number] if routes else 0, routes))
        figures = processes.run_json([load_program, self.url, "exec", program, *configs])
        self.pids = [int(figures[f"pid{number}"]) for number in range(servers)]
        self.first_ack_s = figures["first_ack_s"]

    def stop(self):
        for pid in self.pids:
            processes.stop(pid)
        shutil.rmtree(self._folder, ignore_errors=True)


class Runs:
    """Figures of NATS servers, into `into`."""

    def __init__(self, nats, servers, into, scale):
        self._nats = nats
        self._servers = servers
        self._into = into
        self._scale = scale

    def _run(self, group, *command):
        self._into.note_command(f"nats.{group}", "nats-load " + " ".join(map(str, command)))
        return self._nats.load(self._servers, *command)

    def produce_and_consume(self, size):
        for what in ("produce", "consume"):
            self.throughput(what, size, max(200, int({100: 400_000, 1024: 200_000, 10240: 30_000}[size] * self._scale)))

    def throughput(self, what, size, records):
        """`what`: produce, or consume what was produced."""
        before = processes.cpu_seconds_of(self._servers.pids)
        figures = self._run(f"{what}.{size}", what, records, size)
        gb = records * size / 1e9
        figures["server_cpu_s_per_gb"] = (processes.cpu_seconds_of(self._servers.pids) - before) / gb
        self._into.add_all(f"nats.{what}.{size}", figures)

    def one_in_flight(self):
        self._into.add_all("nats.one", self._run("one", "one", max(200, int(4000 * self._scale)), 1024))

    def idle(self, seconds):
        self._into.add_all("nats.idle", processes.memory_and_threads_of(self._servers.pids))
        self._into.add("nats.idle.cpu_percent", sum(processes.idle_percents(self._servers.pids, seconds)))
