/* attention.h - causal grouped-query attention over paged keys and values, forward and backward.
 *
 *     s_j = (q . k_j) / sqrt(E)          another scale, and s = cap tanh(s / cap), where the model
 *                                        has them (kind.h)
 *     p   = softmax(s) over the keys j that the query may see
 *     o   = sum_j p_j v_j
 *
 * A query sees the keys at its own position and before it; with a window of w, the last w of them.
 *
 * Exact by construction. A query's result depends on its own keys alone: keys are visited in blocks
 * of PAGE_TOKENS anchored at position 0, in increasing order; within a block each score is one fma
 * chain over E in increasing order, the running maximum and sum are updated once per block (sum in
 * a fixed tree of lanes), and each output element is one fma chain over the block's keys in
 * increasing order. Keys behind the query's position are not visited at all, nor are blocks before
 * its window; the keys before it in its first block count with a p of 0. Nothing depends on the
 * batch, on other queries, on threads, or on whether the keys came from a cache. Kernels that work
 * on several queries at once give the same bits as the plain one-query function, which stays in the
 * file's test as the oracle. So a page is read once for all heads of a group, and for all
 * completions of a prompt that stand side by side in the batch.
 *
 * A page holds, for one layer and one key/value head,
 *
 *     K^T [E x PAGE_TOKENS]   then   V [PAGE_TOKENS x E'],   E' being E rounded up to vectors,
 *
 * in f32, or in bf16 where the keys and values are bf16 (model_forward has rounded them): then in
 * words of 32 bits, each a pair of neighbours of the dimension that is summed over, the even one in
 * the lower half,
 *
 *     K^T [E/2 x PAGE_TOKENS]   then   V [PAGE_TOKENS/2 x E']
 *
 * Widening is exact, so both forms give the same bits. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/packing.h"
#include "model/shape.h"

struct kv_cache {
	/* of this cache: L when decoding, 1 when training (each layer overwrites the one before) */
	int n_layers;
	int n_pages;
	int n_kv_heads, head_width;
	int bf16; /* 1: in words of two, and what is stored must be bf16 in value */
	/* [n_pages x n_layers x K x (E + E')*PAGE_TOKENS], half as many words with bf16; owned,
	 * zero at first */
	float *data;
};

int    kv_cache_new(const struct model_shape *shape, int bf16, int n_layers, int n_pages,
                    struct kv_cache *out);
void   kv_cache_free(struct kv_cache *c);
size_t kv_cache_bytes(const struct model_shape *shape, int bf16, int n_layers, int n_pages);
void   kv_cache_copy_page(struct kv_cache *c, int from, int to); /* all layers */

struct attention_tile;
/* what the threads work in: too much for their stacks */
int attention_room_new(struct arena *a, struct attention_tile **out);

struct attention_input {
	const struct packing *b;
	/* [T x (H+2K)E] queries, keys, values of each token side by side, rotated already */
	const float     *qkv;
	struct kv_cache *cache;
	int              layer;  /* of the cache */
	int              window; /* positions that a query sees; 0: all */
};

/* One layer. Puts the new keys and values of the batch into their pages (of a child, also those of
 * its ancestors that stand in the child's first page), then attends.
 *   out [T x H*E]       written
 *   lse [T x H]         log sum exp of the scores, for the backward pass; may be NULL */
void attention_forward(const struct model_shape *shape, const struct attention_input *in,
                       struct attention_tile *room, float *out, float *lse);

/* by the caller, from the forward pass to the backward pass */
struct attention_kept {
	const float *qkv, *out, *lse; /* as in attention_forward */
	int          window;
};

/* Writes d_qkv [T x (H+2K)E] from d_out [T x H*E]. Only for training batches (every key is in the
 * batch: roots have position 0). Each query's gradient is summed over its keys from position 0 on;
 * keys of a shared prompt receive the sum over its completions, in segment order. Scratch in `a`,
 * released before return. */
int attention_backward(const struct model_shape *shape, const struct packing *b,
                       const struct attention_kept *kept, const float *d_out, struct arena *a,
                       float *d_qkv);

/* Its scratch, counted, for the memory bill; blocks: of PAGE_TOKENS keys, begun ones included. */
size_t attention_backward_bytes(const struct model_shape *shape, int tokens, int blocks);

#endif
