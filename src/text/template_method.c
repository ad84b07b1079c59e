#include "text/template_parts.h"

#include <string.h>
#include <utf8proc.h>

/* ---- texts ---- */

static size_t first_character(const char *s, size_t n)
{
	size_t k = 1;

	while (k < n && ((unsigned char)s[k] & 0xc0) == 0x80)
		k++;
	return k;
}

static size_t last_character(const char *s, size_t n)
{
	size_t k = 1;

	while (k < n && ((unsigned char)s[n - k] & 0xc0) == 0x80)
		k++;
	return k;
}

static int template_method_is_among(const char *c, size_t bytes, const struct value *set)
{
	for (size_t at = 0, n; at < set->n; at += n) {
		n = first_character(set->as.text + at, set->n - at);
		if (n == bytes && !memcmp(set->as.text + at, c, n))
			return 1;
	}
	return 0;
}

/* Strips any of `chars`, or white space when that is NULL. */
int template_strip(struct template_run *r, const struct value *v, const struct value *chars,
                   int left, int right, struct value *out)
{
	const char *s = v->as.text;
	size_t      n = v->n, k;

	TRY(template_steps(r, 1 + n / 16 * (1 + (chars ? chars->n : 0))));
	while (left && n) {
		k = first_character(s, n);
		if (!(chars ? template_method_is_among(s, k, chars) : template_space(s, k) > 0))
			break;
		s += k;
		n -= k;
	}
	while (right && n) {
		k = last_character(s, n);
		if (!(chars ? template_method_is_among(s + n - k, k, chars)
		            : template_space(s + n - k, k) > 0))
			break;
		n -= k;
	}
	return template_copy_text(r, s, n, out);
}

/* Uses simple case mappings, one code point to one. A capital starts the text, or a word after one
 * of "-({[<" or white space (the filter title), or letters after a non-letter (the method). */
int template_change_case(struct template_run *r, const struct value *v, enum letter_case how,
                         struct value *out)
{
	struct text t = {0};
	int         begins = 1;

	TRY(template_steps(r, v->n / 4));
	for (size_t at = 0; at < v->n;) {
		const char      *s = v->as.text + at;
		utf8proc_uint8_t bytes[4];
		utf8proc_int32_t c, mapped;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s,
		                                      (utf8proc_ssize_t)(v->n - at), &c);
		if (n <= 0) {
			text_add(&t, s, 1);
			at++;
			continue;
		}
		mapped = how == UPPER || (how != LOWER && begins) ? utf8proc_toupper(c)
		                                                  : utf8proc_tolower(c);
		text_add(&t, (const char *)bytes, (size_t)utf8proc_encode_char(mapped, bytes));
		if (how == TITLE_WORDS)
			begins = template_space(s, (size_t)n) || (n == 1 && memchr("-({[<", *s, 5));
		else if (how == TITLE_LETTERS)
			begins = utf8proc_toupper(c) == c && utf8proc_tolower(c) == c;
		else
			begins = 0;
		at += (size_t)n;
	}
	return template_take_text(r, &t, out);
}

/* Replaces the empty text as Python does: before each character and at the end, `most` times. */
static int put_between(struct template_run *r, const struct value *v, const struct value *to,
                       int64_t most, struct value *out)
{
	struct text t = {0};
	size_t      n;

	template_length(v, &n);
	if (to->n && n + 1 > TEMPLATE_BYTES / to->n)
		return template_error(r, "more than %d bytes of text", TEMPLATE_BYTES);
	TRY(template_steps(r, n));
	for (size_t at = 0, bytes; at <= v->n; at += bytes, most -= most > 0) {
		if (most)
			text_add(&t, to->as.text, to->n);
		bytes = at < v->n ? first_character(v->as.text + at, v->n - at) : 1;
		if (at < v->n)
			text_add(&t, v->as.text + at, bytes);
	}
	return template_take_text(r, &t, out);
}

