/* Messages as prompts: the model's own template, its special tokens once, and what is said when there is none. */
#include "model/chat.h"
#include "rl/prompts.h"
#include "run.h"

static char root[PATH_MAX]; /* where the tests' data are */

#define TEMPLATE \
	"{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}" \
	"{% if add_generation_prompt %}[assistant]{% endif %}"

/* A folder with a tokenizer that puts <|im_start|> before a text and <|im_end|> behind it. */
static void make_folder(const char *name, const char *config)
{
	shell("mkdir %s && gunzip -c '%s/tests/data/tokenizers/bos-eos-template.json.gz' > %s/tokenizer.json", name, root, name);
	if (config) {
		char path[256];
		snprintf(path, sizeof path, "%s/tokenizer_config.json", name);
		write_text(path, config);
	}
}

static struct tokenizer *tokenizer_of(const char *name)
{
	struct tokenizer *t;

	assert_ok(tokenizer_load(name, &t));
	return t;
}

static const struct message talk[] = {{"system", "Be brief."}, {"user", "1+1?"}};
static const struct problem problems[] = {{.id = "a", .messages = talk, .n_messages = 2}, {.id = "b", .prompt = "1+1?"}};

static void assert_text(const struct tokenizer *t, const struct context *c, const char *want)
{
	struct text got = {0};

	assert_ok(tokenizer_decode(t, c->ids, (size_t)c->n, 0, &got));
	assert_string_equal(got.data, want);
	text_free(&got);
}

static const struct prompts_options *with(const struct tokenizer *t, enum prompts_chat chat, int most)
{
	static struct prompts_options o;

	o = (struct prompts_options){.tokenizer = t, .max_prompt_length = most, .chat = chat};
	return &o;
}

static void messages_are_rendered_and_their_first_token_comes_once(void **state)
{
	(void)state;
	struct tokenizer *t = tokenizer_of("chat");
	struct arena      a = {0};
	struct prompts    p;

	assert_ok(prompts_render(problems, 2, with(t, CHAT_NEVER, 1000), &a, &p));
	assert_int_equal(p.n, 2);
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_text(t, &p.contexts[1], "<|im_start|>1+1?<|im_end|>");
	arena_free(&a);
	tokenizer_free(t);
}

