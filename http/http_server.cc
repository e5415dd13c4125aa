#include "http/http_server.h"

#include <civetweb.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/host_port.h"
#include "base/status.h"
#include "http/metrics_text.h"

namespace millrace::http {
namespace {

// A client that stalls holds one of few threads for this long at most, and those behind it wait. It
// is time enough for the one packet of a request, also if that has to be sent again.
constexpr char kRequestTimeoutMs[] = "1000";

void Answer(mg_connection* connection, int code, absl::string_view reason,
            absl::string_view content_type, absl::string_view body, bool with_body) {
  const std::string head =
      absl::StrCat("HTTP/1.1 ", code, " ", reason, "\r\nContent-Type: ", content_type,
                   "\r\nContent-Length: ", body.size(),
                   "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (with_body) mg_write(connection, body.data(), body.size());
}

void AnswerProbe(mg_connection* connection, const absl::Status& status, bool with_body) {
  constexpr absl::string_view kText = "text/plain; charset=utf-8";
  if (status.ok()) return Answer(connection, 200, "OK", kText, "ok\n", with_body);
  Answer(connection, 503, "Service Unavailable", kText, absl::StrCat(status.message(), "\n"),
         with_body);
}

// What civetweb complained of while it started: it tells that in no other way.
struct Complaints {
  std::mutex mutex;
  std::string text;
};

int LogMessage(const mg_connection* connection, const char* message) {
  auto* const complaints = static_cast<Complaints*>(mg_get_user_data(mg_get_context(connection)));
  if (complaints != nullptr) {
    const std::lock_guard<std::mutex> lock(complaints->mutex);
    if (complaints->text.size() < 1000) absl::StrAppend(&complaints->text, message, "; ");
  }
  return 1;  // It was dealt with: civetweb writes no log of its own.
}

std::string PortOption(const HttpServerOptions& options) {
  return options.host.empty() ? absl::StrCat(options.port) : HostPort(options.host, options.port);
}

absl::Status StartError(const std::string& where, const std::string& complaints) {
  if (absl::StrContains(complaints, strerror(EADDRINUSE))) {
    return MakeError(ErrorCode::kAddressInUse,
                     absl::StrCat("HTTP: ", where,
                                  " is in use by another process; stop it or choose another port"),
                     {.name = "http.listener", .value = where});
  }
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("HTTP: cannot listen on ", where, ": ", complaints,
                                "choose an address of this machine and a port this user may bind"),
                   {.name = "http.listener", .value = where});
}

// Connects to the server's own port and hangs up: that wakes its accept loop.
void Knock(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const bool any = host.empty() || host == "0.0.0.0";
  if (getaddrinfo(any ? "127.0.0.1" : host.c_str(), absl::StrCat(port).c_str(), &hints, &found) !=
      0) {
    return;
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Whether it succeeds does not matter.
  [[maybe_unused]] const int result = connect(fd, found->ai_addr, found->ai_addrlen);
  close(fd);
  freeaddrinfo(found);
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const MetricRegistry* metrics, Probe healthy, Probe ready)
      : metrics_(metrics), healthy_(std::move(healthy)), ready_(std::move(ready)) {
    mg_init_library(0);
  }
  ~Impl() {
    if (context_ != nullptr) Stop();
    mg_exit_library();
  }

  absl::Status Start(const HttpServerOptions& options) {
    const std::string where = PortOption(options);
    if (absl::StrContains(options.host, ":")) {
      return MakeError(ErrorCode::kInvalidConfig,
                       absl::StrCat("HTTP: the system's civetweb is built without IPv6, so ", where,
                                    " cannot be served; give an IPv4 address"),
                       {.name = "http.listener", .value = where});
    }
    host_ = options.host;
    const std::string threads = absl::StrCat(options.threads);
    const char* settings[] = {"listening_ports",
                              where.c_str(),
                              "num_threads",
                              threads.c_str(),
                              "request_timeout_ms",
                              kRequestTimeoutMs,
                              "enable_keep_alive",
                              "no",
                              "enable_directory_listing",
                              "no",
                              nullptr};
    mg_callbacks callbacks{};
    callbacks.log_message = &LogMessage;
    context_ = mg_start(&callbacks, &complaints_, settings);
    if (context_ == nullptr) return StartError(where, complaints_.text);
    mg_server_port port{};
    if (mg_get_server_ports(context_, 1, &port) < 1)
      return StartError(where, "no port was bound; ");
    port_ = port.port;
    // Civetweb takes "/" as a prefix of every path.
    mg_set_request_handler(context_, "/", &Impl::Handle, this);
    return absl::OkStatus();
  }

  int port() const { return port_; }

 private:
  // The accept loop looks up every 2 s only; woken, it stops at once.
  void Stop() {
    auto stopped = std::async(std::launch::async, [this] { mg_stop(context_); });
    while (stopped.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      Knock(host_, port_);
    }
  }

  static int Handle(mg_connection* connection, void* self) {
    static_cast<const Impl*>(self)->Serve(connection);
    return 1;
  }

  void Serve(mg_connection* connection) const {
    const mg_request_info* request = mg_get_request_info(connection);
    const absl::string_view method = request->request_method;
    const absl::string_view path = request->local_uri == nullptr ? "" : request->local_uri;
    const bool with_body = method != "HEAD";
    constexpr absl::string_view kText = "text/plain; charset=utf-8";
    if (method != "GET" && method != "HEAD") {
      return Answer(connection, 405, "Method Not Allowed", kText, "use GET\n", true);
    }
    if (path == "/metrics") {
      return Answer(connection, 200, "OK", "text/plain; version=0.0.4; charset=utf-8",
                    MetricsText(metrics_->Collect()), with_body);
    }
    if (path == "/healthz") return AnswerProbe(connection, healthy_(), with_body);
    if (path == "/readyz") return AnswerProbe(connection, ready_(), with_body);
    Answer(connection, 404, "Not Found", kText, "try /metrics, /healthz or /readyz\n", with_body);
  }

  const MetricRegistry* const metrics_;
  const Probe healthy_;
  const Probe ready_;
  Complaints complaints_;
  mg_context* context_ = nullptr;
  std::string host_;
  int port_ = 0;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              const MetricRegistry* metrics,
                                                              Probe healthy, Probe ready) {
  auto impl = std::make_unique<Impl>(metrics, std::move(healthy), std::move(ready));
  RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

int HttpServer::port() const { return impl_->port(); }

}  // namespace millrace::http
