#include "base/ending.h"

const char *const stop_reason_name[STOP_REASONS] = {"eos", "stop", "length", "context"};