/* Replaces the first `count` places from left to right; a negative count replaces all. */
int template_replace(struct template_run *r, const struct value *v, const struct arguments *a,
                     struct value *out)
{
	const struct value *from, *to;
	const char         *s = v->as.text, *end = s + v->n, *at;
	int64_t             most = INT64_MAX;
	struct text         t = {0};

	TRY(template_needed_text(r, a, 0, "old", &from));
	TRY(template_needed_text(r, a, 1, "new", &to));
	TRY(template_integer_argument(r, a, &(struct template_whole){2, "count", -1, INT64_MAX},
	                              &most));
	TRY(template_steps(r, v->n / 16));
	if (from->n == 0)
		return put_between(r, v, to, most, out);
	for (; most && (at = memmem(s, (size_t)(end - s), from->as.text, from->n));
	     most -= most > 0) {
		int status =
		        t.n + to->n > TEMPLATE_BYTES
		                ? template_error(r, "more than %d bytes of text", TEMPLATE_BYTES)
		                : template_steps(r, 1);
		if (status != OK) {
			text_free(&t);
			return status;
		}
		text_add(&t, s, (size_t)(at - s));
		text_add(&t, to->as.text, to->n);
		s = at + from->n;
	}
	text_add(&t, s, (size_t)(end - s));
	return template_take_text(r, &t, out);
}

static int add_part(struct template_run *r, struct template_builder *b, const char *s, size_t n)
{
	struct value part;

	TRY(template_copy_text(r, s, n, &part));
	return template_add_item(r, b, part);
}

/* Splits as Python's split() without a separator: at runs of white space. After `most` parts the
 * rest stays whole. */
static int split_at_spaces(struct template_run *r, const struct value *v, int64_t most,
                           struct template_builder *b)
{
	const char *s = v->as.text, *end = s + v->n;
	size_t      k;

	for (;;) {
		const char *from;
		while (s < end && (k = template_space(s, (size_t)(end - s))))
			s += k;
		if (s == end)
			return OK;
		from = s;
		if (most-- == 0)
			s = end;
		while (s < end && !template_space(s, (size_t)(end - s)))
			s++;
		TRY(add_part(r, b, from, (size_t)(s - from)));
	}
}

static int split_at(struct template_run *r, const struct value *v, const struct value *by,
                    int64_t most, struct template_builder *b)
{
	const char *s = v->as.text, *end = s + v->n, *at;

	for (; most && (at = memmem(s, (size_t)(end - s), by->as.text, by->n));
	     s = at + by->n, most -= most > 0)
		TRY(add_part(r, b, s, (size_t)(at - s)));
	return add_part(r, b, s, (size_t)(end - s));
}

/* Where the trailing white space of s[0..n-1] begins. */
static size_t without_end(const char *s, size_t n)
{
	for (size_t k; n && (k = last_character(s, n), template_space(s + n - k, k));)
		n -= k;
	return n;
}

/* Splits from the right; the last part comes first. */
static int rsplit_back(struct template_run *r, const struct value *v, const struct value *by,
                       int64_t most, struct template_builder *b)
{
	const char *s = v->as.text;
	size_t      n = by ? v->n : without_end(s, v->n), from = n;

	while (most && from > 0) {
		size_t cut = by ? by->n : last_character(s, from);
		int    here = by ? from >= cut && !memcmp(s + from - cut, by->as.text, cut)
		                 : template_space(s + from - cut, cut) > 0;
		if (!here) {
			from -= by ? 1 : cut;
			continue;
		}
		TRY(add_part(r, b, s + from, n - from));
		n = by ? from - cut : without_end(s, from);
		from = n;
		most -= most > 0;
	}
	return by || n ? add_part(r, b, s, n) : OK;
}

static int template_method_read_split(struct template_run *r, const struct value *v,
                                      const struct arguments *a, const struct value **by,
                                      int64_t *most)
{
	*most = -1;
	TRY(template_text_argument(r, a, 0, "sep", by));
	TRY(template_integer_argument(r, a, &(struct template_whole){1, "maxsplit", -1, INT64_MAX},
	                              most));
	if (*by && (*by)->n == 0)
		return template_error(r, "a text cannot be split at an empty one");
	return template_steps(r, v->n / 16);
}

