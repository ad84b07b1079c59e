/* published.h - the shapes of some published models, as their config.json and
 * generation_config.json say them, for random models of a real size (`hone init --like`) and for
 * measurements.
 *
 *     SmolLM2-135M     llama     134,515,008 weights      arXiv:2502.02737
 *     Qwen2.5-0.5B     qwen2     494,032,768              arXiv:2412.15115
 *     Qwen3-0.6B       qwen3     596,049,920              arXiv:2505.09388
 *     Llama-3.2-1B     llama   1,235,814,400              arXiv:2407.21783 */
#ifndef MODEL_PUBLISHED_H
#define MODEL_PUBLISHED_H

#include "model/shape.h"

/* NULL, with the message set, when there is none of that name. */
const struct model_shape *published_shape(const char *name);

#endif
