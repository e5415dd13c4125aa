// What `millrace perf` does not measure, with the C++ client. Prints one JSON object.
//
//   client_probe first-ack --server PROGRAM --data-dir DIR --listen HOST:PORT --http HOST:PORT
//     From exec of a server on an empty directory until a topic is made and its first record is
//     acknowledged, in seconds. The server is left running; its process id is in the answer.
//   client_probe one-in-flight --bootstrap HOST:PORT,... --topic TOPIC [--size B] [--records N]
//     Send, wait for the acknowledgement, send again: percentiles of N, after a fifth more of them.
//   client_probe cluster-first-ack --bootstrap HOST:PORT,... --replicas N --since SECONDS
//     From a time of the monotonic clock, when the nodes were started, until a topic is made and
//     its first record is acknowledged by all.
//   client_probe next-topic --bootstrap HOST:PORT,... --topic TOPIC --replicas N --pid PID
//     Kills a process, and makes a topic at once: until it is made.
//   client_probe many-partitions --bootstrap HOST:PORT,... --topic TOPIC --partitions N
//       --replicas N [--delete-delay-ms MS]
//     Until a topic is made, and until each of its partitions has acknowledged a record.
//   client_probe paced --bootstrap HOST:PORT,... --topic TOPIC --rate N [--size B] [--seconds S]
//     Records at a steady rate, until SIGTERM or so long: percentiles from when each was due until
//     it was acknowledged.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/admin.h"
#include "client/producer.h"
#include "tools/bench/probe/figures.h"

namespace millrace::bench {
namespace {

constexpr double kPatience = 30;

std::unique_ptr<client::Producer> MakeProducer(const std::string& bootstrap) {
  auto producer = client::Producer::Create(
      {{"bootstrap.servers", bootstrap}, {"acks", "all"}, {"linger.ms", "0"}});
  if (!producer.ok()) Die(std::string(producer.status().message()));
  return *std::move(producer);
}

void SendAndWait(client::Producer* producer, const std::string& topic, std::string value) {
  std::binary_semaphore done(0);
  absl::Status result;
  client::Record record;
  record.value = std::move(value);
  const absl::Status sent = producer->Send(topic, std::move(record), std::nullopt,
                                           [&](const client::DeliveryReport& report) {
                                             result = report.status;
                                             done.release();
                                           });
  if (!sent.ok()) Die(std::string(sent.message()));
  done.acquire();
  if (!result.ok()) Die(std::string(result.message()));
}

// Waits until somebody listens: a refused connection would send gRPC into a pause of a second.
void WaitForPort(const std::string& host_port, double give_up) {
  const size_t colon = host_port.rfind(':');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = inet_addr(host_port.substr(0, colon).c_str());
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(host_port.c_str() + colon + 1)));
  while (true) {
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int status = connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    close(connection);
    if (status == 0) return;
    if (Seconds() > give_up) Die("nobody listens on " + host_port);
    usleep(500);
  }
}