/* Text as the user's message, messages that are rendered already, and a system message where there is none. */
static void prompts_are_asked_as_data_chat_says(void **state)
{
	(void)state;
	static const struct message  ready[] = {{"user", "<|im_start|>user 1+1?"}};
	static const struct problem  done[] = {{.id = "c", .messages = ready, .n_messages = 1}};
	struct tokenizer            *t = tokenizer_of("chat"), *bare = tokenizer_of("plain");
	const struct prompts_options brief = {.tokenizer = t, .max_prompt_length = 1000, .chat = CHAT_AUTO, .system = "Hi."};
	struct arena                 a = {0};
	struct prompts               p;

	assert_ok(prompts_render(problems, 2, with(t, CHAT_AUTO, 1000), &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_text(t, &p.contexts[1], "<|im_start|>[user]1+1?[assistant]");
	assert_ok(prompts_render(problems, 2, &brief, &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_text(t, &p.contexts[1], "<|im_start|>[system]Hi.[user]1+1?[assistant]");
	assert_ok(prompts_render(problems + 1, 1, with(bare, CHAT_AUTO, 1000), &a, &p));
	assert_text(bare, &p.contexts[0], "<|im_start|>1+1?<|im_end|>");
	assert_error(prompts_render(problems + 1, 1, with(bare, CHAT_ALWAYS, 1000), &a, &p), ERR_INPUT,
	             "problem b: its prompt is made a message (data.chat): the model has no chat template");
	assert_ok(prompts_render(done, 1, with(t, CHAT_READY, 1000), &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>user 1+1?"); /* once, and nothing behind it */
	arena_free(&a);
	tokenizer_free(t);
	tokenizer_free(bare);
}

/* The hint stands where the template puts it, in the last message, and nowhere else; a problem without one has no hinted prompt. */
static void a_hint_goes_into_the_last_message(void **state)
{
	(void)state;
	struct tokenizer    *t = tokenizer_of("chat");
	struct arena         a = {0};
	struct prompts       p, hinted;
	const struct problem asked[] = {{.id = "a", .messages = talk, .n_messages = 2, .hint = "two"},
	                                {.id = "b", .messages = talk, .n_messages = 2},
	                                {.id = "c", .prompt = "1+1?", .hint = "two"}};

	assert_ok(prompts_render(asked, 3, with(t, CHAT_NEVER, 1000), &a, &p));
	assert_ok(prompts_hinted(&p, "{prompt} Hint: {hint}.", with(t, CHAT_NEVER, 1000), &a, &hinted));
	assert_int_equal(hinted.n, 3);
	assert_text(t, &hinted.contexts[0], "<|im_start|>[system]Be brief.[user]1+1? Hint: two.[assistant]");
	assert_int_equal(hinted.contexts[1].n, 0);
	assert_text(t, &hinted.contexts[2], "<|im_start|>1+1? Hint: two.<|im_end|>");
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_string_equal(talk[1].content, "1+1?");
	assert_ok(prompts_hinted(&p, "{prompt} Hint: {hint}.", with(t, CHAT_NEVER, hinted.contexts[2].n), &a,
	                         &hinted)); /* the longer one does not fit */
	assert_true(hinted.contexts[0].n == 0 && hinted.contexts[2].n > 0);
	arena_free(&a);
	tokenizer_free(t);
}

static void without_a_template_the_problem_is_named(void **state)
{
	(void)state;
	struct tokenizer *t = tokenizer_of("plain");
	struct arena      a = {0};
	struct prompts    p;

	assert_error(prompts_render(problems, 1, with(t, CHAT_NEVER, 1000), &a, &p), ERR_INPUT,
	             "problem a: its prompt is a list of messages: the model has no chat template");
	assert_ok(prompts_render(problems + 1, 1, with(t, CHAT_NEVER, 1000), &a, &p));
	tokenizer_free(t);
	t = tokenizer_of("broken");
	assert_error(prompts_render(problems, 1, with(t, CHAT_NEVER, 1000), &a, &p), ERR_INPUT,
	             "problem a: its prompt is a list of messages: chat template: template, line 1");
	arena_free(&a);
	tokenizer_free(t);
}

/* {"messages"} of a row -> {"text"}, by this folder. */
static void assert_rendered(const char *folder, const char *row, const char *want)
{
	char  *got;
	size_t n;

	write_text("rows.jsonl", row);
	assert_int_equal(hone("render %s < rows.jsonl", folder), 0);
	got = read_all("stdout", &n);
	assert_string_equal(got, want);
	free(got);
}

static void render_answers_with_the_text_of_the_template(void **state)
{
	(void)state;
	const char *row = "{\"messages\": [{\"role\": \"user\", \"content\": \"\\u00e9\"}]}\n";

	assert_rendered("chat", row, "{\"text\": \"<|im_start|>[user]\xc3\xa9\"}\n");
	assert_rendered("chat", "{\"messages\": [], \"add_generation_prompt\": true}\n", "{\"text\": \"[assistant]\"}\n");
	assert_rendered("file", row, "{\"text\": \"file <|im_start|>\"}\n"); /* chat_template.jinja goes before the config */
	assert_rendered("several", row, "{\"text\": \"the default\"}\n");
	assert_rendered("dated", row, "{\"text\": \"no day\"}\n");
	write_text("rows.jsonl", row);
	assert_int_equal(hone("render dated --date 2025-01-15 < rows.jsonl"), 0);
	assert_says("stdout", "{\"text\": \"15 Jan 2025\"}");
}

static void what_is_wrong_with_a_row_or_a_template_is_said(void **state)
{
	(void)state;
	write_text("rows.jsonl", "{\"messages\": 3}\n{\"messages\": [{\"role\": \"user\"}]}\n");
	assert_int_equal(hone("render chat < rows.jsonl"), 2);
	assert_says("stdout", "{\"line\": 1, \"error\": \"line 1: \\\"messages\\\" must be a list\"}");
	assert_says("stdout", "{\"text\": \"<|im_start|>[user]\"}");
	assert_int_equal(hone("render plain < rows.jsonl"), 2);
	assert_says("stderr", "the model has no chat template");
	assert_int_equal(hone("render broken < rows.jsonl"), 2);
	assert_says("stderr", "chat template: template, line 1");
	assert_int_equal(hone("render chat --date tomorrow < rows.jsonl"), 2);
	assert_says("stderr", "--date wants a day");
	assert_int_equal(hone("render < rows.jsonl"), 2);
	assert_says("stderr", "usage: hone render");
}

static void a_saved_tokenizer_keeps_its_template(void **state)
{
	(void)state;
	struct tokenizer *t = tokenizer_of("file"), *again;

	shell("mkdir saved");
	assert_ok(tokenizer_save(t, "saved"));
	again = tokenizer_of("saved");
	assert_string_equal(tokenizer_chat_template(again), tokenizer_chat_template(t));
	tokenizer_free(t);
	tokenizer_free(again);
}

/* Its first part alone would be a template, too. */
static void a_template_with_a_nul_byte_is_refused(void **state)
{
	(void)state;
	struct tokenizer *t;

	make_folder("nul", "{\"chat_template\": \"a\\u0000b\"}");
	assert_error(tokenizer_load("nul", &t), ERR_INPUT, "nul/tokenizer_config.json: the chat template has a NUL byte");
	make_folder("nul-named", "{\"chat_template\": [{\"name\": \"default\", \"template\": \"a\\u0000b\"}]}");
	assert_error(tokenizer_load("nul-named", &t), ERR_INPUT, "nul-named/tokenizer_config.json: the chat template has a NUL byte");
	make_folder("nul-file", NULL);
	shell("printf 'a\\000b' > nul-file/chat_template.jinja");
	assert_error(tokenizer_load("nul-file", &t), ERR_INPUT, "nul-file/chat_template.jinja: the chat template has a NUL byte");
}

static int make_folders(void **state)
{
	(void)state;
	make_folder("chat", "{\"bos_token\": {\"content\": \"<|im_start|>\"}, \"chat_template\": \"" TEMPLATE "\"}");
	make_folder("plain", NULL);
	make_folder("broken", "{\"chat_template\": \"{% if %}\"}");
	make_folder("file", "{\"bos_token\": \"<|im_start|>\", \"chat_template\": \"config\"}");
	write_text("file/chat_template.jinja", "file {{ bos_token }}\n");
	make_folder("several", "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"x\"}, {\"name\": \"default\", \"template\": "
	                       "\"the default\"}]}");
	make_folder("dated", "{\"chat_template\": \"{{ strftime_now('%d %b %Y') if strftime_now is defined else 'no day' }}\"}");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(messages_are_rendered_and_their_first_token_comes_once),
	        TEST(prompts_are_asked_as_data_chat_says),
	        TEST(a_hint_goes_into_the_last_message),
	        TEST(without_a_template_the_problem_is_named),
	        TEST(render_answers_with_the_text_of_the_template),
	        TEST(what_is_wrong_with_a_row_or_a_template_is_said),
	        TEST(a_saved_tokenizer_keeps_its_template),
	        TEST(a_template_with_a_nul_byte_is_refused),
	};

	if (!getcwd(root, sizeof root))
		return 1;
	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, make_folders, NULL);
}
