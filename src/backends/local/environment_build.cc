#include "backends/local/environment_build.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "backends/local/uv_progress.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using std::chrono::minutes;

constexpr std::string_view kStaging = ".staging-";
constexpr std::string_view kRemoved = ".removed-";
constexpr std::string_view kSizeFile = "size";  // the last file written into an environment
constexpr minutes kMostInstall{90};
constexpr minutes kMostSmoke{10};

std::string LastLine(std::string_view text) {
  text = Trim(text);
  const auto newline = text.rfind('\n');
  return std::string(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

Variables BaseEnvironment(const BuildPlan& plan) {
  Variables env;
  for (const char* name : {"HOME", "PATH", "TMPDIR", "USER", "LOGNAME", "NETRC"}) {
    if (const auto found = plan.environment.find(name); found != plan.environment.end()) {
      env.insert(*found);
    }
  }
  env.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  env["LANG"] = "C.UTF-8";
  return env;
}

Variables UvEnvironment(const BuildPlan& plan) {
  Variables env = BaseEnvironment(plan);
  for (const auto& [name, value] : plan.sources.env) env[name] = value;
  env["UV_CACHE_DIR"] = plan.cache;
  env["UV_LINK_MODE"] = "hardlink";
  env["UV_NO_PROGRESS"] = "1";
  env["UV_PYTHON_DOWNLOADS"] = "never";
  env["NO_COLOR"] = "1";
  return env;
}

// A server that is killed takes the program with it: it must not go on writing into a folder that
// the next server sweeps away. The kernel does it, asked by util-linux's setpriv.
std::vector<std::string> DyingWithUs(std::vector<std::string> argv) {
  constexpr const char* kSetpriv = "/usr/bin/setpriv";
  if (::access(kSetpriv, X_OK) == 0) argv.insert(argv.begin(), {kSetpriv, "--pdeathsig", "KILL"});
  return argv;
}

// Modes for everybody to read and nobody to write, and how much space it takes. Follows no link.
Result<std::uint64_t> Freeze(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::vector<fs::path> folders{folder};
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    struct stat info{};
    if (::lstat(it->path().c_str(), &info) != 0) return ErrnoError(errno, "look at", it->path());
    if (S_ISLNK(info.st_mode)) continue;
    if (S_ISDIR(info.st_mode)) {
      folders.push_back(it->path());
      continue;
    }
    bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    const mode_t mode = 0444 | ((info.st_mode & 0111) != 0 ? 0111 : 0);
    if ((info.st_mode & 07777) != mode && ::chmod(it->path().c_str(), mode) != 0) {
      return ErrnoError(errno, "protect", it->path());
    }
  }
  if (error) return ErrnoError(error.value(), "look through", folder);
  CML_RETURN_IF_ERROR(WriteFileAtomically(folder / kSizeFile, std::to_string(bytes), 0444));
  for (const fs::path& path : folders) {
    if (::chmod(path.c_str(), 0555) != 0) return ErrnoError(errno, "protect", path);
  }
  return bytes;
}

void Thaw(const fs::path& folder) {
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return;
  ::chmod(folder.c_str(), 0755);
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_symlink(error) && it->is_directory(error)) Thaw(it->path());
  }
}

// One run of uv; a failure is told by uv's own words.
Status RunUv(const BuildPlan& plan, std::vector<std::string> arguments, std::stop_token stop,
             const std::function<void(std::string_view)>& on_line) {
  ProcessSpec spec;
  arguments.insert(arguments.begin(), plan.uv.string());
  spec.argv = DyingWithUs(std::move(arguments));
  spec.env = UvEnvironment(plan);
  CML_ASSIGN_OR_RETURN(const ProcessResult result,
                       RunProcess(spec, kMostInstall, std::move(stop), on_line));
  if (result.exit_code == 0) return Ok{};
  std::string reason = UvError(result.output);
  if (reason.empty()) reason = WithoutCredentials(LastLine(result.output));
  if (reason.empty()) reason = fmt::format("uv ended with status {}", result.exit_code);
  return Error(Code::kUnavailable, reason);
}

Status Install(const BuildPlan& plan, const fs::path& staging, std::stop_token stop,
               const std::function<void(const std::string&)>& say) {
  say("creating it with " + plan.interpreter.program.string());
  CML_RETURN_IF_ERROR(RunUv(plan,
                            {"venv", "--quiet", "--relocatable", "--no-project",
                             "--allow-existing", "--python", plan.interpreter.program, staging},
                            stop, {}));
  const std::string& lock = plan.runtime.locks.at(plan.variant);
  const fs::path lock_file = staging / "requirements.lock";
  const fs::path constraints = staging / "build-constraints.txt";
  CML_RETURN_IF_ERROR(WriteFileAtomically(lock_file, lock, 0444, Sync::kNotDurable));
  CML_RETURN_IF_ERROR(WriteFileAtomically(constraints, plan.runtime.build_constraints, 0444,
                                          Sync::kNotDurable));
  std::vector<std::string> arguments{
      "pip",       "install",        "--python", staging / "bin/python", "--require-hashes",
      "--no-deps", "--compile-bytecode", "--build-constraints", constraints, "-r", lock_file};
  arguments.insert(arguments.end(), plan.sources.arguments.begin(), plan.sources.arguments.end());
  UvProgress progress(PinsOf(lock).size());
  std::string told;
  return RunUv(plan, std::move(arguments), std::move(stop), [&](std::string_view line) {
    progress.Line(line);
    if (std::string sentence = progress.Sentence(); sentence != told) {
      told = std::move(sentence);
      say(told);
    }
  });
}

