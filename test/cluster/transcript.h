// Transcript: the commands in a document and what it says they print, for tests that run them.
//
// In a block of the language "console", a line that begins with "$ " is a command, lines that begin
// with "> " go on with it, and the rest is its output. In output, <word> stands for any text that
// is another each time (<id>, <time>), and a line of three dots for any lines. A command whose
// output has a line that begins with "error:", or is JSON's {"error":..., exits with an error, all
// others with 0.
//
// Thread: any (pure functions).
#ifndef TEST_CLUSTER_TRANSCRIPT_H_
#define TEST_CLUSTER_TRANSCRIPT_H_

#include <string>
#include <vector>

namespace millrace::test {

struct TranscriptStep {
  int line = 0;
  std::string command;
  std::string output;

  bool fails() const;
};

// The steps of all "console" blocks, in order.
std::vector<TranscriptStep> ReadTranscript(const std::string& markdown);

// Whether a command's real output is the one described.
bool OutputMatches(const std::string& described, const std::string& real);

// The contents of a document, by its path from the root of the tree.
std::string ReadDocument(const std::string& path);

}  // namespace millrace::test

#endif  // TEST_CLUSTER_TRANSCRIPT_H_
