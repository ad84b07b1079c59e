/* hone inspect on data sets: what training would read of them, and single problems by their id.
 * Models and adapters: test_init.c, test_adapter.c. */
#include "data/dataset.h"
#include "run.h"

static const char rows[] =
        "{\"id\": \"b\", \"prompt\": \"What is 2+2?\", \"answer\": 4, \"category\": \"sums\", "
        "\"difficulty\": 1, \"source\": \"x\"}\n"
        "{\"id\": \"a\", \"prompt\": [{\"role\": \"user\", \"content\": \"what  is 2+2?\"}], "
        "\"answer\": \"four\", \"hint\": \"h\"}\n"
        "{\"id\": \"c\", \"prompt\": \"Name a letter\", \"category\": \"letters\"}\n"
        "{\"id\": \"B\", \"prompt\": \"And 3+3?\", \"answer\": \"6\", \"category\": \"sums\"}\n";

static void a_data_set_is_counted_and_its_first_problem_shown(void **state)
{
	(void)state;
	write_text("rows.jsonl", rows);
	shell("gzip -k rows.jsonl");
	for (int i = 0; i < 2; i++) {
		hone_ok("inspect %s", i ? "rows.jsonl.gz" : "rows.jsonl");
		assert_says("stdout", ": 4 problems, b to B\n");
		assert_says("stdout", "prompts of 8 to 13 bytes, half of them up to 13; 1 are "
		                      "lists of messages\n");
		assert_says("stdout",
		            "3 have an answer, 1 a hint, 0 a rubric, 0 demonstrations, 0 skills\n");
		assert_says("stdout", "categories: (none) 1, letters 1, sums 2\n");
		assert_says("stdout", "1 ask what one before them asks: a = b\n");
		assert_says("stdout", "{\"id\": \"b\", \"prompt\": \"What is 2+2?\", \"answer\": "
		                      "\"4\", \"category\": \"sums\", "
		                      "\"difficulty\": 1, \"source\": \"x\"}\n");
	}
}

static void a_problem_is_found_by_its_id_and_reads_back_as_itself(void **state)
{
	(void)state;
	static const char *const ids[] = {"a", "b", "c", "B"};
	const char              *path = "one.jsonl";
	struct dataset           d;

	for (int i = 0; i < 4; i++) {
		hone_ok("inspect rows.jsonl.gz --id %s > one.jsonl", ids[i]);
		assert_ok(dataset_read(&path, 1, &(struct dataset_options){.answer_optional = 1},
		                       &d));
		assert_int_equal(d.n, 1);
		assert_string_equal(d.problems[0].id, ids[i]);
		assert_ptr_equal(dataset_find(&d, ids[i]), &d.problems[0]);
		dataset_free(&d);
	}
	assert_int_equal(hone("inspect rows.jsonl --id bb"), 2);
	assert_says("stderr", "no problem has the id \"bb\"; the first one's is \"b\"");
	assert_int_equal(hone("inspect %s --id b", "."), 2);
	assert_says("stderr", "only a data set");
}

static void odd_columns_are_named_and_can_be_given(void **state)
{
	(void)state;
	write_text("odd.jsonl", "{\"quiz\": \"2+2?\", \"key\": \"4\", \"number\": 17}\n");
	assert_int_equal(hone("inspect odd.jsonl"), 2);
	assert_says("stderr", "odd.jsonl:1: no prompt (looked for prompt, messages, conversations, "
	                      "question, problem, instruction, input); "
	                      "name its column with data.prompt_column; "
	                      "the row has quiz, key, number\n");
	hone_ok("inspect odd.jsonl --prompt-column quiz --answer-column key --id-column number");
	assert_says("stdout", "{\"id\": \"17\", \"prompt\": \"2+2?\", \"answer\": \"4\"");
}

/* What inspect says of a file is what a run says of it. */
static void a_data_set_of_any_kind_is_looked_at(void **state)
{
	(void)state;
	write_text("list.json", "[\n {\"prompt\": \"2+2?\", \"answer\": \"4\"},\n {\"prompt\": "
	                        "\"3+3?\", \"answer\": \"6\"}\n]\n");
	hone_ok("inspect list.json");
	assert_says("stdout", "list.json: 2 problems, list:1 to list:2\n");
	write_text("table.csv", "prompt,answer\n2+2?,4\n");
	assert_int_equal(hone("inspect table.csv"), 2);
	assert_says("stderr",
	            "table.csv: this is a table (CSV), and no rows of JSON; run: python3 -c ");
	assert_int_equal(hone("eval . --data table.csv --task math"), 2);
	assert_says("stderr",
	            "table.csv: this is a table (CSV), and no rows of JSON; run: python3 -c ");
	write_text("pointer",
	           "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n");
	assert_int_equal(hone("inspect pointer"), 2);
	assert_says("stderr", "pointer: this is a Git LFS pointer, not the file it stands for, and "
	                      "no rows of JSON; run: git -C . lfs pull\n");
}

/* Eight bytes and a brace may begin either: a header is no longer than its file. */
static void rows_that_begin_like_a_header_are_rows_all_the_same(void **state)
{
	(void)state;
	unsigned char tensors[] = "\x02\0\0\0\0\0\0\0{}";
	FILE         *f = fopen("tensors", "wb");

	write_text("indented", "        {\"prompt\": \"2+2?\", \"answer\": \"4\"}\n");
	hone_ok("inspect indented");
	assert_says("stdout", "indented: 1 problem");
	assert_true(f && fwrite(tensors, 1, sizeof tensors - 1, f) == sizeof tensors - 1);
	fclose(f);
	hone("inspect tensors");
	assert_false(file_says("stdout", "problem") || file_says("stderr", "prompt"));
}

/* Any order of the rows, ids that begin alike, and one that comes twice. */
static void every_id_of_an_index_is_found_and_no_other(void **state)
{
	(void)state;
	struct arena    a = {0};
	struct id_index x;
	char            id[16];
	enum { N = 1000 };

	for (int n = 0; n <= N; n = n < 5 ? n + 1 : n * 7 + 3) {
		assert_ok(id_index_new(n, &a, &x));
		for (int i = 0; i < n; i++) {
			x.entries[i].item = i;
			assert_ok(
			        arena_print(&a, &x.entries[i].id, "row:%d", (i * 389 + 7) % 2003));
		}
		id_index_sort(&x);
		assert_null(id_index_twice(&x));
		for (int i = 0; i < n; i++) {
			snprintf(id, sizeof id, "row:%d", (i * 389 + 7) % 2003);
			assert_int_equal(id_index_find(&x, id), i);
		}
		assert_int_equal(id_index_find(&x, "row:"), -1);
		assert_int_equal(id_index_find(&x, "row:2003"), -1);
		assert_int_equal(id_index_find(&x, "zzz"), -1);
	}
	assert_ok(id_index_new(4, &a, &x));
	for (int i = 0; i < 4; i++)
		x.entries[i] = (struct id_entry){i % 2 ? "same" : i ? "other" : "one", i};
	id_index_sort(&x);
	assert_int_equal(id_index_find(&x, "same"), 1);
	assert_int_equal(id_index_twice(&x)[0].item, 1);
	assert_int_equal(id_index_twice(&x)[1].item, 3);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_data_set_is_counted_and_its_first_problem_shown),
	        TEST(a_problem_is_found_by_its_id_and_reads_back_as_itself),
	        TEST(odd_columns_are_named_and_can_be_given),
	        TEST(a_data_set_of_any_kind_is_looked_at),
	        TEST(rows_that_begin_like_a_header_are_rows_all_the_same),
	        TEST(every_id_of_an_index_is_found_and_no_other),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
