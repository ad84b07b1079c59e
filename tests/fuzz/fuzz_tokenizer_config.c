/* tokenizer_config.json, beside a tokenizer.json or, with "char_ords", instead of one; behind a NUL
 * byte, if there is one, chat_template.jinja. Roles are ids of the vocabulary, the chat template is
 * whole, and a saved tokenizer is loaded as the same one. */
#include "fuzz.h"

#include "text/chat.h"
#include "text/tokenizer.h"

enum { SAVED_ONE_IN = 16 };

static const char alone[] = "alone", beside[] = "beside";

static void link_into(const char *folder, const char *name, int slot)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fuzz_link(path, slot);
}

static void make_folders(void)
{
	static const struct tokenizer_special specials[] = {{"eos", "E"}, {"pad", "P"}};
	struct tokenizer                     *t;

	for (int i = 0; i < 2; i++) {
		const char *folder = i ? beside : alone;
		PROMISE(file_make_folders(fuzz_path(folder)) == OK);
		if (i) {
			PROMISE(tokenizer_chars("0123", specials, 2, &t) == OK &&
			        tokenizer_save(t, fuzz_path(folder)) == OK);
			tokenizer_free(t);
			unlink(fuzz_path("beside/tokenizer_config.json"));
		}
		link_into(folder, "tokenizer_config.json", 0);
	}
	PROMISE(file_make_folders(fuzz_path("saved")) == OK);
}

static void put_template(const char *folder, struct fuzz_part part, int there)
{
	char name[64];

	snprintf(name, sizeof name, "%s/chat_template.jinja", folder);
	unlink(fuzz_path(name));
	if (there) {
		fuzz_file(1, part.s, part.n);
		fuzz_link(name, 1);
	}
}

static const char *const roles[] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};
enum { N_ROLES = sizeof roles / sizeof *roles };

static void check(const struct tokenizer *t, size_t file_length)
{
	const json_t *v = json_object_get(tokenizer_config(t), "chat_template");
	struct chat  *chat;

	if (file_length)
		PROMISE(strlen(tokenizer_chat_template(t)) == file_length);
	else if (json_is_string(v))
		PROMISE(strlen(tokenizer_chat_template(t)) == json_string_length(v));

	for (int i = 0; i < N_ROLES; i++)
		PROMISE(tokenizer_role(t, roles[i]) >= -1 &&
		        tokenizer_role(t, roles[i]) < tokenizer_size(t));
	fuzz_forget_message();
	if (chat_open(t, &chat) == OK)
		chat_free(chat);
	else
		PROMISE(strstr(error_message(), "chat template"));
}

static void save_and_load(const struct tokenizer *t)
{
	struct tokenizer *again;
	const char *template = tokenizer_chat_template(t), *its;

	unlink(fuzz_path("saved/tokenizer_config.json"));
	unlink(fuzz_path("saved/chat_template.jinja"));
	PROMISE(tokenizer_save(t, fuzz_path("saved")) == OK &&
	        tokenizer_load(fuzz_path("saved"), &again) == OK);
	its = tokenizer_chat_template(again);
	PROMISE(tokenizer_size(again) == tokenizer_size(t) && !template == !its &&
	        (!template || !strcmp(template, its)));
	for (int i = 0; i < N_ROLES; i++)
		PROMISE(tokenizer_role(again, roles[i]) == tokenizer_role(t, roles[i]));
	tokenizer_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int        made;
	const size_t      whole = n;
	struct fuzz_part  config = fuzz_next(&data, &n);
	const char       *folder = config.n % 2 ? beside : alone;
	struct tokenizer *t;

	if (!made++)
		make_folders();
	fuzz_file(0, config.s, config.n);
	put_template(folder, (struct fuzz_part){(const char *)data, n}, config.n < whole);
	fuzz_forget_message();
	if (tokenizer_load(fuzz_path(folder), &t) == OK) {
		check(t, n);
		if (whole % SAVED_ONE_IN == 0)
			save_and_load(t);
		tokenizer_free(t);
	} else {
		PROMISE(strstr(error_message(), fuzz_folder()));
	}
	return 0;
}
