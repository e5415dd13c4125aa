"""NATS JetStream (file storage, one server) as a peer: built from the Go module proxy, loaded with its Go client."""

import os
import shutil

import processes
from peers.availability import have_program, run_setup

VERSION = "2.15.2"
_HERE = os.path.dirname(os.path.realpath(__file__))


def configuration(folder, port):
    """JetStream on files, all else at its defaults: an acknowledgement is no sync."""
    return f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data" }}\n'


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

    def start(self):
        """A server on an empty directory, serving."""
        return NatsServer(self._server_program, self._load_program, os.path.join(self._scratch, "nats"))

    def load(self, server, *command):
        return processes.run_json([self._load_program, server.url, *map(str, command)])


class NatsServer:
    """One server. The load generator starts it, so that its own start falls into no figure."""

    def __init__(self, program, load_program, folder):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self._folder = folder
        port = processes.free_port()
        self.url = f"nats://127.0.0.1:{port}"
        config = os.path.join(folder, "nats.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(configuration(folder, port))
        figures = processes.run_json([load_program, self.url, "exec", program, config])
        self.pid = int(figures["pid"])
        self.first_ack_s = figures["first_ack_s"]

    def stop(self):
        processes.stop(self.pid)
        shutil.rmtree(self._folder, ignore_errors=True)


class Runs:
    """Figures of one NATS server, into `into`."""

    def __init__(self, nats, server, into, scale):
        self._nats = nats
        self._server = server
        self._into = into
        self._scale = scale

    def _run(self, group, *command):
        self._into.note_command(f"nats.{group}", "nats-load " + " ".join(map(str, command)))
        return self._nats.load(self._server, *command)

    def produce_and_consume(self, size):
        records = max(200, int({100: 400_000, 1024: 200_000, 10240: 30_000}[size] * self._scale))
        for what in ("produce", "consume"):
            before = processes.cpu_seconds(self._server.pid)
            figures = self._run(f"{what}.{size}", what, records, size)
            gb = records * size / 1e9
            figures["server_cpu_s_per_gb"] = (processes.cpu_seconds(self._server.pid) - before) / gb
            self._into.add_all(f"nats.{what}.{size}", figures)

    def one_in_flight(self):
        self._into.add_all("nats.one", self._run("one", "one", max(200, int(4000 * self._scale)), 1024))

    def idle(self, seconds):
        self._into.add_all("nats.idle", processes.memory_and_threads(self._server.pid))
        self._into.add("nats.idle.cpu_percent", processes.idle_percent(self._server.pid, seconds))
