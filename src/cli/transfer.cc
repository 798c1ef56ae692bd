#include "cli/transfer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/strings.h"
#include "codec/document.h"
#include "crypto/digest.h"

namespace cml::cli {
namespace {

using codec::Document;
namespace fs = std::filesystem;

constexpr int kTries = 6;
constexpr int kMostParts = 10'000;  // S3 API reference

Status PauseAfter(Context& context, int failures, const Error& error) {
  if (failures >= kTries || error.code() != Code::kUnavailable) return error;
  context.terminal().Pause(std::chrono::milliseconds(250 << failures));
  return Ok{};
}

Result<std::string> Md5OfFile(const fs::path& file) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(file, O_RDONLY | O_CLOEXEC));
  crypto::Digester digest(crypto::Hash::kMd5);
  std::string buffer(1U << 20, '\0');
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0) return ErrnoError(errno, "read", file);
    if (n == 0) return crypto::ToHex(digest.Finish());
    digest.Update(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
  }
}

// An ETag that is the MD5 of the bytes (objects that were not made of parts).
bool IsMd5(std::string_view etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string Shortened(std::string_view etag) {
  std::string s;
  for (const char c : etag.substr(0, 12)) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) s += c;
  }
  return s;
}

std::uint64_t SizeOf(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : size;
}

// ---- uploads that were begun

struct BegunUpload {
  fs::path note;  // the file that remembers it
  S3::UploadId id;
};

// The note's name says which file, in which state, goes where: another state, another upload.
Result<fs::path> NoteFor(Context& context, const fs::path& from, const ObjectUri& to,
                         std::uint64_t part_size) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  std::error_code error;
  const auto written = fs::last_write_time(from, error).time_since_epoch().count();
  const std::string what =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", settings->fds_endpoint(), settings->access_key(),
                  to.str(), fs::absolute(from, error).string(), SizeOf(from), written, part_size);
  const Terminal& terminal = context.terminal();
  const fs::path cache =
      terminal.Env("XDG_CACHE_HOME").value_or(terminal.Env("HOME").value_or("/tmp") + "/.cache");
  return cache / "cloudml/uploads" /
         (crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, what)).substr(0, 32) + ".json");
}

Result<BegunUpload> Begin(S3& store, const fs::path& note, const ObjectUri& to) {
  BegunUpload begun{note, {to.bucket, to.key, ""}};
  CML_ASSIGN_OR_RETURN(begun.id.id, store.BeginUpload(to.bucket, to.key));
  CML_RETURN_IF_ERROR(MakeFolders(note.parent_path()));
  const Document text = Document::Object().Set("upload_id", begun.id.id).Set("to", to.str());
  CML_RETURN_IF_ERROR(WriteFileAtomically(note, text.Dump(), 0600, Sync::kNotDurable));
  return begun;
}

// The upload that an earlier try began, if the store still knows it.
std::optional<BegunUpload> Remembered(S3& store, const fs::path& note, const ObjectUri& to,
                                      std::vector<S3::UploadedPart>& done) {
  const auto text = ReadFile(note, 1U << 16);
  if (!text.ok()) return std::nullopt;
  const auto parsed = Document::Parse(text.value());
  if (!parsed.ok()) return std::nullopt;
  BegunUpload begun{note, {to.bucket, to.key, parsed.value().Get("upload_id").Str()}};
  auto parts = store.Parts(begun.id);
  if (!parts.ok()) return std::nullopt;
  done = std::move(parts).value();
  return begun;
}

