#include "api/hone.h"

#include "base/error.h"
#include "base/threads.h"
#include "estimator/algorithm.h"
#include "model/decode.h"
#include "model/folder.h"
#include "rl/policy.h"
#include "run/checkpoint.h"
#include "text/tokenizer.h"
#include "verify/verifier.h"

#include <math.h>
#include <string.h>

struct hone_model {
	struct hone_options options;
	struct matmul      *mm;
	struct model       *model;
	struct tokenizer   *tokenizer;
	struct policy       policy;
	int                 has_policy;
	struct ids          encoded;
	struct text         decoded;
	struct arena        sampled, scratch; /* of the newest completions; of a call */
};

const char *hone_error(void)
{
	return error_message();
}

/* ---- a model ---- */

static float temperature_of(const struct hone_model *m)
{
	return m->options.temperature > 0 ? (float)m->options.temperature : 1;
}

static int load_weights_of(const char *folder, struct hone_model *m)
{
	const struct matmul_options how = {.backend = "auto",
	                                   .precision = m->options.bf16 ? "bf16" : "f32",
	                                   .numerics = "strict"};
	struct model_shape          shape;
	struct weights              w = {0};
	int                         status;

	TRY(matmul_new(&how, &m->mm));
	TRY(folder_read_shape(folder, &shape));
	status = folder_read_weights(folder, &shape, &w);
	if (status == OK)
		status = model_new(&w, m->mm, m->options.learns, &m->model);
	weights_free(&w);
	return status;
}

/* What hone_logprobs and hone_step compute with; the moments come with it. */
static int open_policy(struct hone_model *m)
{
	struct policy_options o = {.micro_batch_tokens = 8192,
	                           .temperature = temperature_of(m),
	                           .optimizer = optimizer_defaults()};

	if (!m->options.learns)
		return OK;
	o.optimizer.weight_decay = m->options.weight_decay;
	if (m->options.max_grad_norm != 0)
		o.optimizer.max_grad_norm = fmax(m->options.max_grad_norm, 0);
	TRY(policy_new(m->model, &o, &m->policy));
	m->has_policy = 1;
	return OK;
}

static int load_all(const char *path, struct hone_model *m)
{
	char *folder;

	TRY(threads_set(m->options.threads));
	TRY(checkpoint_resolve(path, &m->scratch, &folder));
	TRY(tokenizer_load(folder, &m->tokenizer));
	TRY(load_weights_of(folder, m));
	return open_policy(m);
}

int hone_load(const char *path, const struct hone_options *o, struct hone_model **out)
{
	int status;

	*out = NULL;
	if (!(o->temperature >= 0 && o->temperature <= 100))
		return error_set(ERR_INPUT, "the temperature is %g, outside 0 .. 100",
		                 o->temperature);
	TRY(mem_take(1, "a model", out));
	(*out)->options = *o;
	status = load_all(path, *out);
	if (status != OK) {
		hone_free(*out);
		*out = NULL;
	}
	return status;
}

int hone_save(const struct hone_model *m, const char *folder)
{
	TRY(weights_check_finite(&m->model->weights));
	TRY(folder_write(folder, &m->model->weights, SAFETENSORS_F32, NULL));
	return tokenizer_save(m->tokenizer, folder);
}

void hone_free(struct hone_model *m)
{
	if (!m)
		return;
	if (m->has_policy)
		policy_free(&m->policy);
	model_free(m->model);
	matmul_free(m->mm);
	tokenizer_free(m->tokenizer);
	ids_free(&m->encoded);
	text_free(&m->decoded);
	arena_free(&m->sampled);
	arena_free(&m->scratch);
	mem_free(m);
}

int hone_encode(struct hone_model *m, const char *text, const int **ids, int *n)
{
	m->encoded.n = 0;
	TRY(tokenizer_encode(m->tokenizer, text, strlen(text), 1, &m->encoded));
	*ids = m->encoded.id;
	*n = (int)m->encoded.n;
	return OK;
}

int hone_decode(struct hone_model *m, const int *ids, int n, const char **text)
{
	m->decoded.n = 0;
	TRY(tokenizer_decode(m->tokenizer, ids, (size_t)n, 1, &m->decoded));
	*text = m->decoded.n ? m->decoded.data : "";
	return text_status(&m->decoded);
}

