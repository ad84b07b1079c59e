#include "base/option.h"

#include <assert.h>
#include <string.h>

const struct choice *choice_find(const struct choice *list, const char *name)
{
	for (; list->name; list++)
		if (!strcmp(list->name, name))
			return list;
	return NULL;
}

const char *choice_name(const struct choice *list, int value)
{
	while (list->name && list->value != value)
		list++;
	assert(list->name);
	return list->name;
}

size_t option_size(const struct option *o)
{
	static const size_t sizes[] = {
	        [OPTION_INT] = sizeof(int),
	        [OPTION_REAL] = sizeof(double),
	        [OPTION_BOOL] = sizeof(int),
	        [OPTION_TEXT] = sizeof(char *),
	        [OPTION_CHOICE] = sizeof(int),
	        [OPTION_NAMED] = sizeof(char *),
	        [OPTION_RANGE] = sizeof(struct int_range),
	        [OPTION_TEXTS] = sizeof(struct text_list),
	        [OPTION_ROWS] = sizeof(struct text_list), /* a pointer and a count, as that is */
	        [OPTION_JSON] = sizeof(char *),
	};

	return sizes[o->type];
}

const char *option_word(const struct option *o, int i)
{
	return o->type == OPTION_NAMED    ? o->names(i)
	       : o->type == OPTION_CHOICE ? o->choices[i].name
	                                  : NULL;
}
