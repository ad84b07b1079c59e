/* hone data GENERATOR [--count N] [--difficulty A-B] [--seed S] [--first I] [--error-rate E]
 * [--held-out] */
#include "cli/command.h"
#include "cli/rows.h"
#include "world/generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_levels(const char *text, struct generator_range *range)
{
	char *end;

	range->level_min = range->level_max = (int)strtol(text, &end, 10);
	if (end != text && *end == '-')
		range->level_max = (int)strtol(end + 1, &end, 10);
	if (end == text || *end || range->level_max < range->level_min)
		return error_set(ERR_INPUT,
		                 "--difficulty wants a level or a range such as 2-4, not \"%s\"",
		                 text);
	return OK;
}

static int data_print_rows(const struct dataset *d)
{
	for (int i = 0; i < d->n; i++)
		TRY(rows_print_problem(&d->problems[i]));
	return OK;
}

int command_data(const struct command *self, int argc, char **argv)
{
	const char              *levels = NULL, *error_rate = "0";
	int                      count = 100, seed = 0, first = 0, held_out = 0, n, status;
	const struct option_word words[] = {
	        {"--count N", NULL, &count, NULL, "how many problems"},
	        {"--difficulty A-B", &levels, NULL, NULL,
	         "a level or a range of levels; not given: the generator's easiest"},
	        {"--seed S", NULL, &seed, NULL, "another seed gives other problems"},
	        {"--first I", NULL, &first, NULL, "begins with problem I of the seed"},
	        {"--error-rate E", &error_rate, NULL, NULL,
	         "the share of problems whose answer is made wrong, from 0 to 1"},
	        {"--held-out", NULL, NULL, &held_out,
	         "from the held-out part, which shares no problem with the training part"}};
	const struct generator *g;
	struct generator_range  range = {0};
	struct dataset          d;
	char                   *end;

	TRY(options_read(self, argc, argv, words, 6, &n));
	if (n != 1)
		return options_usage(self);
	TRY(generator_find(argv[0], &g));
	range = (struct generator_range){.level_min = g->level_min > 1 ? g->level_min : 1,
	                                 .seed = (uint64_t)seed,
	                                 .first = (uint32_t)first,
	                                 .count = count,
	                                 .held_out = held_out};
	range.level_max = range.level_min;
	if (levels)
		TRY(read_levels(levels, &range));
	range.error_rate = strtod(error_rate, &end);
	if (*end || !(range.error_rate >= 0 && range.error_rate <= 1))
		return error_set(ERR_INPUT, "--error-rate wants a share from 0 to 1, not \"%s\"",
		                 error_rate);
	TRY(generator_dataset(g, &range, &d));
	status = data_print_rows(&d);
	dataset_free(&d);
	return status;
}
