// HttpServer: the plain HTTP side of a node: GET /metrics (Prometheus text), /healthz and /readyz.
// Not an API: everything else is 404, and anything but GET and HEAD is 405.
//
// Runs civetweb with a few threads of its own. The callbacks run on them, so they must be quick and
// safe for any thread.
//
// Thread: one owner.
#ifndef HTTP_HTTP_SERVER_H_
#define HTTP_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/counters.h"

namespace millrace::http {

struct HttpServerOptions {
  // IPv4 only; empty: all addresses.
  std::string host = "127.0.0.1";
  // 0: any free port.
  int port = 0;
  int threads = 2;
};

class HttpServer {
 public:
  // Answers 200 when OK, else 503 with the status's message.
  using Probe = std::function<absl::Status()>;

  // Serves from now on. `metrics` outlives the server. Errors: ADDRESS_IN_USE naming the address;
  // INVALID_CONFIG.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           const MetricRegistry* metrics,
                                                           Probe healthy, Probe ready);
  ~HttpServer();

  // The port that is served.
  int port() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::http

#endif  // HTTP_HTTP_SERVER_H_
