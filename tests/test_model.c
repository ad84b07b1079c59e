/* The transformer, its head and its adapter: against a plain model in double, and against
 * themselves, bit for bit. */
#include "model/head.h"

#include "base/threads.h"
#include "test.h"

#include "every_kind.h"

/* ---- a plain model: one text at a time, in double, as the formulas stand in the headers ---- */

enum { TEXT_MOST = 700, SIDE_MOST = 64 };

struct plain {
	const struct weights *w;
	const double         *p; /* [n] parameters */
	int                   n; /* tokens so far */
	double                keys[2][TEXT_MOST][SIDE_MOST], values[2][TEXT_MOST][SIDE_MOST];
};

static void plain_product(const double *W, int n_out, int n_in, const double *x, double *y)
{
	for (int i = 0; i < n_out; i++) {
		y[i] = 0;
		for (int j = 0; j < n_in; j++)
			y[i] += W[i * n_in + j] * x[j];
	}
}

/* RMSNorm, with gains 1 + w, or LayerNorm; bias NULL: none */
static void plain_norm(const struct plain *m, const double *gain, const double *bias, int D,
                       const double *x, double *y)
{
	enum kind_norm kind = kind_of(&m->w->shape)->norm;
	double         square = 0, mean = 0;

	for (int i = 0; i < D && kind == NORM_LAYER; i++)
		mean += x[i] / D;
	for (int i = 0; i < D; i++)
		square += (x[i] - mean) * (x[i] - mean);
	for (int i = 0; i < D; i++)
		y[i] = (x[i] - mean) / sqrt(square / D + m->w->shape.norm_eps) *
		               (gain[i] + (kind == NORM_RMS_ONE)) +
		       (bias ? bias[i] : 0);
}

/* the norm at these offsets; where the kind has none, a copy */
static void plain_norm_at(const struct plain *m, struct norm_offsets at, const double *x, double *y)
{
	if (at.gain)
		plain_norm(m, m->p + at.gain, at.bias ? m->p + at.bias : NULL, m->w->shape.width, x,
		           y);
	else
		memcpy(y, x, (size_t)m->w->shape.width * sizeof *y);
}

static double plain_frequency(const struct model_shape *s, int layer, int i)
{
	const struct rope_scaling *r = &s->rope;
	int                        own = s->local_theta > 0 && s->layers[layer] & LAYER_LOCAL;
	double                     theta = own ? s->local_theta : s->rope_theta,
	       f = pow(theta, -2.0 * i / s->head_width), wave = 2 * acos(-1) / f, share;

	if (own || r->kind == ROPE_PLAIN ||
	    (r->kind == ROPE_LLAMA3 && wave < r->original_positions / r->high_freq_factor))
		return f;
	if (r->kind == ROPE_LINEAR || wave > r->original_positions / r->low_freq_factor)
		return f / r->factor;
	share = (r->original_positions / wave - r->low_freq_factor) /
	        (r->high_freq_factor - r->low_freq_factor);
	return (1 - share) * f / r->factor + share * f;
}

static void plain_rotate(const struct model_shape *s, int layer, int position, double *x)
{
	int half = s->head_width / 2;

	for (int i = 0; i < half; i++) {
		double angle = position * plain_frequency(s, layer, i), a = x[i], b = x[i + half];
		x[i] = a * cos(angle) - b * sin(angle);
		x[i + half] = b * cos(angle) + a * sin(angle);
	}
}

static void plain_attention(const struct plain *m, int layer, const double *q, double *out)
{
	const struct model_shape *s = &m->w->shape;
	int                       E = s->head_width, from = 0;
	double                    cap = s->scales.score_cap, scale = 1 / sqrt(E);

	if (s->scales.query_width > 0)
		scale = 1 / sqrt(s->scales.query_width);
	if (s->scales.score > 0)
		scale = s->scales.score;
	if (s->layers[layer] & LAYER_LOCAL && m->n >= s->window)
		from = m->n - s->window + 1;
	for (int h = 0; h < s->n_heads; h++) {
		int    at = h / (s->n_heads / s->n_kv_heads) * E;
		double sum = 0, *o = out + h * E;
		memset(o, 0, (size_t)E * sizeof(double));
		for (int j = from; j <= m->n; j++) {
			double score = 0;
			for (int e = 0; e < E; e++)
				score += q[h * E + e] * m->keys[layer][j][at + e] * scale;
			if (cap > 0)
				score = cap * tanh(score / cap);
			sum += exp(score);
			for (int e = 0; e < E; e++)
				o[e] += exp(score) * m->values[layer][j][at + e];
		}
		for (int e = 0; e < E; e++)
			o[e] /= sum;
	}
}

/* y = W x [+ b] */
static void plain_biased(const struct plain *m, int layer, enum product which, const double *x,
                         double *y)
{
	struct product_shape        shapes[LAYER_PRODUCTS];
	const struct layer_offsets *at = &m->w->layers[layer];

	weights_products(&m->w->shape, shapes);
	plain_product(m->p + at->product[which], shapes[which].n_out, shapes[which].n_in, x, y);
	for (int i = 0; i < shapes[which].n_out && at->bias[which]; i++)
		y[i] += m->p[at->bias[which] + (size_t)i];
}

