/* Chat templates, then variables as JSON, with a NUL byte between them (without them a conversation
 * with tools): the same text every time, or an error. */
#include "fuzz.h"

#include "base/json.h"
#include "text/template.h"

static const char conversation[] =
        "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief. \"}, {\"role\": \"user\", "
        "\"content\": \"What's 2+2?\"},"
        " {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": {\"name\": "
        "\"add\", \"arguments\": {\"a\": 2}}}]},"
        " {\"role\": \"tool\", \"content\": [{\"type\": \"text\", \"text\": \"4\"}]}], "
        "\"add_generation_prompt\": true, \"bos_token\": "
        "\"<s>\","
        " \"eos_token\": \"</s>\", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": "
        "\"add\", \"x\": [1, 2.5, true]}}], \"n\": "
        "3}";

static void render_twice(const struct template *t, const json_t *variables)
{
	struct text once = {0}, twice = {0};

	text_add(&once, "before", 6);
	if (template_render(t, variables, 1700000000, &once) == OK) {
		PROMISE(!memcmp(once.data, "before", 6));
		PROMISE(template_render(t, variables, 1700000000, &twice) == OK);
		PROMISE(twice.n == once.n - 6 &&
		        (twice.n == 0 || !memcmp(once.data + 6, twice.data, twice.n)));
	} else {
		PROMISE(once.n == 6);
	}
	text_free(&once);
	text_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_part source = fuzz_next(&data, &n);
	char            *text = fuzz_text(source);
	struct template *t;
	json_t          *variables;

	if (json_parse("variables", n ? (const char *)data : conversation,
	               n ? n : sizeof conversation - 1, &variables) != OK)
		variables = NULL;
	if (json_is_object(variables) && template_parse(text, source.n, &t) == OK) {
		render_twice(t, variables);
		template_free(t);
	}
	json_decref(variables);
	free(text);
	return 0;
}