static int text_split(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	const struct value     *by;
	struct template_builder b = {0};
	int64_t                 most;

	TRY(template_method_read_split(r, v, a, &by, &most));
	TRY(by ? split_at(r, v, by, most, &b) : split_at_spaces(r, v, most, &b));
	*out = template_built(&b);
	return OK;
}

static int text_rsplit(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	const struct value     *by;
	struct template_builder b = {0};
	int64_t                 most;

	TRY(template_method_read_split(r, v, a, &by, &most));
	TRY(template_steps(r, v->n / 16 * (1 + (by ? by->n / 64 : 0))));
	TRY(rsplit_back(r, v, by, most, &b));
	for (size_t i = 0, k = b.n; i + 1 < k; i++, k--) {
		struct value t = b.items[i];
		b.items[i] = b.items[k - 1];
		b.items[k - 1] = t;
	}
	*out = template_built(&b);
	return OK;
}

int template_join(struct template_run *r, const struct value *list, const struct value *between,
                  struct value *out)
{
	const struct value *items;
	struct text         t = {0};
	size_t              n;
	int                 status = template_items(r, list, &items, &n);

	for (size_t i = 0; status == OK && i < n; i++) {
		if (i && between)
			text_add(&t, between->as.text, between->n);
		status = template_print(r, &items[i], 0, &t);
	}
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

static int ends_at(const struct value *v, const struct value *part, int at_start)
{
	return part->n <= v->n &&
	       !memcmp(v->as.text + (at_start ? 0 : v->n - part->n), part->as.text, part->n);
}

int template_pairs(struct template_run *r, const struct map *m, struct value *out)
{
	struct template_builder b = {0};

	for (size_t i = 0; i < m->n; i++) {
		struct template_builder pair = {0};
		TRY(template_add_item(r, &pair, m->keys[i]));
		TRY(template_add_item(r, &pair, m->values[i]));
		TRY(template_add_item(r, &b, template_built(&pair)));
	}
	*out = template_built(&b);
	return OK;
}

/* Bytes of the end of a line at s: Python's splitlines knows \n \r \r\n \v \f \x1c-\x1e U+0085
 * U+2028 U+2029. */
static size_t line_end(const char *s, size_t n)
{
	if (*s == '\r')
		return n > 1 && s[1] == '\n' ? 2 : 1;
	if ((*s >= '\n' && *s <= '\f') || (*s >= 0x1c && *s <= 0x1e))
		return 1;
	if (n > 1 && !memcmp(s, "\xc2\x85", 2))
		return 2;
	return n > 2 && (!memcmp(s, "\xe2\x80\xa8", 3) || !memcmp(s, "\xe2\x80\xa9", 3)) ? 3 : 0;
}

/* A line's end is not a separator: "a\n" is one line. `keep`: each line keeps its end. */
int template_splitlines(struct template_run *r, const struct value *v, int keep, struct value *out)
{
	const char             *s = v->as.text, *end = s + v->n, *from = s;
	struct template_builder b = {0};

	TRY(template_steps(r, v->n / 16));
	while (s < end) {
		size_t n = line_end(s, (size_t)(end - s));
		if (n == 0) {
			s++;
			continue;
		}
		TRY(add_part(r, &b, from, (size_t)(s - from) + (keep ? n : 0)));
		from = s += n;
	}
	if (from < end)
		TRY(add_part(r, &b, from, (size_t)(end - from)));
	*out = template_built(&b);
	return OK;
}

/* ---- methods ---- */

typedef int method(struct template_run *r, const struct value *self, const struct arguments *a,
                   struct value *out);

static int text_upper(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	(void)a;
	return template_change_case(r, v, UPPER, out);
}
static int text_lower(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	(void)a;
	return template_change_case(r, v, LOWER, out);
}
static int text_capitalize(struct template_run *r, const struct value *v, const struct arguments *a,
                           struct value *out)
{
	(void)a;
	return template_change_case(r, v, CAPITALIZED, out);
}
static int text_title(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	(void)a;
	return template_change_case(r, v, TITLE_LETTERS, out);
}

static int strip_side(struct template_run *r, const struct value *v, const struct arguments *a,
                      int left, int right, struct value *out)
{
	const struct value *chars;

	TRY(template_text_argument(r, a, 0, NULL, &chars));
	return template_strip(r, v, chars, left, right, out);
}
static int text_strip(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	return strip_side(r, v, a, 1, 1, out);
}
static int text_lstrip(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	return strip_side(r, v, a, 1, 0, out);
}
static int text_rstrip(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	return strip_side(r, v, a, 0, 1, out);
}

static int text_join(struct template_run *r, const struct value *v, const struct arguments *a,
                     struct value *out)
{
	const struct value *items;
	size_t              n;