static double plain_gelu(double x)
{
	return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void plain_qk_norm(const struct plain *m, int layer, double *qkv)
{
	const struct model_shape *s = &m->w->shape;
	int                       E = s->head_width, Q = s->n_heads * E, KE = s->n_kv_heads * E;
	double                    normed[SIDE_MOST];

	if (kind_has(s, PART_QK_NORM_ALL))
		for (int i = 0; i < 2; i++) {
			int n = i ? KE : Q;
			plain_norm(m, m->p + m->w->layers[layer].qk_norm + (i ? Q : 0), NULL, n,
			           qkv + i * Q, normed);
			memcpy(qkv + i * Q, normed, (size_t)n * sizeof(double));
		}
	for (int i = 0; i < s->n_heads + s->n_kv_heads && kind_has(s, PART_QK_NORM); i++) {
		plain_norm(m, m->p + m->w->layers[layer].qk_norm + (i < s->n_heads ? 0 : E), NULL,
		           E, qkv + i * E, normed);
		memcpy(qkv + i * E, normed, (size_t)E * sizeof(double));
	}
}

/* x += scale [norm](y) */
static void plain_add(const struct plain *m, struct norm_offsets behind, const double *y, double *x)
{
	double normed[SIDE_MOST], scale = m->w->shape.scales.residual;

	plain_norm_at(m, behind, y, normed);
	for (int i = 0; i < m->w->shape.width; i++)
		x[i] += (scale > 0 ? scale : 1) * normed[i];
}

static void plain_layer(struct plain *m, int layer, double *x)
{
	const struct model_shape   *s = &m->w->shape;
	const struct layer_offsets *at = &m->w->layers[layer];
	int    E = s->head_width, F = s->ff_width, Q = s->n_heads * E, KE = s->n_kv_heads * E;
	double h[SIDE_MOST], qkv[3 * SIDE_MOST], o[SIDE_MOST], y[SIDE_MOST], gu[2 * SIDE_MOST];

	plain_norm_at(m, at->before[BRANCH_ATTENTION], x, h);
	plain_biased(m, layer, PRODUCT_QKV, h, qkv);
	plain_qk_norm(m, layer, qkv);
	for (int i = 0; i < s->n_heads + s->n_kv_heads; i++)
		if (!(s->layers[layer] & LAYER_UNTURNED) && !m->w->positions)
			plain_rotate(s, layer, m->n, qkv + i * E);
	memcpy(m->keys[layer][m->n], qkv + Q, (size_t)KE * sizeof(double));
	memcpy(m->values[layer][m->n], qkv + Q + KE, (size_t)KE * sizeof(double));
	plain_attention(m, layer, qkv, o);
	plain_biased(m, layer, PRODUCT_O, o, y);
	plain_add(m, at->behind[BRANCH_ATTENTION], y, x);
	plain_norm_at(m, at->before[BRANCH_MLP], x, h);
	plain_biased(m, layer, PRODUCT_GATE_UP, h, gu);
	for (int i = 0; i < F; i++) {
		enum kind_mlp mlp = kind_of(s)->mlp;
		gu[i] = (mlp == MLP_SWIGLU ? gu[i] / (1 + exp(-gu[i])) : plain_gelu(gu[i])) *
		        (mlp == MLP_GELU ? 1 : gu[F + i]);
	}
	plain_biased(m, layer, PRODUCT_DOWN, gu, y);
	plain_add(m, at->behind[BRANCH_MLP], y, x);
}

/* Reads one more token; writes log-probabilities [V] of the next. */
static void plain_token(struct plain *m, int token, double temperature, double *logp)
{
	const struct model_shape *s = &m->w->shape;
	double                    x[SIDE_MOST], h[SIDE_MOST],
	        sum = 0, cap = s->scales.logit_cap,
	        scale = s->scales.embedding > 0 ? s->scales.embedding : 1,
	        divisor = s->scales.logit_divisor > 0 ? s->scales.logit_divisor : 1;

	if (kind_of(s)->embedding_by_width)
		scale = sqrt(s->width);
	for (int i = 0; i < s->width; i++)
		x[i] = scale * m->p[m->w->embed + (size_t)(token * s->width + i)] +
		       (m->w->positions ? m->p[m->w->positions + (size_t)(m->n * s->width + i)]
		                        : 0);
	for (int l = 0; l < s->n_layers; l++)
		plain_layer(m, l, x);
	m->n++;
	plain_norm_at(m, m->w->norm_final, x, h);
	plain_product(m->p + m->w->head, s->n_vocab, s->width, h, logp);
	for (int v = 0; v < s->n_vocab; v++) {
		logp[v] /= divisor;
		if (cap > 0)
			logp[v] = cap * tanh(logp[v] / cap);
		sum += exp(logp[v] /= temperature);
	}
	for (int v = 0; v < s->n_vocab; v++)
		logp[v] -= log(sum);
}

/* ---- what is trained on ---- */

struct job {
	struct weights         w;
	const struct sequence *seqs;
	int                    n_seqs, n_targets;
	float                  temperature;
	struct adapter_options adapter;        /* rank 0: none */
	int                    fresh;          /* the adapter is as adapter_init makes it */
	float                 *c, *h;          /* [N] */
	double                *logp, *entropy; /* [N] of the plain model */
};

static int ids[TEXT_MOST];

static float normal(uint32_t what, size_t i)
{
	return (float)rng_normal((struct rng_key){.seed = 5, .purpose = RNG_TEST, .item = what},
	                         (uint32_t)i);
}

static void job_new(struct job *j, const struct model_shape *shape, const struct sequence *seqs,
                    int n)
{
	*j = (struct job){.seqs = seqs, .n_seqs = n, .temperature = 1};
	for (int i = 0; i < TEXT_MOST; i++)
		ids[i] = (int)rng_below((struct rng_key){.seed = 1, .purpose = RNG_TEST},
		                        (uint32_t)i, (uint32_t)shape->n_vocab);
	for (int i = 0; i < n; i++)
		j->n_targets += seqs[i].n_completion;
	assert_ok(weights_new(shape, &j->w));
	for (size_t i = 0; i < j->w.n; i++)
		j->w.data[i] = 0.3f * normal(1, i);
	for (int i = 0; i < j->w.n_tensors && kind_of(shape)->norm != NORM_RMS_ONE; i++)
		for (size_t k = 0; j->w.tensors[i].kind == TENSOR_NORM && k < j->w.tensors[i].count;
		     k++)
			j->w.data[j->w.tensors[i].offset + k] += 1;
	j->c = calloc((size_t)j->n_targets, sizeof(float));
	j->h = calloc((size_t)j->n_targets, sizeof(float));
	j->logp = calloc((size_t)j->n_targets, sizeof(double));
	j->entropy = calloc((size_t)j->n_targets, sizeof(double));
	for (int i = 0; i < j->n_targets; i++) {
		j->c[i] = normal(2, (size_t)i);
		j->h[i] = normal(3, (size_t)i);
	}
}

static void job_free(struct job *j)
{
	weights_free(&j->w);
	free(j->c);
	free(j->h);
	free(j->logp);
	free(j->entropy);
}

/* sum_i c_i logp_i + h_i entropy_i */
static double plain_loss(struct job *j, const double *p)
{
	static struct plain m;
	double              total = 0, logp[SIDE_MOST];
	int                 at = 0;

	for (int i = 0; i < j->n_seqs; i++) {
		const struct sequence *s = &j->seqs[i];
		m.w = &j->w;
		m.p = p;
		m.n = 0;
		for (int t = 0; t < s->n_prompt; t++)
			plain_token(&m, s->prompt[t], (double)j->temperature, logp);
		for (int t = 0; t < s->n_completion; t++, at++) {
			j->logp[at] = logp[s->completion[t]];
			j->entropy[at] = 0;
			for (int v = 0; v < j->w.shape.n_vocab; v++)
				j->entropy[at] -= exp(logp[v]) * logp[v];
			total += (double)j->c[at] * j->logp[at] + (double)j->h[at] * j->entropy[at];
			plain_token(&m, s->completion[t], (double)j->temperature, logp);
		}
	}
	return total;
}

/* ---- the same by the program ---- */

struct result {
	size_t n; /* floats of the gradient */
	float *gradient, *logp, *entropy;
};

static void result_free(struct result *r)
{
	free(r->gradient);
	free(r->logp);
	free(r->entropy);
}

static const char *precision = "f32"; /* of the products of model_of */

static struct model *model_of(const struct job *j, struct matmul **mm)
{
	struct matmul_options o = {.backend = "auto", .precision = precision, .numerics = "strict"};
	struct weights        copy;
	struct model         *m;

	assert_ok(matmul_new(&o, mm));
	assert_ok(weights_new(&j->w.shape, &copy));
	memcpy(copy.data, j->w.data, copy.n * sizeof(float));
	assert_ok(model_new(&copy, *mm, 1, &m));
	if (j->adapter.rank) {
		assert_ok(adapter_new(&j->adapter, &m->weights, *mm, 1, &m->adapter));
		adapter_init(m->adapter, 1);
		for (size_t i = 0; i < m->adapter->weights.n && !j->fresh; i++)
			m->adapter->weights.data[i] = 0.3f * normal(6, i);
		assert_ok(adapter_pack(m->adapter));
	}
	return m;
}

/* a NaN, and two as bf16 */
static float poison_of(void)
{
	const uint32_t bits = 0x7fc07fc0;
	float          x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

static void poisoned_cache(const struct model *m, int n_layers, int n_pages, struct kv_cache *out)
{
	size_t n = model_cache_bytes(&m->weights.shape, m->mm, n_layers, n_pages) / sizeof(float);

	assert_ok(model_cache_new(m, n_layers, n_pages, out));
	for (size_t i = 0; i < n; i++)
		out->data[i] = poison_of();
}

struct layout { /* of a step */
	int      share;
	uint32_t per_pass; /* units; 0: all */
	int      piece;    /* most units of a piece */
	int      recompute;
};

struct whole { /* a step on its way */
	const struct job  *j;
	struct layout      layout;
	struct model      *m;
	struct tape       *tape;
	struct gradient    g;
	struct unit_range *units;
	int                n_units, n_targets; /* targets so far */
	struct arena       a;
	struct kv_cache    cache;
	struct result      out;
};

/* One piece forward; its log-probabilities and entropies go behind those so far. */
static void piece_forward(struct whole *w, int first, int count, float *d_hidden, struct packing *b,
                          struct head_piece *out)
{
	const struct job *j = w->j;
	float            *hidden, *lse;
	int               at = w->n_targets;

	assert_ok(packing_build(j->seqs, w->units + first, count, w->layout.share, &w->a, b));
	assert_ok(arena_take(&w->a, (size_t)(b->n_tokens * w->m->weights.shape.width), "a test",
	                     &hidden));
	assert_ok(arena_take(&w->a, (size_t)b->n_targets, "a test", &lse));
	*out = (struct head_piece){{w->m, b, hidden, j->temperature},
	                           {w->out.logp + at, w->out.entropy + at, lse},
	                           {j->c + at, j->h + at},
	                           d_hidden};
	kv_cache_free(&w->cache);
	poisoned_cache(w->m, 1, 100, &w->cache);
	assert_ok(model_forward(w->m, b, &w->cache, w->tape, &w->a, hidden));
	assert_ok(head_forward(&out->in, &w->a, &out->forward));
	w->n_targets += b->n_targets;
}

/* The units before `end`, forward and backward. */
static void one_pass(struct whole *w, int first, int end)
{
	struct packing    b[64];
	struct head_piece pieces[64];
	int               n = 0, width = w->m->weights.shape.width, tokens = 0, at = 0;
	float            *d_hidden;

	for (int u = first; u < end; u++)
		tokens += w->units[u].n_tokens;
	assert_ok(arena_take(&w->a, (size_t)(tokens * width), "a test", &d_hidden));
	assert_ok(tape_begin(w->tape, tokens, tokens));
	for (int u = first, count; u < end; u += count, n++) {
		count = end - u < w->layout.piece ? end - u : w->layout.piece;
		piece_forward(w, u, count, d_hidden + at * width, &b[n], &pieces[n]);
		at += b[n].n_tokens;
	}
	assert_ok(head_backward(pieces, n, &w->a, &w->g));
	assert_ok(model_backward(w->m, w->tape, &w->cache, &w->a, d_hidden, &w->g));
}

static struct result step_in(const struct job *j, struct layout layout)
{
	struct whole   w = {.j = j, .layout = layout};
	struct matmul *mm;

	w.m = model_of(j, &mm);
	w.out.n = model_learned(w.m)->n;
	w.out.gradient = malloc(w.out.n * sizeof(float));
	w.out.logp = malloc((size_t)j->n_targets * sizeof(float));
	w.out.entropy = malloc((size_t)j->n_targets * sizeof(float));
	assert_ok(tape_new(&j->w.shape, layout.recompute, &w.tape));
	assert_ok(gradient_new(model_learned(w.m), &w.g));
	assert_ok(packing_plan(j->seqs, j->n_seqs, layout.share, &w.a, &w.units, &w.n_units));
	assert_ok(gradient_begin(&w.g, &(struct gradient_units){.n = (uint32_t)w.n_units,
	                                                        .per_pass = layout.per_pass}));
	for (int l = 0; l < w.g.n_levels; l++)
		for (size_t i = 0; i < w.g.n + w.g.n_extra; i++)
			w.g.level[l][i] = NAN;
	for (int next = 0; next < w.n_units; next = (int)w.g.end) {
		if (next)
			gradient_next_pass(&w.g);
		one_pass(&w, next, (int)w.g.end);
	}
	assert_ok(gradient_finish(&w.g));
	memcpy(w.out.gradient, w.g.level[0], w.out.n * sizeof(float));
	gradient_free(&w.g);
	tape_free(w.tape);
	kv_cache_free(&w.cache);
	arena_free(&w.a);
	model_free(w.m);
	matmul_free(mm);
	return w.out;
}

/* All units at once, or pass by pass of one. */
static struct result step(const struct job *j, int share, int most)
{
	return step_in(j, (struct layout){.share = share, .per_pass = most == 1, .piece = 100});
}

static void assert_same(const struct result *a, const struct result *b, int n_targets)
{
	assert_memory_equal(a->logp, b->logp, (size_t)n_targets * sizeof(float));
	assert_memory_equal(a->entropy, b->entropy, (size_t)n_targets * sizeof(float));
	assert_memory_equal(a->gradient, b->gradient, a->n * sizeof(float));
}

/* ---- against the plain model ---- */

static const struct model_shape base = {.n_layers = 2,
                                        .width = 12,
                                        .n_heads = 4,
                                        .n_kv_heads = 2,
                                        .head_width = 4,
                                        .ff_width = 9,
                                        .n_vocab = 13,
                                        .n_positions = TEXT_MOST,
                                        .rope_theta = 100,
                                        .norm_eps = 1e-5};

static void check_values(struct job *j, const double *p, const struct result *r)
{
	plain_loss(j, p);
	for (int i = 0; i < j->n_targets; i++) {
		assert_close((double)r->logp[i], j->logp[i], 2e-5);
		assert_close((double)r->entropy[i], j->entropy[i], 2e-5);
	}
}

/* The derivative of the plain loss along v by central differences. */
static double slope(struct job *j, double *p, const double *v)
{
	const double step_size = 1e-5;
	double       above, below;

	for (size_t i = 0; i < j->w.n; i++)
		p[i] = (double)j->w.data[i] + step_size * v[i];
	above = plain_loss(j, p);
	for (size_t i = 0; i < j->w.n; i++)
		p[i] = (double)j->w.data[i] - step_size * v[i];
	below = plain_loss(j, p);
	for (size_t i = 0; i < j->w.n; i++)
		p[i] = (double)j->w.data[i];
	return (above - below) / (2 * step_size);
}

static void check_gradient(struct job *j, double *p, const struct result *r, size_t n_entries)
{
	double *v = calloc(j->w.n, sizeof(double));
	double  dot = 0, square = 0;

	for (size_t i = 0; i < j->w.n; i++)
		square += (double)r->gradient[i] * (double)r->gradient[i];
	for (size_t k = 0; k < n_entries; k++) { /* single entries, spread over all tensors */
		size_t i = k * j->w.n / n_entries + k % 7;
		v[i] = 1;
		assert_close((double)r->gradient[i], slope(j, p, v), 1e-5 * sqrt(square));
		v[i] = 0;
	}
	for (size_t i = 0; i < j->w.n; i++) { /* and one random direction through everything */
		v[i] = (double)normal(4, i);
		dot += v[i] * (double)r->gradient[i];
	}
	assert_close(dot, slope(j, p, v), 1e-5 * sqrt(square));
	free(v);
}

static void check_against_plain(const struct model_shape *shape, const struct sequence *seqs, int n,
                                int share, size_t n_entries)
{
	struct job    j;
	struct result r;
	double       *p;

	job_new(&j, shape, seqs, n);
	j.temperature = share ? 0.7f : 1.0f;
	p = calloc(j.w.n, sizeof(double));
	for (size_t i = 0; i < j.w.n; i++)
		p[i] = (double)j.w.data[i];
	r = step(&j, share, 1);
	check_values(&j, p, &r);
	check_gradient(&j, p, &r, n_entries);
	result_free(&r);
	free(p);
	job_free(&j);
}

static void values_and_gradients_are_those_of_the_plain_model(void **state)
{
	const struct sequence seqs[] = {{ids, 5, ids + 3, 4},
	                                {ids, 5, ids + 9, 1},
	                                {ids, 5, ids + 20, 7},
	                                {ids + 2, 1, ids + 40, 3}};
	struct model_shape    s = base;

	(void)state;
	check_against_plain(&s, seqs, 4, 1, 60); /* groups of heads, untied */
	s.tied = 1;
	check_against_plain(&s, seqs, 4, 0, 60);
	check_against_plain(&s, seqs, 4, 1, 60);
	s.n_kv_heads = 4; /* K = H, and sizes that fill no vector */
	s.head_width = 6;
	s.width = 11;
	s.ff_width = 5;
	check_against_plain(&s, seqs, 4, 1, 60);
	s.n_kv_heads = 1;
	s.tied = 0;
	check_against_plain(&s, seqs, 4, 1, 60);
}

static void so_are_those_of_every_kind(void **state)
{
	const struct sequence     seqs[] = {{ids, 5, ids + 3, 4},
	                                    {ids, 5, ids + 9, 1},
	                                    {ids, 5, ids + 20, 7},
	                                    {ids + 2, 1, ids + 40, 90}};
	const struct rope_scaling scaled[] = {
	        {0}, {.kind = ROPE_LINEAR, .factor = 3}, {ROPE_LLAMA3, 300, 8, 2.5, 20}};
	struct model_shape s = base;

	(void)state;
	s.head_width = 6; /* three frequencies: llama3 leaves one, divides one, and mixes one */
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 5);
		for (int i = 0; i < 3; i++) {
			s.rope = scaled[i];
			s.tied = i == 1;
			check_against_plain(&s, seqs, 4, 1, i ? 10 : 90);
		}
	}
}

