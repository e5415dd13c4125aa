#include "rpc/reflection_service.h"

#include <google/protobuf/descriptor.pb.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using testdata::EchoServer;
using testdata::Watched;
using testing::UnorderedElementsAre;

std::vector<std::string> FilesOf(const ServerReflectionResponse& response) {
  std::vector<std::string> names;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto proto;
    EXPECT_TRUE(proto.ParseFromString(bytes));
    names.push_back(proto.name());
  }
  return names;
}

TEST(ReflectionService, FindsTheFileOfAServiceMethodOrMessage) {
  for (const char* symbol :
       {"millrace.rpc.testdata.EchoService", "millrace.rpc.testdata.EchoService.Chat",
        "millrace.rpc.testdata.EchoRequest"}) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(symbol);
    EXPECT_THAT(FilesOf(ReflectionService::AnswerTo(request, {})),
                UnorderedElementsAre("echo.proto"))
        << symbol;
  }
}

TEST(ReflectionService, SendsImportsToo) {
  ServerReflectionRequest request;
  request.set_file_by_filename("rpc_status.proto");
  EXPECT_THAT(FilesOf(ReflectionService::AnswerTo(request, {})),
              UnorderedElementsAre("rpc_status.proto", "google/protobuf/any.proto"));
}

TEST(ReflectionService, SaysWhatItDoesNotKnow) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol("no.such.Thing");
  EXPECT_EQ(ReflectionService::AnswerTo(request, {}).error_response().error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.mutable_file_containing_extension()->set_containing_type("no.such.Thing");
  EXPECT_EQ(ReflectionService::AnswerTo(request, {}).error_response().error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.set_all_extension_numbers_of_type("millrace.rpc.testdata.EchoRequest");
  EXPECT_EQ(ReflectionService::AnswerTo(request, {})
                .all_extension_numbers_response()
                .extension_number_size(),
            0);
  EXPECT_EQ(
      ReflectionService::AnswerTo(ServerReflectionRequest(), {}).error_response().error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
}

class ReflectionHandler final : public ClientStreamHandler {
 public:
  explicit ReflectionHandler(Watched<ServerReflectionResponse>* seen) : seen_(seen) {}
  void OnMessage(Bytes message) override {
    seen_->Change([&](ServerReflectionResponse& r) {
      r = ParseMessage<ServerReflectionResponse>(message).value();
    });
  }
  void OnDone(absl::Status) override {}

 private:
  Watched<ServerReflectionResponse>* const seen_;
};

TEST(ReflectionService, ListsAllServicesOfTheServer) {
  EchoServer server;
  Watched<ServerReflectionResponse> seen;
  ServerReflectionRequest request;
  request.set_list_services("");
  StartStream(server.client(), server.Channel(),
              "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {},
              [&](std::shared_ptr<ClientStream> stream) {
                stream->Write(SerializeMessage(request));
                stream->WritesDone();
                return std::make_unique<ReflectionHandler>(&seen);
              });
  ASSERT_TRUE(
      seen.Wait([](const ServerReflectionResponse& r) { return r.has_list_services_response(); }));
  std::vector<std::string> names;
  const ServerReflectionResponse answer = seen.Get();
  for (const auto& service : answer.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names,
              UnorderedElementsAre("millrace.rpc.testdata.EchoService", "grpc.health.v1.Health",
                                   "grpc.reflection.v1alpha.ServerReflection"));
}

}  // namespace
}  // namespace millrace::rpc
