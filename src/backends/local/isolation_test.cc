// What a job may not do, tried from inside; and what it must still be able to do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/local/local_test_support.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

class Isolation : public LocalBackendTest {
 protected:
  // Runs the script and gives its output; the script must end well.
  std::string Output(const std::string& script) {
    const RunStatus status = RunToEnd(Script(script));
    EXPECT_EQ(status.state, RunState::kSucceeded) << status.reason << ": " << status.message;
    return Log(key_);
  }
  static std::string Python(const std::string& program) {
    return "python3 -c " + ShellQuote(program);
  }
};

TEST_F(Isolation, NothingOfTheServerIsThere) {
  const std::string secret = (options_.data / "admin.json").string();
  Backend();
  ASSERT_TRUE(WriteFileAtomically(secret, "the-secret").ok());
  const std::string out = Output("cat " + secret +
                                 " 2>&1; ls -A /; ls -A /root /home /work 2>&1; "
                                 "cat /proc/1/root" +
                                 secret + " 2>&1; true");
  EXPECT_EQ(out.find("the-secret"), std::string::npos) << out;
  EXPECT_NE(out.find("No such file"), std::string::npos) << out;
  for (const char* there : {"\nbin\n", "\netc\n", "\njob\n", "\nproc\n", "\ntmp\n", "\nusr\n"}) {
    EXPECT_NE(("\n" + out).find(there), std::string::npos) << there << out;
  }
  EXPECT_EQ(out.find("\nsrv\n"), std::string::npos) << out;
}

TEST_F(Isolation, FilesOfAnotherRunCannotBeReached) {
  RunSpec other = Script("echo private > file; echo ready; sleep 1000");
  other.org = OrgId{"2"};
  const RunKey key{ResourceId{"otherrun00"}, 1};
  ASSERT_TRUE(Backend().Ensure(key, other, In(std::chrono::seconds(5))).ok());
  WaitForLog(key, "ready");
  const auto work = options_.data / "runs" / ToString(key) / "worker-0" / "work" / "file";
  ASSERT_EQ(ReadFile(work).value(), "private\n");
  const std::string out = Output("cat " + work.string() +
                                 " 2>&1; for p in /proc/[0-9]*; do "
                                 "cat $p/cwd/file $p/root" +
                                 work.string() + " $p/root/job/work/file 2>/dev/null; done; true");
  EXPECT_EQ(out.find("private"), std::string::npos) << out;
}

TEST_F(Isolation, OtherProcessesAreInvisibleAndOutOfReach) {
  RunSpec other = Command({"sleep", "987654"});
  other.roles[0].env["OTHER_SECRET"] = "other-secret-value";
  const RunKey key{ResourceId{"otherrun00"}, 1};
  ASSERT_TRUE(Backend().Ensure(key, other, In(std::chrono::seconds(5))).ok());
  WaitForStart(key);
  const std::string out = Output(
      "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; "
      "ls -d /proc/[0-9]* | wc -l; kill -9 " +
      std::to_string(::getpid()) + " 2>&1; true");
  EXPECT_EQ(out.find("987654"), std::string::npos) << out;
  EXPECT_EQ(out.find("other-secret-value"), std::string::npos) << out;
  EXPECT_NE(out.find("No such process"), std::string::npos) << out;
  EXPECT_EQ(Status(key).state, RunState::kRunning);
}

TEST_F(Isolation, NeitherPathsNorVariablesStandInTheListOfProcesses) {
  RunSpec spec = Script("echo started; cat; sleep 1000");
  spec.roles[0].env["MY_TOKEN"] = "variable-to-hide";
  ++key_.incarnation;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(std::chrono::seconds(5))).ok());
  WaitForLog(key_, "started");
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    auto line = ReadFile(entry.path() / "cmdline");
    if (line.ok()) all += line.value() + "\n";
  }
  EXPECT_NE(all.find("--args"), std::string::npos);
  EXPECT_EQ(all.find("variable-to-hide"), std::string::npos);
}

TEST_F(Isolation, TheJobIsNobodySpecialAndCannotBecomeRoot) {
  const std::string out = Output(
      "id -u; id -G; grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; "
      "ls -l /proc/self/fd | grep -c '^l'; "
      "sudo -n true 2>&1; su -c true 2>&1 </dev/null; "
      "cp /bin/bash /job/work/sh && chmod 4755 /job/work/sh && /job/work/sh -p -c 'id -u'");
  if (::geteuid() == 0) {
    EXPECT_EQ(out.substr(0, 12), "20001\n20001\n") << out;
    EXPECT_NE(out.find("CapBnd:\t0000000000000000"), std::string::npos) << out;
  }
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_NE(out.find(std::string(set) + ":\t0000000000000000"), std::string::npos) << out;
  }
  EXPECT_NE(out.find("NoNewPrivs:\t1"), std::string::npos) << out;
  EXPECT_NE(out.find("Seccomp:\t2"), std::string::npos) << out;
  EXPECT_NE(out.find("\n4\n"), std::string::npos) << "descriptors: 0, 1, 2 and the listing\n"
                                                  << out;
  EXPECT_EQ(("\n" + out).find("\n0\n"), std::string::npos) << "somebody was root\n" << out;
}

