#include "controller/request_memory.h"

#include <string>

#include "controller/testing/test_cluster.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

constexpr int64_t kMinute = 60'000;

v1::RequestId Id(int64_t sequence, char client = 'c') {
  v1::RequestId id;
  id.set_client_id(std::string(16, client));
  id.set_sequence(sequence);
  return id;
}

class RequestMemoryTest : public ::testing::Test {
 protected:
  RequestMemoryTest() {
    cluster_.Start(1, 1);
    EXPECT_EQ(cluster_.image().feature_level(), metadata::kFeatureLevelMax);
  }

  CreateTopicsCommand Creation(const v1::RequestId& id, std::string name = "t") {
    CreateTopicsCommand command = cluster_.Creation(std::move(name), 3, 1);
    *command.request.mutable_request_id() = id;
    return command;
  }
  static v1::DeleteTopicsRequest Deletion(const v1::RequestId& id) {
    v1::DeleteTopicsRequest request;
    request.add_names("t");
    *request.mutable_request_id() = id;
    return request;
  }
  static v1::IncrementalAlterConfigsRequest Alteration(const v1::RequestId& id) {
    v1::IncrementalAlterConfigsRequest request;
    auto* resource = request.add_resources();
    resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
    resource->mutable_resource()->set_name("t");
    auto* alteration = resource->add_alterations();
    alteration->set_name("retention.ms");
    alteration->set_operation(v1::CONFIG_OPERATION_SET);
    alteration->set_value("1234");
    *request.mutable_request_id() = id;
    return request;
  }

  TestCluster cluster_;
};

TEST_F(RequestMemoryTest, S39_RequestSentAgainIsAnsweredAsTheFirstTimeAndChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto first, cluster_.Run(Creation(Id(1))));
  ASSERT_EQ(first.topics(0).code(), 0);
  const LogIndex index = cluster_.index();
  // The shell has drawn other ids meanwhile, and it says that it asks again.
  v1::RequestId again = Id(1);
  again.set_retry(true);
  ASSERT_OK_AND_ASSIGN(const auto second, cluster_.Run(Creation(again)));
  EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(cluster_.index(), index);
  // Another request for the same topic is refused as ever.
  ASSERT_OK_AND_ASSIGN(const auto other, cluster_.Run(Creation(Id(2))));
  EXPECT_EQ(other.topics(0).code(), v1::ERROR_CODE_TOPIC_ALREADY_EXISTS);
}

TEST_F(RequestMemoryTest, S39_TheIdIsInTheEntryOfItsEffects) {
  const auto decision =
      Machine::Decide(cluster_.state(), Creation(Id(1)), {.monotonic = {}, .wall = {123}});
  ASSERT_FALSE(decision.records.empty());
  ASSERT_OK_AND_ASSIGN(const auto last, metadata::Decode(decision.records.back()));
  const auto* record = std::get_if<metadata::records::CompletedRequestRecord>(&last);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->client_id(), std::string(16, 'c'));
  EXPECT_EQ(record->sequence(), 1);
  EXPECT_EQ(record->time_ms(), 123);
  EXPECT_EQ(record->reply(), decision.reply->SerializeAsString());
}

TEST_F(RequestMemoryTest, S39_AllChangesAreRemembered) {
  ASSERT_OK(cluster_.Run(Creation(Id(1))));
  v1::CreatePartitionsRequest more;
  more.add_topics()->set_name("t");
  more.mutable_topics(0)->set_total_count(5);
  *more.mutable_request_id() = Id(2);
  LogIndex index = cluster_.index();
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(CreatePartitionsCommand{more, 0}));
    EXPECT_EQ(reply.topics(0).code(), 0);
    ASSERT_OK_AND_ASSIGN(const auto altered, cluster_.Run(Alteration(Id(3))));
    EXPECT_EQ(altered.resources(0).code(), 0);
    ASSERT_OK_AND_ASSIGN(const auto deleted, cluster_.Run(Deletion(Id(4))));
    EXPECT_EQ(deleted.topics(0).code(), 0);
    EXPECT_EQ(cluster_.index(), index + 3);
  }
}

