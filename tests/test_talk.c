/* hone chat and what it stands on: a text that grows, a conversation through a pipe and on a
 * terminal. The model knows 256 bytes and three marks, and its weights are random, so most of what
 * it says is broken UTF-8. */
#include "cli/columns.h"
#include "cli/talk.h"
#include "screen.h"
#include "text/tokenizer_parts.h"

static const char config[] =
        "model: {tokenizer: tok, init: {width: 32, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
        "head_width: 16, ff_width: 64, n_positions: 400}}\n"
        "data: {train: q.jsonl}\ntask: {reward: numeric}\nalgorithm: grpo\nloss: {beta: 0}\n"
        "rollout: {num_generations: 2, prompts_per_step: 1, max_completion_length: 4}\n"
        "sft: {batch_size: 2}\nrun: {max_steps: 1, save_steps: 1, tensorboard: false}\n";

static const char template[] =
        "{% for m in messages %}"
        "{% if 'no' == m.content %}{{ raise_exception('not that') }}{% endif %}"
        "<s>{{ m.role }} {{ m.content }}<e>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant {% endif %}";

static const struct compute_options strict = {.matmul = {"auto", "f32", "strict", NULL, NULL}};
static const struct talk_options    options = {
           .compute = &strict, .max_tokens = 100, .context = 400, .seed = 3};

/* ---- the text that grows ---- */

static void draw(struct stream *s, int n, int *out)
{
	struct stream_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                           .key = {7, RNG_SAMPLE, 0, 0, 0}};

	for (int i = 0; i < n; i++)
		assert_ok(stream_next(s, &o, &out[i]));
}

static void assert_goes_on_as_anew(struct stream *kept, const struct model *m, const int *ids,
                                   int n)
{
	struct stream *fresh;
	int            a[6], b[6];

	assert_ok(stream_new(m, 200, &fresh));
	stream_read(kept, ids, n);
	stream_read(fresh, ids, n);
	draw(kept, 6, a);
	draw(fresh, 6, b);
	assert_memory_equal(a, b, sizeof a);
	stream_free(fresh);
}

static void what_a_text_shares_with_the_one_before_is_not_computed_again(void **state)
{
	(void)state;
	struct opened  o;
	struct stream *s;
	int            ids[200];

	assert_ok(opened_new("a", NULL, &o));
	assert_ok(stream_new(o.model, 200, &s));
	for (int i = 0; i < 150; i++)
		ids[i] = (i * 37 + 11) % 256;
	stream_read(s, ids, 100);
	draw(s, 6, ids + 100);
	assert_int_equal(stream_computed(s), 100 + 5);
	/* what was drawn, and more behind it */
	assert_goes_on_as_anew(s, o.model, ids, 150);
	assert_int_equal(stream_computed(s), 105 + 45 + 5);
	/* a shorter text */
	assert_goes_on_as_anew(s, o.model, ids, 100);
	assert_int_equal(stream_computed(s), 155 + 1 + 5);
	/* one that differs in the middle */
	ids[70] ^= 1;
	assert_goes_on_as_anew(s, o.model, ids, 100);
	assert_int_equal(stream_computed(s), 161 + 30 + 5);
	stream_free(s);
	opened_free(&o);
}

/* ---- a conversation ---- */

static int is_utf8(const char *s, size_t n)
{
	json_t *j = json_stringn(s, n);

	json_decref(j);
	return j != NULL;
}

static const char *content(const struct talk *t, size_t i)
{
	return json_string_value(json_object_get(json_array_get(t->messages, i), "content"));
}

/* Steps to the end; returns how many steps showed nothing new. */
static int reply(struct talk *t)
{
	size_t n = 0;
	char   shown[4096];
	int    waited = 0;

	while (!t->over) {
		assert_ok(talk_step(t));
		assert_true(t->n_shown >= n && t->n_shown < sizeof shown);
		waited += t->n_shown == n;
		if (t->n_shown == 0)
			continue;
		assert_true(is_utf8(t->reply.data, t->n_shown));
		assert_memory_equal(t->reply.data, shown, n);
		n = t->n_shown;
		memcpy(shown, t->reply.data, n);
	}
	return waited;
}

