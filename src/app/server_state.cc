// What lasts: the data folder, the store, and the use cases of organisations, keys, quotas and the audit.
#include "app/server_parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/server.h"
#include "base/file.h"
#include "crypto/seal.h"
#include "store/sqlite/sqlite_store.h"

namespace cml::app {
namespace {

namespace fs = std::filesystem;

fs::path DatabaseOf(const fs::path& data) { return data / "cloudml.db"; }
fs::path KeyFileOf(const fs::path& data) { return data / "master.key"; }

class SealedBox final : public service::SecretBox {
 public:
  explicit SealedBox(crypto::Sealer sealer) : sealer_(std::move(sealer)) {}
  std::string Seal(std::string_view plain, std::string_view context) const override {
    return sealer_.Seal(plain, context);
  }
  Result<Secret> Open(std::string_view sealed, std::string_view context) const override {
    return sealer_.Open(sealed, context);
  }

 private:
  crypto::Sealer sealer_;
};

// One server per data folder. The lock goes with the process, however it ends.
Result<Fd> LockData(const fs::path& data) {
  CML_RETURN_IF_ERROR(MakeFolders(data, 0700));
  CML_ASSIGN_OR_RETURN(Fd lock, OpenFile(data / "lock", O_RDWR | O_CREAT, 0600));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(Code::kUnavailable, data.string() + " is in use by another cloudml server; stop it, or give this one another folder (--data)");
  }
  return lock;
}

}  // namespace

Status Server::OpenState() {
  CML_ASSIGN_OR_RETURN(lock_, LockData(config_.data));
  CML_ASSIGN_OR_RETURN(crypto::Sealer sealer, crypto::Sealer::FromKeyFile(KeyFileOf(config_.data)));
  CML_ASSIGN_OR_RETURN(store_, store::SqliteStore::Open(DatabaseOf(config_.data), sealer.KeyFor("audit")));
  box_ = std::make_unique<SealedBox>(std::move(sealer));
  orgs_ = std::make_unique<service::Orgs>(*store_, *box_, clock_);
  CML_ASSIGN_OR_RETURN(const auto first, orgs_->EnsureDefaultOrg(config_.first_uid));
  first_org_ = first.org;
  first_start_ = first.created;
  quotas_ = std::make_unique<service::Quotas>(service::Quotas::Deps{
      *store_, clock_,
      [this](const service::Caller& caller, const OrgId& org, const service::OrgWords& words) -> Status {
        CML_RETURN_IF_ERROR(org_admin_->Update(caller, org.str(), {words.name, words.mail, {}, words.project, {}}));
        return Ok{};
      },
      config_.default_quota});
  CML_ASSIGN_OR_RETURN(objects_, objectstore::FilesystemStore::Open(
      config_.data / "objects", [this](const OrgId& org) { return OwnerOf(org); }));
  audit_ = std::make_unique<service::AuditTrail>(*store_, clock_);
  org_admin_ = std::make_unique<service::OrgAdmin>(service::OrgAdmin::Deps{
      *store_, *orgs_, *objects_, clock_, [this](const Org& org) { OrgChanged(org); },
      [this](const OrgId& org) { return quotas_->GiveDefault(org); }});
  CML_RETURN_IF_ERROR(org_admin_->Repair());
  keys_ = std::make_unique<service::Keys>(service::Keys::Deps{*store_, *orgs_, clock_});
  users_ = std::make_unique<service::Users>(service::Users::Deps{*store_, *orgs_, *keys_, clock_});
  rows_ = std::make_unique<store::TrainJobRows>(*store_);
  return Ok{};
}

std::optional<objectstore::FilesystemStore::Owner> Server::OwnerOf(const OrgId& org) {
  if (::geteuid() != 0) return std::nullopt;
  const uid_t uid = UidOf(org);
  return objectstore::FilesystemStore::Owner{uid, static_cast<gid_t>(uid)};
}

Status BackupServer(const fs::path& data, const fs::path& file) {
  if (!fs::exists(DatabaseOf(data))) {
    return Error(Code::kNotFound, data.string() + ": there is no cloudml data; name the folder with --data");
  }
  Secret audit_key;
  if (fs::exists(KeyFileOf(data))) {  // reading makes no key
    CML_ASSIGN_OR_RETURN(const crypto::Sealer sealer, crypto::Sealer::FromKeyFile(KeyFileOf(data)));
    audit_key = sealer.KeyFor("audit");
  }
  CML_ASSIGN_OR_RETURN(const auto store, store::SqliteStore::Open(DatabaseOf(data), audit_key));
  return store->Backup(file);
}

}  // namespace cml::app
