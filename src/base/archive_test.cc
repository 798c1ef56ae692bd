#include "base/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <map>
#include <vector>

#include "base/archive_rules.h"
#include "base/file.h"
#include "base/process.h"

namespace cml {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// An archive to be made by Python's own writers: `body` uses add(name, data, **fields) of a
// tarfile, put(name, data, mode) of a zipfile.
struct Sketch {
  std::string name;  // its ending says the format
  std::string body;
};

constexpr const char* kPrologue = R"(
import io, sys, tarfile, zipfile
def info(name, data, **fields):
    i = tarfile.TarInfo(name)
    i.size = len(data)
    for k, v in fields.items(): setattr(i, k, v)
    return i
def add(name, data=b'', **fields):
    t.addfile(info(name, data, **fields), io.BytesIO(data))
def put(name, data=b'', mode=0o100644):
    z = zipfile.ZipInfo(name)
    z.external_attr = mode << 16
    z.compress_type = zipfile.ZIP_DEFLATED
    t.writestr(z, data)
def begin(path):
    if path.endswith(('.zip', '.whl')): return zipfile.ZipFile(path, 'w')
    return tarfile.open(path, 'w' if path.endswith('.tar') else 'w:gz')
)";

// All with one run of Python, as its start takes longer than what it does.
void CraftAll(const fs::path& folder, const std::vector<Sketch>& sketches) {
  std::string program = kPrologue;
  for (const Sketch& sketch : sketches) {
    program +=
        "t = begin('" + (folder / sketch.name).string() + "')\n" + sketch.body + "\nt.close()\n";
  }
  ProcessSpec spec;
  spec.argv = {FindProgram("python3").string(), "-I", "-S", "-c", program};
  spec.env = {{"PATH", "/usr/bin:/bin"}, {"PYTHONWARNINGS", "ignore"}};
  auto run = RunProcess(spec, std::chrono::seconds(20));
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run.value().exit_code, 0) << run.value().output;
}

fs::path Craft(const fs::path& folder, const std::string& name, const std::string& body) {
  CraftAll(folder, {{name, body}});
  return folder / name;
}