static void what_is_shown_of_a_reply_is_utf8_and_stays(void **state)
{
	(void)state;
	struct talk t;
	int         waited = 0, letters = 0;

	assert_ok(talk_open("a", &options, &t));
	t.sampling = (struct sampling){.temperature = 1, .top_p = 1};
	for (int turn = 0; turn < 5; turn++) {
		struct text whole = {0};
		assert_ok(talk_ask(&t, "hello"));
		waited += reply(&t);
		assert_ok(tokenizer_decode(t.opened.tokenizer, t.drawn.id, t.drawn.n, 1, &whole));
		assert_string_equal(t.reply.data, whole.data);
		assert_string_equal(content(&t, 1), whole.data);
		for (size_t i = 0; i < whole.n; i++) /* characters of several tokens */
			letters += ((unsigned char)whole.data[i] & 0xE0) == 0xC0;
		text_free(&whole);
		talk_reset(&t);
		assert_int_equal(json_array_size(t.messages), 0);
	}
	assert_true(waited > 0 && letters > 0);
	talk_close(&t);
}

static void the_prompt_of_a_turn_is_the_whole_conversation_in_the_template(void **state)
{
	(void)state;
	struct talk t;
	struct text text = {0};

	assert_ok(talk_open("a", &options, &t));
	assert_ok(talk_system(&t, "old"));
	assert_ok(talk_ask(&t, "one"));
	reply(&t);
	assert_ok(talk_system(&t, "S"));
	json_object_set_new(json_array_get(t.messages, 2), "content", json_string("R"));
	assert_ok(talk_ask(&t, "two"));
	assert_ok(tokenizer_decode(t.opened.tokenizer, t.prompt.id, t.prompt.n, 0, &text));
	assert_string_equal(text.data, "<s>system S<e><s>user one<e><s>assistant R<e><s>user "
	                               "two<e><s>assistant ");
	talk_take_back(&t);
	/* refused messages leave no trace */
	assert_int_equal(talk_ask(&t, "no"), ERR_INPUT);
	assert_int_equal(talk_ask(&t, "\xFF"), ERR_INPUT);
	assert_int_equal(json_array_size(t.messages), 3);
	assert_ok(talk_system(&t, ""));
	assert_int_equal(json_array_size(t.messages), 2);
	text_free(&text);
	talk_close(&t);
}

/* ---- through a pipe ---- */

static void the_first_reply_is_that_of_generate_with_chat(void **state)
{
	(void)state;
	hone_ok("generate a --prompt 'hello' --chat --max-tokens 12 --temperature 1 --seed 4");
	shell("mv stdout generated");
	shell("echo hello > in");
	hone_ok("chat a --max-tokens 12 --temperature 1 --seed 4 < in");
	assert_true(same_bytes("stdout", "generated"));
	assert_says("stderr", "[cut after 12 tokens]");
	hone_ok("chat a --max-tokens 12 --temperature 1 --seed 5 < in");
	assert_false(same_bytes("stdout", "generated"));
	/* without the template the prompt is another one */
	hone_ok("generate a --prompt 'hello' --max-tokens 12 --temperature 1 --seed 4");
	assert_false(same_bytes("stdout", "generated"));
	assert_int_equal(hone("generate a --prompt-ids 1,2 --chat"), 2);
}