TEST_F(Isolation, ForbiddenCallsAreRefused) {
  const std::string out = Output(Python(R"(
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    r = getattr(libc, name)(*args)
    print(name, 'worked' if r >= 0 else errno.errorcode[ctypes.get_errno()])
call('mount', b'none', b'/tmp', b'tmpfs', 0, None)
call('umount2', b'/tmp', 2)
call('unshare', 0x10000000)
call('unshare', 0x00020000)
call('setns', 0, 0)
call('ptrace', 16, 1, 0, 0)
call('chroot', b'/tmp')
call('personality', 0x0400000)
call('reboot', 0x1234567)
call('swapon', b'/tmp/x', 0)
call('init_module', 0, 0, b'')
if platform.machine() == 'x86_64':
    for name, number, args in [('clone newuser', 56, (0x10000011, 0, 0, 0, 0)), ('clone3', 435, (0, 0)),
                               ('bpf', 321, (0, 0, 0)), ('keyctl', 250, (0, 0)), ('userfaultfd', 323, (0,)),
                               ('perf_event_open', 298, (0, 0, -1, -1, 0)), ('io_uring_setup', 425, (1, 0)),
                               ('pivot_root', 155, (b'/', b'/')), ('open_by_handle_at', 304, (0, 0, 0)),
                               ('tiocsti', 16, (0, 0x5412, b'x'))]:
        ctypes.set_errno(0)
        r = libc.syscall(number, *args)
        print(name, 'worked' if r >= 0 else errno.errorcode[ctypes.get_errno()])
print('personality question', hex(libc.personality(0xffffffff)))
)"));
  EXPECT_EQ(out.find("worked"), std::string::npos) << out;
  for (const char* refused : {"mount EPERM", "unshare EPERM", "ptrace EPERM", "clone newuser EPERM",
                              "clone3 ENOSYS", "bpf EPERM", "keyctl EPERM", "tiocsti EPERM",
                              "personality EPERM", "personality question 0x0"}) {
    EXPECT_NE(out.find(refused), std::string::npos) << refused << "\n" << out;
  }
}

TEST_F(Isolation, TheSystemIsReadOnlyAndTheJobsOwnFoldersAreNot) {
  RunSpec spec = Script(
      "for f in / /usr /etc /job /job/etc /job/packages /run /dev /sys /proc/sys/kernel; do "
      "touch $f/x 2>/dev/null && echo writable $f; done; "
      "for f in /job/work /job/layer /job/status /job/checkpoint /fds/data /tmp /var/tmp /dev/shm; "
      "do "
      "touch $f/x || echo not writable $f; done; pwd; echo $HOME; cat /job/etc/run.sh; hostname; "
      "cat /etc/passwd | grep -c job; getent hosts localhost | wc -l; test -e /dev/null && cat < "
      "/dev/null");
  spec.files["run.sh"] = "a-script\n";
  spec.checkpoint_key = "k3v9x0q2ab";
  const auto bucket = folder_.path() / "buckets" / "data";
  ASSERT_TRUE(MakeFolders(bucket.parent_path(), 0755).ok());
  ASSERT_TRUE(MakeFolders(bucket).ok());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(bucket.c_str(), 20'001, 20'001), 0);
  }
  options_.buckets = [bucket](const OrgId&) -> Result<std::filesystem::path> {
    return bucket.parent_path();
  };
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(Log(key_), "/job/work\n/job/work\na-script\njob-worker-0\n1\n1\n");
  EXPECT_EQ(::access((bucket / "x").c_str(), F_OK), 0);
}

TEST_F(Isolation, ADaemonThatIsLeftBehindEndsWithTheJob) {
  // Its lock on a file of the bucket tells us whether it lives.
  const auto bucket = folder_.path() / "buckets" / "data";
  ASSERT_TRUE(MakeFolders(bucket.parent_path(), 0755).ok());
  ASSERT_TRUE(MakeFolders(bucket).ok());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(bucket.c_str(), 20'001, 20'001), 0);
  }
  options_.buckets = [bucket](const OrgId&) -> Result<std::filesystem::path> {
    return bucket.parent_path();
  };
  RunSpec spec = Script(Python(R"(
import fcntl, os, signal, time
ready, say = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)
        f = open('/fds/data/daemon', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)
        os.write(say, b'x')
        time.sleep(10000)
    os._exit(0)
os.read(ready, 1)
print('daemon is up')
)"));
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(Log(key_), "daemon is up\n");
  const auto file = OpenFile(bucket / "daemon", O_RDWR);
  ASSERT_TRUE(file.ok());
  struct flock lock {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(file.value().get(), F_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_UNLCK) << "the daemon lives";
}

TEST_F(Isolation, OrdinaryProgramsWork) {
  const std::string out = Output(Python(R"(
import concurrent.futures, ctypes, multiprocessing, os, socket, ssl, subprocess, tempfile, threading
ssl.create_default_context()
with concurrent.futures.ProcessPoolExecutor(2) as pool: print(sum(pool.map(abs, range(10))))
with multiprocessing.Pool(2) as pool: print(pool.map(len, ['a', 'bb']))
threading.Thread(target=lambda: print('thread')).start()
print(subprocess.run(['sh', '-c', 'exit 3']).returncode)
a = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen(); b = socket.create_connection(a.getsockname()); print('loopback')
open('/dev/shm/x', 'w').write('x'); tempfile.mkdtemp(); print(os.getcwd())
)") + "; ls /usr/lib >/dev/null && git --version >/dev/null; date >/dev/null; echo $?");
  EXPECT_EQ(out, "45\n[1, 2]\nthread\n3\nloopback\n/job/work\n0\n");
}

}  // namespace
}  // namespace cml::backends::local
