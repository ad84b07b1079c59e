/* reference.h - a reference model that follows the policy (TRL's sync_ref_model).
 *
 *     after every ref_model_sync_steps-th step, for each weight
 *             reference = (1 - alpha) reference + alpha policy        alpha: ref_model_mixup_alpha
 *
 * Each product and the sum are rounded to f32, in this order. With alpha 1 the policy is copied;
 * with a small alpha and a sync after every step the reference is an exponential moving average.
 * The KL divergence then holds the policy near its own past instead of its start (TR-DPO,
 * arXiv:2404.09656, did so first). The reference is in a checkpoint: reference.safetensors. */
#ifndef RL_REFERENCE_H
#define RL_REFERENCE_H

#include "model/model_options.h"
#include "model/transformer.h"

/* ERR_INPUT where an adapter learns, or the reference has another shape; it may be NULL. */
int reference_check(const struct reference_options *o, const struct model *policy,
                    const struct model *reference);

/* After so many finished steps: mixes when that is due. */
int reference_follow(const struct reference_options *o, const struct model *policy,
                     struct model *reference, int step);

int reference_save(const struct model *reference, const char *path);
int reference_load(struct model *reference, const char *path);

#endif