/* One text of more than a page, a unit, and a chunk of the head. */
static void long_texts_are_no_exception(void **state)
{
	const struct sequence seqs[] = {{ids, 30, ids + 7, 620}, {ids, 3, ids + 9, 4}};
	struct model_shape    s = base;

	(void)state;
	s.n_layers = 1;
	s.tied = 1;
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 77);
		check_against_plain(&s, seqs, 2, 1, 3);
	}
}

/* ---- the adapter against the plain model of weights W + s B A ---- */

static const struct adapter_options adapters[] = {
        {.rank = 3, .alpha = 5, .targets = 0xfff},
        {.rank = 1, .alpha = 2, .rslora = 1, .targets = 0xfff},
        {.rank = 2, .alpha = 1, .targets = 0x285},
        {.rank = 4, .alpha = 8, .targets = 0x848},
        {.rank = 17, .alpha = 3, .rslora = 1, .targets = 0x522},
};
enum { N_ADAPTERS = sizeof adapters / sizeof *adapters };

/* The tensor of w that stands for `t` of the adapter, with `end` behind the name of the
 * projection. */
static const struct tensor *partner(const struct weights *w, const struct tensor *t,
                                    const char *front, const char *end)
{
	char name[2 * sizeof t->name];
	int  stem = (int)(strstr(t->name, ".lora_") - t->name);

	/* behind "base_model.model." */
	snprintf(name, sizeof name, "%s%.*s.%s", front, stem - 17, t->name + 17, end);
	assert_non_null(weights_find(w, name));
	return weights_find(w, name);
}