Status SendParts(Context& context, S3& store, const fs::path& from, const S3::UploadId& id,
                 std::vector<S3::UploadedPart>& done, std::uint64_t part_size) {
  const std::uint64_t size = SizeOf(from);
  const std::vector<int> missing = MissingParts(size, part_size, done);
  std::erase_if(
      done, [&](const S3::UploadedPart& p) { return std::ranges::count(missing, p.number) > 0; });
  std::uint64_t sent = 0;
  for (const S3::UploadedPart& p : done) sent += p.size;
  Progress progress(context, "uploading " + from.filename().string(), size);
  progress.StartedAt(sent);
  if (sent > 0) {
    context.Err(fmt::format("going on with an earlier upload: {} of {} are there\n",
                            FormatBytes(sent), FormatBytes(size)));
  }
  for (const int number : missing) {
    const std::uint64_t offset = static_cast<std::uint64_t>(number - 1) * part_size;
    const FilePart part{from, offset, std::min(part_size, size - offset),
                        [&](std::uint64_t n) { progress.At(sent + n); }};
    for (int failures = 0;;) {
      auto uploaded = store.PutPart(id, number, part);
      if (uploaded.ok()) {
        done.push_back(uploaded.value());
        break;
      }
      CML_RETURN_IF_ERROR(PauseAfter(context, ++failures, uploaded.error()));
    }
    sent += part.length;
    progress.At(sent);
  }
  std::ranges::sort(done, {}, &S3::UploadedPart::number);
  return Ok{};
}

Status UploadInParts(Context& context, S3& store, const fs::path& from, const ObjectUri& to,
                     std::uint64_t part_size) {
  const std::uint64_t size = SizeOf(from);
  while ((size + part_size - 1) / part_size > kMostParts) part_size *= 2;
  CML_ASSIGN_OR_RETURN(const fs::path note, NoteFor(context, from, to, part_size));
  std::vector<S3::UploadedPart> done;
  std::optional<BegunUpload> upload = Remembered(store, note, to, done);
  if (!upload) {
    CML_ASSIGN_OR_RETURN(BegunUpload begun, Begin(store, note, to));
    upload = std::move(begun);
  }
  CML_RETURN_IF_ERROR(SendParts(context, store, from, upload->id, done, part_size));
  CML_RETURN_IF_ERROR(store.CompleteUpload(upload->id, done));
  std::error_code error;
  fs::remove(note, error);  // what is left of it does no harm
  return Ok{};
}

Status Receive(Context& context, S3& store, const S3::Range& range, const fs::path& part,
               Progress& progress, bool& whole) {
  CML_ASSIGN_OR_RETURN(const Fd fd,
                       OpenFile(part, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644));
  std::uint64_t have = range.from;
  Status written = Ok{};
  const auto got = store.Get(range, [&](std::string_view bytes) {
    written = WriteAll(fd.get(), bytes, part);
    have += bytes.size();
    progress.At(have);
    return written.ok();
  });
  CML_RETURN_IF_ERROR(written);
  if (!got.ok()) {
    if (::ftruncate(fd.get(), static_cast<off_t>(range.from)) != 0)
      return ErrnoError(errno, "cut", part);
    return got.error();
  }
  whole = got.value() == S3::GetEnd::kWhole;
  (void)context;
  return Ok{};
}

}  // namespace

Progress::Progress(Context& context, std::string what, std::uint64_t total)
    : context_(context), what_(std::move(what)), total_(total), began_(context.Now()) {
  shown_ = began_;
}

void Progress::At(std::uint64_t done) {
  using namespace std::chrono_literals;
  const SysTime now = context_.Now();
  const bool terminal = context_.terminal().ErrIsTerminal();
  if (now - began_ < 1s || now - shown_ < (terminal ? 200ms : 5000ms)) return;
  shown_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double rate = static_cast<double>(done - std::min(done, began_with_)) / seconds;
  std::string line = what_ + "  " + FormatBytes(done);
  if (total_ > 0) line += fmt::format(" of {}  {} %", FormatBytes(total_), done * 100 / total_);
  if (rate >= 1) {
    line += "  " + FormatBytes(static_cast<std::uint64_t>(rate)) + "/s";
    if (total_ > done) {
      const auto left = std::chrono::seconds(
          static_cast<std::int64_t>(static_cast<double>(total_ - done) / rate) + 1);
      line += "  " + FormatDuration(left) + " left";
    }
  }
  if (terminal) {
    context_.Err("\r\033[K" + Clip(line, context_.terminal().Width() - 1));
    on_screen_ = true;
  } else {
    context_.Err(line + "\n");
  }
}

