/* Plain C, in vectors of 128 bits: what compilers have for every CPU. */
#define TILE_BITS 128

#include "math/tile_body.h"

const struct tile_width tile_plain = {"reference", tile_of_width};
