#include "backends/local/seccomp_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file.h"

namespace cml::backends::local {
namespace {

// Refused as a kernel without them would: programs fall back to the older way.
constexpr const char* kAbsent[] = {"clone3", "io_uring_setup", "io_uring_enter",
                                   "io_uring_register"};

constexpr const char* kForbidden[] = {
    // mounts and namespaces
    "mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "fsopen", "fsconfig", "fsmount",
    "fspick", "open_tree", "move_mount", "mount_setattr", "open_by_handle_at",
    // other processes, keys, events
    "ptrace", "kcmp", "keyctl", "add_key", "request_key", "userfaultfd", "perf_event_open", "bpf",
    "fanotify_init", "lookup_dcookie",
    // the machine
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "nfsservctl", "settimeofday",
    "clock_settime", "clock_settime64", "syslog", "vhangup", "iopl", "ioperm", "sethostname",
    "setdomainname"};

constexpr std::uint64_t kNewNamespaces[] = {CLONE_NEWUSER,  CLONE_NEWNS,  CLONE_NEWPID,
                                            CLONE_NEWNET,   CLONE_NEWIPC, CLONE_NEWUTS,
                                            CLONE_NEWCGROUP};

// personality(2) with one of these, except as the question 0xffffffff.
constexpr std::uint64_t kOddPersonalities[] = {
    0x0100000 /* MMAP_PAGE_ZERO */, 0x0200000 /* ADDR_COMPAT_LAYOUT */,
    0x0400000 /* READ_IMPLIES_EXEC */, 0x4000000 /* STICKY_TIMEOUTS */};

class Builder {
 public:
  Builder() : context_(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release) {
    if (!context_) failed_ = ENOMEM;
  }

  void Refuse(const char* name, int error_number) {
    if (const int call = Number(name); call >= 0) {
      Check(seccomp_rule_add_array(context_.get(), Refusal(error_number), call, 0, nullptr));
    }
  }
  // Where argument `arg` has exactly the bits `value` of `mask`.
  void RefuseWhen(const char* name, unsigned arg, std::uint64_t mask, std::uint64_t value) {
    const scmp_arg_cmp when{arg, SCMP_CMP_MASKED_EQ, mask, value};
    if (const int call = Number(name); call >= 0) {
      Check(seccomp_rule_add_array(context_.get(), Refusal(EPERM), call, 1, &when));
    }
  }
  // Programs of a foreign architecture (32-bit, x32) get "no such call" instead of a way around.
  void RefuseForeign() {
    if (failed_ == 0) {
      Check(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, Refusal(ENOSYS)));
    }
  }
  int Export(int fd) {
    if (failed_ == 0) Check(seccomp_export_bpf(context_.get(), fd));
    return failed_;
  }

 private:
  static std::uint32_t Refusal(int error_number) {
    return SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error_number));
  }
  // Negative where this architecture or library has no such call.
  int Number(const char* name) const {
    return failed_ != 0 ? -1 : seccomp_syscall_resolve_name(name);
  }
  void Check(int result) {
    if (result < 0 && failed_ == 0) failed_ = -result;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failed_ = 0;
};

}  // namespace

Status WriteSeccompFilter(const std::filesystem::path& file) {
  Builder builder;
  builder.RefuseForeign();
  for (const char* name : kAbsent) builder.Refuse(name, ENOSYS);
  for (const char* name : kForbidden) builder.Refuse(name, EPERM);
  for (const std::uint64_t flag : kNewNamespaces) builder.RefuseWhen("clone", 0, flag, flag);
  for (const std::uint64_t bits : kOddPersonalities) {
    constexpr std::uint64_t kQuestion = 0x80000000;
    builder.RefuseWhen("personality", 0, bits | kQuestion, bits);
  }
  constexpr std::uint64_t kCommand = 0xffffffff;  // the kernel looks at 32 bits of it
  builder.RefuseWhen("ioctl", 1, kCommand, TIOCSTI);
  builder.RefuseWhen("ioctl", 1, kCommand, 0x541C /* TIOCLINUX */);

  const Fd memory(::memfd_create("filter", MFD_CLOEXEC));
  if (!memory.valid()) return ErrnoError(errno, "make", file);
  if (const int failed = builder.Export(memory.get()); failed != 0) {
    return ErrnoError(failed, "build the system call filter", file);
  }
  CML_ASSIGN_OR_RETURN(const std::string program,
                       ReadFile("/proc/self/fd/" + std::to_string(memory.get())));
  return WriteFileAtomically(file, program, 0600, Sync::kNotDurable);
}

}  // namespace cml::backends::local