/* q: the adapter's weights in double */
static void plain_merge(const struct job *j, const struct adapter *a, const double *q, double *p)
{
	int    r = j->adapter.rank;
	double scale = j->adapter.alpha / (j->adapter.rslora ? sqrt(r) : r);

	for (size_t i = 0; i < j->w.n; i++)
		p[i] = (double)j->w.data[i];
	for (int i = 0; i < a->weights.n_tensors; i++) {
		const struct tensor *A = &a->weights.tensors[i], *B, *W;
		if (!strstr(A->name, ".lora_A."))
			continue;
		B = partner(&a->weights, A, "base_model.model.", "lora_B.weight");
		W = partner(&j->w, A, "", "weight");
		for (int row = 0; row < W->rows; row++)
			for (int c = 0; c < W->columns; c++)
				for (int k = 0; k < r; k++)
					p[W->offset + (size_t)(row * W->columns + c)] +=
					        scale * q[B->offset + (size_t)(row * r + k)] *
					        q[A->offset + (size_t)(k * W->columns + c)];
	}
}

/* The derivative of the plain loss along v, a direction of the adapter's weights. */
static double adapter_slope(struct job *j, const struct adapter *a, const double *v, double *p)
{
	const double step_size = 1e-6;
	double      *q = calloc(a->weights.n, sizeof(double)), side[2];

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < a->weights.n; i++)
			q[i] = (double)a->weights.data[i] + (k ? -step_size : step_size) * v[i];
		plain_merge(j, a, q, p);
		side[k] = plain_loss(j, p);
	}
	free(q);
	return (side[0] - side[1]) / (2 * step_size);
}

