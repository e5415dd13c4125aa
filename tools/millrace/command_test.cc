#include "tools/millrace/command.h"

#include <cstdlib>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;

// A command whose run returns `status`.
LineResult RunReturning(const absl::Status& status, std::vector<std::string> words) {
  words.insert(words.begin(), "try");
  return RunLine(
      [&](CLI::App* app, GlobalOptions* global) {
        CLI::App* command = AddCommand(app, "try", "Try it", "  millrace try\n", global,
                                       [&status] { return status; });
        AddConnectionOptions(command, global);
      },
      std::move(words));
}

TEST(Command, ExitCodesTellRefusedFromUnreachableFromMistyped) {
  EXPECT_EQ(RunReturning(absl::OkStatus(), {}).exit_code, kExitOk);
  EXPECT_EQ(RunReturning(MakeError(ErrorCode::kInvalidTopicName, "bad"), {}).exit_code,
            kExitFailed);
  EXPECT_EQ(RunReturning(MakeError(ErrorCode::kBrokerNotAvailable, "gone"), {}).exit_code,
            kExitUnavailable);
  EXPECT_EQ(RunReturning(MakeError(ErrorCode::kRequestTimedOut, "late"), {}).exit_code,
            kExitUnavailable);
  const LineResult mistyped = RunReturning(absl::OkStatus(), {"--no-such-flag"});
  EXPECT_EQ(mistyped.exit_code, kExitUsage);
  EXPECT_THAT(mistyped.err, HasSubstr("--no-such-flag"));
  EXPECT_EQ(RunReturning(absl::OkStatus(), {"-o", "xml"}).exit_code, kExitUsage);
  EXPECT_EQ(RunReturning(absl::OkStatus(), {"--timeout", "-1"}).exit_code, kExitUsage);
}

TEST(Command, ErrorsAreJsonWhereJsonWasAskedForAndLeaveStandardOutputAlone) {
  const absl::Status status =
      MakeError(ErrorCode::kInvalidTopicName, "bad", {.name = "topic", .value = "a/b"});
  const LineResult json = RunReturning(status, {"-o", "json"});
  EXPECT_EQ(json.out, "");
  EXPECT_EQ(json.err, R"({"error":{"code":"INVALID_TOPIC_NAME","message":"bad","retriable":false,)"
                      R"("name":"topic","value":"a/b"}})"
                      "\n");
  EXPECT_EQ(RunReturning(status, {}).err, "error: bad (INVALID_TOPIC_NAME)\n");
}

TEST(Command, NobodyThereNamesTheAddressesTried) {
  const LineResult result = RunLine(
      [](CLI::App* app, GlobalOptions* global) {
        CLI::App* command = AddCommand(app, "list", "List", "  millrace list\n", global, [global] {
          absl::StatusOr<std::unique_ptr<client::Admin>> admin = ConnectAdmin(*global);
          return admin.ok() ? (*admin)->ListTopics({}).status() : admin.status();
        });
        AddConnectionOptions(command, global);
      },
      {"list", "--bootstrap", "127.0.0.1:1,127.0.0.1:2"});
  EXPECT_EQ(result.exit_code, kExitUnavailable);
  EXPECT_THAT(result.err, HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(result.err, HasSubstr("127.0.0.1:2"));
}

TEST(Command, BootstrapServersComeFromTheLineThenTheEnvironmentThenTheDefault) {
  const auto bootstrap = [](std::vector<std::string> words) {
    std::string seen;
    words.insert(words.begin(), "try");
    RunLine(
        [&seen](CLI::App* app, GlobalOptions* global) {
          // Another command with the same option must not get into the way.
          for (const char* name : {"try", "other"}) {
            AddConnectionOptions(AddCommand(app, name, "Try it", "  millrace try\n", global,
                                            [&seen, global] {
                                              seen = global->bootstrap;
                                              return absl::OkStatus();
                                            }),
                                 global);
          }
        },
        std::move(words));
    return seen;
  };
  unsetenv("MILLRACE_BOOTSTRAP");
  EXPECT_EQ(bootstrap({}), "localhost:9092");
  setenv("MILLRACE_BOOTSTRAP", "from-environment:1", 1);
  EXPECT_EQ(bootstrap({}), "from-environment:1");
  EXPECT_EQ(bootstrap({"--bootstrap", "from-line:2"}), "from-line:2");
  unsetenv("MILLRACE_BOOTSTRAP");
}

TEST(Command, MistypedCommandsAndOptionsAreNamedWithTheNearestOnes) {
  const auto run = [](std::vector<std::string> words) {
    return RunLine(
        [](CLI::App* app, GlobalOptions* global) {
          CLI::App* noun = app->add_subcommand("noun", "A noun");
          noun->require_subcommand(1);
          AddConnectionOptions(AddCommand(noun, "create", "Create", "  millrace noun create\n",
                                          global, [] { return absl::OkStatus(); }),
                               global);
        },
        std::move(words));
  };
  EXPECT_EQ(run({"noun", "crate"}).err,
            "error: there is no command 'millrace noun crate'; did you mean 'create'?\n"
            "See: millrace noun --help\n");
  EXPECT_EQ(run({"noun", "create", "--bootstarp=x"}).err,
            "error: 'millrace noun create' has no option '--bootstarp'; did you mean "
            "'--bootstrap'?\nSee: millrace noun create --help\n");
  EXPECT_EQ(run({"noun", "create", "surprise"}).err,
            "error: 'millrace noun create' does not know what to do with 'surprise'\n"
            "See: millrace noun create --help\n");
  EXPECT_EQ(run({"noun"}).err,
            "error: a subcommand is required: one of create\nSee: millrace noun --help\n");
  EXPECT_EQ(run({"noun", "create", "--timeout", "soon"}).err,
            "error: --timeout: 'soon' is not a number above 0\n"
            "See: millrace noun create --help\n");
}

TEST(SplitSetting, CutsAtTheFirstEqualsSign) {
  EXPECT_THAT(SplitSetting("a=b=c", "--config").value(), Pair("a", "b=c"));
  EXPECT_THAT(SplitSetting("name=", "--config").value(), Pair("name", ""));
  for (const char* text : {"", "name", "=value"}) {
    EXPECT_THAT(SplitSetting(text, "--config"),
                IsError(ErrorCode::kInvalidRequest, "is not of the form name=value"))
        << text;
  }
}

TEST(ResultStatus, KeepsCodeAndMessageOfTheServer) {
  EXPECT_OK(ResultStatus(v1::ERROR_CODE_UNSPECIFIED, ""));
  EXPECT_THAT(ResultStatus(v1::ERROR_CODE_TOPIC_ALREADY_EXISTS, "there is one"),
              IsError(ErrorCode::kTopicAlreadyExists, "there is one"));
}

}  // namespace
}  // namespace millrace::tools
