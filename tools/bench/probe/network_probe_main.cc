// What the loopback and gRPC can do at best between two processes of this machine: the limits that
// a server's figures are held against. Prints one JSON object.
//
//   network_probe [--seconds S]
//
// tcp: one connection flat out in pieces of 256 KiB; ping-pong of 100 B. grpc: raw bytes without
// any message types, one completion queue and one thread on each side: unary and stream ping-pong
// of 1 KiB, and a one-way stream of 64 KiB and of 1 MiB messages, counted by the receiver.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "tools/bench/probe/figures.h"

namespace millrace::bench {
namespace {

constexpr size_t kTcpPiece = 256 << 10;
constexpr size_t kPing = 100;

// ---- The serving process. ----

int ListenOnLoopback(int* port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, generic, size) != 0 || listen(listener, 2) != 0 ||
      getsockname(listener, generic, &size) != 0) {
    Die("cannot listen on the loopback");
  }
  *port = ntohs(address.sin_port);
  return listener;
}

bool ReadAll(int connection, char* bytes, size_t size) {
  for (size_t got = 0; got < size;) {
    const ssize_t more = read(connection, bytes + got, size - got);
    if (more <= 0) return false;
    got += static_cast<size_t>(more);
  }
  return true;
}

// Swallows all of the first connection, echoes the second.
void ServeTcp(int listener) {
  std::vector<char> buffer(kTcpPiece);
  int connection = accept(listener, nullptr, nullptr);
  while (read(connection, buffer.data(), buffer.size()) > 0) {
  }
  close(connection);
  connection = accept(listener, nullptr, nullptr);
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  while (ReadAll(connection, buffer.data(), kPing) &&
         write(connection, buffer.data(), kPing) == static_cast<ssize_t>(kPing)) {
  }
  close(connection);
}

// One call: reads a message; "/echo" answers each, anything else answers once, at the end, with the
// count of bytes that came. A unary call is an echo of one message.
class ServedCall {
 public:
  ServedCall(grpc::AsyncGenericService* service, grpc::ServerCompletionQueue* queue)
      : service_(service), queue_(queue), stream_(&context_) {
    service_->RequestCall(&context_, &stream_, queue_, queue_, this);
  }

  void Proceed(bool ok) {
    switch (state_) {
      case State::kWaiting:
        if (!ok) return delete this;
        new ServedCall(service_, queue_);
        echo_ = context_.method() == "/echo";
        return Read();
      case State::kReading:
        if (ok) {
          received_ += message_.Length();
          if (!echo_) return Read();
          state_ = State::kWriting;
          return stream_.Write(message_, this);
        }
        state_ = State::kFinishing;
        if (echo_) return stream_.Finish(grpc::Status::OK, this);
        {
          const grpc::Slice count(std::to_string(received_));
          return stream_.WriteAndFinish(grpc::ByteBuffer(&count, 1), {}, grpc::Status::OK, this);
        }
      case State::kWriting:
        return Read();
      case State::kFinishing:
        return delete this;
    }
  }

 private:
  enum class State { kWaiting, kReading, kWriting, kFinishing };

  void Read() {
    state_ = State::kReading;
    message_.Clear();
    stream_.Read(&message_, this);
  }

  grpc::AsyncGenericService* const service_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  grpc::ByteBuffer message_;
  State state_ = State::kWaiting;
  bool echo_ = false;
  uint64_t received_ = 0;
};

// Serves until the parent ends.
[[noreturn]] void Serve(int listener, int port_pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  ServeTcp(listener);
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&service);
  builder.SetMaxReceiveMessageSize(16 << 20);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (write(port_pipe, &port, sizeof(port)) != sizeof(port)) Die("cannot tell the port");
  new ServedCall(&service, queue.get());
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<ServedCall*>(tag)->Proceed(ok);
  std::exit(0);
}

// ---- The measuring process. ----

int Connect(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    Die("cannot connect on the loopback");
  }
  return connection;
}

void MeasureTcp(int port, double seconds, Json* json) {
  std::vector<char> buffer(kTcpPiece, 'x');
  int connection = Connect(port);
  double sent = 0;
  const double start = Seconds();
  while (Seconds() - start < seconds) {
    const ssize_t written = write(connection, buffer.data(), buffer.size());
    if (written <= 0) Die("cannot send on the loopback");
    sent += static_cast<double>(written);
  }
  (*json)["tcp_bytes_per_s"] = sent / (Seconds() - start);
  close(connection);

  connection = Connect(port);
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::vector<double> times;
  const double end = Seconds() + seconds;
  do {
    const double ping = Seconds();
    if (write(connection, buffer.data(), kPing) != static_cast<ssize_t>(kPing) ||
        !ReadAll(connection, buffer.data(), kPing)) {
      Die("no echo on the loopback");
    }
    times.push_back(Seconds() - ping);
  } while (Seconds() < end);
  (*json)["tcp_ping_pong"] = PercentilesUs(std::move(times));
  close(connection);
}