static void check_adapter_gradient(struct job *j, const struct adapter *a, const struct result *r,
                                   double *p)
{
	double *v = calloc(a->weights.n, sizeof(double)), dot = 0, square = 0;

	assert_int_equal(r->n, a->weights.n);
	for (size_t i = 0; i < r->n; i++)
		square += (double)r->gradient[i] * (double)r->gradient[i];
	/* the first and the last entry of every A and B */
	for (int t = 0; t < a->weights.n_tensors; t++) {
		const struct tensor *x = &a->weights.tensors[t];
		for (int k = 0; k < 2; k++) {
			size_t i = x->offset + (k ? x->count - 1 : 0);
			v[i] = 1;
			assert_close((double)r->gradient[i], adapter_slope(j, a, v, p),
			             1e-5 * sqrt(square));
			v[i] = 0;
		}
	}
	for (size_t i = 0; i < r->n; i++) { /* and one random direction through everything */
		v[i] = (double)normal(4, i);
		dot += v[i] * (double)r->gradient[i];
	}
	/* the errors of all entries, in a gradient of Gemma 3 whose scores are large */
	assert_close(dot, adapter_slope(j, a, v, p), 2e-5 * sqrt(square));
	free(v);
}

static void check_adapter(const struct model_shape *shape, const struct adapter_options *o)
{
	const struct sequence seqs[] = {{ids, 5, ids + 3, 4},
	                                {ids, 5, ids + 9, 1},
	                                {ids, 5, ids + 20, 7},
	                                {ids + 2, 1, ids + 40, 3}};
	struct job            j;
	struct matmul        *mm;
	struct model         *m;
	struct result         r;
	double               *p, *q;

	job_new(&j, shape, seqs, 4);
	j.adapter = *o;
	m = model_of(&j, &mm);
	p = calloc(j.w.n, sizeof(double));
	q = calloc(m->adapter->weights.n, sizeof(double));
	for (size_t i = 0; i < m->adapter->weights.n; i++)
		q[i] = (double)m->adapter->weights.data[i];
	plain_merge(&j, m->adapter, q, p);
	r = step(&j, 1, 1);
	check_values(&j, p, &r);
	adapter_merge(m->adapter, &m->weights);
	for (size_t i = 0; i < j.w.n; i++)
		assert_close((double)m->weights.data[i], p[i], 1e-6 * (1 + fabs(p[i])));
	check_adapter_gradient(&j, m->adapter, &r, p);
	result_free(&r);
	free(p);
	free(q);
	model_free(m);
	matmul_free(mm);
	job_free(&j);
}