/* ---- completions ---- */

static int check_ids(const struct hone_model *m, const char *what, const int *ids, int n)
{
	int n_vocab = m->model->weights.shape.n_vocab;

	if (n <= 0)
		return error_set(ERR_INPUT, "%s has no token", what);
	for (int i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= n_vocab)
			return error_set(ERR_INPUT, "%s: id %d at %d is outside 0 .. %d", what,
			                 ids[i], i, n_vocab - 1);
	return OK;
}

static int tell_completion(const struct hone_model *m, const struct decode_result *r,
                           struct arena *a, struct hone_completion *out)
{
	struct text text = {0};
	char       *copy = NULL;
	int         status = tokenizer_decode(m->tokenizer, r->ids, (size_t)r->n, 1, &text);

	if (status == OK)
		status = arena_copy(a, text.n ? text.data : "", text.n, &copy);
	*out = (struct hone_completion){r->ids, r->logp, r->n, r->stop == STOP_EOS, copy};
	text_free(&text);
	return status;
}

static int sample_all(struct hone_model *m, const struct decode_request *first,
                      const struct hone_sampling *s, struct hone_completion *out)
{
	const struct model_shape *shape = &m->model->weights.shape;
	struct decode_options     o = {.sampling = {.temperature = temperature_of(m), .top_p = 1},
	                               .eos = shape->eos,
	                               .n_eos = shape->n_eos,
	                               .share_prompt = 1};
	struct decode_request    *q;
	struct decode_result     *r;
	struct decoder           *d;
	int                       status;

	TRY(arena_take(&m->sampled, (size_t)s->n, "the requests", &q));
	TRY(arena_take(&m->sampled, (size_t)s->n, "the completions", &r));
	for (int i = 0; i < s->n; i++) {
		q[i] = *first;
		q[i].key.sample = (uint32_t)i;
	}
	TRY(decoder_new(m->model, s->n < 64 ? s->n : 64, first->n_prompt + first->max_new, &d));
	status = decode_run(d, &o, q, s->n, &m->sampled, r);
	for (int i = 0; status == OK && i < s->n; i++)
		status = tell_completion(m, &r[i], &m->sampled, &out[i]);
	decoder_free(d);
	return status;
}

int hone_sample(struct hone_model *m, const int *prompt, int n_prompt,
                const struct hone_sampling *s, const struct hone_completion **out)
{
	int                     room = m->model->weights.shape.n_positions - n_prompt;
	struct hone_completion *completions;
	struct decode_request   first = {
	          .prompt = prompt,
	          .n_prompt = n_prompt,
	          .max_new = s->max_tokens < room ? s->max_tokens : room,
	          .key = {.seed = s->seed, .purpose = RNG_SAMPLE, .step = s->step}};

	TRY(check_ids(m, "the prompt", prompt, n_prompt));
	if (s->n <= 0 || s->max_tokens <= 0 || room <= 0)
		return error_set(ERR_INPUT,
		                 "%d completions of at most %d tokens behind a prompt of %d, where "
		                 "the model has %d positions: nothing to sample",
		                 s->n, s->max_tokens, n_prompt,
		                 m->model->weights.shape.n_positions);
	arena_reset(&m->sampled);
	TRY(arena_take(&m->sampled, (size_t)s->n, "the completions", &completions));
	TRY(sample_all(m, &first, s, completions));
	*out = completions;
	return OK;
}

/* ---- rows ---- */

/* Rows that share the pointer of their prompt share a context. */
static int take_prompts(const struct hone_row *rows, int n, struct arena *a, struct batch *b)
{
	for (int i = 0; i < n; i++) {
		struct context *c;
		b->prompt[i] = NULL;
		for (int k = 0; k < i && !b->prompt[i]; k++)
			if (rows[k].prompt == rows[i].prompt &&
			    rows[k].n_prompt == rows[i].n_prompt)
				b->prompt[i] = b->prompt[k];
		if (b->prompt[i])
			continue;
		TRY(arena_take(a, 1, "a prompt", &c));
		*c = (struct context){rows[i].prompt, rows[i].n_prompt};
		b->prompt[i] = c;
	}
	return OK;
}

