#include "rpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <memory>
#include <set>
#include <utility>

namespace millrace::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1alpha::FileDescriptorResponse;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// Adds `file` and all it imports, each once.
void AddFile(const FileDescriptor* file, std::set<std::string>* added,
             FileDescriptorResponse* response) {
  if (!added->insert(file->name()).second) return;
  FileDescriptorProto proto;
  file->CopyTo(&proto);
  response->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) AddFile(file->dependency(i), added, response);
}

void SetFile(const FileDescriptor* file, const std::string& wanted,
             ServerReflectionResponse* response) {
  if (file == nullptr) {
    response->mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response->mutable_error_response()->set_error_message("'" + wanted + "' is not known here");
    return;
  }
  std::set<std::string> added;
  AddFile(file, &added, response->mutable_file_descriptor_response());
}

class ReflectionStream final : public StreamHandler {
 public:
  ReflectionStream(std::shared_ptr<ServerStream> stream,
                   const std::vector<std::string>* service_names)
      : stream_(std::move(stream)), service_names_(service_names) {}

  void OnMessage(Bytes message) override {
    auto request = ParseMessage<ServerReflectionRequest>(message);
    if (!request.ok()) return stream_->Finish(request.status());
    stream_->Write(SerializeMessage(ReflectionService::AnswerTo(*request, *service_names_)));
    // Answers are larger than requests: read on only as fast as they are taken.
    if (!stream_->writable()) stream_->PauseReading();
  }
  void OnWritable() override { stream_->ResumeReading(); }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnDone(bool) override {}

 private:
  const std::shared_ptr<ServerStream> stream_;
  const std::vector<std::string>* const service_names_;
};

}  // namespace

void ReflectionService::Register(Server* server, CompletionQueueExecutor* queue,
                                 std::vector<std::string> service_names) {
  server->AddService(&service_, full_name());
  service_names.push_back(full_name());
  auto names = std::make_shared<const std::vector<std::string>>(std::move(service_names));
  RegisterStream(
      server, queue, &service_, &decltype(service_)::RequestServerReflectionInfo,
      [names](std::shared_ptr<ServerStream> stream) {
        return std::make_unique<ReflectionStream>(std::move(stream), names.get());
      },
      AtGate::kSmallPass);
}

ServerReflectionResponse ReflectionService::AnswerTo(
    const ServerReflectionRequest& request, const std::vector<std::string>& service_names) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : service_names) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    case ServerReflectionRequest::kFileByFilename:
      SetFile(pool->FindFileByName(request.file_by_filename()), request.file_by_filename(),
              &response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      SetFile(pool->FindFileContainingSymbol(request.file_containing_symbol()),
              request.file_containing_symbol(), &response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const std::string& type = request.file_containing_extension().containing_type();
      const Descriptor* message = pool->FindMessageTypeByName(type);
      const FieldDescriptor* field =
          message == nullptr ? nullptr
                             : pool->FindExtensionByNumber(
                                   message, request.file_containing_extension().extension_number());
      SetFile(field == nullptr ? nullptr : field->file(), type, &response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType: {
      const std::string& type = request.all_extension_numbers_of_type();
      const Descriptor* message = pool->FindMessageTypeByName(type);
      if (message == nullptr) {
        SetFile(nullptr, type, &response);
        break;
      }
      response.mutable_all_extension_numbers_response()->set_base_type_name(type);
      std::vector<const FieldDescriptor*> fields;
      pool->FindAllExtensions(message, &fields);
      for (const FieldDescriptor* field : fields) {
        response.mutable_all_extension_numbers_response()->add_extension_number(field->number());
      }
      break;
    }
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("the request asks for nothing");
      break;
  }
  return response;
}

}  // namespace millrace::rpc