void Progress::Clear() {
  if (std::exchange(on_screen_, false)) context_.Err("\r\033[K");
}

std::vector<int> MissingParts(std::uint64_t size, std::uint64_t part_size,
                              const std::vector<S3::UploadedPart>& done) {
  std::vector<int> missing;
  const std::uint64_t count = std::max<std::uint64_t>(1, (size + part_size - 1) / part_size);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t length = std::min(part_size, size - i * part_size);
    const bool there = std::ranges::any_of(done, [&](const S3::UploadedPart& p) {
      return p.number == static_cast<int>(i + 1) && p.size == length && !p.etag.empty();
    });
    if (!there) missing.push_back(static_cast<int>(i + 1));
  }
  return missing;
}

Status Upload(Context& context, S3& store, const fs::path& from, const ObjectUri& to,
              std::uint64_t part_size) {
  std::error_code error;
  if (!fs::is_regular_file(from, error)) {
    return Error(error || fs::exists(from) ? Code::kInvalidArgument : Code::kNotFound,
                 from.string() + ": " + (fs::exists(from) ? "not a plain file" : "no such file"));
  }
  const std::uint64_t size = SizeOf(from);
  if (size >= 2 * part_size) return UploadInParts(context, store, from, to, part_size);
  Progress progress(context, "uploading " + from.filename().string(), size);
  const FilePart part{from, 0, size, [&](std::uint64_t done) { progress.At(done); }};
  for (int failures = 0;;) {
    const auto etag = store.Put(to.bucket, to.key, part);
    if (etag.ok()) return Ok{};
    CML_RETURN_IF_ERROR(PauseAfter(context, ++failures, etag.error()));
  }
}

Status Download(Context& context, S3& store, const ObjectUri& from, const fs::path& to) {
  CML_ASSIGN_OR_RETURN(const ObjectEntry object, store.Head(from.bucket, from.key));
  if (to.has_parent_path()) CML_RETURN_IF_ERROR(MakeFolders(to.parent_path(), 0755));
  const fs::path part =
      to.parent_path() / ("." + to.filename().string() + "." + Shortened(object.etag) + ".part");
  if (SizeOf(part) > object.size) CML_RETURN_IF_ERROR(RemoveTree(part));
  Progress progress(context, "downloading " + to.filename().string(), object.size);
  progress.StartedAt(SizeOf(part));
  bool whole = false;
  for (int failures = 0; !whole;) {
    const std::uint64_t have = SizeOf(part);
    if (have == object.size && have > 0) break;
    const Status got =
        Receive(context, store, {from.bucket, from.key, have, object.etag}, part, progress, whole);
    if (got.ok() && whole) break;
    if (SizeOf(part) > have) failures = 0;  // it goes on, if slowly
    const Error error =
        got.ok() ? Error(Code::kUnavailable, from.str() +
                                                 ": the connection breaks again and again\n"
                                                 "go on later with the same command")
                 : got.error();
    CML_RETURN_IF_ERROR(PauseAfter(context, ++failures, error));
  }
  if (SizeOf(part) != object.size) {
    return Error(Code::kDataLoss,
                 fmt::format("{}: {} bytes arrived of {}", from.str(), SizeOf(part), object.size));
  }
  if (IsMd5(object.etag)) {
    CML_ASSIGN_OR_RETURN(const std::string md5, Md5OfFile(part));
    if (md5 != object.etag) {
      CML_RETURN_IF_ERROR(RemoveTree(part));
      return Error(Code::kDataLoss,
                   from.str() + ": what arrived has another checksum; copy it again");
    }
  }
  std::error_code error;
  fs::rename(part, to, error);
  if (error) return ErrnoError(error.value(), "write", to);
  return Ok{};
}

}  // namespace cml::cli
