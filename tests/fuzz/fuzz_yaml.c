/* YAML: what is accepted, written in flow style on one line, is read again as the same tree. */
#include "fuzz.h"

#include "run/config_yaml.h"

static int same(const struct yaml_node *a, const struct yaml_node *b)
{
	const struct yaml_node *x = a->first, *y = b->first;

	if (a->kind != b->kind || !a->key != !b->key || (a->key && strcmp(a->key, b->key)))
		return 0;
	if (a->kind == YAML_TEXT)
		return !strcmp(a->text, b->text);
	for (; x && y; x = x->next, y = y->next)
		if (!same(x, y))
			return 0;
	return !x && !y;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena      a = {0};
	struct yaml_node *tree, *again;
	struct text       t = {0};

	if (yaml_parse("input", (const char *)data, n, &a, &tree) == OK &&
	    tree->kind != YAML_TEXT) {
		yaml_flow(tree, &t);
		PROMISE(text_status(&t) == OK &&
		        yaml_parse("again", t.data, t.n, &a, &again) == OK);
		PROMISE(same(tree, again));
	}
	text_free(&t);
	arena_free(&a);
	return 0;
}
