#include "simulator.h"
namespace cml::bench { void RunSpeed() {} }
