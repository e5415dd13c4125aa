#include "base/sync_ring.h"

#include <liburing.h>
#include <sys/uio.h>

#include <cerrno>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/check.h"
#include "base/posix_file.h"
#include "base/status.h"

namespace millrace {
namespace {

constexpr unsigned kRingEntries = 256;
// Each file takes two entries.
constexpr size_t kFilesMax = kRingEntries / 2;
// More pieces than that (Linux's UIO_MAXIOV) do not go into one call.
constexpr size_t kPiecesMax = 1024;

// What the ring is asked to do for one FileWrite, and what came of it.
struct Job {
  FileWrite* write;
  std::vector<iovec> vectors = {};
  size_t bytes = 0;
  // Results as the kernel gives them: bytes or 0, or a negative errno.
  int wrote = 0;
  int synced = 0;
};

// user_data: the job's index, and whether it is its sync.
uint64_t Tag(size_t job, bool is_sync) { return job * 2 + (is_sync ? 1 : 0); }

// Puts the job's entries into the ring; returns how many.
unsigned Prepare(io_uring* ring, size_t index, Job& job) {
  const int fd = PosixFileOf(*job.write).fd();
  unsigned entries = 0;
  if (job.bytes > 0) {
    io_uring_sqe* const sqe = io_uring_get_sqe(ring);
    CHECK(sqe != nullptr);
    io_uring_prep_writev(sqe, fd, job.vectors.data(), static_cast<unsigned>(job.vectors.size()),
                         job.write->offset);
    if (job.write->sync) io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
    io_uring_sqe_set_data64(sqe, Tag(index, false));
    ++entries;
  }
  if (job.write->sync) {
    io_uring_sqe* const sqe = io_uring_get_sqe(ring);
    CHECK(sqe != nullptr);
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, Tag(index, true));
    ++entries;
  }
  return entries;
}

// Turns the kernel's results into a status, doing here what it has left undone.
void Finish(Job& job) {
  FileWrite& write = *job.write;
  PosixFile& file = PosixFileOf(write);
  const bool is_whole = job.wrote >= 0 && static_cast<size_t>(job.wrote) == job.bytes;
  if (!is_whole) {
    if (job.wrote < 0 && job.wrote != -EINTR && job.wrote != -EAGAIN && job.wrote != -ECANCELED) {
      write.status = PosixError("write", file.path(), -job.wrote);
      return;
    }
    const size_t done = job.wrote > 0 ? static_cast<size_t>(job.wrote) : 0;
    write.status = file.WritePieces(write.offset, write.pieces, done);
    if (!write.status.ok()) return;
  }
  write.status = absl::OkStatus();
  if (!write.sync) return;
  if (job.synced == -ECANCELED || (!is_whole && job.synced == 0)) {
    // It never ran, or it ran before the rest was written.
    write.status = file.Sync();
  } else if (job.synced < 0) {
    write.status =
        MakeError(ErrorCode::kStorageError, PosixError("sync", file.path(), -job.synced).message(),
                  {.name = file.path()});
  }
}

void Submit(io_uring* ring, unsigned entries) {
  unsigned submitted = 0;
  while (submitted < entries) {
    const int result = io_uring_submit(ring);
    // Other errors than these would be ours: a wrong entry or a broken ring.
    CHECK(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY) << result;
    if (result > 0) submitted += static_cast<unsigned>(result);
  }
}

// Gives each result with its tag.
void Await(io_uring* ring, unsigned entries,
           absl::FunctionRef<void(uint64_t tag, int result)> done) {
  for (unsigned seen = 0; seen < entries;) {
    io_uring_cqe* cqe = nullptr;
    const int result = io_uring_wait_cqe(ring, &cqe);
    if (result == -EINTR || result == -EAGAIN) continue;
    CHECK_EQ(result, 0);
    done(io_uring_cqe_get_data64(cqe), cqe->res);
    io_uring_cqe_seen(ring, cqe);
    ++seen;
  }
}

void RunChunk(io_uring* ring, absl::Span<FileWrite> writes) {
  std::vector<Job> jobs;
  jobs.reserve(writes.size());
  // Plain calls of this thread, beside the kernel's: also the first one that syncs, since the
  // kernel's workers take longer to wake than to write.
  std::vector<FileWrite*> here;
  for (FileWrite& write : writes) {
    if (write.pieces.size() > kPiecesMax || (write.sync && here.empty())) {
      here.push_back(&write);
      continue;
    }
    Job job{.write = &write};
    for (Slice piece : write.pieces) {
      job.vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
      job.bytes += piece.size();
    }
    jobs.push_back(std::move(job));
  }
  unsigned entries = 0;
  for (size_t i = 0; i < jobs.size(); ++i) entries += Prepare(ring, i, jobs[i]);
  Submit(ring, entries);
  for (FileWrite* const write : here) WriteAndSyncHere(*write);
  Await(ring, entries, [&jobs](uint64_t tag, int result) {
    Job& job = jobs[tag / 2];
    (tag % 2 == 0 ? job.wrote : job.synced) = result;
  });
  for (Job& job : jobs) Finish(job);
}

}  // namespace

