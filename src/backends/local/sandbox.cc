#include "backends/local/sandbox.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <set>
#include <system_error>

#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

// What of the machine's /etc programs need: names, certificates, time zone, shared libraries,
// defaults of tools that all users of the machine share.
constexpr const char* kShared[] = {
    "alternatives", "ca-certificates", "fonts",        "gai.conf",  "host.conf",   "hosts",
    "ld.so.cache",  "ld.so.conf",      "ld.so.conf.d", "localtime", "mime.types",  "nsswitch.conf",
    "OpenCL",       "pip.conf",        "pki",          "protocols", "resolv.conf", "services",
    "ssl",          "timezone",        "uv",           "vulkan"};
// A change of one of these makes a new folder.
constexpr const char* kWatched[] = {"hosts",    "ld.so.cache", "nsswitch.conf",
                                    "pip.conf", "resolv.conf", "ssl/certs/ca-certificates.crt"};
constexpr int kFormat = 1;  // goes up when the folder is to look different

bool WorldReadable(const fs::path& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return false;
  const mode_t needed = S_ISDIR(st.st_mode) ? S_IROTH | S_IXOTH : S_IROTH;
  return (st.st_mode & needed) == needed && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode));
}

// Files that everybody may read; links inside stay links where they lead out of /etc or to a
// neighbour, since both are at the same place in the sandbox.
void CopyShared(const fs::path& from, const fs::path& to, int depth) {
  std::error_code ec;
  if (depth > 8 || !WorldReadable(from)) return;
  if (from.extension() == ".gz") return;  // alternatives of manual pages: hundreds
  if (depth > 0 && fs::is_symlink(from, ec)) {
    fs::copy_symlink(from, to, ec);
    return;
  }
  if (!fs::is_directory(from, ec)) {
    if (auto text = ReadFile(from); text.ok()) {
      (void)WriteFileAtomically(to, text.value(), 0644, Sync::kNotDurable);
    }
    return;
  }
  fs::create_directory(to, ec);
  fs::permissions(to, fs::perms(0755), ec);
  for (const auto& entry : fs::directory_iterator(from, ec)) {
    CopyShared(entry.path(), to / entry.path().filename(), depth + 1);
  }
}

// FNV-1a over what tells that a file changed.
std::uint64_t StampOfTheMachine() {
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](std::int64_t value) {
    for (int i = 0; i < 8; ++i) {
      hash ^= static_cast<std::uint64_t>(value >> (8 * i)) & 0xff;
      hash *= 1099511628211ULL;
    }
  };
  mix(kFormat);
  for (const char* name : kWatched) {
    struct stat st {};
    if (::stat((fs::path("/etc") / name).c_str(), &st) != 0) st = {};
    mix(static_cast<std::int64_t>(st.st_ino));
    mix(st.st_size);
    mix(st.st_mtim.tv_sec);
    mix(st.st_mtim.tv_nsec);
  }
  return hash;
}

// The machine's name servers may be on its loopback; slirp4netns(1) has one that asks them.
std::string OwnResolver() {
  std::string text = "nameserver 10.0.2.3\n";
  const auto machine = ReadFile("/etc/resolv.conf", 1 << 16);
  if (!machine.ok()) return text;
  for (const std::string_view line : Split(machine.value(), '\n')) {
    if (line.starts_with("search") || line.starts_with("options")) text += std::string(line) + "\n";
  }
  return text;
}

void Add(std::vector<std::string>& to, std::initializer_list<std::string> words) {
  to.insert(to.end(), words);
}

void AddSystem(std::vector<std::string>& args) {
  Add(args, {"--ro-bind", "/usr", "/usr"});
  std::error_code ec;
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    if (fs::is_symlink(name, ec)) {
      Add(args, {"--symlink", fs::read_symlink(name, ec).string(), name});
    } else if (fs::is_directory(name, ec)) {
      Add(args, {"--ro-bind", name, name});
    }
  }
}

// bubblewrap makes folders that it needs on the way for root alone; these are for everybody.
class Folders {
 public:
  explicit Folders(std::vector<std::string>& args) : args_(args) {}
  void MakeWayTo(const fs::path& path) {
    fs::path way = "/";
    for (const auto& part : path.parent_path().relative_path()) {
      way /= part;
      if (made_.insert(way).second) Add(args_, {"--dir", way.string()});
    }
  }

 private:
  std::vector<std::string>& args_;
  std::set<fs::path> made_ = {"/dev", "/proc", "/tmp", "/usr"};
};

