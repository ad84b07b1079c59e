/* Messages as prompts: the model's own template, its special tokens once, and what is said when
 * there is none. */
#include "rl/prompts.h"
#include "rl/reward.h"
#include "run.h"
#include "text/chat.h"

static char root[PATH_MAX]; /* where the tests' data are */

#define TEMPLATE \
	"{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}[{{ m.role }}]{{ " \
	"m.content }}{% endfor %}" \
	"{% if add_generation_prompt %}[assistant]{% endif %}"

/* A folder with a tokenizer that puts <|im_start|> before a text and <|im_end|> behind it. */
static void make_folder(const char *name, const char *config)
{
	shell("mkdir %s && gunzip -c '%s/tests/data/tokenizers/bos-eos-template.json.gz' > "
	      "%s/tokenizer.json",
	      name, root, name);
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

static const struct message talk[] = {{.role = "system", .content = "Be brief."},
                                      {.role = "user", .content = "1+1?"}};
static const struct problem problems[] = {{.id = "a", .messages = talk, .n_messages = 2},
                                          {.id = "b", .prompt = "1+1?"}};

static void assert_text(const struct tokenizer *t, const struct context *c, const char *want)
{
	struct text got = {0};

	assert_ok(tokenizer_decode(t, c->ids, (size_t)c->n, 0, &got));
	assert_string_equal(got.data, want);
	text_free(&got);
}

static const struct prompts_options *with(const struct tokenizer *t, enum data_chat chat, int most)
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

/* Text as the user's message, messages that are rendered already, and a system message where there
 * is none. */
static void prompts_are_asked_as_data_chat_says(void **state)
{
	(void)state;
	static const struct message ready[] = {
	        {.role = "user", .content = "<|im_start|>user 1+1?"}};
	static const struct problem  done[] = {{.id = "c", .messages = ready, .n_messages = 1}};
	struct tokenizer            *t = tokenizer_of("chat"), *bare = tokenizer_of("plain");
	const struct prompts_options brief = {
	        .tokenizer = t, .max_prompt_length = 1000, .chat = CHAT_AUTO, .system = "Hi."};
	struct arena   a = {0};
	struct prompts p;

	assert_ok(prompts_render(problems, 2, with(t, CHAT_AUTO, 1000), &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_text(t, &p.contexts[1], "<|im_start|>[user]1+1?[assistant]");
	assert_ok(prompts_render(problems, 2, &brief, &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_text(t, &p.contexts[1], "<|im_start|>[system]Hi.[user]1+1?[assistant]");
	assert_ok(prompts_render(problems + 1, 1, with(bare, CHAT_AUTO, 1000), &a, &p));
	assert_text(bare, &p.contexts[0], "<|im_start|>1+1?<|im_end|>");
	assert_error(prompts_render(problems + 1, 1, with(bare, CHAT_ALWAYS, 1000), &a, &p),
	             ERR_INPUT,
	             "problem b: its prompt is made a message (data.chat): the model has no chat "
	             "template");
	assert_ok(prompts_render(done, 1, with(t, CHAT_READY, 1000), &a, &p));
	assert_text(t, &p.contexts[0], "<|im_start|>user 1+1?"); /* once, and nothing behind it */
	arena_free(&a);
	tokenizer_free(t);
	tokenizer_free(bare);
}

static void assert_first(const struct prompts_options *o, const struct problem *p, const char *want)
{
	struct arena   a = {0};
	struct prompts out;

	assert_ok(prompts_render(p, 1, o, &a, &out));
	assert_text(o->tokenizer, &out.contexts[0], want);
	arena_free(&a);
}

/* The assistant's last message is not closed, and no other is opened; white space at its end stays.
 * What scores the completion reads both as one. */
static void a_prompt_that_ends_with_the_assistant_is_gone_on_from(void **state)
{
	(void)state;
	static const struct message begun[] = {{.role = "user", .content = "1+1?"},
	                                       {.role = "assistant", .content = "it is "}};
	static const struct message twice[] = {{.role = "assistant", .content = "it is "},
	                                       {.role = "user", .content = "1+1?"},
	                                       {.role = "assistant", .content = "it is "}};
	const struct problem p = {.id = "a", .messages = begun, .n_messages = 2, .hint = "two"},
	                     q = {.id = "b", .messages = twice, .n_messages = 3};
	struct tokenizer *t = tokenizer_of("chat"), *trims = tokenizer_of("trims"),
	                 *drops = tokenizer_of("drops");
	struct arena   a = {0};
	struct prompts plain, hinted;
	int            ids[2];
	struct ids     two = {0};
	struct rollout r = {.ids = ids, .n = 1};

	assert_first(with(t, CHAT_AUTO, 1000), &p, "<|im_start|>[user]1+1?[assistant]it is ");
	assert_first(with(t, CHAT_AUTO, 1000), &q,
	             "<|im_start|>[assistant]it is [user]1+1?[assistant]it is ");
	/* as transformers, where the template trims */
	assert_first(with(trims, CHAT_AUTO, 1000), &p, "[user]1+1?;[assistant]it is");
	assert_error(prompts_render(&p, 1, with(drops, CHAT_AUTO, 1000), &a, &plain), ERR_INPUT,
	             "leaves the end of the last message out");
	assert_ok(prompts_render(&p, 1, with(t, CHAT_AUTO, 1000), &a, &plain));
	assert_ok(prompts_hinted(&plain, "{prompt} Hint: {hint}.", with(t, CHAT_AUTO, 1000), &a,
	                         &hinted));
	assert_text(t, &hinted.contexts[0], "<|im_start|>[user]1+1? Hint: two.[assistant]it is ");
	assert_string_equal(problem_begun(&p), "it is ");
	assert_string_equal(problem_begun(&problems[0]), "");
	assert_ok(tokenizer_encode(t, "2", 1, 0, &two));
	ids[0] = two.id[0];
	assert_ok(reward_text(t, &p, &r, &a));
	assert_string_equal(r.text, "it is 2");
	assert_int_equal(r.n_text, 7);
	assert_ok(reward_text(t, &problems[0], &r, &a));
	assert_string_equal(r.text, "2");
	ids_free(&two);
	arena_free(&a);
	tokenizer_free(t);
	tokenizer_free(trims);
	tokenizer_free(drops);
}

/* Template "seen" writes its variables down. The row's go before the run's; the run's day is there
 * under both names. */
static void tools_variables_and_the_day_reach_the_template(void **state)
{
	(void)state;
	static const struct message call[] = {
	        {.role = "user", .content = "q"},
	        {.role = "tool",
	         .content = "4",
	         .json = "{\"role\": \"tool\", \"content\": \"4\", \"name\": \"f\"}"}};
	const struct problem plain = {.id = "a", .prompt = "q"},
	                     own = {.id = "b",
	                            .prompt = "q",
	                            .template_values = "{\"think\": true, \"tools\": [{\"name\": "
	                                               "\"f\"}], \"messages\": []}"},
	                     called = {.id = "c", .messages = call, .n_messages = 2};
	struct tokenizer      *t = tokenizer_of("seen");
	struct prompts_options o = {.tokenizer = t, .max_prompt_length = 1000, .chat = CHAT_AUTO};
	struct arena           a = {0};
	struct prompts         p;

	assert_first(&o, &plain, "think - tools - day - - q");
	o.kwargs = "{\"think\":false,\"tools\":[]}";
	o.day = "2025-02-03";
	assert_first(&o, &plain, "think False tools [] day 2025 03 Feb 2025 q");
	assert_first(&o, &own, "think True tools [{\"name\": \"f\"}] day 2025 03 Feb 2025 q");
	assert_first(&o, &called, "think False tools [] day 2025 03 Feb 2025 qf4");
	o.kwargs = "{\"date_string\":\"today\"}";
	assert_first(&o, &plain, "think - tools - day 2025 today q");
	o.day = "2025-02-30x";
	assert_error(prompts_render(&plain, 1, &o, &a, &p), ERR_INPUT,
	             "data.chat_date: \"2025-02-30x\" is not a date such as");
	arena_free(&a);
	tokenizer_free(t);
}

static void the_first_prompt_is_shown_as_the_model_gets_it(void **state)
{
	(void)state;
	static const struct {
		const char    *folder;
		enum data_chat chat;
		int            problem;
		const char    *line;
	} cases[] = {
	        {"chat", CHAT_AUTO, 0, "first prompt, a in the model's chat template, "},
	        {"chat", CHAT_AUTO, 1, "first prompt, b in the model's chat template, "},
	        {"chat", CHAT_NEVER, 1,
	         "first prompt, b as raw text, although the model has a chat template (data.chat: "
	         "never), "},
	        {"chat", CHAT_READY, 1, "first prompt, b as it is (data.chat: ready), "},
	        {"plain", CHAT_AUTO, 1,
	         "first prompt, b as raw text; the model has no chat template, "},
	};
	static const char *const texts[] = {
	        "\"<|im_start|>[system]Be brief.[user]1+1?[assistant]\"\n",
	        "\"<|im_start|>[user]1+1?[assistant]\"\n", "\"<|im_start|>1+1?<|im_end|>\"\n",
	        "\"1+1?\"\n", "\"<|im_start|>1+1?<|im_end|>\"\n"};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tokenizer *t = tokenizer_of(cases[i].folder);
		struct arena      a = {0};
		struct prompts    p;
		struct text       line = {0};
		assert_ok(prompts_render(problems + cases[i].problem, 1,
		                         with(t, cases[i].chat, 1000), &a, &p));
		prompts_add_first(&p, &line);
		assert_int_equal(strncmp(line.data, cases[i].line, strlen(cases[i].line)), 0);
		assert_string_equal(strstr(line.data, ": \"") + 2, texts[i]);
		text_free(&line);
		arena_free(&a);
		tokenizer_free(t);
	}
}

/* Head and tail of it, whole characters, and no control character as it is. */
static void a_long_first_prompt_is_shown_without_its_middle(void **state)
{
	(void)state;
	struct tokenizer *t = tokenizer_of("plain");
	struct arena      a = {0};
	struct prompts    p;
	struct problem    problem = {.id = "a"};
	struct text       long_text = {0}, line = {0};

	text_print(&long_text, "\x1b[31m");
	for (int i = 0; i < 1000; i++)
		text_print(&long_text, "\u00e9 ");
	problem.prompt = long_text.data;
	assert_ok(prompts_render(&problem, 1, with(t, CHAT_AUTO, 100000), &a, &p));
	prompts_add_first(&p, &line);
	assert_non_null(strstr(line.data, "\\u001b[31m"));
	assert_non_null(strstr(line.data, " bytes ... \""));
	assert_true(line.n < 1700 && line.n > 1500);
	assert_null(strchr(line.data, 0x1b));
	assert_null(strstr(line.data, "\xEF\xBF\xBD"));
	text_free(&long_text);
	text_free(&line);
	arena_free(&a);
	tokenizer_free(t);
}

/* A model of 64 positions, prompts of 62 and 30 tokens, completions of up to 32. */
static void prompts_that_leave_little_room_are_named_before_the_run(void **state)
{
	(void)state;
	struct tokenizer      *t;
	struct prompts_options o = {.max_prompt_length = 63, .positions = 64, .wanted = 32};
	char                   text[63];
	struct problem         two[] = {{.id = "tight", .prompt = text},
	                                {.id = "fits", .prompt = "12+12="}};
	struct arena           a = {0};
	struct prompts         p;
	struct text            line = {0};

	assert_ok(tokenizer_chars("0123456789+=", NULL, 0, &t));
	o.tokenizer = t;
	memset(text, '1', sizeof text - 1);
	text[62] = 0;
	assert_ok(prompts_render(two, 2, &o, &a, &p));
	prompts_add_tights("training prompts", &p, &line);
	assert_string_equal(line.data, "caution: 1 training prompts leave less than "
	                               "rollout.max_completion_length (32) tokens of the "
	                               "model's 64 positions, at least 2: "
	                               "tight (2)\n");
	text_free(&line);
	text[32] = 0; /* exactly enough */
	assert_ok(prompts_render(two, 2, &o, &a, &p));
	prompts_add_tights("training prompts", &p, &line);
	assert_null(line.data);
	arena_free(&a);
	tokenizer_free(t);
}

/* The hint stands where the template puts it, in the last message, and nowhere else; a problem
 * without one has no hinted prompt. */
static void a_hint_goes_into_the_last_message(void **state)
{
	(void)state;
	struct tokenizer    *t = tokenizer_of("chat");
	struct arena         a = {0};
	struct prompts       p, hinted;
	const struct problem asked[] = {
	        {.id = "a", .messages = talk, .n_messages = 2, .hint = "two"},
	        {.id = "b", .messages = talk, .n_messages = 2},
	        {.id = "c", .prompt = "1+1?", .hint = "two"}};

	assert_ok(prompts_render(asked, 3, with(t, CHAT_NEVER, 1000), &a, &p));
	assert_ok(prompts_hinted(&p, "{prompt} Hint: {hint}.", with(t, CHAT_NEVER, 1000), &a,
	                         &hinted));
	assert_int_equal(hinted.n, 3);
	assert_text(t, &hinted.contexts[0],
	            "<|im_start|>[system]Be brief.[user]1+1? Hint: two.[assistant]");
	assert_int_equal(hinted.contexts[1].n, 0);
	assert_text(t, &hinted.contexts[2], "<|im_start|>1+1? Hint: two.<|im_end|>");
	assert_text(t, &p.contexts[0], "<|im_start|>[system]Be brief.[user]1+1?[assistant]");
	assert_string_equal(talk[1].content, "1+1?");
	assert_ok(prompts_hinted(&p, "{prompt} Hint: {hint}.",
	                         with(t, CHAT_NEVER, hinted.contexts[2].n), &a,
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
	assert_error(
	        prompts_render(problems, 1, with(t, CHAT_NEVER, 1000), &a, &p), ERR_INPUT,
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
	assert_rendered("chat", "{\"messages\": [], \"add_generation_prompt\": true}\n",
	                "{\"text\": \"[assistant]\"}\n");
	/* chat_template.jinja goes before the config */
	assert_rendered("file", row, "{\"text\": \"file <|im_start|>\"}\n");
	assert_rendered("several", row, "{\"text\": \"the default\"}\n");
	assert_rendered("dated", row, "{\"text\": \"no day\"}\n");
	write_text("rows.jsonl", row);
	assert_int_equal(hone("render dated --date 2025-01-15 < rows.jsonl"), 0);
	assert_says("stdout", "{\"text\": \"15 Jan 2025\"}");
}

static void render_goes_on_and_takes_variables_in_a_map(void **state)
{
	(void)state;
	assert_rendered("chat",
	                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
	                "\"assistant\", \"content\": \"a\\n\"}], "
	                "\"continue_final_message\": true}\n",
	                "{\"text\": \"<|im_start|>[user]q[assistant]a\\n\"}\n");
	assert_rendered("seen",
	                "{\"messages\": [{\"content\": \"q\"}], \"chat_template_kwargs\": "
	                "{\"think\": false}}\n",
	                "{\"text\": \"think False tools - day - - q\"}\n");
	assert_rendered("seen",
	                "{\"messages\": [{\"content\": \"q\"}], \"think\": 1, "
	                "\"chat_template_kwargs\": {\"think\": false}}\n",
	                "{\"text\": \"think 1 tools - day - - q\"}\n");
	/* nothing is opened behind it, whatever else the row says; and where the template says it
	 * twice, the last place counts */
	assert_rendered("chat",
	                "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}], "
	                "\"continue_final_message\": true, "
	                "\"add_generation_prompt\": true}\n",
	                "{\"text\": \"<|im_start|>[assistant]a\"}\n");
	assert_rendered("marks",
	                "{\"messages\": [{\"content\": \"a\"}], \"continue_final_message\": true, "
	                "\"add_generation_prompt\": true}\n",
	                "{\"text\": \"False a; a\"}\n");
	write_text("rows.jsonl", "{\"messages\": [], \"continue_final_message\": true}\n");
	assert_int_equal(hone("render chat < rows.jsonl"), 2);
	assert_says("stdout", "the last message has no text to go on from");
}

/* A run says it first, on the screen and in data.json, and its config holds what the template is
 * told. */
static void a_run_begins_with_its_first_prompt(void **state)
{
	(void)state;
	write_text("q.jsonl", "{\"prompt\": \"1+1?\", \"answer\": \"2\"}\n");
	write_text("begun.jsonl", "{\"prompt\": [{\"role\": \"user\", \"content\": \"1+1?\"}, "
	                          "{\"role\": \"assistant\", \"content\": \"so "
	                          "\"}], \"answer\": \"2\"}\n");
	write_text(
	        "rest.yaml",
	        "data: {train: q.jsonl}\ntask: {reward: numeric}\nalgorithm: grpo\nloss: {beta: "
	        "0}\n"
	        "rollout: {num_generations: 2, prompts_per_step: 1, max_completion_length: "
	        "4}\noptim: {learning_rate: 1e-3}\n"
	        "sft: {batch_size: 2}\nrun: {max_steps: 1, save_steps: 1, tensorboard: false}\n");
	write_text("base.yaml",
	           "extends: rest.yaml\nmodel:\n  tokenizer: 'chars:0123456789+?[]aeinorstu '\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 64}\n");
	hone_ok("sft base.yaml run.output_dir=bare");
	assert_says("stdout", "first prompt, q:1 as raw text; the model has no chat template, 4 "
	                      "tokens: \"1+1?\"\n");
	shell("cp -r bare/checkpoint-1 instruct");
	write_text("instruct/chat_template.jinja",
	           "{% for m in messages %}[{{ 'user' if m.role == 'user' else 'assi' }}]{{ "
	           "m.content }}{% endfor %}"
	           "{% if add_generation_prompt %}[assi]{% endif %}{% if think is defined %}{{ "
	           "think }}{% endif %}{{ date_string[7:] if "
	           "see }}");
	write_text("chat.yaml", "extends: rest.yaml\nmodel: {path: instruct}\ndata: "
	                        "{chat_template_kwargs: {think: 7, see: true}}\n");
	hone_ok("train chat.yaml run.output_dir=one");
	assert_says("stdout", "first prompt, q:1 in the model's chat template, 21 tokens: "
	                      "\"[user]1+1?[assi]72024\"\n");
	assert_says("one/data.json", "\"first_prompt\": {\"id\": \"q:1\", \"tokens\": 21, "
	                             "\"manner\": \"in the model's chat template\", "
	                             "\"text\": \"[user]1+1?[assi]72024\"}");
	assert_says("one/config.yaml",
	            "chat_template_kwargs: \"{\\\"think\\\":7,\\\"see\\\":true}\"\n");
	assert_says("one/config.yaml", "chat_date: \"2024-07-26\"\n");
	hone_ok("train one/config.yaml run.output_dir=two data.chat_date=2031-01-01 "
	        "'data.chat_template_kwargs={\"see\": true}'");
	assert_says("stdout", "\"[user]1+1?[assi]2031\"\n");
	assert_int_equal(
	        hone("train chat.yaml run.output_dir=one data.chat_date=2031-01-01 --resume"), 2);
	assert_says("stderr", "data.chat_date: \"2024-07-26\" -> \"2031-01-01\"");
	hone_ok("sft chat.yaml run.output_dir=sft");
	assert_says("stdout", "\"[user]1+1?[assi]72024\"\n");
	hone_ok("eval one --data q.jsonl");
	assert_says("stderr", "first prompt, q:1 in the model's chat template, 21 tokens: "
	                      "\"[user]1+1?[assi]72024\"\n");
	hone_ok("rollouts chat.yaml data.train=begun.jsonl 'data.chat_template_kwargs={think: "
	        "\"\"}' --output ro.jsonl --steps 1");
	assert_says("stderr", "first prompt, begun:1 in the model's chat template, 19 tokens: "
	                      "\"[user]1+1?[assi]so \"\n");
	assert_int_equal(hone("train base.yaml run.output_dir=raw 'data.system_prompt=so'"), 2);
	assert_says("stderr", "command line: data.system_prompt is set, but no prompt takes it");
	assert_int_equal(
	        hone("train base.yaml run.output_dir=raw 'data.chat_template_kwargs={think: 1}'"),
	        2);
	assert_says("stderr", "command line: data.chat_template_kwargs is set, but no prompt is "
	                      "put into a chat template");
	assert_int_equal(hone("train chat.yaml run.output_dir=raw data.chat=never"), 2);
	assert_says("stderr",
	            "data.chat_template_kwargs is set, but no prompt is put into a chat template");
	assert_int_equal(hone("train base.yaml run.output_dir=raw data.chat_template_kwargs=[1]"),
	                 2);
	assert_says("stderr", "data.chat_template_kwargs must be a map");
}

/* One of them in three has no room for its worked completion. */
static void a_worked_completion_too_long_for_the_model_is_left_out(void **state)
{
	(void)state;
	char  *one, *other;
	size_t n, m;

	write_text("few.jsonl",
	           "{\"id\": \"a\", \"prompt\": \"1+1?\", \"answer\": \"2\"}\n{\"id\": \"c\", "
	           "\"prompt\": \"1+3?\", \"answer\": \"4\"}\n");
	write_text("long.jsonl", "{\"id\": \"a\", \"prompt\": \"1+1?\", \"answer\": "
	                         "\"2\"}\n{\"id\": \"b\", \"prompt\": \"1+2?\", \"answer\": "
	                         "\"333333333333333333333333333333333333333333333333333333333333\"}"
	                         "\n{\"id\": \"c\", \"prompt\": \"1+3?\", \"answer\": "
	                         "\"4\"}\n");
	hone_ok("sft base.yaml data.train=long.jsonl run.output_dir=long run.max_steps=3");
	assert_says("stdout", "; 2 problems, 0 held out");
	assert_says("stdout", "training problems: 1 left out, their prompts or worked completions "
	                      "being too long: b (65 tokens)\n");
	hone_ok("sft base.yaml data.train=few.jsonl run.output_dir=few run.max_steps=3");
	one = read_all("long/checkpoint-3/model.safetensors", &n);
	other = read_all("few/checkpoint-3/model.safetensors", &m);
	assert_true(n == m && !memcmp(one, other, n)); /* as if it had never stood there */
	free(one);
	free(other);
	shell("sed 's/\"3333/\"333/' long.jsonl > exact.jsonl");
	/* 64 tokens have room in 64 positions */
	hone_ok("sft base.yaml data.train=exact.jsonl run.output_dir=exact");
	assert_says("stdout", "; 3 problems, 0 held out");
	shell("grep b long.jsonl | grep 333 > first.jsonl; cat few.jsonl >> first.jsonl");
	hone_ok("sft base.yaml data.train=first.jsonl run.output_dir=first");
	assert_says("stdout", "first prompt, a as raw text"); /* the first that is learned */
	assert_int_equal(hone("sft base.yaml data.train=long.jsonl run.output_dir=not "
	                      "data.overlong_prompts=error"),
	                 2);
	assert_says("stderr", "problem b: prompt and completion have 65 tokens, the model 64 "
	                      "positions; leave such problems out with "
	                      "data.overlong_prompts=drop");
	write_text("only.jsonl",
	           "{\"id\": \"b\", \"prompt\": \"1+2?\", \"answer\": "
	           "\"333333333333333333333333333333333333333333333333333333333333\"}\n");
	assert_int_equal(hone("sft base.yaml data.train=only.jsonl run.output_dir=not"), 2);
	assert_says("stderr", "all 1 problems are longer, with their worked completions, than the "
	                      "model's 64 positions");
}

static void what_is_wrong_with_a_row_or_a_template_is_said(void **state)
{
	(void)state;
	write_text("rows.jsonl", "{\"messages\": 3}\n{\"messages\": [{\"role\": \"user\"}]}\n");
	assert_int_equal(hone("render chat < rows.jsonl"), 2);
	assert_says("stdout",
	            "{\"line\": 1, \"error\": \"line 1: \\\"messages\\\" must be a list\"}");
	assert_says("stdout", "{\"text\": \"<|im_start|>[user]\"}");
	assert_int_equal(hone("render plain < rows.jsonl"), 2);
	assert_says("stderr", "the model has no chat template");
	assert_int_equal(hone("render broken < rows.jsonl"), 2);
	assert_says("stderr", "chat template: template, line 1");
	assert_int_equal(hone("render chat --date tomorrow < rows.jsonl"), 2);
	assert_says("stderr", "--date: \"tomorrow\" is not a date such as 2025-01-15");
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
	assert_error(tokenizer_load("nul", &t), ERR_INPUT,
	             "nul/tokenizer_config.json: the chat template has a NUL byte");
	make_folder("nul-named",
	            "{\"chat_template\": [{\"name\": \"default\", \"template\": \"a\\u0000b\"}]}");
	assert_error(tokenizer_load("nul-named", &t), ERR_INPUT,
	             "nul-named/tokenizer_config.json: the chat template has a NUL byte");
	make_folder("nul-file", NULL);
	shell("printf 'a\\000b' > nul-file/chat_template.jinja");
	assert_error(tokenizer_load("nul-file", &t), ERR_INPUT,
	             "nul-file/chat_template.jinja: the chat template has a NUL byte");
}

static int make_folders(void **state)
{
	(void)state;
	make_folder(
	        "chat",
	        "{\"bos_token\": {\"content\": \"<|im_start|>\"}, \"chat_template\": \"" TEMPLATE
	        "\"}");
	make_folder("plain", NULL);
	make_folder("broken", "{\"chat_template\": \"{% if %}\"}");
	make_folder("file", "{\"bos_token\": \"<|im_start|>\", \"chat_template\": \"config\"}");
	write_text("file/chat_template.jinja", "file {{ bos_token }}\n");
	make_folder("several", "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": "
	                       "\"x\"}, {\"name\": \"default\", \"template\": "
	                       "\"the default\"}]}");
	make_folder("trims", "{\"chat_template\": \"{% for m in messages %}[{{ m.role }}]{{ "
	                     "m.content | trim }};{% endfor %}\"}");
	make_folder("marks", "{\"chat_template\": \"{{ add_generation_prompt }} {{ "
	                     "messages[0].content }}; {{ messages[0].content }}!\"}");
	make_folder("drops", "{\"chat_template\": \"{{ messages[0].content }}\"}");
	make_folder("seen", "{\"chat_template\": \"think {{ think if think is defined else '-' }} "
	                    "tools {{ tools | tojson if tools is defined else "
	                    "'-' }} day "
	                    "{{ strftime_now('%Y') if strftime_now is defined else '-' }} {{ "
	                    "date_string if date_string is defined else '-' }} "
	                    "{% for m in messages %}{{ m.name }}{{ m.content }}{% endfor %}\"}");
	make_folder("dated", "{\"chat_template\": \"{{ strftime_now('%d %b %Y') if strftime_now is "
	                     "defined else 'no day' }}\"}");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(messages_are_rendered_and_their_first_token_comes_once),
	        TEST(prompts_are_asked_as_data_chat_says),
	        TEST(a_prompt_that_ends_with_the_assistant_is_gone_on_from),
	        TEST(tools_variables_and_the_day_reach_the_template),
	        TEST(the_first_prompt_is_shown_as_the_model_gets_it),
	        TEST(a_long_first_prompt_is_shown_without_its_middle),
	        TEST(prompts_that_leave_little_room_are_named_before_the_run),
	        TEST(render_goes_on_and_takes_variables_in_a_map),
	        TEST(a_run_begins_with_its_first_prompt),
	        TEST(a_worked_completion_too_long_for_the_model_is_left_out),
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