static int check_row(const struct hone_model *m, const struct hone_row *row)
{
	int n_positions = m->model->weights.shape.n_positions;

	TRY(check_ids(m, "a prompt", row->prompt, row->n_prompt));
	TRY(check_ids(m, "a completion", row->ids, row->n));
	if (row->n > n_positions - row->n_prompt)
		return error_set(ERR_INPUT,
		                 "%d tokens of prompt and %d of completion, but the model has %d "
		                 "positions",
		                 row->n_prompt, row->n, n_positions);
	return isfinite(row->advantage)
	               ? OK
	               : error_set(ERR_INPUT, "an advantage that is not finite: leave it out");
}

static int batch_of_rows(const struct hone_model *m, const struct hone_row *rows, int n,
                         struct arena *a, struct batch *b)
{
	TRY(batch_new(n, a, b));
	for (int i = 0; i < n; i++) {
		TRY(check_row(m, &rows[i]));
		b->offset[i + 1] = b->offset[i] + rows[i].n;
	}
	TRY(BATCH_TAKE(b, prompt, a));
	TRY(BATCH_TAKE(b, id, a));
	TRY(BATCH_TAKE(b, trained, a));
	TRY(BATCH_TAKE(b, advantage, a));
	for (int i = 0; i < n; i++)
		for (int t = 0; t < rows[i].n; t++) {
			b->id[b->offset[i] + t] = rows[i].ids[t];
			b->trained[b->offset[i] + t] = 1;
			b->advantage[b->offset[i] + t] = (float)rows[i].advantage;
		}
	return take_prompts(rows, n, a, b);
}

static int check_learns(const struct hone_model *m)
{
	return m->has_policy ? OK
	                     : error_set(ERR_INPUT, "the model was loaded to be sampled from "
	                                            "alone: set hone_options.learns");
}

int hone_logprobs(struct hone_model *m, const int *prompt, int n_prompt, const int *completion,
                  int n, float *logp)
{
	const struct hone_row row = {prompt, completion, n_prompt, n, 0};
	struct batch          b;

	TRY(check_learns(m));
	arena_reset(&m->scratch);
	TRY(batch_of_rows(m, &row, 1, &m->scratch, &b));
	return policy_logprobs(&m->policy, m->model, &b, logp, NULL);
}

int hone_score(const char *verifier, const char *completion, const char *answer, double *reward)
{
	const struct verifier_options o = {0};
	const struct problem          p = {
	                 .id = "hone_score", .prompt = "", .answer = answer, .row = "{}", .difficulty = NAN};
	const struct completion c = {.text = completion, .n = strlen(completion), .finished = 1};
	struct reward_spec      spec;
	struct verdict          v;
	int                     status;

	TRY(verifier_open(&spec, &verifier, NULL, 1, &o));
	status = verifier_check(&spec, &p);
	if (status == OK)
		status = verifier_score(&spec, &p, &c, &v);
	verifier_close(&spec);
	if (status == OK)
		*reward = v.reward;
	return status;
}

/* ---- learning ---- */

int hone_step(struct hone_model *m, const struct hone_row *rows, int n, double learning_rate,
              struct hone_report *report)
{
	struct algorithm     reinforce = *algorithm_find("reinforce");
	struct update_report u = {0};
	struct batch         b;

	TRY(check_learns(m));
	if (n <= 0 || !(learning_rate >= 0 && learning_rate <= 10))
		return error_set(ERR_INPUT,
		                 "a step of %d rows at the rate %g: no rows, or a rate "
		                 "outside 0 .. 10",
		                 n, learning_rate);
	reinforce.loss_type = TOKEN_MEAN;
	arena_reset(&m->scratch);
	TRY(batch_of_rows(m, rows, n, &m->scratch, &b));
	TRY(policy_update(&m->policy, &reinforce, &b, learning_rate, &u));
	if (report)
		*report = (struct hone_report){u.objective.loss, u.grad_norm, u.skipped};
	return OK;
}
