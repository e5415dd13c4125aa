"""Each check against small trees: one that keeps its rule, and one that breaks it."""

import os
import shutil
import sys
import tempfile
import unittest

import banned_calls
import cpp_text
import formatting
import includes
import junit
import layers
import proto_lint
import shape
import tidy_main
from source_tree import SourceTree

_PROTO_HEAD = 'syntax = "proto3";\npackage millrace.v1;\n'


class TreeTest(unittest.TestCase):
    """Gives each test a tree of its own."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="tidy-unit-")
        self.addCleanup(shutil.rmtree, self.root)

    def tree(self, files):
        for path, text in files.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return SourceTree(self.root)

    def findings(self, check, files):
        return [str(finding) for finding in check(self.tree(files))]

    def assert_clean(self, check, files):
        self.assertEqual([], self.findings(check, files))

    def assert_one(self, check, files, *parts):
        found = self.findings(check, files)
        self.assertEqual(1, len(found), found)
        for part in parts:
            self.assertIn(part, found[0])


class IncludesTest(TreeTest):
    def test_a_listed_folder_may_be_included(self):
        self.assert_clean(includes.check, {"base/a.h": "", "record/b.cc": '#include "base/a.h"\n'})

    def test_an_unlisted_folder_may_not(self):
        self.assert_one(includes.check, {"storage/a.h": "", "raft/b.h": '\n#include "storage/a.h"\n'},
                        "raft/b.h:2:", "raft must not use storage", "base")

    def test_the_longest_folder_decides(self):
        files = {"raft/host/wal.h": "", "raft/node.h": '#include "raft/host/wal.h"\n'}
        self.assert_one(includes.check, files, "raft must not use raft/host")
        self.assertEqual([], self.findings(includes.check,
                                           {"raft/node.h": "", "raft/host/wal.h": '#include "raft/node.h"\n'}))

    def test_a_folder_outside_the_table_is_named(self):
        self.assert_one(includes.check, {"novelty/a.cc": ""}, "novelty/a.cc:1:", "does not know this folder")

    def test_shipped_code_may_not_include_the_simulated_side(self):
        files = {"base/sim/disk.h": "", "storage/log.cc": '#include "base/sim/disk.h"\n'}
        self.assert_one(includes.check, files, "storage/log.cc:1:", "test support")

    def test_tests_may_include_the_simulated_side(self):
        self.assert_clean(includes.check, {
            "base/sim/disk.h": "",
            "storage/log_test.cc": '#include "base/sim/disk.h"\n',
            "storage/testing/fixture.h": '#include "base/sim/disk.h"\n',
            "test/sim/world.cc": '#include "base/sim/disk.h"\n',
        })

    def test_shipped_code_may_not_include_fakes(self):
        files = {"storage/fake_kv_store.h": "", "metadata/image.cc": '#include "storage/fake_kv_store.h"\n'}
        self.assert_one(includes.check, files, "metadata/image.cc:1:", "test support")

    def test_a_test_is_bound_to_what_its_folder_may_use(self):
        files = {"broker/replica.h": "", "storage/log_test.cc": '#include "broker/replica.h"\n'}
        self.assert_one(includes.check, files, "storage must not use broker")

    def test_the_real_store_is_seen_by_the_program_only(self):
        files = {"storage/kv_rocksdb.h": "", "tools/millrace/server.cc": '#include "storage/kv_rocksdb.h"\n'}
        self.assert_clean(includes.check, files)
        files = {"tools/millrace/server.cc": "", "tools/bench/b.cc": '#include "storage/kv_rocksdb.h"\n'}
        self.assert_one(includes.check, files, "tools/bench must not use storage:kv_rocksdb")

    def test_metadata_sees_the_store_interface_but_not_the_logs(self):
        files = {"storage/kv_store.h": "", "storage/log.h": "", "metadata/image_store.cc":
                 '#include "storage/kv_store.h"\n#include "storage/log.h"\n'}
        self.assert_one(includes.check, files, "metadata/image_store.cc:2:", "metadata must not use storage ")

    def test_the_pure_client_is_what_its_build_target_lists(self):
        files = {
            "client/BUILD.bazel": 'cc_library(name = "core", srcs = ["producer_core.cc"], hdrs = [":producer_core.h"])',
            "rpc/server.h": "",
            "client/producer_core.cc": '#include "rpc/server.h"\n',
            "client/producer.cc": '#include "rpc/server.h"\n#include "client/producer_core.h"\n',
            "client/producer_core.h": "",
        }
        self.assert_one(includes.check, files, "client/producer_core.cc:1:", "client:core must not use rpc")

    def test_messages_of_proto_are_classed(self):
        record = '#include "millrace/internal/v1/metadata_records.pb.h"\n'
        command = '#include "millrace/v1/admin_service.pb.h"\n'
        stub = '#include "millrace/v1/log_service.grpc.pb.h"\n'
        self.assert_clean(includes.check, {"metadata/apply.cc": record, "controller/machine.cc": record + command,
                                           "rpc/status.cc": '#include "millrace/v1/errors.pb.h"\n',
                                           "broker/service/a.cc": command + stub})
        self.assert_one(includes.check, {"metadata/apply.cc": command}, "metadata must not use proto:cold")
        self.assert_one(includes.check, {"metadata/apply.cc": stub}, "metadata must not use proto:grpc")
        self.assert_one(includes.check, {"metadata/apply.cc": "", "node/node.cc": stub}, "node must not use proto:grpc")

    def test_libraries_have_their_places(self):
        for good, bad, include in [
                ("rpc/server.cc", "broker/shard.cc", '"grpcpp/grpcpp.h"'),
                ("broker/service/log.cc", "node/node.cc", "<grpcpp/server.h>"),
                ("storage/kv_rocksdb.cc", "storage/log.cc", "<rocksdb/db.h>"),
                ("record/codec_zstd.cc", "storage/log.cc", "<zstd.h>"),
                ("http/metrics.cc", "node/node.cc", "<prometheus/registry.h>"),
                ("base/log.cc", "base/config.cc", "<spdlog/spdlog.h>"),
                ("base/config_file.cc", "base/log.cc", "<yaml-cpp/yaml.h>"),
                ("base/posix_file_system.cc", "storage/log.cc", "<liburing.h>"),
                ("rpc/accept.cc", "broker/shard.cc", "<sys/socket.h>"),
                ("base/thread_executor.cc", "storage/log.cc", "<mutex>"),
                ("raft/node_test.cc", "raft/node.cc", '"gtest/gtest.h"'),
                ("base/wall_clock.cc", "raft/node.cc", "<chrono>")]:
            with self.subTest(include=include):
                self.assert_clean(includes.check, {good: f"#include {include}\n"})
                self.assert_one(includes.check, {good: "", bad: f"#include {include}\n"}, f"{bad}:1:",
                                "library-place")
                os.remove(os.path.join(self.root, bad))

    def test_an_unknown_library_wants_a_row(self):
        self.assert_one(includes.check, {"base/a.cc": "#include <boost/any.hpp>\n#include <vector>\n"},
                        "base/a.cc:1:", "LIBRARIES")

    def test_a_quoted_path_must_exist(self):
        self.assert_one(includes.check, {"base/a.cc": '#include "b.h"\n'}, "path from the root")

    def test_includes_in_comments_do_not_count(self):
        self.assert_clean(includes.check, {"base/a.cc": '// #include "b.h"\n/*\n#include <x/y.h>\n*/\n'})

    def test_the_documented_table_is_the_checked_one(self):
        rows = [f"| `{layer}` | {'everything' if used == layers.ALL else ', '.join(used) or '-'} |\n"
                for layer, used in layers.MAY_USE.items()]
        self.assert_clean(includes.check_documentation, {"docs/architecture.md": "".join(rows)})
        self.assert_one(includes.check_documentation, {"docs/architecture.md": "".join(rows[1:])}, "the row of base ")


class BannedCallsTest(TreeTest):
    def assert_banned(self, code, rule, path="broker/a.cc"):
        self.assert_one(banned_calls.check, {path: f"int f() {{\n  {code}\n}}\n"}, f"{path}:2:", f"[banned-{rule}]")

    def test_each_call_to_the_world_is_found(self):
        for code, rule in [
                ("std::thread t(g);", "thread"), ("auto h = std::async(g);", "thread"),
                ("std::this_thread::yield();", "thread"),
                ("auto n = std::chrono::steady_clock::now();", "clock"), ("auto n = time(nullptr);", "clock"),
                ("clock_gettime(0, &ts);", "clock"), ("auto n = absl::Now();", "clock"),
                ("usleep(10);", "sleep"), ("absl::SleepFor(d);", "sleep"),
                ("std::ifstream in(path);", "file"), ("int fd = ::open(path, 0);", "file"),
                ("int fd = open(path, 0);", "file"), ("::unlink(path);", "file"),
                ("std::filesystem::path p;", "file"), ("int s = socket(1, 2, 3);", "socket"),
                ("::bind(s, a, n);", "socket"), ("kill(pid, 9);", "process"),
                ("std::mt19937 r;", "random"), ("return rand();", "random"), ("std::random_device d;", "random"),
                ("std::mutex m;", "mutex"), ("absl::Mutex m;", "absl-mutex"),
                ("std::string_view s;", "string-view"), ("co_return 1;", "coroutine"), ("throw 1;", "exception")]:
            with self.subTest(code=code):
                self.assert_banned(code, rule)

    def test_members_and_names_of_ours_are_not_calls_to_the_world(self):
        self.assert_clean(banned_calls.check, {"broker/a.cc": "\n".join([
            "file->read(1); file.write(x); log.open(p); clock->time(nullptr);", "bool open() const;",
            "Status Open(Slice p); storage::open(p); std::rename_me(x); brand(1); my_time(0);",
            "std::threads; random_thread; broker::kill(1); batch.send(1); int kill_count(3);",
            "WriteSink write(1); std::vector<int> read(2); const Bytes& open(p);", ""])})

    def test_a_call_after_a_keyword_is_a_call(self):
        self.assert_banned("return read(fd, b, n);", "file")
        self.assert_banned("Sink write(1); write(fd, b, n);", "file")

    def test_comments_and_literals_do_not_count(self):
        self.assert_clean(banned_calls.check, {"broker/a.cc": "\n".join([
            "// std::mutex is not used, nor time(nullptr)", 'auto s = "std::thread";', "/* std::mutex",
            "std::mutex */ int x = 1'000'000;", 'auto r = R"(std::thread "quoted)";', "char c = '\"';", ""])})

    def test_the_places_of_the_world_may_call_it(self):
        for path in ["base/a.cc", "rpc/a.cc", "http/a.cc", "tools/millrace/a.cc", "test/cluster/a.cc"]:
            self.assert_clean(banned_calls.check, {path: "std::thread t; ::open(p, 0); std::random_device d;\n"})

    def test_the_simulator_is_not_such_a_place(self):
        self.assert_banned("std::thread t;", "thread", "test/sim/world.cc")

    def test_even_base_may_not_take_a_mutex_anywhere(self):
        self.assert_banned("std::mutex m;", "mutex", "base/config.cc")

    def test_a_mutex_may_stand_in_the_thread_executor(self):
        self.assert_clean(banned_calls.check, {"base/thread_executor.cc": "std::mutex m;\n"})

    def test_blanking_keeps_line_numbers(self):
        text = 'a\n/* x\ny */ b\nR"(\n)" c\n'
        self.assertEqual(text.count("\n") + 1, len(cpp_text.code_lines(text)))


class ShapeTest(TreeTest):
    def test_sizes_have_a_limit_that_tests_may_exceed(self):
        self.assert_clean(shape.check_sizes, {"base/a.cc": "x\n" * 600, "base/a_test.cc": "x\n" * 1000,
                                              "test/sim/world.cc": "x\n" * 1000})
        self.assert_one(shape.check_sizes, {"base/b.h": "x\n" * 601}, "base/b.h:600:", "601 lines")
        self.assert_one(shape.check_sizes, {"base/b.h": "", "test/c.cc": "x\n" * 1001}, "1001 lines")

    def test_every_source_has_its_test(self):
        self.assert_one(shape.check_tests_beside_sources, {"base/a.cc": ""}, "base/a_test.cc")
        self.assert_clean(shape.check_tests_beside_sources, {
            "base/a_test.cc": "", "tools/x/main.cc": "", "tools/x/server_main.cc": "", "test/sim/world.cc": "",
            "node/testing/sim_server.cc": "", "client/fake_server.cc": ""})

    def test_leftovers_want_an_issue(self):
        word = "TO" + "DO"
        self.assert_one(shape.check_leftovers, {"base/a.cc": f"\n// {word}: later\n"}, "base/a.cc:2:", word)
        self.assert_clean(shape.check_leftovers, {"base/a.cc": f"// {word}(#12): later\n"})

    def test_no_text_names_a_machine_or_a_registry(self):
        for text in ["/ro" + "ot/x", "see /wo" + "rk/main", "https://pypi.o" + "rg/x", "deb.debian.o" + "rg"]:
            self.assert_one(shape.check_leftovers, {"docs/a.md": f"{text}\n"}, "docs/a.md:1:", "machine-path")
        self.assert_clean(shape.check_leftovers, {"docs/a.md": "/usr/include, /tmp/x, net/work/x, path/root/y\n"})

    def test_each_top_folder_has_a_short_readme(self):
        self.assert_one(shape.check_readmes, {"base/a.h": ""}, "base/README.md:1:", "missing")
        self.assert_clean(shape.check_readmes, {"base/README.md": "x\n" * 20, "docs/a.md": "", "README.md": "x\n" * 99})
        self.assert_one(shape.check_readmes, {"base/README.md": "x\n" * 21}, "21 lines")

    def test_each_header_opens_with_a_comment(self):
        self.assert_clean(shape.check_opening_comments, {"base/a.h": "// A.\n// B.\n// Thread: any.\n#ifndef A\n"})
        self.assert_one(shape.check_opening_comments, {"base/a.h": "#ifndef A\n// A.\n"}, "base/a.h:1:")

    def test_what_the_build_needs_is_installed(self):
        workspace = 'debian_packages(\n    packages = {\n        "libx-dev": ["x"],\n    },\n)\n'
        self.assert_one(shape.check_installs, {"WORKSPACE": workspace, "tools/install.sh": "liby-dev\n"},
                        "WORKSPACE:3:", "libx-dev")
        self.assert_clean(shape.check_installs, {"WORKSPACE": workspace, "tools/install.sh": "liby-dev\n  libx-dev\n"})


class ProtoLintTest(TreeTest):
    def lint(self, body, path="proto/millrace/v1/a.proto", head=_PROTO_HEAD):
        return [finding.message for finding in proto_lint.check_text(path, head + body)]

    def assert_lint(self, body, part, **options):
        found = self.lint(body, **options)
        self.assertEqual(1, len(found), found)
        self.assertIn(part, found[0])

    def test_a_good_file_is_clean(self):
        self.assertEqual([], self.lint("""
            // service bad {}
            import "google/protobuf/empty.proto";
            enum HTTPCode { option allow_alias = true; HTTP_CODE_UNSPECIFIED = 0; HTTP_CODE_OK = 1 [deprecated = true]; }
            message Put { reserved 4, 5; reserved "old"; map<string, int64> by_name = 1; repeated a.b.C items = 2;
              oneof kind { string plain_name = 3; } message Inner { enum Level { LEVEL_UNSPECIFIED = 0; } Level l = 1; } }
            service LogService { rpc Put(PutRequest) returns (PutResponse);
              rpc Watch(stream WatchRequest) returns (stream millrace.v1.WatchResponse) { option idempotency_level = X; } }
        """))

    def test_the_package_follows_the_folder(self):
        self.assert_lint("", "follow the folder: millrace.internal.v1", path="proto/millrace/internal/v1/a.proto")
        self.assert_lint("", "has no package", head='syntax = "proto3";')

    def test_the_file_name_is_snake_case(self):
        self.assert_lint("", "lower_snake_case", path="proto/millrace/v1/logService.proto")

    def test_a_service_ends_in_service(self):
        self.assert_lint("service Log {}", "must end in Service")

    def test_each_rpc_has_messages_of_its_own(self):
        self.assert_lint("service LogService { rpc Put(AddRequest) returns (PutResponse); }", "own PutRequest")
        self.assert_lint("service LogService { rpc Put(PutRequest) returns (stream x.Empty); }", "own PutResponse")

    def test_the_zero_value_is_unspecified(self):
        self.assert_lint("enum Code { CODE_NONE = 0; }", "CODE_UNSPECIFIED")
        self.assert_lint("enum Code { CODE_A = 1; }", "number 0")

    def test_enum_values_carry_the_enums_name(self):
        self.assert_lint("enum ErrorCode { ERROR_CODE_UNSPECIFIED = 0; FULL = 1; }", "ERROR_CODE_")

    def test_fields_are_snake_case(self):
        self.assert_lint("message A { int32 topicName = 1; }", "A.topicName")
        self.assert_lint("message A { oneof k { int32 topicName = 1; } }", "topicName")

    def test_internal_messages_have_no_maps(self):
        self.assert_lint("message A { map<string, string> names = 1; }", "map",
                         path="proto/millrace/internal/v1/records.proto",
                         head='syntax = "proto3";\npackage millrace.internal.v1;\n')

    def test_lines_are_those_of_the_source(self):
        found = list(proto_lint.check_text("proto/millrace/v1/a.proto", _PROTO_HEAD + "/* x\n*/\nservice Log {}\n"))
        self.assertEqual([5], [finding.line for finding in found])

    def test_protos_live_below_proto(self):
        self.assert_one(proto_lint.check, {"base/a.proto": _PROTO_HEAD}, "base/a.proto:1:", "below proto/")

    def test_contracts_of_others_keep_their_own_rules(self):
        self.assert_clean(proto_lint.check, {"rpc/proto/health.proto": 'syntax = "proto3"; package grpc.health.v1;'})


class FormattingTest(TreeTest):
    FILES = {".clang-format": "BasedOnStyle: Google\n", "base/good.cc": "int f() { return 1; }\n"}

    def test_formatted_code_is_clean(self):
        self.assert_clean(formatting.check, self.FILES)

    def test_unformatted_code_is_found_once_a_file(self):
        self.assert_one(formatting.check, {**self.FILES, "base/bad.cc": "\nint  f( ) {return 1;}\nint   x;\n"},
                        "base/bad.cc:2:", "clang-format-14 -i base/bad.cc")

    def test_a_missing_formatter_is_a_finding(self):
        found = list(formatting.check(self.tree(self.FILES), program="no-such-clang-format"))
        self.assertIn("not installed", found[0].message)


class ExceptionsTest(TreeTest):
    FILES = {"broker/a.cc": "std::mutex m;\n"}

    def test_an_exception_excuses_its_rule_in_its_file(self):
        results = tidy_main.run_checks(self.tree(self.FILES), ["banned_calls"],
                                       [("broker/a.cc", "banned-mutex", "a reason")])
        self.assertEqual({"banned_calls": []}, results)

    def test_an_idle_exception_is_a_finding(self):
        results = tidy_main.run_checks(self.tree(self.FILES), list(tidy_main.CHECKS),
                                       [("broker/b.cc", "banned-mutex", "a reason")])
        self.assertIn("excuses nothing", results["exceptions"][0].message)


class SourceTreeTest(TreeTest):
    def test_build_output_links_and_test_data_are_left_out(self):
        self.tree({"a/b.cc": "", "bazel-out/c.cc": "", ".git/d.cc": "", "a/testdata/e.cc": ""})
        os.symlink(os.path.join(self.root, "a"), os.path.join(self.root, "link"))
        self.assertEqual(["a/b.cc"], SourceTree(self.root).paths)


class _Result(unittest.TextTestResult):
    """Remembers each case for the XML."""

    cases = []

    def stopTest(self, test):
        text = "\n".join(text for failed, text in self.failures + self.errors
                         if failed.id().split(" ")[0] == test.id())
        self.cases.append((test.id().split(".", 1)[-1], text or None))
        super().stopTest(test)


if __name__ == "__main__":
    program = unittest.main(exit=False, testRunner=unittest.TextTestRunner(resultclass=_Result))
    junit.write("tidy_unit", _Result.cases)
    sys.exit(0 if program.result.wasSuccessful() else 1)