bool IsBelow(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

void AddDevices(std::vector<std::string>& args, const SandboxSpec& spec) {
  Add(args, {"--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"});
  for (const auto& device : spec.devices) {
    Add(args, {"--dev-bind", device.string(), device.string()});
  }
  Add(args, {"--dir", "/sys", "--dir", "/sys/devices", "--ro-bind-try", "/sys/devices/system",
             "/sys/devices/system"});
  if (!spec.devices.empty()) {  // drivers look for their cards there
    Add(args, {"--dir", "/sys/bus", "--dir", "/sys/module"});
    for (const char* folder :
         {"/sys/bus/pci", "/sys/class", "/sys/devices", "/sys/module/nvidia"}) {
      Add(args, {"--ro-bind-try", folder, folder});
    }
  }
}

void AddJob(std::vector<std::string>& args, const SandboxSpec& spec) {
  Folders folders(args);
  const auto bind = [&](const char* how, const fs::path& from, const std::string& to) {
    folders.MakeWayTo(to);
    Add(args, {how, from.string(), to});
  };
  for (const auto& [from, to] :
       {std::pair(spec.job_etc, "/job/etc"), std::pair(spec.packages, "/job/packages")}) {
    if (!from.empty()) {
      bind("--ro-bind", from, to);
    } else {
      folders.MakeWayTo(to);
      Add(args, {"--dir", to});  // every mount costs
    }
  }
  bind("--bind", spec.replica / "work", "/job/work");
  bind("--bind", spec.replica / "layer", "/job/layer");
  bind("--bind", spec.replica / "status", "/job/status");
  bind("--bind", spec.replica / "tmp", "/tmp");
  if (!spec.checkpoint.empty()) bind("--bind", spec.checkpoint, "/job/checkpoint");
  if (!spec.buckets.empty()) bind("--bind", spec.buckets, "/fds");
  for (const auto& path : spec.read_only) {
    if (!IsBelow(path, "/usr")) bind("--ro-bind", path, path.string());  // that one is there
  }
}

}  // namespace

std::vector<std::string> SandboxArguments(const SandboxSpec& spec) {
  std::vector<std::string> args;
  args.reserve(80);
  if (spec.mode == SandboxMode::kUserNamespace) args.push_back("--unshare-user");
  Add(args, {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
             "--hostname", spec.hostname, "--die-with-parent", "--new-session"});
  AddSystem(args);
  Add(args, {"--ro-bind", spec.etc.string(), "/etc"});
  AddDevices(args, spec);
  AddJob(args, spec);
  Add(args, {"--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--symlink", "/run",
             "/var/run", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/job/work"});
  if (spec.mode == SandboxMode::kRoot) {
    const std::string id = std::to_string(spec.uid);
    // What the step from root to the command's user needs, and nothing else.
    Add(args, {"--cap-drop",
               "ALL",
               "--cap-add",
               "CAP_SETUID",
               "--cap-add",
               "CAP_SETGID",
               "--cap-add",
               "CAP_SETPCAP",
               "--cap-add",
               "CAP_DAC_READ_SEARCH",
               "--",
               "/usr/bin/setpriv",
               "--reuid",
               id,
               "--regid",
               id,
               "--clear-groups",
               "--inh-caps=-all",
               "--ambient-caps=-all",
               "--bounding-set=-all",
               "--no-new-privs",
               "--"});
  } else {
    Add(args, {"--cap-drop", "ALL", "--"});
  }
  return args;
}

Result<fs::path> EtcFor(const fs::path& sandbox_folder, uid_t uid, NetworkChoice network) {
  const bool own = network == NetworkChoice::kOrganisation;
  const fs::path folder =
      sandbox_folder / fmt::format("etc-{}{}-{:016x}", uid, own ? "-own" : "", StampOfTheMachine());
  if (::access(folder.c_str(), F_OK) == 0) return folder;
  const fs::path fresh = sandbox_folder / (".new-" + RandomToken(10));
  CML_RETURN_IF_ERROR(MakeFolders(fresh, 0755));
  if (::chmod(fresh.c_str(), 0755) != 0) return ErrnoError(errno, "change the mode of", fresh);
  for (const char* name : kShared) CopyShared(fs::path("/etc") / name, fresh / name, 0);
  if (own) {
    CML_RETURN_IF_ERROR(
        WriteFileAtomically(fresh / "resolv.conf", OwnResolver(), 0644, Sync::kNotDurable));
  }
  const std::string passwd = fmt::format(
      "root:x:0:0:root:/root:/usr/sbin/nologin\njob:x:{0}:{0}:job:/job/work:/bin/bash\n"
      "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
      uid);
  const std::string group = fmt::format("root:x:0:\njob:x:{}:\nnogroup:x:65534:\n", uid);
  CML_RETURN_IF_ERROR(WriteFileAtomically(fresh / "passwd", passwd, 0644, Sync::kNotDurable));
  CML_RETURN_IF_ERROR(WriteFileAtomically(fresh / "group", group, 0644, Sync::kNotDurable));
  if (::rename(fresh.c_str(), folder.c_str()) != 0) {
    const int error_number = errno;
    CML_RETURN_IF_ERROR(RemoveTree(fresh));
    if (::access(folder.c_str(), F_OK) != 0) return ErrnoError(error_number, "make", folder);
  }
  return folder;
}

}  // namespace cml::backends::local