pid_t StartServer(const Options& options) {
  const std::vector<std::string> arguments = {options.Text("server"),
                                              "server",
                                              "--data-dir",
                                              options.Text("data-dir"),
                                              "--listen",
                                              options.Text("listen"),
                                              "--set",
                                              "http.listener=" + options.Text("http")};
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string log = options.Text("data-dir") + ".log";
  const pid_t pid = fork();
  if (pid != 0) return pid;
  setsid();
  const int file = open(log.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

v1::CreateTopicsRequest Topic(const std::string& name, int partitions, int replicas) {
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* topic = request.add_topics();
  topic->set_name(name);
  topic->set_partitions(partitions);
  topic->set_replication_factor(replicas);
  return request;
}

std::unique_ptr<client::Admin> MakeAdmin(const std::string& bootstrap, absl::Duration timeout) {
  auto admin = client::Admin::Create(absl::StrSplit(bootstrap, ','), timeout);
  if (!admin.ok()) Die(std::string(admin.status().message()));
  return *std::move(admin);
}

absl::Status Create(client::Admin* admin, const v1::CreateTopicsRequest& request) {
  const auto created = admin->CreateTopics(request);
  if (!created.ok()) return created.status();
  if (created->topics(0).code() == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
  if (created->topics(0).code() == v1::ERROR_CODE_TOPIC_ALREADY_EXISTS) {
    return absl::AlreadyExistsError(created->topics(0).message());
  }
  return absl::UnavailableError(created->topics(0).message());
}

// Makes the topic as soon as the servers let it be made. Errors: of the last try.
absl::Status CreateFirstTopic(const std::string& bootstrap, int replicas, double give_up) {
  const v1::CreateTopicsRequest request = Topic("first", 1, replicas);
  while (true) {
    const absl::Status status = Create(MakeAdmin(bootstrap, absl::Seconds(2)).get(), request);
    // A try whose answer did not come may have made it.
    if (absl::IsAlreadyExists(status)) return absl::OkStatus();
    if (status.ok() || Seconds() > give_up) return status;
    usleep(500);
  }
}

int Replicas(const Options& options) { return static_cast<int>(options.Number("replicas", 1)); }

// What is made and acknowledged from `start` on.
Json FirstRecord(const std::string& bootstrap, int replicas, double start) {
  // Nobody is listened to before there is somebody to talk to.
  WaitForPort(bootstrap.substr(0, bootstrap.find(',')), start + kPatience);
  const double port = Seconds();
  const absl::Status created = CreateFirstTopic(bootstrap, replicas, start + kPatience);
  if (!created.ok()) Die("topic not made: " + std::string(created.message()));
  const double topic = Seconds();
  const std::unique_ptr<client::Producer> producer = MakeProducer(bootstrap);
  SendAndWait(producer.get(), "first", "x");
  return {{"port_s", port - start}, {"topic_s", topic - start}, {"first_ack_s", Seconds() - start}};
}

int FirstAck(const Options& options) {
  const std::string bootstrap = options.Text("listen");
  const double start = Seconds();
  const pid_t pid = StartServer(options);
  if (pid < 0) Die("cannot start a process");
  // Whatever goes wrong from here on, the server must not stay behind.
  static pid_t stop_at_exit = pid;
  std::atexit([] {
    if (stop_at_exit > 0) kill(stop_at_exit, SIGKILL);
  });
  Json figures = FirstRecord(bootstrap, 1, start);
  stop_at_exit = 0;
  figures["pid"] = pid;
  std::cout << figures.dump() << std::endl;
  return 0;
}

int OneInFlight(const Options& options) {
  const std::string topic = options.Text("topic");
  const std::string value(static_cast<size_t>(options.Number("size", 1024)), 'x');
  const int records = static_cast<int>(options.Number("records", 5000));
  const std::unique_ptr<client::Producer> producer = MakeProducer(options.Text("bootstrap"));
  std::vector<double> times;
  for (int i = -records / 5; i < records; ++i) {
    const double start = Seconds();
    SendAndWait(producer.get(), topic, value);
    if (i >= 0) times.push_back(Seconds() - start);
  }
  std::cout << PercentilesUs(std::move(times)).dump() << std::endl;
  return 0;
}

int ClusterFirstAck(const Options& options) {
  std::cout << FirstRecord(options.Text("bootstrap"), Replicas(options),
                           options.Number("since", Seconds()))
                   .dump()
            << std::endl;
  return 0;
}

int NextTopic(const Options& options) {
  const auto admin = MakeAdmin(options.Text("bootstrap"), absl::Seconds(kPatience));
  // Connections are made, as those of a client that is there already are.
  const absl::Status warm = Create(admin.get(), Topic(options.Text("topic") + "-before", 1, 1));
  if (!warm.ok()) Die("topic not made: " + std::string(warm.message()));
  if (kill(static_cast<pid_t>(options.Number("pid", 0)), SIGKILL) != 0) Die("cannot signal");
  const double start = Seconds();
  const absl::Status created =
      Create(admin.get(), Topic(options.Text("topic"), 1, Replicas(options)));
  if (!created.ok()) Die("topic not made: " + std::string(created.message()));
  std::cout << Json({{"ms", (Seconds() - start) * 1e3}}).dump() << std::endl;
  return 0;
}

int ManyPartitions(const Options& options) {
  const std::string bootstrap = options.Text("bootstrap");
  const std::string topic = options.Text("topic");
  const int partitions = static_cast<int>(options.Number("partitions", 1000));
  const auto admin = MakeAdmin(bootstrap, absl::Seconds(kPatience));
  const auto warm = admin->DescribeCluster({});
  if (!warm.ok()) Die(std::string(warm.status().message()));
  v1::CreateTopicsRequest request = Topic(topic, partitions, Replicas(options));
  v1::ConfigEntry* delay = request.mutable_topics(0)->add_configs();
  delay->set_name("file.delete.delay.ms");
  delay->set_value(options.Has("delete-delay-ms") ? options.Text("delete-delay-ms") : "60000");
  const std::unique_ptr<client::Producer> producer = MakeProducer(bootstrap);
  const double start = Seconds();
  const absl::Status created = Create(admin.get(), request);
  if (!created.ok()) Die("topic not made: " + std::string(created.message()));
  const double answered = Seconds();
  absl::Status result;
  for (int i = 0; i < partitions; ++i) {
    const absl::Status sent = producer->SendBorrowed(
        topic, {.value = Slice("x")}, PartitionIndex(i),
        [&result](const client::DeliveryReport& report) { result.Update(report.status); });
    if (!sent.ok()) Die(std::string(sent.message()));
  }
  const absl::Status flushed = producer->Flush(absl::Seconds(kPatience));
  const double acked = Seconds();
  if (!flushed.ok()) Die(std::string(flushed.message()));
  if (!producer->Close(absl::Seconds(1)).ok() || !result.ok()) Die(std::string(result.message()));
  std::cout << Json({{"answered_s", answered - start}, {"taking_s", acked - start}}).dump()
            << std::endl;
  return 0;
}

volatile std::sig_atomic_t stop_asked = 0;

int Paced(const Options& options) {
  const std::string topic = options.Text("topic");
  const std::string value(static_cast<size_t>(options.Number("size", 1024)), 'x');
  const double rate = options.Number("rate", 1000);
  signal(SIGTERM, [](int) { stop_asked = 1; });
  // Sleeps end when they should.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  const std::unique_ptr<client::Producer> producer = MakeProducer(options.Text("bootstrap"));
  SendAndWait(producer.get(), topic, value);
  // Of the producer's own thread until it is closed.
  std::vector<double> times;
  absl::Status result;
  const double start = Seconds();
  const double end = start + options.Number("seconds", 1e9);
  for (int64_t i = 0; stop_asked == 0; ++i) {
    const double due = start + static_cast<double>(i) / rate;
    if (due > end) break;
    if (due > Seconds()) {
      std::this_thread::sleep_for(std::chrono::duration<double>(due - Seconds()));
    }
    const absl::Status sent =
        producer->SendBorrowed(topic, {.value = Slice(value)}, std::nullopt,
                               [&times, &result, due](const client::DeliveryReport& report) {
                                 times.push_back(Seconds() - due);
                                 result.Update(report.status);
                               });
    if (!sent.ok()) Die(std::string(sent.message()));
  }
  const absl::Status closed = producer->Close(absl::Seconds(kPatience));
  if (!closed.ok()) Die(std::string(closed.message()));
  if (!result.ok()) Die(std::string(result.message()));
  if (times.empty()) Die("no record was sent");
  std::cout << PercentilesUs(std::move(times)).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using millrace::bench::Die;
  const std::string what = argc > 1 ? argv[1] : "";
  const millrace::bench::Options options(argc, argv, 2);
  if (what == "first-ack") return millrace::bench::FirstAck(options);
  if (what == "one-in-flight") return millrace::bench::OneInFlight(options);
  if (what == "cluster-first-ack") return millrace::bench::ClusterFirstAck(options);
  if (what == "next-topic") return millrace::bench::NextTopic(options);
  if (what == "many-partitions") return millrace::bench::ManyPartitions(options);
  if (what == "paced") return millrace::bench::Paced(options);
  Die("there is no measurement '" + what + "': see the head of this program");
}