static void adapters_give_the_values_and_gradients_of_the_plain_model(void **state)
{
	struct model_shape s = base;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 6);
		s.tied = kind == MODEL_QWEN2;
		for (int i = 0; i < N_ADAPTERS; i++)
			check_adapter(&s, &adapters[i]);
	}
}

/* ---- against itself ---- */

/* Of two vectors: 1 when they point the same way. */
static double cosine(const float *a, const float *b, size_t n)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < n; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

/* Four groups; six units and more. */
static const struct sequence groups[] = {
        {ids, 150, ids + 3, 200},     {ids, 150, ids + 9, 1},       {ids, 150, ids + 20, 90},
        {ids + 1, 70, ids + 40, 300}, {ids + 1, 70, ids + 41, 310}, {ids + 2, 64, ids + 5, 80},
        {ids + 2, 64, ids + 50, 65},  {ids + 3, 10, ids + 8, 33},   {ids + 3, 10, ids + 99, 400},
        {ids + 3, 10, ids + 9, 200},
};
enum { N_GROUPED = sizeof groups / sizeof *groups };

/* Passes, pieces, what the tape keeps: not one bit of anything. stride: 1, or of the layouts only
 * each so manieth. */
static void check_layouts(const struct job *j, size_t stride)
{
	static const struct layout layouts[] = {{1, 0, 1, 0}, {1, 0, 1, 1}, {1, 0, 3, 1},
	                                        {1, 1, 1, 1}, {1, 2, 2, 0}, {1, 2, 1, 1},
	                                        {1, 4, 3, 0}, {1, 4, 2, 1}};
	struct result              first = step(j, 1, 100);

	for (size_t i = stride - 1; i < sizeof layouts / sizeof *layouts; i += stride) {
		struct result r = step_in(j, layouts[i]);
		assert_same(&first, &r, j->n_targets);
		result_free(&r);
	}
	result_free(&first);
}

static void check_threads(const struct job *j, int stride)
{
	const int     threads[] = {1, 3, 2, 8};
	struct result first = step(j, 1, 100);

	for (int i = stride - 1; i < 4; i += stride) {
		threads_set(threads[i]);
		struct result r = step_in(j, (struct layout){1, 2, 2, i % 2});
		assert_same(&first, &r, j->n_targets);
		result_free(&r);
	}
	threads_set(0);
	result_free(&first);
}

/* The first of a list goes through all layouts and numbers of threads; the others, which share its
 * code but for a part or two, through few. */
static void check_cuts(const struct job *j, int is_first)
{
	check_layouts(j, is_first ? 1 : 4);
	check_threads(j, is_first ? 1 : 4);
}

static void passes_pieces_layers_again_and_threads_change_nothing(void **state)
{
	struct model_shape s = base;
	struct job         j;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 100);
		s.tied = kind != MODEL_QWEN2;
		job_new(&j, &s, groups, N_GROUPED);
		check_cuts(&j, kind == 0);
		job_free(&j);
	}
}

static void an_adapter_that_has_not_learned_changes_no_bit(void **state)
{
	struct model_shape s = base;
	struct job         j;
	struct result      without, with;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 100);
		job_new(&j, &s, groups, N_GROUPED);
		without = step(&j, 1, 1);
		j.adapter = adapters[0];
		j.fresh = 1;
		with = step(&j, 1, 1);
		assert_memory_equal(with.logp, without.logp, (size_t)j.n_targets * sizeof(float));
		assert_memory_equal(with.entropy, without.entropy,
		                    (size_t)j.n_targets * sizeof(float));
		result_free(&without);
		result_free(&with);
		job_free(&j);
	}
}

static void adapters_do_not_depend_on_passes_pieces_and_threads(void **state)
{
	struct job j;

	(void)state;
	for (int i = 0; i < N_ADAPTERS; i++) {
		job_new(&j, &base, groups, N_GROUPED);
		j.adapter = adapters[i];
		check_cuts(&j, i == 0);
		job_free(&j);
	}
}