	TRY(template_items(r, &a->values[0], &items, &n));
	for (size_t i = 0; i < n; i++)
		if (items[i].kind != V_TEXT)
			return template_error(r, "join puts texts together, not %s",
			                      template_kind_name(&items[i]));
	return template_join(r, &a->values[0], v, out);
}

/* One text, or any of a list of them. */
static int starts_or_ends(struct template_run *r, const struct value *v, const struct arguments *a,
                          int at_start, struct value *out)
{
	const struct value *part = &a->values[0], *parts = part;
	size_t              n = 1;
	int                 truth = 0;

	if (part->kind != V_TEXT && part->kind != V_LIST)
		return template_error(r, "startswith and endswith need a text or several");
	if (part->kind == V_LIST)
		TRY(template_items(r, part, &parts, &n));
	for (size_t i = 0; i < n; i++) {
		if (parts[i].kind != V_TEXT)
			return template_error(r, "startswith and endswith need a text or several");
		TRY(template_steps(r, 1 + parts[i].n / 64));
		truth |= ends_at(v, &parts[i], at_start);
	}
	*out = template_bool(truth);
	return OK;
}
static int text_startswith(struct template_run *r, const struct value *v, const struct arguments *a,
                           struct value *out)
{
	return starts_or_ends(r, v, a, 1, out);
}
static int text_endswith(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	return starts_or_ends(r, v, a, 0, out);
}

static int remove_end(struct template_run *r, const struct value *v, const struct arguments *a,
                      int at_start, struct value *out)
{
	const struct value *part;

	TRY(template_needed_text(r, a, 0, "prefix or suffix", &part));
	if (!ends_at(v, part, at_start))
		return template_copy_text(r, v->as.text, v->n, out);
	return template_copy_text(r, v->as.text + (at_start ? part->n : 0), v->n - part->n, out);
}
static int text_removeprefix(struct template_run *r, const struct value *v,
                             const struct arguments *a, struct value *out)
{
	return remove_end(r, v, a, 1, out);
}
static int text_removesuffix(struct template_run *r, const struct value *v,
                             const struct arguments *a, struct value *out)
{
	return remove_end(r, v, a, 0, out);
}

/* The first or last occurrence of a part, or NULL. An empty part is at the very start or end. */
static const char *template_method_place_of(const struct value *v, const struct value *part,
                                            int last)
{
	const char *s = v->as.text;

	if (!last)
		return part->n ? memmem(s, v->n, part->as.text, part->n) : s;
	for (size_t at = v->n + 1; part->n <= v->n && at-- > 0;)
		if (at + part->n <= v->n && !memcmp(s + at, part->as.text, part->n))
			return s + at;
	return NULL;
}

static int needed_part(struct template_run *r, const struct value *v, const struct arguments *a,
                       const struct value **part)
{
	TRY(template_needed_text(r, a, 0, "sub", part));
	return template_steps(r, 1 + v->n / 16 * (1 + (*part)->n / 64));
}

/* The position in characters. An absent part gives -1, or an error with `index`. */
static int template_method_find(struct template_run *r, const struct value *v,
                                const struct arguments *a, int last, int must, struct value *out)
{
	const struct value *part;
	const char         *at;
	struct value        before = {.kind = V_TEXT, .as.text = v->as.text};
	size_t              length;

	TRY(needed_part(r, v, a, &part));
	at = template_method_place_of(v, part, last);
	if (!at && must)
		return template_error(r, "the part is not in the text");
	before.n = at ? (size_t)(at - v->as.text) : 0;
	template_length(&before, &length);
	*out = template_int(at ? (int64_t)length : -1);
	return OK;
}
static int text_find(struct template_run *r, const struct value *v, const struct arguments *a,
                     struct value *out)
{
	return template_method_find(r, v, a, 0, 0, out);
}
static int text_rfind(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	return template_method_find(r, v, a, 1, 0, out);
}
static int text_index(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	return template_method_find(r, v, a, 0, 1, out);
}
static int text_rindex(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	return template_method_find(r, v, a, 1, 1, out);
}

static int text_count(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	const struct value *part;
	const char         *s = v->as.text, *end = s + v->n, *at;
	size_t              n = 0;

	TRY(needed_part(r, v, a, &part));
	if (part->n == 0)
		template_length(v, &n);
	n += part->n == 0; /* one before each character, and one at the end */
	for (; part->n && (at = memmem(s, (size_t)(end - s), part->as.text, part->n));
	     s = at + part->n)
		n++;
	*out = template_int((int64_t)n);
	return OK;
}

/* [before, part, behind]. When the part is absent the text is the first of the three, or the last
 * (rpartition). */
static int partition(struct template_run *r, const struct value *v, const struct arguments *a,
                     int last, struct value *out)
{
	const struct value     *part;
	const char             *at, *s = v->as.text;
	struct template_builder b = {0};
	size_t                  cut;

	TRY(needed_part(r, v, a, &part));
	if (part->n == 0)
		return template_error(r, "a text cannot be split at an empty one");
	at = template_method_place_of(v, part, last);
	cut = at ? (size_t)(at - s) : last ? 0 : v->n;
	TRY(add_part(r, &b, s, cut));
	TRY(add_part(r, &b, part->as.text, at ? part->n : 0));
	cut += at ? part->n : 0;
	TRY(add_part(r, &b, s + cut, v->n - cut));
	*out = template_built(&b);
	return OK;
}
static int text_partition(struct template_run *r, const struct value *v, const struct arguments *a,
                          struct value *out)
{
	return partition(r, v, a, 0, out);
}
static int text_rpartition(struct template_run *r, const struct value *v, const struct arguments *a,
                           struct value *out)
{
	return partition(r, v, a, 1, out);
}

static int text_splitlines(struct template_run *r, const struct value *v, const struct arguments *a,
                           struct value *out)
{
	return template_splitlines(r, v, template_flag(a, 0, "keepends"), out);
}

/* isdigit and isspace: not empty, and every character of the category. isupper and islower: at
 * least one cased letter, and all cased letters of that case. */
static int text_isdigit(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	int truth = v->n > 0;

	(void)r;
	(void)a;
	for (size_t i = 0; i < v->n; i++)
		truth &= v->as.text[i] >= '0' && v->as.text[i] <= '9';
	*out = template_bool(truth);
	return OK;
}
static int text_isspace(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	size_t at = 0, n = 1;

	(void)r;
	(void)a;
	while (at < v->n && (n = template_space(v->as.text + at, v->n - at)) > 0)
		at += n;
	*out = template_bool(v->n > 0 && at == v->n);
	return OK;
}

static int is_all(const struct value *v, int wanted_upper)
{
	int some = 0;

	for (size_t at = 0; at < v->n;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)v->as.text + at,
		                                      (utf8proc_ssize_t)(v->n - at), &c);
		if (n > 0 && (wanted_upper ? utf8proc_islower(c) : utf8proc_isupper(c)))
			return 0;
		some |= n > 0 && (wanted_upper ? utf8proc_isupper(c) : utf8proc_islower(c));
		at += n > 0 ? (size_t)n : 1;
	}
	return some;
}
static int text_isupper(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)r;
	(void)a;
	*out = template_bool(is_all(v, 1));
	return OK;
}
static int text_islower(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)r;
	(void)a;
	*out = template_bool(is_all(v, 0));
	return OK;
}

