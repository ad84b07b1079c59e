/* small_model.h - configs of a model of a few thousand weights, for tests that run whole jobs. */
#ifndef TESTS_SMALL_MODEL_H
#define TESTS_SMALL_MODEL_H

static const char small_model_new[] = "model:\n"
                                      "  tokenizer: 'chars:,0123456789:?'\n"
                                      "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
                                      "head_width: 8, ff_width: 24, n_positions: 32}\n";
/* as it is after some SFT into the run folder `before` */
static const char small_model_old[] = "model: {path: before/checkpoint-200}\n";

#endif