void SyncRings::RingDeleter::operator()(io_uring* ring) const {
  io_uring_queue_exit(ring);
  delete ring;
}

SyncRings::~SyncRings() {
  for (std::atomic<io_uring*>& slot : idle_) Ring(slot.exchange(nullptr)).reset();
}

SyncRings::Ring SyncRings::Take() {
  for (std::atomic<io_uring*>& slot : idle_) {
    if (io_uring* const ring = slot.exchange(nullptr); ring != nullptr) return Ring(ring);
  }
  auto ring = std::make_unique<io_uring>();
  if (io_uring_queue_init(kRingEntries, ring.get(), 0) != 0) return nullptr;
  return Ring(ring.release());
}

void SyncRings::GiveBack(Ring ring) {
  for (std::atomic<io_uring*>& slot : idle_) {
    io_uring* expected = nullptr;
    if (slot.compare_exchange_strong(expected, ring.get())) {
      // The slot owns it now.
      static_cast<void>(ring.release());
      return;
    }
  }
}

bool SyncRings::Probe() {
  Ring ring = Take();
  if (ring == nullptr) return false;
  io_uring_probe* const probe = io_uring_get_probe_ring(ring.get());
  const bool can = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_WRITEV) != 0 &&
                   io_uring_opcode_supported(probe, IORING_OP_FSYNC) != 0;
  if (probe != nullptr) io_uring_free_probe(probe);
  GiveBack(std::move(ring));
  return can;
}

bool SyncRings::Run(absl::Span<FileWrite> writes) {
  Ring ring = Take();
  if (ring == nullptr) return false;
  for (size_t at = 0; at < writes.size(); at += kFilesMax) {
    RunChunk(ring.get(), writes.subspan(at, kFilesMax));
  }
  GiveBack(std::move(ring));
  return true;
}

bool SyncRings::SyncAll(absl::Span<const int> descriptors, absl::Span<int> errors) {
  Ring ring = Take();
  if (ring == nullptr) return false;
  for (size_t begin = 0; begin < descriptors.size(); begin += kRingEntries) {
    const absl::Span<const int> some = descriptors.subspan(begin, kRingEntries);
    for (size_t i = 0; i < some.size(); ++i) {
      io_uring_sqe* const sqe = io_uring_get_sqe(ring.get());
      CHECK(sqe != nullptr);
      io_uring_prep_fsync(sqe, some[i], 0);
      io_uring_sqe_set_data64(sqe, begin + i);
    }
    const auto entries = static_cast<unsigned>(some.size());
    Submit(ring.get(), entries);
    Await(ring.get(), entries, [errors](uint64_t tag, int result) { errors[tag] = -result; });
  }
  GiveBack(std::move(ring));
  return true;
}

}  // namespace millrace