// One of the runtime's own programs, with the new environment's Python and an empty home.
Status RunOwn(const BuildPlan& plan, const fs::path& program, std::string_view contents,
              std::stop_token stop) {
  CML_RETURN_IF_ERROR(WriteFileAtomically(program, contents, 0444, Sync::kNotDurable));
  const TempFolder scratch;
  ProcessSpec spec;
  spec.argv = DyingWithUs({(program.parent_path() / "bin/python").string(), "-W", "ignore",
                           program.string(), std::string(ToString(plan.variant))});
  spec.env = BaseEnvironment(plan);
  spec.env["PYTHONDONTWRITEBYTECODE"] = "1";
  spec.env["HOME"] = scratch.path();
  if (plan.variant == Variant::kCpu) spec.env["CUDA_VISIBLE_DEVICES"] = "";
  spec.folder = scratch.path();
  CML_ASSIGN_OR_RETURN(const ProcessResult result, RunProcess(spec, kMostSmoke, std::move(stop)));
  if (result.exit_code != 0) return Error(Code::kFailedPrecondition, LastLine(result.output));
  LogInfo("environment program", {{"program", program.filename()}, {"says", LastLine(result.output)}});
  return Ok{};
}

Status Fill(const BuildPlan& plan, const fs::path& staging, std::stop_token stop,
            const std::function<void(const std::string&)>& say) {
  CML_RETURN_IF_ERROR(Install(plan, staging, stop, say));
  if (!plan.runtime.finish.empty()) {
    CML_RETURN_IF_ERROR(RunOwn(plan, staging / "finish.py", plan.runtime.finish, stop));
  }
  say("trying it out");
  const Status trained = RunOwn(plan, staging / "smoke.py", plan.runtime.smoke, stop);
  if (!trained.ok()) {
    return Error(trained.error().code(), "it does not train here: " + trained.error().message());
  }
  const Result<std::uint64_t> size = Freeze(staging);
  if (!size.ok()) return size.error();
  // The name must not reach the disk before the files do.
  const Result<Fd> parent = OpenFile(plan.folder.parent_path(), O_RDONLY | O_DIRECTORY);
  if (!parent.ok()) return parent.error();
  if (::syncfs(parent.value().get()) != 0) return ErrnoError(errno, "sync", plan.folder);
  if (::rename(staging.c_str(), plan.folder.c_str()) != 0) {
    const int failed = errno;
    if (!IsBuilt(plan.folder)) return ErrnoError(failed, "rename to", plan.folder);
    return RemoveLeftover(staging);  // another server on this folder was faster
  }
  return SyncFolder(plan.folder.parent_path());
}

// A new folder that stays locked for as long as the descriptor is open, also against other servers
// on the same data; a killed one leaves it unlocked.
Result<Fd> MakeLocked(const fs::path& folder) {
  CML_RETURN_IF_ERROR(MakeFolders(folder, 0755));
  CML_ASSIGN_OR_RETURN(Fd fd, OpenFile(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return ErrnoError(errno, "lock", folder);
  return fd;
}

bool IsLocked(const fs::path& folder) {
  const Result<Fd> fd = OpenFile(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd.ok() && ::flock(fd.value().get(), LOCK_EX | LOCK_NB) != 0;
}

fs::path Beside(const fs::path& folder, std::string_view prefix) {
  return folder.parent_path() /
         fmt::format("{}{}-{}", prefix, folder.filename().string(), RandomToken(8));
}

}  // namespace

Status BuildEnvironment(const BuildPlan& plan, std::stop_token stop,
                        const std::function<void(const std::string&)>& say) {
  CML_RETURN_IF_ERROR(MakeFolders(plan.folder.parent_path(), 0755));
  CML_RETURN_IF_ERROR(MakeFolders(plan.cache, 0755));
  if (IsBuilt(plan.folder)) return Ok{};
  // A half one at the very place can only be somebody's doing by hand.
  CML_RETURN_IF_ERROR(RemoveEnvironment(plan.folder));
  const fs::path staging = Beside(plan.folder, kStaging);
  CML_ASSIGN_OR_RETURN(const Fd lock, MakeLocked(staging));
  Status built = Fill(plan, staging, std::move(stop), say);
  if (!built.ok()) {
    const Status removed = RemoveLeftover(staging);
    if (!removed.ok()) LogWarning("leftover stays", {{"why", removed.error().message()}});
  }
  return built;
}

bool IsBuilt(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / kSizeFile, error) && fs::exists(folder / "bin/python", error);
}

std::uint64_t BuiltSize(const fs::path& folder) {
  const auto text = ReadFile(folder / kSizeFile, 64);
  return text.ok() ? ParseUnsigned(text.value()).value_or(0) : 0;
}

Status RemoveEnvironment(const fs::path& folder) {
  const fs::path hidden = Beside(folder, kRemoved);
  if (::rename(folder.c_str(), hidden.c_str()) != 0) {
    if (errno == ENOENT) return Ok{};
    return ErrnoError(errno, "remove", folder);
  }
  return RemoveLeftover(hidden);
}

std::vector<fs::path> Leftovers(const fs::path& parent) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    const bool ours = name.starts_with(kStaging) || name.starts_with(kRemoved);
    if (ours && !IsLocked(it->path())) found.push_back(it->path());
  }
  return found;
}

Status RemoveLeftover(const fs::path& path) {
  Thaw(path);
  return RemoveTree(path);
}

}  // namespace cml::backends::local