TEST_F(RequestMemoryTest, S39_SameIdWithAnotherRequestIsAnError) {
  ASSERT_OK(cluster_.Run(Creation(Id(1))));
  EXPECT_THAT(cluster_.Run(Creation(Id(1), "u")),
              IsError(ErrorCode::kInvalidRequest, "another request took effect under the id"));
  // Neither is it the same if it only looks alike: a name to delete, a name to create.
  EXPECT_THAT(cluster_.Run(Deletion(Id(1))), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(cluster_.image().FindTopic("u"), nullptr);
  EXPECT_OK(cluster_.Run(Creation(Id(1, 'd'), "u")));
  EXPECT_NE(cluster_.image().FindTopic("u"), nullptr);
}

TEST_F(RequestMemoryTest, S39_ForgottenRequestIsAnsweredWithUnknownOutcome) {
  ASSERT_OK(cluster_.Run(Creation(Id(5))));
  // Somebody else's request, much later.
  const auto later = Machine::Decide(cluster_.state(), Creation(Id(1, 'd'), "u"),
                                     {.monotonic = {}, .wall = {16 * kMinute}});
  const State state = Machine::Apply(cluster_.state(), cluster_.index() + 1, later.records);
  for (const int64_t sequence : {5, 4}) {
    const auto decision = Machine::Decide(state, Creation(Id(sequence)), rsm::Now{});
    EXPECT_THAT(decision.reply, IsError(ErrorCode::kOutcomeUnknown, "describe"));
    EXPECT_EQ(DetailOf(decision.reply.status()).name, "request_id");
    EXPECT_TRUE(decision.records.empty());
  }
  EXPECT_OK(Machine::Decide(state, Creation(Id(6), "v"), rsm::Now{}).reply);
}

TEST_F(RequestMemoryTest, RequestThatChangesNothingIsNotRemembered) {
  cluster_.Create("t", 1, 1);
  const LogIndex index = cluster_.index();
  ASSERT_OK_AND_ASSIGN(auto refused, cluster_.Run(Creation(Id(1))));
  EXPECT_EQ(refused.topics(0).code(), v1::ERROR_CODE_TOPIC_ALREADY_EXISTS);
  CreateTopicsCommand dry = Creation(Id(2), "u");
  dry.request.set_validate_only(true);
  ASSERT_OK(cluster_.Run(dry));
  EXPECT_EQ(cluster_.index(), index);
  // So the id is free: it takes effect now.
  ASSERT_OK_AND_ASSIGN(const auto created, cluster_.Run(Creation(Id(2), "u")));
  EXPECT_EQ(created.topics(0).code(), 0);
  EXPECT_NE(cluster_.image().FindTopic("u"), nullptr);
}

TEST_F(RequestMemoryTest, MalformedIdsAreRefused) {
  v1::RequestId none;
  EXPECT_THAT(cluster_.Run(Creation(none)), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
  EXPECT_THAT(cluster_.Run(Creation(Id(0))), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(cluster_.Run(Creation(Id(1, '\0'))), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(cluster_.image().FindTopic("t"), nullptr);
}

TEST_F(RequestMemoryTest, BelowFeatureLevel2NothingIsRememberedAndNothingSentAgainIsDecided) {
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(1);
  const State state =
      Machine::Apply(cluster_.state(), cluster_.index() + 1, {{metadata::Encode(level)}});
  const auto decision = Machine::Decide(state, Creation(Id(1)), rsm::Now{});
  EXPECT_OK(decision.reply);
  for (const rsm::Record& record : decision.records) {
    EXPECT_NE(record.type, metadata::kCompletedRequest);
  }
  v1::RequestId again = Id(1);
  again.set_retry(true);
  EXPECT_THAT(Machine::Decide(state, Creation(again), rsm::Now{}).reply,
              IsError(ErrorCode::kOutcomeUnknown, "below feature level 2"));
}

}  // namespace
}  // namespace millrace::controller
