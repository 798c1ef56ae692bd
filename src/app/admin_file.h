// app/admin_file.h — DATA/admin.json: the administrator's key pair and this server's address, in
// the format of the client's ~/.config/xiaomi/config (cloud_ml v1, section 3). Mode 0600.
#pragma once
#include <filesystem>
#include <string>

#include "base/result.h"
#include "service/orgs.h"

namespace cml::app {

// Makes the file with a new key where there is none; where there is one, only brings its endpoint
// up to date. A lost file is so replaced by a start of the server, and the key that was in it is
// disabled: who can write the data folder is its administrator.
Status EnsureAdminFile(const std::filesystem::path& file, const std::string& endpoint,
                       const OrgId& org, service::Orgs& orgs);

}  // namespace cml::app
