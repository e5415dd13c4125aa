// What `millrace perf` does not measure, with the C++ client. Prints one JSON object.
//
//   client_probe first-ack --server PROGRAM --data-dir DIR --listen HOST:PORT --http HOST:PORT
//     From exec of a server on an empty directory until a topic is made and its first record is
//     acknowledged, in seconds. The server is left running; its process id is in the answer.
//   client_probe one-in-flight --bootstrap HOST:PORT --topic TOPIC [--size B] [--records N]
//     Send, wait for the acknowledgement, send again: percentiles of N, after a fifth more of them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

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

// Makes the topic as soon as the server lets it be made. Errors: of the last try.
absl::Status CreateFirstTopic(const std::string& bootstrap, double give_up) {
  v1::CreateTopicsRequest request;
  request.add_topics()->set_name("first");
  request.mutable_topics(0)->set_partitions(1);
  while (true) {
    absl::Status status;
    auto admin = client::Admin::Create({bootstrap}, absl::Seconds(2));
    if (!admin.ok()) return admin.status();
    auto created = (*admin)->CreateTopics(request);
    if (!created.ok()) {
      status = created.status();
    } else if (created->topics(0).code() != v1::ERROR_CODE_UNSPECIFIED) {
      status = absl::UnavailableError(created->topics(0).message());
    }
    if (status.ok() || Seconds() > give_up) return status;
    usleep(500);
  }
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
  WaitForPort(bootstrap, start + kPatience);
  const double port = Seconds();
  const absl::Status created = CreateFirstTopic(bootstrap, start + kPatience);
  if (!created.ok()) Die("topic not made: " + std::string(created.message()));
  const double topic = Seconds();
  const std::unique_ptr<client::Producer> producer = MakeProducer(bootstrap);
  SendAndWait(producer.get(), "first", "x");
  const double acked = Seconds();
  stop_at_exit = 0;
  std::cout << Json({{"pid", pid},
                     {"port_s", port - start},
                     {"topic_s", topic - start},
                     {"first_ack_s", acked - start}})
                   .dump()
            << std::endl;
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

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using millrace::bench::Die;
  const std::string what = argc > 1 ? argv[1] : "";
  const millrace::bench::Options options(argc, argv, 2);
  if (what == "first-ack") return millrace::bench::FirstAck(options);
  if (what == "one-in-flight") return millrace::bench::OneInFlight(options);
  Die("say first-ack or one-in-flight");
}
