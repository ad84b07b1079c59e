#include "model/generation.h"

#include "base/error.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

static const size_t generation_max = 16 << 20;

enum { IDS_MAX = 1 << 20 }; /* of one list */

int generation_open(const char *folder, struct arena *a, const char **path, json_t **out)
{
	int there;

	*out = NULL;
	TRY(file_path(a, folder, "generation_config.json", path));
	TRY(file_there(*path, &there));
	return there ? json_read(*path, generation_max, out) : OK;
}

static const struct real_key {
	const char *key;
	size_t      at; /* in struct generation */
	double      low, high;
	int         above; /* low itself is out of range */
	const char *range;
} real_keys[] = {
        {"temperature", offsetof(struct generation, temperature), 0, 1e6, 0,
         "from 0, which is greedy, to 1e6"},
        {"top_p", offsetof(struct generation, top_p), 0, 1, 1, "above 0 and at most 1"},
        {"min_p", offsetof(struct generation, min_p), 0, 1, 0, "from 0 to 1"},
        {"repetition_penalty", offsetof(struct generation, penalty.repetition), 1e-6, 1e6, 0,
         "from 1e-6 to 1e6"},
};

static const struct count_key {
	const char *key;
	size_t      at;
} count_keys[] = {
        {"no_repeat_ngram_size", offsetof(struct generation, penalty.ngram)},
        {"min_length", offsetof(struct generation, penalty.min_length)},
        {"min_new_tokens", offsetof(struct generation, penalty.min_new_tokens)},
};

static const struct list_key {
	const char *key;
	size_t      at;
} list_keys[] = {
        {"suppress_tokens", offsetof(struct generation, penalty.suppress)},
        {"begin_suppress_tokens", offsetof(struct generation, penalty.begin)},
};

/* What transformers would do and we do not, unless it has the value that does nothing. */
static const struct absent_key {
	const char *key;
	double      neutral;
	int         sampled; /* plays a part only with do_sample */
} absent_keys[] = {
        {"num_beams", 1, 0},
        {"num_beam_groups", 1, 0},
        {"penalty_alpha", 0, 0},
        {"dola_layers", 0, 0},
        {"guidance_scale", 1, 0},
        {"sequence_bias", 0, 0},
        {"encoder_repetition_penalty", 1, 0},
        {"encoder_no_repeat_ngram_size", 0, 0},
        {"forced_bos_token_id", -1, 0},
        {"forced_eos_token_id", -1, 0},
        {"exponential_decay_length_penalty", 0, 0},
        {"constraints", 0, 0},
        {"force_words_ids", 0, 0},
        {"stop_strings", 0, 0},
        {"token_healing", 0, 0},
        {"watermarking_config", 0, 0},
        {"top_h", 1, 1},
        {"typical_p", 1, 1},
        {"epsilon_cutoff", 0, 1},
        {"eta_cutoff", 0, 1},
};

static void *field(struct generation *g, size_t at)
{
	return (char *)g + at;
}

/* All that is out of range is named at once, and nothing else. */
static int read_reals(const char *place, const json_t *config, struct generation *g)
{
	struct text wrong = {0};
	int         status = OK;

	for (size_t i = 0; i < sizeof real_keys / sizeof *real_keys && status == OK; i++) {
		const struct real_key *k = &real_keys[i];
		double                *x = field(g, k->at);
		status = json_get_real(place, config, k->key, JSON_OPTIONAL, x);
		if (status == OK && !(*x >= k->low && *x <= k->high && !(k->above && *x == k->low)))
			text_print(&wrong, "%s\"%s\" (%g) must lie %s", wrong.n ? ", " : "", k->key,
			           *x, k->range);
	}
	if (status == OK && wrong.n)
		status = error_set(ERR_INPUT, "%s: %s", place, wrong.data);
	text_free(&wrong);
	return status;
}

/* Any int is let through: the vocabulary is not known here. */
static int read_list(const char *place, const char *key, const json_t *list, struct arena *a,
                     struct penalty_list *out)
{
	size_t n = json_array_size(list);