static void check_sharing(const struct model_shape *s)
{
	struct job    j;
	struct result shared, alone;

	job_new(&j, s, groups, N_GROUPED);
	shared = step(&j, 1, 100);
	alone = step(&j, 0, 1);
	assert_memory_equal(shared.logp, alone.logp, (size_t)j.n_targets * sizeof(float));
	assert_memory_equal(shared.entropy, alone.entropy, (size_t)j.n_targets * sizeof(float));
	/* another order of adding, the same sum; in bf16 the sums are rounded when they go on, to
	 * 8 bits */
	int is_bf16 = !strcmp(precision, "bf16");
	assert_true(cosine(shared.gradient, alone.gradient, shared.n) > 0.9999);
	for (size_t i = 0; i < shared.n && !is_bf16; i++)
		assert_close((double)shared.gradient[i], (double)alone.gradient[i], 2e-3);
	result_free(&shared);
	result_free(&alone);
	job_free(&j);
}

static void sharing_prompts_changes_no_probability(void **state)
{
	struct model_shape s = base;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 100);
		check_sharing(&s);
	}
}

enum { N_STREAMS = 64, STREAM_TOKENS = 70, STREAM_PAGES = 2 };

/* Decodes n texts side by side, token by token; text i starts at token ids[first + i]. Writes
 * hidden [n x STREAM_TOKENS x D]. */
static void decode(const struct model *m, int first, int n, float *hidden)
{
	size_t          D = (size_t)m->weights.shape.width;
	int             pages[N_STREAMS][STREAM_PAGES], token[N_STREAMS], position[N_STREAMS];
	struct segment  segments[N_STREAMS];
	struct packing  b = {.n_tokens = n,
	                     .n_segments = n,
	                     .token = token,
	                     .position = position,
	                     .segments = segments,
	                     .n_pages = n * STREAM_PAGES};
	struct arena    a = {0};
	struct kv_cache cache;
	float           row[N_STREAMS * SIDE_MOST];

	poisoned_cache(m, m->weights.shape.n_layers, b.n_pages, &cache);
	for (int t = 0; t < STREAM_TOKENS; t++) {
		for (int i = 0; i < n; i++) {
			pages[i][0] = i;
			pages[i][1] = n + i;
			token[i] = ids[first + i + t];
			position[i] = t;
			segments[i] = (struct segment){.first = i,
			                               .count = 1,
			                               .position = t,
			                               .parent = -1,
			                               .pages = pages[i]};
		}
		assert_ok(model_forward(m, &b, &cache, NULL, &a, row));
		for (int i = 0; i < n; i++)
			memcpy(hidden + (size_t)(i * STREAM_TOKENS + t) * D, row + (size_t)i * D,
			       D * sizeof(float));
	}
	kv_cache_free(&cache);
	arena_free(&a);
}

static void prefill(const struct model *m, int first, struct tape *tape, float *hidden)
{
	struct sequence    s = {ids + first, STREAM_TOKENS, ids, 1};
	struct arena       a = {0};
	struct unit_range *units;
	struct packing     b;
	struct kv_cache    cache;
	int                n;

	assert_ok(packing_plan(&s, 1, 1, &a, &units, &n));
	assert_ok(packing_build(&s, units, n, 1, &a, &b));
	poisoned_cache(m, 1, b.n_pages, &cache);
	if (tape)
		assert_ok(tape_begin(tape, b.n_tokens, b.n_tokens)); /* it has to grow */
	assert_ok(model_forward(m, &b, &cache, tape, &a, hidden));
	kv_cache_free(&cache);
	arena_free(&a);
}

/* The model under its own adapter, and through a view without it, from the same packed weights. */
static void a_view_without_the_adapter_is_the_model_it_began_from(void **state)
{
	struct job     j;
	struct matmul *mm;
	struct model  *m, *view, *plain;
	float with[STREAM_TOKENS * 12], without[STREAM_TOKENS * 12], want[STREAM_TOKENS * 12];

	(void)state;
	job_new(&j, &base, groups, 1);
	plain = model_of(&j, &mm);
	prefill(plain, 0, NULL, want);
	model_free(plain);
	matmul_free(mm);
	j.adapter = adapters[0];
	m = model_of(&j, &mm);
	assert_ok(model_view(m, NULL, &view));
	prefill(view, 0, NULL, without);
	prefill(m, 0, NULL, with);
	assert_memory_equal(without, want, sizeof want);
	assert_memory_not_equal(with, want, sizeof want);
	model_free(view);
	model_free(m);
	matmul_free(mm);
	job_free(&j);
}

static void check_decoding(const struct model_shape *shape, const struct adapter_options *adapter)
{
	enum { ONE = STREAM_TOKENS * 12 };
	struct job     j;
	struct matmul *mm;
	struct model  *m;
	struct tape   *tape;
	float         *all = malloc(N_STREAMS * ONE * sizeof(float)), one[ONE];

	job_new(&j, shape, groups, 1);
	j.adapter = *adapter;
	m = model_of(&j, &mm);
	assert_ok(tape_new(shape, adapter->rank > 0, &tape));
	decode(m, 0, N_STREAMS, all);
	for (int i = 0; i < N_STREAMS; i += 21) {
		decode(m, i, 1, one);
		assert_memory_equal(one, all + i * ONE, sizeof one);
		prefill(m, i, NULL, one);
		assert_memory_equal(one, all + i * ONE, sizeof one);
		prefill(m, i, tape, one);
		assert_memory_equal(one, all + i * ONE, sizeof one);
	}
	free(all);
	tape_free(tape);
	model_free(m);
	matmul_free(mm);
	job_free(&j);
}