class GrpcClient {
 public:
  explicit GrpcClient(int port)
      : stub_(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                        grpc::InsecureChannelCredentials(), Arguments())) {}

  Json UnaryPingPong(double seconds) {
    const grpc::ByteBuffer message = Message(1 << 10);
    return Repeat(seconds, [&] {
      grpc::ClientContext context;
      auto call = stub_.PrepareUnaryCall(&context, "/echo", message, &queue_);
      call->StartCall();
      grpc::ByteBuffer answer;
      grpc::Status status;
      call->Finish(&answer, &status, nullptr);
      Wait();
      if (!status.ok() || answer.Length() != message.Length()) Die("no unary echo");
    });
  }

  Json StreamPingPong(double seconds) {
    const grpc::ByteBuffer message = Message(1 << 10);
    grpc::ClientContext context;
    auto call = Start(&context, "/echo");
    const Json json = Repeat(seconds, [&] {
      call->Write(message, nullptr);
      Wait();
      grpc::ByteBuffer answer;
      call->Read(&answer, nullptr);
      Wait();
    });
    End(call.get());
    return json;
  }

  // Bytes per second, as the receiver counted them.
  double OneWay(size_t size, double seconds) {
    const grpc::ByteBuffer message = Message(size);
    grpc::ClientContext context;
    auto call = Start(&context, "/swallow");
    const double start = Seconds();
    while (Seconds() - start < seconds) {
      call->Write(message, nullptr);
      Wait();
    }
    call->WritesDone(nullptr);
    Wait();
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    Wait();
    const double took = Seconds() - start;
    grpc::Slice count;
    answer.DumpToSingleSlice(&count);
    grpc::Status status;
    call->Finish(&status, nullptr);
    Wait();
    return std::stod(std::string(count.begin(), count.end())) / took;
  }

 private:
  static grpc::ChannelArguments Arguments() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(16 << 20);
    return arguments;
  }
  static grpc::ByteBuffer Message(size_t size) {
    const grpc::Slice slice(std::string(size, 'x'));
    return grpc::ByteBuffer(&slice, 1);
  }
  template <class Action>
  static Json Repeat(double seconds, Action action) {
    for (int i = 0; i < 200; ++i) action();
    std::vector<double> times;
    const double end = Seconds() + seconds;
    do {
      const double start = Seconds();
      action();
      times.push_back(Seconds() - start);
    } while (Seconds() < end);
    return PercentilesUs(std::move(times));
  }
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> Start(grpc::ClientContext* context,
                                                              const std::string& method) {
    auto call = stub_.PrepareCall(context, method, &queue_);
    call->StartCall(nullptr);
    Wait();
    return call;
  }
  void End(grpc::GenericClientAsyncReaderWriter* call) {
    call->WritesDone(nullptr);
    Wait();
    grpc::Status status;
    call->Finish(&status, nullptr);
    Wait();
    if (!status.ok()) Die("gRPC stream failed: " + status.error_message());
  }
  // For the one operation that is under way.
  void Wait() {
    void* tag = nullptr;
    bool ok = false;
    if (!queue_.Next(&tag, &ok) || !ok) Die("a gRPC operation failed");
  }

  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
};

int Run(const Options& options) {
  const double seconds = options.Number("seconds", 1);
  int port = 0;
  const int listener = ListenOnLoopback(&port);
  int pipes[2];
  if (pipe(pipes) != 0) Die("cannot make a pipe");
  // Before gRPC has started any thread.
  if (fork() == 0) Serve(listener, pipes[1]);
  Json json;
  MeasureTcp(port, seconds, &json);
  if (read(pipes[0], &port, sizeof(port)) != sizeof(port)) Die("the serving process has ended");
  GrpcClient client(port);
  json["grpc_unary"] = client.UnaryPingPong(seconds);
  json["grpc_stream"] = client.StreamPingPong(seconds);
  json["grpc_one_way_64k_bytes_per_s"] = client.OneWay(64 << 10, seconds);
  json["grpc_one_way_1m_bytes_per_s"] = client.OneWay(1 << 20, seconds);
  std::cout << json.dump() << std::endl;
  // Ends the serving process too; nothing is left to tidy up.
  _exit(0);
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  return millrace::bench::Run(millrace::bench::Options(argc, argv, 1));
}