static int map_get(struct template_run *r, const struct value *v, const struct arguments *a,
                   struct value *out)
{
	const struct value *at, *otherwise = template_argument(a, 1, NULL);

	TRY(template_steps(r, 1 + v->as.map->n / 8));
	at = template_map_find(r, v->as.map, &a->values[0]);
	*out = at ? *at : otherwise ? *otherwise : (struct value){.kind = V_NONE};
	return OK;
}
static int map_items(struct template_run *r, const struct value *v, const struct arguments *a,
                     struct value *out)
{
	(void)a;
	return template_pairs(r, v->as.map, out);
}

static int map_side(struct template_run *r, const struct map *m, const struct value *side,
                    struct value *out)
{
	struct template_builder b = {0};

	for (size_t i = 0; i < m->n; i++)
		TRY(template_add_item(r, &b, side[i]));
	*out = template_built(&b);
	return OK;
}
static int map_keys(struct template_run *r, const struct value *v, const struct arguments *a,
                    struct value *out)
{
	(void)a;
	return map_side(r, v->as.map, v->as.map->keys, out);
}
static int map_values(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	(void)a;
	return map_side(r, v->as.map, v->as.map->values, out);
}

/* Counts a value in a list and finds its first position. */
static int look_for(struct template_run *r, const struct value *v, const struct value *wanted,
                    int64_t *first, int64_t *n)
{
	*first = -1;
	*n = 0;
	for (size_t i = 0; i < v->n; i++) {
		int same;
		TRY(template_equal(r, &v->as.items[i], wanted, &same));
		*first = same && *n == 0 ? (int64_t)i : *first;
		*n += same;
	}
	return OK;
}
static int list_count(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	int64_t first, n;

	TRY(look_for(r, v, &a->values[0], &first, &n));
	*out = template_int(n);
	return OK;
}
static int template_method_list_index(struct template_run *r, const struct value *v,
                                      const struct arguments *a, struct value *out)
{
	int64_t first, n;

	TRY(look_for(r, v, &a->values[0], &first, &n));
	*out = template_int(first);
	return n ? OK : template_error(r, "the value is not in the list");
}

