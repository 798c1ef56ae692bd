// base/random.h — unguessable bytes from the kernel. Aborts when the kernel has none: nothing safe
// could follow.
#pragma once
#include <cstddef>
#include <string>

namespace cml {

std::string RandomBytes(std::size_t n);
// `n` characters from [a-z0-9], about 5.17 bits each.
std::string RandomToken(std::size_t n);

}  // namespace cml
