// FakeControllerLink: a ControllerLink in memory: a test sees what the broker sends, and answers.
//
// Thread: the test's one.
#ifndef NODE_TESTING_FAKE_CONTROLLER_LINK_H_
#define NODE_TESTING_FAKE_CONTROLLER_LINK_H_

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "node/controller_link.h"

namespace millrace::node {

class FakeControllerLink final : public ControllerLink {
 public:
  template <class Request, class Response>
  struct Call {
    std::string address;
    Request request;
    Done<Response> done;
  };
  // A stream as the controller sees it; lives on when the broker has ended it.
  struct Session {
    std::string address;
    std::vector<internal::v1::BrokerSessionRequest> requests;
    Received received;
    bool closed = false;
  };

  std::unique_ptr<Stream> OpenSession(const std::string& address,
                                      const internal::v1::BrokerSessionRequest& first,
                                      absl::Duration, Received received) override {
    sessions.push_back(std::make_shared<Session>(
        Session{.address = address, .requests = {first}, .received = std::move(received)}));
    return std::make_unique<FakeStream>(sessions.back());
  }
  void RegisterBroker(const std::string& address,
                      const internal::v1::RegisterBrokerRequest& request, absl::Duration,
                      Done<internal::v1::RegisterBrokerResponse> done) override {
    registrations.push_back({address, request, std::move(done)});
  }
  void AlterPartition(const std::string& address,
                      const internal::v1::AlterPartitionRequest& request, absl::Duration,
                      Done<internal::v1::AlterPartitionResponse> done) override {
    proposals.push_back({address, request, std::move(done)});
  }
  void ReportLastCopies(const std::string& address,
                        const internal::v1::ReportLastCopiesRequest& request, absl::Duration,
                        Done<internal::v1::ReportLastCopiesResponse> done) override {
    reports.push_back({address, request, std::move(done)});
  }
  void AssignReplicasToDirs(const std::string& address,
                            const internal::v1::AssignReplicasToDirsRequest& request,
                            absl::Duration,
                            Done<internal::v1::AssignReplicasToDirsResponse> done) override {
    assignments.push_back({address, request, std::move(done)});
  }
  void AllocateProducerIds(const std::string& address,
                           const internal::v1::AllocateProducerIdsRequest& request, absl::Duration,
                           Done<internal::v1::AllocateProducerIdsResponse> done) override {
    allocations.push_back({address, request, std::move(done)});
  }

  // The newest one. REQUIRES: there was one.
  Session& session() { return *sessions.back(); }
  const internal::v1::BrokerSessionRequest& last_request() { return session().requests.back(); }
  void Send(const internal::v1::BrokerSessionResponse& response) {
    // A copy keeps it alive if the broker ends it meanwhile.
    const std::shared_ptr<Session> session = sessions.back();
    if (!session->closed) session->received(response);
  }
  void End(const absl::Status& status) {
    const std::shared_ptr<Session> session = sessions.back();
    if (!session->closed) session->received(status);
  }

  std::vector<std::shared_ptr<Session>> sessions;
  std::deque<Call<internal::v1::RegisterBrokerRequest, internal::v1::RegisterBrokerResponse>>
      registrations;
  std::deque<Call<internal::v1::AlterPartitionRequest, internal::v1::AlterPartitionResponse>>
      proposals;
  std::deque<
      Call<internal::v1::AssignReplicasToDirsRequest, internal::v1::AssignReplicasToDirsResponse>>
      assignments;
  std::deque<Call<internal::v1::ReportLastCopiesRequest, internal::v1::ReportLastCopiesResponse>>
      reports;
  std::deque<
      Call<internal::v1::AllocateProducerIdsRequest, internal::v1::AllocateProducerIdsResponse>>
      allocations;

 private:
  class FakeStream final : public Stream {
   public:
    explicit FakeStream(std::shared_ptr<Session> session) : session_(std::move(session)) {}
    ~FakeStream() override { session_->closed = true; }
    void Send(const internal::v1::BrokerSessionRequest& request) override {
      session_->requests.push_back(request);
    }

   private:
    const std::shared_ptr<Session> session_;
  };
};

}  // namespace millrace::node

#endif  // NODE_TESTING_FAKE_CONTROLLER_LINK_H_