/* The arguments are those of Python's methods, except "start" and "end" of the methods that search
 * for a part. */
static const struct method_row {
	enum value_kind           kind;
	const char               *name;
	method                   *call;
	struct template_signature takes;
} methods[] = {
        {V_TEXT, "capitalize", text_capitalize, {0, 0, ""}},
        {V_TEXT, "count", text_count, {1, 1, ""}},
        {V_TEXT, "endswith", text_endswith, {1, 1, ""}},
        {V_TEXT, "find", text_find, {1, 1, ""}},
        {V_TEXT, "index", text_index, {1, 1, ""}},
        {V_TEXT, "isdigit", text_isdigit, {0, 0, ""}},
        {V_TEXT, "islower", text_islower, {0, 0, ""}},
        {V_TEXT, "isspace", text_isspace, {0, 0, ""}},
        {V_TEXT, "isupper", text_isupper, {0, 0, ""}},
        {V_TEXT, "join", text_join, {1, 1, ""}},
        {V_TEXT, "lower", text_lower, {0, 0, ""}},
        {V_TEXT, "lstrip", text_lstrip, {0, 1, ""}},
        {V_TEXT, "partition", text_partition, {1, 1, ""}},
        {V_TEXT, "removeprefix", text_removeprefix, {1, 1, ""}},
        {V_TEXT, "removesuffix", text_removesuffix, {1, 1, ""}},
        {V_TEXT, "replace", template_replace, {2, 3, "* * count"}},
        {V_TEXT, "rfind", text_rfind, {1, 1, ""}},
        {V_TEXT, "rindex", text_rindex, {1, 1, ""}},
        {V_TEXT, "rpartition", text_rpartition, {1, 1, ""}},
        {V_TEXT, "rsplit", text_rsplit, {0, 2, "sep maxsplit"}},
        {V_TEXT, "rstrip", text_rstrip, {0, 1, ""}},
        {V_TEXT, "split", text_split, {0, 2, "sep maxsplit"}},
        {V_TEXT, "splitlines", text_splitlines, {0, 1, "keepends"}},
        {V_TEXT, "startswith", text_startswith, {1, 1, ""}},
        {V_TEXT, "strip", text_strip, {0, 1, ""}},
        {V_TEXT, "title", text_title, {0, 0, ""}},
        {V_TEXT, "upper", text_upper, {0, 0, ""}},
        {V_MAP, "get", map_get, {1, 2, ""}},
        {V_MAP, "items", map_items, {0, 0, ""}},
        {V_MAP, "keys", map_keys, {0, 0, ""}},
        {V_MAP, "values", map_values, {0, 0, ""}},
        {V_LIST, "count", list_count, {1, 1, ""}},
        {V_LIST, "index", template_method_list_index, {1, 1, ""}},
};