static void decoding_alone_or_in_company_is_the_training_forward(void **state)
{
	struct model_shape s = base;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++)
		for (int window = 3; window < 70; window += 63) {
			as_kind(&s, (enum model_kind)kind, window);
			check_decoding(&s, &(struct adapter_options){0});
		}
	for (int i = 0; i < N_ADAPTERS; i++)
		check_decoding(&base, &adapters[i]);
}

/* ---- errors ---- */

static int forward_one(const struct model *m, int token, int position)
{
	int             page[TEXT_MOST / PAGE_TOKENS + 2] = {0};
	struct segment  s = {.count = 1, .position = position, .parent = -1, .pages = page};
	struct packing  b = {.n_tokens = 1,
	                     .n_segments = 1,
	                     .token = &token,
	                     .position = &position,
	                     .segments = &s,
	                     .n_pages = 1};
	struct arena    a = {0};
	struct kv_cache cache;
	float           hidden[SIDE_MOST];
	int             status;

	assert_ok(model_cache_new(m, 2, 1, &cache));
	status = model_forward(m, &b, &cache, NULL, &a, hidden);
	kv_cache_free(&cache);
	arena_free(&a);
	return status;
}

/* Products of operands with 8 bits of fraction: log-probabilities differ from those of f32, by
 * little, and the gradient points nearly the same way. */
static void in_bf16_values_and_gradients_are_near_those_of_f32(void **state)
{
	struct model_shape s = base;
	struct job         j;
	struct result      exact, rounded;

	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++)
		for (int adapted = 0; adapted < 2; adapted++) {
			as_kind(&s, (enum model_kind)kind, 100);
			job_new(&j, &s, groups, N_GROUPED);
			if (adapted)
				j.adapter = adapters[0];
			exact = step(&j, 1, 2);
			precision = "bf16";
			rounded = step(&j, 1, 2);
			precision = "f32";
			int    equal = 0;
			double square = 0;
			for (int i = 0; i < j.n_targets; i++) {
				double d = (double)rounded.logp[i] - (double)exact.logp[i];
				square += d * d / j.n_targets;
				equal += rounded.logp[i] == exact.logp[i];
			}
			assert_true(equal < j.n_targets / 10);
			assert_true(sqrt(square) < 0.05);
			double same = cosine(rounded.gradient, exact.gradient, exact.n);
			print_message("%s%s: cosine of the gradients %.5f\n",
			              kind_of(&s)->model_type, adapted ? " adapted" : "", same);
			assert_true(same > 0.995);
			result_free(&exact);
			result_free(&rounded);
			job_free(&j);
		}
}

/* All that must change nothing changes nothing in bf16. */
static void bf16_keeps_the_same_promises(void **state)
{
	precision = "bf16";
	passes_pieces_layers_again_and_threads_change_nothing(state);
	an_adapter_that_has_not_learned_changes_no_bit(state);
	adapters_do_not_depend_on_passes_pieces_and_threads(state);
	sharing_prompts_changes_no_probability(state);
	decoding_alone_or_in_company_is_the_training_forward(state);
	precision = "f32";
}

static void tokens_and_texts_the_model_does_not_know_are_errors(void **state)
{
	struct job     j;
	struct matmul *mm;
	struct model  *m;

	(void)state;
	job_new(&j, &base, groups, 1);
	m = model_of(&j, &mm);
	assert_ok(forward_one(m, 12, 0));
	assert_error(forward_one(m, 13, 0), ERR_INPUT, "token id 13");
	assert_error(forward_one(m, -1, 0), ERR_INPUT, "token id -1");
	assert_error(forward_one(m, 0, TEXT_MOST), ERR_INPUT, "max_position_embeddings");
	model_free(m);
	matmul_free(mm);
	job_free(&j);
}

static void short_memory_leaves_the_weights_and_leaks_nothing(void **state)
{
	struct matmul_options o = {
	        .backend = "reference", .precision = "f32", .numerics = "strict"};
	struct weights w;
	struct matmul *mm;
	struct model  *m;
	struct tape   *tape;
	int            n = 1, status;

	(void)state;
	assert_ok(matmul_new(&o, &mm));
	assert_ok(weights_new(&base, &w));
	for (mem_fail_at(n); (status = model_new(&w, mm, 1, &m)) != OK; mem_fail_at(++n)) {
		assert_memory(status, "");
		assert_non_null(w.data);
	}
	assert_true(n > 3);
	mem_fail_at(0);
	assert_null(w.data);
	model_free(m);
	matmul_free(mm);
	for (n = 1; n <= 2; n++) {
		mem_fail_at(n);
		assert_memory(tape_new(&base, 1, &tape), "tape");
	}
	assert_ok(tape_new(&base, 1, &tape));
	mem_fail_at(1);
	assert_memory(tape_begin(tape, 5, 5), "tape");
	assert_ok(tape_begin(tape, 5, 5));
	mem_fail_at(0);
	tape_free(tape);
}

TEST_MAIN(TEST(values_and_gradients_are_those_of_the_plain_model), TEST(so_are_those_of_every_kind),
          TEST(long_texts_are_no_exception),
          TEST(adapters_give_the_values_and_gradients_of_the_plain_model),
          TEST(an_adapter_that_has_not_learned_changes_no_bit),
          TEST(adapters_do_not_depend_on_passes_pieces_and_threads),
          TEST(a_view_without_the_adapter_is_the_model_it_began_from),
          TEST(passes_pieces_layers_again_and_threads_change_nothing),
          TEST(sharing_prompts_changes_no_probability),
          TEST(decoding_alone_or_in_company_is_the_training_forward),
          TEST(in_bf16_values_and_gradients_are_near_those_of_f32),
          TEST(bf16_keeps_the_same_promises),
          TEST(tokens_and_texts_the_model_does_not_know_are_errors),
          TEST(short_memory_leaves_the_weights_and_leaks_nothing))