	if (!list || json_is_null(list))
		return OK;
	if (!json_is_array(list) || n > IDS_MAX)
		return error_set(ERR_INPUT, "%s: \"%s\" must be a list of at most %d token ids",
		                 place, key, IDS_MAX);
	TRY(arena_take(a, n ? n : 1, "a list of token ids", &out->id));
	for (size_t i = 0; i < n; i++) {
		const json_t *id = json_array_get(list, i);
		if (!json_is_integer(id) || json_integer_value(id) < INT_MIN ||
		    json_integer_value(id) > INT_MAX)
			return error_set(ERR_INPUT, "%s: \"%s\" must hold token ids alone", place,
			                 key);
		out->id[out->n++] = (int)json_integer_value(id);
	}
	return OK;
}

/* A word is a list of tokens; one without a token would ban everything. */
static int generation_read_words(const char *place, const json_t *words, struct arena *a,
                                 struct penalty *p)
{
	size_t n = json_array_size(words);

	if (!words || json_is_null(words))
		return OK;
	if (!json_is_array(words) || n > IDS_MAX)
		return error_set(
		        ERR_INPUT,
		        "%s: \"bad_words_ids\" must be a list of at most %d lists of token ids",
		        place, IDS_MAX);
	TRY(arena_take(a, n ? n : 1, "a list of words", &p->word));
	for (size_t i = 0; i < n; i++) {
		struct penalty_list *word = &p->word[p->n_words];
		TRY(read_list(place, "bad_words_ids", json_array_get(words, i), a, word));
		if (word->n == 0)
			return error_set(ERR_INPUT,
			                 "%s: \"bad_words_ids\" holds a word without tokens",
			                 place);
		p->n_words++;
	}
	return OK;
}

static int does_nothing(const json_t *value, double neutral)
{
	return !value || json_is_null(value) || json_is_false(value) ||
	       (json_is_number(value) && json_number_value(value) == neutral) ||
	       (json_is_array(value) && json_array_size(value) == 0);
}

static int name_absent(const json_t *config, struct arena *a, struct generation *g)
{
	g->not_done = "";
	for (size_t i = 0; i < sizeof absent_keys / sizeof *absent_keys; i++) {
		const struct absent_key *k = &absent_keys[i];
		if ((k->sampled && !g->do_sample) ||
		    does_nothing(json_object_get(config, k->key), k->neutral))
			continue;
		TRY(arena_print(a, &g->not_done, "%s%s%s", g->not_done, *g->not_done ? ", " : "",
		                k->key));
	}
	return OK;
}

/* The keys by the tables above; those that hone has no equal for are named, not refused. */
static int generation_read_all(const char *place, const json_t *config, struct arena *a,
                               struct generation *g)
{
	int64_t top_k = 0;

	TRY(json_get_bool(place, config, "do_sample", JSON_OPTIONAL, &g->do_sample));
	TRY(json_get_int(place, config, "top_k", JSON_OPTIONAL, json_range(-1, INT_MAX), &top_k));
	g->top_k = (int)top_k;
	TRY(read_reals(place, config, g));
	for (size_t i = 0; i < sizeof count_keys / sizeof *count_keys; i++) {
		int64_t n = 0;
		TRY(json_get_int(place, config, count_keys[i].key, JSON_OPTIONAL,
		                 json_range(0, INT_MAX), &n));
		*(int *)field(g, count_keys[i].at) = (int)n;
	}
	for (size_t i = 0; i < sizeof list_keys / sizeof *list_keys; i++)
		TRY(read_list(place, list_keys[i].key, json_object_get(config, list_keys[i].key), a,
		              field(g, list_keys[i].at)));
	TRY(generation_read_words(place, json_object_get(config, "bad_words_ids"), a, &g->penalty));
	return name_absent(config, a, g);
}

int generation_read(const char *folder, struct arena *a, struct generation *out)
{
	const char *path;
	json_t     *config;
	int         status;

	*out = (struct generation){
	        .temperature = 1, .top_p = 1, .penalty = {.repetition = 1}, .not_done = ""};
	TRY(generation_open(folder, a, &path, &config));
	status = config ? generation_read_all(path, config, a, out) : OK;
	json_decref(config);
	return status;
}

float generation_temperature(double t)
{
	return t < 1e-6 ? 0 : (float)t;
}

struct sampling generation_sampling(const struct generation *g)
{
	return (struct sampling){g->do_sample ? generation_temperature(g->temperature) : 0,
	                         g->top_k, (float)g->top_p, (float)g->min_p};
}