static void commands_change_the_conversation(void **state)
{
	(void)state;
	write_text("in", "//first\n\n/system  be brief\nsecond\n/save one.jsonl\n/reset\n/save "
	                 "two.jsonl\n/temp 0\nthird\n/reset\nthird\n/help\n/quit\nfourth\n/save "
	                 "three.jsonl\n");
	hone_ok("chat a --system 'be long' --temperature 1 --max-tokens 6 < in");
	assert_says("one.jsonl", "{\"model\": \"a\", \"messages\": [{\"role\": \"system\", "
	                         "\"content\": \"be brief\"}, {\"role\": \"user\", \"content\": "
	                         "\"/first\"}, {\"role\": \"assistant\", ");
	assert_says("one.jsonl", "\"content\": \"second\"}, {\"role\": \"assistant\", ");
	assert_says("two.jsonl", "\"messages\": [{\"role\": \"system\", \"content\": \"be "
	                         "brief\"}]}\n");
	shell("test ! -e three.jsonl && test $(grep -c 'cut after 6' stderr) -eq 4");
	assert_says("stderr", "  /reset          forgets the conversation");
	/* greedy: the same message gets the same reply */
	write_text("in", "third\n");
	hone_ok("chat a --system 'be brief' --temperature 0 --max-tokens 6 < in");
	shell("mv stdout greedy");
	write_text("in", "/system be brief\n/temp 0\nthird\n/reset\nthird\n");
	hone_ok("chat a --temperature 1 --max-tokens 6 < in");
	shell("cat greedy greedy | cmp - stdout");
}

