// The body of Boost.JSON, compiled once: Debian's libboost-dev brings its headers alone.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/json/src.hpp>
#pragma GCC diagnostic pop
