/* data_options.h - the options of the room data: where problems come from and how they are read.
 *
 * A file of data.train or data.eval and a generator of data.generate or data.eval_generate are rows
 * with options of their own; one that is empty there is as the room says. */
#ifndef DATA_DATA_OPTIONS_H
#define DATA_DATA_OPTIONS_H

#include "base/option.h"

struct source_options { /* one row of data.train or data.eval */
	const char *file, *name, *reward, *category, *prompt_column, *answer_column,
	        *category_column, *id_column, *prompt_template;
	double weight; /* 0: none */
};
struct source_list {
	struct source_options *items;
	int                    n;
};

struct generator_options { /* one row of data.generate or data.eval_generate */
	const char      *name, *reward;
	struct int_range levels;
	int              count, seed, first;
	double           error_rate, weight;
};
struct generator_list {
	struct generator_options *items;
	int                       n;
};

enum data_chat {
	CHAT_NEVER,  /* texts stay texts */
	CHAT_AUTO,   /* texts become messages where the model has a chat template */
	CHAT_ALWAYS, /* texts become messages */
	/* the contents of messages, one behind another, and texts are tokenized as they are:
	 * somebody has rendered them already */
	CHAT_READY
};

struct data_options {
	struct source_list    train, eval;
	struct generator_list generate, eval_generate;
	const char *prompt_column, *answer_column, *category_column, *id_column, *prompt_template,
	        *system_prompt, *chat_template_kwargs, *chat_date, *convert;
	enum data_chat chat;
	int            refuse_long;     /* overlong_prompts: error */
	int            drop_unreadable; /* unreadable_answers: drop */
	int            join_answers;    /* answer_list: all */
	int            max_prompt_length, max_problems, eval_max_problems;
};
extern const struct option_table data_options_table;

#endif