static void a_script_ends_with_the_first_error(void **state)
{
	(void)state;
	static const struct {
		const char *in, *said;
	} cases[] = {{"/nope\n", "there is no command /nope; /help lists them"},
	             {"no\n", "not that"},
	             {"/temp warm\n", "/temp wants a number from 0 on, not \"warm\""},
	             {"/temp 1e7\n", "/temp must lie from 0 to 1e6"},
	             {"/save\n", "/save wants the name of a file"},
	             {"/save no/such/folder\n", "no/such/folder"},
	             {"\xFF\n", "the text is not UTF-8"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_text("in", cases[i].in);
		shell("echo hello >> in");
		assert_int_equal(hone("chat a < in"), 2);
		assert_says("stderr", cases[i].said);
		shell("test ! -s stdout");
	}
	shell("for i in 1 2 3 4 5 6 7 8 9; do echo hello; done > in");
	assert_int_equal(hone("chat a --context 60 --temperature 1 < in"), 2);
	assert_says("stderr", "there is room for 60; /reset forgets it, --context gives more");
	assert_int_equal(hone("chat bare < in"), 2);
	assert_says("stderr", "the model has no chat template");
}

static void two_models_answer_under_their_names(void **state)
{
	(void)state;
	write_text("in", "hello\n");
	hone_ok("chat a --max-tokens 9 --temperature 1 < in");
	shell("(echo a:; cat stdout) > both");
	hone_ok("chat b --max-tokens 9 --temperature 1 < in");
	shell("(echo b:; cat stdout) >> both");
	hone_ok("chat a --with b --max-tokens 9 --temperature 1 < in");
	assert_true(same_bytes("stdout", "both"));
	assert_says("stderr", "[b: cut after 9 tokens]");
}

/* ---- on a terminal ---- */

static void assert_shown(const char *part)
{
	if (!strstr(screen_text, part))
		fail_msg("the terminal shows \"%s\", expected \"%s\"", screen_text, part);
}

static void on_a_terminal_an_error_is_said_and_the_conversation_goes_on(void **state)
{
	(void)state;
	assert_int_equal(screen_run("chat a --max-tokens 5", 100, "/nope\nno\nhello\n"), 0);
	assert_shown("/help lists the commands.");
	assert_shown("> ");
	assert_shown("there is no command /nope");
	assert_shown("not that");
	assert_shown("[cut after 5 tokens]");
	for (const char *c = screen_text; *c; c++)
		assert_true((unsigned char)*c >= ' ' || strchr("\r\n\t", *c));
}

/* What columns_print writes to standard output, as a text in the test's file "printed". */
static void print_columns(struct columns *c, int is_over)
{
	int saved;

	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_non_null(freopen("printed", "w", stdout));
	columns_print(c, is_over);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
}

static void a_row_of_columns_waits_for_both_sides(void **state)
{
	(void)state;
	struct columns c = {.width = 10};

	columns_add(&c, 0, "one two three\nfour", 18);
	print_columns(&c, 0);
	shell("test ! -s printed");
	columns_add(&c, 1, "\xC3\xA9\xC3\xA9 and a long\n", 16);
	print_columns(&c, 0);
	shell("printf 'one two    | \303\251\303\251 and a\nthree      | long\n' | cmp - printed");
	columns_add(&c, 0, "\ntoolongforone\033", 15);
	print_columns(&c, 0);
	shell("test ! -s printed");
	print_columns(&c, 1);
	shell("printf 'four       | \ntoolongfor | \none\\\\x1b    | \n' | cmp - printed");
	columns_free(&c);
}

static void two_models_stand_side_by_side_where_there_is_room(void **state)
{
	(void)state;
	const char *row;
	int         rows = 0;

	assert_int_equal(
	        screen_run("chat a --with b --max-tokens 90 --temperature 1", 100, "hello\n"), 0);
	assert_shown("a                                                | b\r\n");
	for (row = strstr(screen_text, "a   "); row && (row = strstr(row, " | ")); row++)
		rows++;
	assert_true(rows >= 3);
	assert_int_equal(screen_run("chat a --with b --max-tokens 5", 60, "hello\n"), 0);
	assert_shown("a:\r\n");
	assert_shown("b:\r\n");
}

/* ---- the files ---- */

static void write_tokenizer(void)
{
	static const char *const marks[] = {"<s>", "<e>", "<u>"};
	struct text              t = {0};

	text_print(&t, "{\"added_tokens\": [");
	for (int i = 0; i < 3; i++)
		text_print(&t,
		           "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"normalized\": "
		           "false, \"single_word\": false, \"lstrip\": false, \"rstrip\": false}",
		           i ? ", " : "", 256 + i, marks[i]);
	text_print(&t, "], \"normalizer\": null, \"post_processor\": null, \"pre_tokenizer\": "
	               "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": "
	               "true}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": "
	               "\"BPE\", \"merges\": [], \"vocab\": {");
	for (int byte = 0; byte < 256; byte++)
		text_print(&t, "%s\"\\u%04x\": %d", byte ? ", " : "",
		           (unsigned)byte_level_char(byte), byte);
	text_print(&t, "}}}");
	assert_ok(text_write(&t, "tok/tokenizer.json"));
	text_free(&t);
	write_text("tok/tokenizer_config.json", "{\"eos_token\": \"<e>\"}");
	write_text("tok/chat_template.jinja", template);
}

static void write_files(void)
{
	shell("mkdir tok");
	write_tokenizer();
	write_text("q.jsonl", "{\"prompt\": \"hello\", \"answer\": \"2\"}\n");
	write_text("m.yaml", config);
	hone_ok("sft m.yaml run.output_dir=a");
	hone_ok("sft m.yaml run.output_dir=b run.seed=5");
	shell("cp -r a/checkpoint-1 bare && rm bare/chat_template.jinja");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_a_text_shares_with_the_one_before_is_not_computed_again),
	        TEST(what_is_shown_of_a_reply_is_utf8_and_stays),
	        TEST(the_prompt_of_a_turn_is_the_whole_conversation_in_the_template),
	        TEST(the_first_reply_is_that_of_generate_with_chat),
	        TEST(commands_change_the_conversation),
	        TEST(a_script_ends_with_the_first_error),
	        TEST(two_models_answer_under_their_names),
	        TEST(on_a_terminal_an_error_is_said_and_the_conversation_goes_on),
	        TEST(a_row_of_columns_waits_for_both_sides),
	        TEST(two_models_stand_side_by_side_where_there_is_room)};

	run_in_temporary_folder();
	write_files();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
