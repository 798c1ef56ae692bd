#include "backends/local/uv_environments.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

extern char** environ;

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kWorkers = 2;
constexpr std::string_view kLayout = "1";  // goes up when environments are laid out differently

// FNV-1a, 64 bits: names a lock; nobody gains from making two collide.
std::uint64_t Fingerprint(std::initializer_list<std::string_view> texts) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const std::string_view text : texts) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    hash = (hash ^ 0xff) * 1099511628211ULL;
  }
  return hash;
}

std::string ValueOf(const Variables& variables, const char* name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

std::string NameOf(const RuntimeRef& ref) { return ref.name + " " + ref.version; }

bool IsBelow(const fs::path& path, std::string_view top) {
  return path == top || path.string().starts_with(std::string(top) + "/");
}

}  // namespace

Variables ProcessVariables() {
  Variables out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

UvEnvironments::UvEnvironments(UvOptions options)
    : options_([&] {
        if (options.cache.empty()) options.cache = options.folder.parent_path() / "uv-cache";
        if (!options.has_nvidia) {
          options.has_nvidia = [] { return ::access("/dev/nvidiactl", F_OK) == 0; };
        }
        if (options.interpreter_folders.empty()) {
          options.interpreter_folders = InterpreterFolders(options.environment, options.tools);
        }
        return std::move(options);
      }()),
      sources_(FindPackageSources(options_.environment)),
      leftovers_(Leftovers(options_.folder)) {
  for (std::size_t i = 0; i < kWorkers; ++i) {
    workers_.emplace_back([this](std::stop_token stop) { Work(std::move(stop)); });
  }
}

UvEnvironments::~UvEnvironments() {
  for (std::jthread& worker : workers_) worker.request_stop();
  workers_.clear();
}

void UvEnvironments::OnProgress(std::function<void(const RuntimeRef&)> changed) {
  const std::lock_guard lock(mutex_);
  changed_ = std::move(changed);
}

const RuntimeDefinition* UvEnvironments::Find(const RuntimeRef& runtime) const {
  const auto ref = ResolveRuntime(options_.catalog, runtime.name, runtime.version);
  return ref.ok() ? FindRuntime(options_.catalog, ref.value()) : nullptr;
}

Variant UvEnvironments::Fitting(const RuntimeDefinition& definition, Variant wanted) const {
  const bool gpu = wanted == Variant::kGpu && definition.Has(Variant::kGpu) && options_.has_nvidia();
  return gpu ? Variant::kGpu : Variant::kCpu;
}

Result<UvEnvironments::Means> UvEnvironments::FindMeans(const RuntimeDefinition& definition,
                                                        Variant variant) const {
  Means means;
  const fs::path home = ValueOf(options_.environment, "HOME");
  std::vector<fs::path> candidates{options_.tools / "uv", options_.tools / "bin/uv"};
  for (const fs::path& folder : options_.interpreter_folders) candidates.push_back(folder / "uv");
  candidates.insert(candidates.end(), {home / ".local/bin/uv", home / ".cargo/bin/uv"});
  std::error_code error;
  if (options_.uv.empty()) {
    const auto found = std::ranges::find_if(candidates, IsElfProgram);
    if (found != candidates.end()) means.uv = fs::canonical(*found, error);
  } else if (::access(options_.uv.c_str(), X_OK) == 0) {
    means.uv = fs::canonical(options_.uv, error);
  }
  if (means.uv.empty()) {
    return Error(Code::kFailedPrecondition,
                 fmt::format("{} needs the program uv to be prepared: python3 -m pip install uv, or "
                             "put it at {}",
                             NameOf(definition.ref), (options_.tools / "uv").string()));
  }
  const auto interpreter = FindInterpreter(definition.python, options_.interpreter_folders);
  if (!interpreter) {
    return Error(Code::kFailedPrecondition,
                 fmt::format("{0} needs Python {1} and this machine has none: install python{1}, "
                             "or place one so that {2}/bin/python{1} runs",
                             NameOf(definition.ref), definition.python,
                             (options_.tools / "python" / definition.python).string()));
  }
  means.interpreter = *interpreter;
  const std::uint64_t print =
      Fingerprint({kLayout, definition.locks.at(variant), definition.build_constraints,
                   definition.finish, definition.smoke, means.interpreter.program.native()});
  means.folder = options_.folder / fmt::format("{}-{}-{}-{:016x}", definition.ref.name,
                                               definition.ref.version, ToString(variant), print);
  return means;
}

EnvironmentState UvEnvironments::Ready(const Means& means) const {
  EnvironmentState state;
  state.phase = Phase::kReady;
  state.folder = means.folder;
  state.mounts.push_back(means.folder);
  if (!IsBelow(means.interpreter.prefix, "/usr")) state.mounts.push_back(means.interpreter.prefix);
  if (!IsBelow(means.uv, "/usr")) state.mounts.push_back(means.uv);
  const PackageSources sources = ForJobs(sources_);
  state.mounts.insert(state.mounts.end(), sources.mounts.begin(), sources.mounts.end());
  state.env = sources.env;
  state.env["PATH"] = (means.folder / "bin").string() + ":/usr/local/bin:/usr/bin:/bin";
  state.env["VIRTUAL_ENV"] = means.folder;
  state.env["CLOUDML_UV"] = means.uv;
  state.env["CLOUDML_UV_ARGUMENTS"] = Join(sources.arguments, " ");
  state.env["UV_PYTHON_DOWNLOADS"] = "never";
  return state;
}

EnvironmentState UvEnvironments::Look(const RuntimeDefinition& definition, Variant variant) {
  const Key key{definition.ref, variant};
  EnvironmentState state;
  if (const auto found = entries_.find(key); found != entries_.end()) {
    state.phase = found->second.phase;
    state.message = found->second.message;
    if (state.phase == Phase::kPreparing) return state;
  }
  const Result<Means> means = FindMeans(definition, variant);
  if (!means.ok()) {
    state.phase = Phase::kUnavailable;
    state.message = means.error().message();
    return state;
  }
  if (IsBuilt(means.value().folder)) return Ready(means.value());
  return state;
}

void UvEnvironments::Enqueue(const Key& key) {
  const bool busy = std::ranges::count_if(entries_, [](const auto& entry) {
                      return entry.second.phase == Phase::kPreparing;
                    }) >= static_cast<std::ptrdiff_t>(kWorkers);
  entries_[key] = {Phase::kPreparing,
                   busy ? "waiting for the environments before it" : "starting", {}};
  queue_.push_back(key);
  wake_.notify_one();
}

EnvironmentState UvEnvironments::Ask(const RuntimeRef& runtime, Variant wanted) {
  const RuntimeDefinition* definition = Find(runtime);
  if (definition == nullptr) {
    EnvironmentState state;
    state.phase = Phase::kUnavailable;
    state.message = ResolveRuntime(options_.catalog, runtime.name, runtime.version).error().message();
    return state;
  }
  const Variant variant = Fitting(*definition, wanted);
  const std::lock_guard lock(mutex_);
  EnvironmentState state = Look(*definition, variant);
  const Key key{definition->ref, variant};
  const bool again = state.phase == Phase::kFailed &&
                     entries_[key].retry_at <= std::chrono::steady_clock::now();
  if (state.phase == Phase::kAbsent || again) {
    Enqueue(key);
    state.phase = Phase::kPreparing;
    state.message = entries_[key].message;
  }
  return state;
}

std::vector<RuntimeInfo> UvEnvironments::List() {
  std::vector<RuntimeInfo> list;
  const std::lock_guard lock(mutex_);
  for (const RuntimeDefinition& definition : options_.catalog) {
    for (const auto& [variant, text] : definition.locks) {
      EnvironmentState state = Look(definition, variant);
      if (variant == Variant::kGpu && state.phase == Phase::kAbsent && !options_.has_nvidia()) {
        state.phase = Phase::kUnavailable;
        state.message = "this machine has no NVIDIA device";
      }
      RuntimeInfo info;
      info.runtime = definition.ref;
      info.variant = ToString(variant);
      info.python = definition.python;
      info.message = state.message;
      switch (state.phase) {
        case Phase::kAbsent: info.state = "absent"; break;
        case Phase::kPreparing: info.state = "preparing"; break;
        case Phase::kReady: info.state = "ready"; break;
        case Phase::kUnavailable: info.state = "unavailable"; break;
        case Phase::kFailed: info.state = "broken"; break;
      }
      if (state.phase == Phase::kReady) info.size_bytes = BuiltSize(state.folder);
      const auto pins = PinsOf(text);
      for (const std::string& package : definition.packages) {
        if (const std::string version = PinOf(pins, package); !version.empty()) {
          info.packages[package] = version;
        }
      }
      list.push_back(std::move(info));
    }
  }
  return list;
}

Status UvEnvironments::Prepare(const RuntimeRef& runtime) {
  const RuntimeDefinition* definition = Find(runtime);
  if (definition == nullptr) {
    return ResolveRuntime(options_.catalog, runtime.name, runtime.version).error();
  }
  const Variant variant = Fitting(*definition, Variant::kGpu);
  const std::lock_guard lock(mutex_);
  const EnvironmentState state = Look(*definition, variant);
  switch (state.phase) {
    case Phase::kReady:
    case Phase::kPreparing: return Ok{};
    case Phase::kUnavailable: return Error(Code::kFailedPrecondition, state.message);
    case Phase::kAbsent:
    case Phase::kFailed: Enqueue({definition->ref, variant});
  }
  return Ok{};
}

Status UvEnvironments::Remove(const RuntimeRef& runtime) {
  const RuntimeDefinition* definition = Find(runtime);
  if (definition == nullptr) {
    return ResolveRuntime(options_.catalog, runtime.name, runtime.version).error();
  }
  const std::lock_guard lock(mutex_);
  for (const Variant variant : {Variant::kCpu, Variant::kGpu}) {
    const auto found = entries_.find({definition->ref, variant});
    if (found == entries_.end()) continue;
    if (found->second.phase == Phase::kPreparing) {
      return Error(Code::kFailedPrecondition,
                   NameOf(definition->ref) + " is being prepared; remove it when that has ended");
    }
    entries_.erase(found);
  }
  // Those of older locks go as well.
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(options_.folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    const std::string start = definition->ref.name + "-" + definition->ref.version + "-";
    if (name.starts_with(start + "cpu-") || name.starts_with(start + "gpu-")) {
      folders.push_back(it->path());
    }
  }
  for (const fs::path& folder : folders) CML_RETURN_IF_ERROR(RemoveEnvironment(folder));
  return Ok{};
}

void UvEnvironments::Tell(const Key& key, Phase phase, const std::string& message) {
  std::function<void(const RuntimeRef&)> changed;
  {
    const std::lock_guard lock(mutex_);
    if (phase == Phase::kReady) {
      entries_.erase(key);  // the disk says so from now on
    } else {
      entries_[key] = {phase, message, std::chrono::steady_clock::now() + options_.retry_after};
    }
    changed = changed_;
  }
  if (changed) changed(key.first);
}

void UvEnvironments::Build(const Key& key, std::stop_token stop) {
  const RuntimeDefinition* definition = FindRuntime(options_.catalog, key.first);
  const Result<Means> means = FindMeans(*definition, key.second);
  const std::string name = NameOf(key.first);
  if (!means.ok()) return Tell(key, Phase::kFailed, means.error().message());
  const BuildPlan plan{*definition,          key.second,
                       means.value().folder, means.value().uv,
                       options_.cache,       means.value().interpreter,
                       sources_,             options_.environment};
  const auto start = std::chrono::steady_clock::now();
  LogInfo("preparing environment", {{"runtime", name}, {"variant", std::string(ToString(key.second))}});
  const Status built = BuildEnvironment(plan, stop, [&](const std::string& sentence) {
    Tell(key, Phase::kPreparing, sentence);
  });
  if (built.ok()) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    LogInfo("environment ready", {{"runtime", name}, {"took", FormatDuration(took)}});
    return Tell(key, Phase::kReady, "");
  }
  if (stop.stop_requested()) return;
  LogWarning("environment failed", {{"runtime", name}, {"why", built.error().message()}});
  Tell(key, Phase::kFailed, name + " could not be prepared: " + built.error().message());
}

void UvEnvironments::Work(std::stop_token stop) {
  while (true) {
    fs::path leftover;
    std::optional<Key> key;
    {
      std::unique_lock lock(mutex_);
      const bool more = wake_.wait(lock, stop, [&] { return !queue_.empty() || !leftovers_.empty(); });
      if (!more || stop.stop_requested()) return;
      if (!queue_.empty()) {
        key = queue_.front();
        queue_.pop_front();
      } else {
        leftover = leftovers_.back();
        leftovers_.pop_back();
      }
    }
    if (key) {
      Build(*key, stop);
      continue;
    }
    const Status removed = RemoveLeftover(leftover);
    if (!removed.ok()) LogWarning("leftover stays", {{"why", removed.error().message()}});
  }
}

}  // namespace cml::backends::local
