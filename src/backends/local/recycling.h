// backends/local/recycling.h — folders of removed runs, emptied and kept for the next run of the
// same user, and files that are written over instead of made anew.
//
// Why: ext4 without a journal does not give out an inode again for minutes after its deletion, and
// looks at all of those whenever it makes a file. A thousand short jobs that make and delete a
// dozen files each would cost more there than in their sandboxes.
//
// What a job could leave in an emptied folder (an extended attribute, a mode) only ever reaches
// jobs of its own organisation. Thread-safe: taking and keeping are renames.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml::backends::local {

inline constexpr const char* kUsedReplica = "replica";  // a replica's name in the pool

// Writes over the file, or makes it. Not atomic: for files that nobody reads yet.
Status OverwriteFile(const std::filesystem::path& path, std::string_view text, mode_t mode);

// Empties the run's folder, whose one replica is `replica`, and moves it into the pool under a name
// that nobody takes, which is returned. Empty when it holds more than a few files, or the pool has
// enough; the folder is where it was then.
std::filesystem::path KeepUsedFolder(const std::filesystem::path& run,
                                     const std::filesystem::path& pool, const std::string& replica);
// Lets it be taken: when its lock is free again.
void OfferUsedFolder(const std::filesystem::path& kept);
// Moves one out of the pool, its replica's folder named anew; false when there is none.
bool TakeUsedFolder(const std::filesystem::path& pool, const std::filesystem::path& to,
                    const std::string& replica);

}  // namespace cml::backends::local
