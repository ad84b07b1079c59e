#include "base/version.h"

const char *version_commit = "unknown";

#ifdef __clang__
const char version_compiler[] = __VERSION__;
#else
const char version_compiler[] = "gcc " __VERSION__;
#endif