static const struct method_row *method_find(enum value_kind kind, const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (methods[i].kind == kind && !strcmp(methods[i].name, name))
			return &methods[i];
	return NULL;
}

int template_call_method(struct template_run *r, const struct method *m, const struct arguments *a,
                         struct value *out)
{
	const struct method_row *row = method_find(m->self.kind, m->name);

	TRY(template_check_arguments(r, m->name, a, &row->takes));
	return row->call(r, &m->self, a, out);
}

/* ---- attributes ---- */

static int bind(struct template_run *r, const struct value *self, const char *name,
                struct value *out)
{
	struct method *m;

	TRY(template_bytes(r, sizeof *m));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	*m = (struct method){*self, name};
	*out = (struct value){.kind = V_METHOD, .as.method = m};
	return OK;
}

/* a.b: looks for a method first, then for an element, as Jinja does. */
int template_attribute(struct template_run *r, const struct value *v, const char *name,
                       struct value *out)
{
	const struct value *at;

	if (method_find(v->kind, name))
		return bind(r, v, name, out);
	*out = (struct value){.kind = V_UNDEFINED, .as.name = name};
	if (v->kind != V_MAP && v->kind != V_NAMESPACE)
		return OK;
	TRY(template_steps(r, v->as.map->n / 8));
	at = template_map_find_name(v->as.map, name);
	if (at)
		*out = *at;
	return OK;
}

/* a[b]: the element, else the attribute of that name. */
int template_item(struct template_run *r, const struct value *v, const struct value *key,
                  struct value *out)
{
	const struct value *items, *at = NULL;
	struct value        name = template_constant("the element");
	size_t              n;

	if (key->kind == V_TEXT)
		/* a name needs a NUL at its end, which a part of a text does not have */
		TRY(template_copy_text(r, key->as.text, key->n, &name));
	*out = (struct value){.kind = V_UNDEFINED, .as.name = name.as.text};
	if (v->kind == V_MAP) {
		TRY(template_steps(r, v->as.map->n / 8));
		at = template_map_find(r, v->as.map, key);
		if (at)
			*out = *at;
	}
	if (!at && key->kind == V_TEXT && !memchr(key->as.text, 0, key->n))
		return template_attribute(r, v, name.as.text, out);
	if ((v->kind != V_LIST && v->kind != V_TEXT) || key->kind != V_INT)
		return OK;
	TRY(template_items(r, v, &items, &n));
	int64_t i = key->as.i < 0 ? key->as.i + (int64_t)n : key->as.i;
	if (i >= 0 && (uint64_t)i < n)
		*out = items[i];
	return OK;
}