mode_t ModeOf(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

std::string Slurp(const fs::path& path) { return ReadFile(path).value(); }

class ArchiveTest : public ::testing::Test {
 protected:
  // Both functions refuse it with a message that has `part`, and nothing stays unpacked. Looked at
  // when the test's body is through.
  void ExpectRefused(const Sketch& sketch, const std::string& part,
                     const ArchiveLimits& limits = {}) {
    refusals_.push_back({sketch, part, limits});
  }

  void TearDown() override {
    if (refusals_.empty()) return;
    std::vector<Sketch> sketches;
    for (const Refusal& refusal : refusals_) sketches.push_back(refusal.sketch);
    CraftAll(folder_.path(), sketches);
    for (const Refusal& refusal : refusals_) Look(refusal);
  }

  Sketch Tar(const std::string& body) { return {NextName() + ".tar.gz", body}; }
  Sketch Zip(const std::string& body) { return {NextName() + ".zip", body}; }
  fs::path Made(const Sketch& sketch) { return Craft(folder_.path(), sketch.name, sketch.body); }

  TempFolder folder_;

 private:
  struct Refusal {
    Sketch sketch;
    std::string part;
    ArchiveLimits limits;
  };

  std::string NextName() { return "x" + std::to_string(++last_name_); }

  void Look(const Refusal& refusal) {
    const fs::path archive = folder_.path() / refusal.sketch.name;
    auto inspected = InspectPackage(archive, refusal.limits);
    ASSERT_FALSE(inspected.ok()) << refusal.sketch.body << " should say " << refusal.part;
    EXPECT_EQ(inspected.error().code(), Code::kInvalidArgument);
    EXPECT_THAT(inspected.error().message(), HasSubstr(refusal.part));
    const fs::path to = folder_.path() / "refused";
    auto extracted = ExtractSafely(archive, to, refusal.limits);
    ASSERT_FALSE(extracted.ok());
    EXPECT_THAT(extracted.error().message(), HasSubstr(refusal.part));
    EXPECT_TRUE(fs::is_empty(to));
    EXPECT_FALSE(fs::exists(folder_.path() / "escaped"));
  }

  int last_name_ = 0;
  std::vector<Refusal> refusals_;
};

TEST_F(ArchiveTest, UnpacksWhatIsHonest) {
  for (const char* name : {"a.tar.gz", "a.tgz", "a.tar"}) {
    const fs::path archive =
        Craft(folder_.path(), name,
              "add('./trainer-1.0/setup.py', b'setup()')\n"
              "add('trainer-1.0/bin/run', b'#!', mode=0o6755)\n"
              "add('trainer-1.0/empty', type=tarfile.DIRTYPE, mode=0o1700)\n"
              "add('trainer-1.0/l', type=tarfile.SYMTYPE, linkname='bin/run')\n"
              "add('trainer-1.0/bin/u', type=tarfile.SYMTYPE, linkname='../setup.py')\n"
              "add('trainer-1.0/h', type=tarfile.LNKTYPE, linkname='trainer-1.0/bin/run')\n"
              "add('trainer-1.0/\\u00fc.txt', b'u')\n"
              "add('other', b'x' * 100000)\n");
    const fs::path to = folder_.path() / (std::string(name) + ".d");
    auto info = ExtractSafely(archive, to);
    ASSERT_TRUE(info.ok()) << info.error().message();
    EXPECT_EQ(info.value().entries, 8U);
    EXPECT_EQ(info.value().bytes, 100010U);
    EXPECT_THAT(info.value().top_names, ElementsAre("other", "trainer-1.0"));
    EXPECT_EQ(Slurp(to / "trainer-1.0/setup.py"), "setup()");
    EXPECT_EQ(ModeOf(to / "trainer-1.0/setup.py"), 0644U);
    EXPECT_EQ(ModeOf(to / "trainer-1.0/bin/run"), 0755U);  // setuid and setgid are gone
    EXPECT_EQ(ModeOf(to / "trainer-1.0/empty"), 0755U);
    EXPECT_EQ(Slurp(to / "trainer-1.0/l"), "#!");
    EXPECT_EQ(Slurp(to / "trainer-1.0/bin/u"), "setup()");
    EXPECT_EQ(Slurp(to / "trainer-1.0/h"), "#!");
    EXPECT_EQ(Slurp(to / "trainer-1.0/\xc3\xbc.txt"), "u");
    EXPECT_EQ(InspectPackage(archive).value().entries, 8U);
  }
}

TEST_F(ArchiveTest, UnpacksZipAndWheel) {
  for (const char* name : {"a.zip", "a.whl"}) {
    const fs::path archive = Craft(folder_.path(), name,
                                   "put('p/__init__.py', b'1')\n"
                                   "put('p/run', b'2' * 5000, 0o104755)\n"
                                   "put('p/d/', b'', 0o40755)\n"
                                   "put('p/l', b'run', 0o120777)\n"
                                   "put('p/\\u00fc', b'u')\n");
    const fs::path to = folder_.path() / (std::string(name) + ".d");
    auto info = ExtractSafely(archive, to);
    ASSERT_TRUE(info.ok()) << info.error().message();
    EXPECT_THAT(info.value().top_names, ElementsAre("p"));
    EXPECT_EQ(ModeOf(to / "p/run"), 0755U);
    EXPECT_EQ(Slurp(to / "p/l"), std::string(5000, '2'));
    EXPECT_TRUE(fs::is_directory(to / "p/d"));
    EXPECT_EQ(Slurp(to / "p/\xc3\xbc"), "u");
  }
}

TEST_F(ArchiveTest, NamesThatLeaveTheFolder) {
  ExpectRefused(Tar("add('/escaped', b'x')"), "absolute");
  ExpectRefused(Tar("add('../escaped', b'x')"), "\"..\"");
  ExpectRefused(Tar("add('a/../../escaped', b'x')"), "\"..\"");
  ExpectRefused(Tar("add('good', b'x'); add('a/..', b'x')"), "\"..\"");
  ExpectRefused(Tar("add('..\\\\escaped', b'x')"), "backslash");
  ExpectRefused(Tar("add('a\\nb', b'x')"), "control");
  ExpectRefused(Tar("add('a' * 300, b'x')"), "255");
  ExpectRefused(Tar("add('a/' * 70 + 'b', b'x')"), "64");
  ExpectRefused(Tar("add('ab/' * 400 + 'b', b'x')"), "1024");
  ExpectRefused(Zip("put('/escaped', b'x')"), "absolute");
  ExpectRefused(Zip("put('../escaped', b'x')"), "\"..\"");
}

TEST_F(ArchiveTest, MessagesNameTheEntryAndTheRule) {
  auto info = InspectPackage(Made(Tar("add('fine', b'x'); add('../evil.sh', b'x')")));
  EXPECT_EQ(info.error().message(), "package entry \"../evil.sh\": \"..\" in a path is refused");
}

TEST_F(ArchiveTest, LinksThatLeaveTheFolder) {
  const std::string link = "add('d/l', type=tarfile.SYMTYPE, linkname=";
  ExpectRefused(Tar(link + "'/etc/passwd')"), "absolute");
  ExpectRefused(Tar(link + "'../../escaped')"), "out of the package");
  ExpectRefused(Tar(link + "'../d/../../escaped')"), "only at its beginning");
  ExpectRefused(Tar(link + "'')"), "target of a link");
  // a link that resolves inside by its text, but outside through another link
  ExpectRefused(Tar("add('d/up', type=tarfile.SYMTYPE, linkname='..')\n"
                    "add('out', type=tarfile.SYMTYPE, linkname='d/up/../escaped')"),
                "only at its beginning");
  ExpectRefused(Zip("put('l', b'../escaped', 0o120777)"), "out of the package");
}

TEST_F(ArchiveTest, NothingIsWrittenThroughALink) {
  ExpectRefused(Tar("add('d', type=tarfile.SYMTYPE, linkname='.')\nadd('d/x', b'x')"), "no folder");
  ExpectRefused(Tar("add('d/a', b'x')\nadd('d', type=tarfile.SYMTYPE, linkname='.')"), "twice");
  ExpectRefused(Tar("add('f', type=tarfile.SYMTYPE, linkname='g')\nadd('f', b'x')"), "twice");
  ExpectRefused(Zip("put('d', b'.', 0o120777)\nput('d/x', b'x')"), "no folder");
}

TEST_F(ArchiveTest, DuplicateNames) {
  ExpectRefused(Tar("add('a', b'1'); add('a', b'2')"), "twice");
  ExpectRefused(Tar("add('a', b'1'); add('./a', b'2')"), "twice");
  ExpectRefused(Tar("add('a', b'1'); add('a/b', b'2')"), "no folder");
  ExpectRefused(Tar("add('a/b', b'1'); add('a', b'2')"), "twice");
  ExpectRefused(Zip("put('a', b'1'); put('a', b'2')"), "twice");
  EXPECT_TRUE(
      InspectPackage(Made(Tar("add('d', type=tarfile.DIRTYPE); add('d/a', b'1')\n"
                              "add('d', type=tarfile.DIRTYPE); add('./', type=tarfile.DIRTYPE)")))
          .ok());
}

TEST_F(ArchiveTest, HardLinksOut) {
  const std::string link = "add('l', type=tarfile.LNKTYPE, linkname=";
  ExpectRefused(Tar(link + "'/etc/passwd')"), "absolute");
  ExpectRefused(Tar(link + "'../escaped')"), "\"..\"");
  ExpectRefused(Tar(link + "'missing')"), "came before");
  ExpectRefused(Tar(link + "'l')"), "came before");
  ExpectRefused(Tar("add('s', type=tarfile.SYMTYPE, linkname='t')\n" + link + "'s')"),
                "came before");
}

TEST_F(ArchiveTest, DevicesAndPipes) {
  for (const char* type : {"CHRTYPE", "BLKTYPE", "FIFOTYPE"}) {
    ExpectRefused(Tar("add('dev', type=tarfile." + std::string(type) + ")"), "only files");
  }
}

TEST_F(ArchiveTest, Limits) {
  ArchiveLimits few;
  few.most_entries = 10;
  ExpectRefused(Tar("for i in range(11): add('f%d' % i)"), "more than 10 entries", few);
  ExpectRefused(Tar("add('/'.join('abcdefghijk'), b'x')"), "more than 10 entries", few);
  EXPECT_TRUE(InspectPackage(Made(Tar("for i in range(10): add('f%d' % i)")), few).ok());
  ArchiveLimits little;
  little.most_bytes = 1000;
  ExpectRefused(Tar("add('a', b'x' * 600); add('b', b'x' * 600)"), "longer than 1000 B", little);
  ExpectRefused(Zip("put('a', b'x' * 600); put('b', b'x' * 600)"), "longer than 1000 B", little);
  EXPECT_TRUE(InspectPackage(Made(Tar("add('a', b'x' * 1000)")), little).ok());
}

TEST_F(ArchiveTest, Bombs) {
  ExpectRefused(Tar("add('zeros', bytes(40 << 20))"), "archive bomb");
  ExpectRefused(Zip("put('zeros', bytes(40 << 20))"), "archive bomb");
  ExpectRefused(Zip("for i in range(40): put('z%d' % i, bytes(1 << 20))"), "archive bomb");
  // a sparse file of 1 TiB in a few hundred bytes
  ExpectRefused(Sketch{"s.tar",
                       "i = info('sparse', b'', pax_headers={'GNU.sparse.major': '0',"
                       " 'GNU.sparse.minor': '1', 'GNU.sparse.name': 'sparse',"
                       " 'GNU.sparse.size': str(1 << 40), 'GNU.sparse.numblocks': '1',"
                       " 'GNU.sparse.map': str((1 << 40) - 4) + ',4'})\n"
                       "i.size = 4\n"
                       "t.addfile(i, io.BytesIO(b'tail'))"},
                "longer than");
}

TEST_F(ArchiveTest, NoArchiveAtAll) {
  const fs::path path = folder_.path() / "x.tar.gz";
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(2048, '\0'),
                                   std::string("\x1f\x8b\x08")}) {
    std::ofstream(path, std::ios::trunc) << bytes;
    auto info = InspectPackage(path);
    ASSERT_FALSE(info.ok());
    EXPECT_EQ(info.error().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(InspectPackage(folder_.path() / "none").error().code(), Code::kNotFound);
  EXPECT_EQ(InspectPackage(folder_.path()).error().code(), Code::kInvalidArgument);
}

TEST_F(ArchiveTest, TruncatedIsNoticed) {
  const std::string whole =
      Slurp(Made(Tar("import os\nfor i in range(20): add('f%d' % i, os.urandom(3000))")));
  const fs::path path = folder_.path() / "cut.tar.gz";
  for (const std::size_t n : {whole.size() / 4, whole.size() / 2, whole.size() - 2000}) {
    std::ofstream(path, std::ios::trunc) << whole.substr(0, n);
    EXPECT_FALSE(InspectPackage(path).ok()) << n;
  }
}

TEST_F(ArchiveTest, FolderMustBeEmpty) {
  const fs::path archive = Made(Tar("add('a', b'x')"));
  std::ofstream(folder_.path() / "kept") << "kept";
  auto info = ExtractSafely(archive, folder_.path());
  EXPECT_EQ(info.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Slurp(folder_.path() / "kept"), "kept");
}

class PackTest : public ArchiveTest {
 protected:
  PackTest() : source_(folder_.path() / "my_package") {
    Write("setup.py", "setup()", 0600);
    Write("trainer/task.py", "print(1)", 0644);
    Write("run.sh", "#!/bin/sh", 0700);
  }
  void Write(const std::string& name, const std::string& text, mode_t mode) {
    fs::create_directories((source_ / name).parent_path());
    std::ofstream(source_ / name) << text;
    ::chmod((source_ / name).c_str(), mode);
  }
  fs::path source_;
};

TEST_F(PackTest, ComesBackWithoutLeftOvers) {
  Write(".git/config", "x", 0644);
  Write("trainer/__pycache__/task.cpython-311.pyc", "x", 0644);
  Write("old.pyc", "x", 0644);
  Write(".venv/bin/python", "x", 0755);
  Write("\xc3\xbc.txt", "u", 0644);
  fs::create_symlink("trainer/task.py", source_ / "link");
  const fs::path out = folder_.path() / "out.tar.gz";
  auto info = PackFolder(source_, out);
  ASSERT_TRUE(info.ok()) << info.error().message();
  const fs::path to = folder_.path() / "to";
  ASSERT_TRUE(ExtractSafely(out, to).ok());
  std::map<std::string, mode_t> found;
  for (const auto& entry : fs::recursive_directory_iterator(to)) {
    if (entry.is_directory()) continue;
    found[entry.path().lexically_relative(to).string()] = ModeOf(entry.path());
  }
  const std::map<std::string, mode_t> expected = {{"my_package/setup.py", 0644},
                                                  {"my_package/trainer/task.py", 0644},
                                                  {"my_package/run.sh", 0755},
                                                  {"my_package/\xc3\xbc.txt", 0644},
                                                  {"my_package/link", 0777}};
  EXPECT_EQ(found.size(), expected.size());
  for (const auto& [name, mode] : expected) EXPECT_EQ(found[name], mode) << name;
  EXPECT_THAT(info.value().top_names, ElementsAre("my_package"));
  EXPECT_EQ(info.value().bytes, 7U + 8U + 9U + 1U);
}

TEST_F(PackTest, SameFilesSameBytes) {
  ASSERT_TRUE(PackFolder(source_, folder_.path() / "1.tar.gz").ok());
  fs::last_write_time(source_ / "setup.py",
                      fs::file_time_type::clock::now() - std::chrono::hours(9));
  ASSERT_TRUE(PackFolder(source_ / ".", folder_.path() / "2.tar.gz").ok());
  EXPECT_EQ(Slurp(folder_.path() / "1.tar.gz"), Slurp(folder_.path() / "2.tar.gz"));
}

TEST_F(PackTest, LeavesItselfOut) {
  const fs::path out = source_ / "dist.tar.gz";
  ASSERT_TRUE(PackFolder(source_, out).ok());
  const std::string first = Slurp(out);
  ASSERT_TRUE(PackFolder(source_, out).ok());
  EXPECT_EQ(Slurp(out), first);
  EXPECT_EQ(InspectPackage(out).value().entries, 5U);
}

TEST_F(PackTest, RefusesLinksOutAndPipes) {
  const fs::path out = folder_.path() / "out.tar.gz";
  fs::create_symlink("../secret", source_ / "link");
  auto info = PackFolder(source_, out);
  ASSERT_FALSE(info.ok());
  EXPECT_THAT(info.error().message(), HasSubstr("links out of the package"));
  fs::remove(source_ / "link");
  ASSERT_EQ(::mkfifo((source_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(PackFolder(source_, out).error().message(), HasSubstr("only files"));
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(PackFolder(folder_.path() / "none", out).error().code(), Code::kNotFound);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);  // the source alone
}

TEST(CheckLink, StaysInside) {
  for (const char* good : {"x", "../x", "../../x", "./../x", "x/y", ".", "..", "../.."}) {
    EXPECT_TRUE(archive::CheckLink("a/b/l", good).ok()) << good;
  }
  for (const char* bad : {"", "/", "/x", "../../../x", "x/..", "../x/../..", "x\ny"}) {
    EXPECT_FALSE(archive::CheckLink("a/b/l", bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace cml
