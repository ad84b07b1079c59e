#include "cli/command.h"

#include <string.h>

const struct option_word option_word_help = {"--help", NULL, NULL, NULL, "this text"};

size_t option_word_length(const struct option_word *w)
{
	return strcspn(w->name, " ");
}

const struct option_word *option_word_find(const char *argument, const struct option_word *words,
                                           int n_words)
{
	size_t n = strcspn(argument, "=");

	for (int i = 0; i < n_words; i++)
		if (option_word_length(&words[i]) == n && !memcmp(words[i].name, argument, n))
			return &words[i];
	return NULL;
}
