#include "text/template_parts.h"

#include <stdlib.h>
#include <string.h>

static int template_evaluate(struct template_run *r, const struct template_node *n,
                             struct value *out);
static int template_execute(struct template_run *r, const struct template_node *body);

/* ---- variables ---- */

static int push_scope(struct template_run *r, struct scope *parent)
{
	struct scope *s;

	TRY(template_bytes(r, sizeof *s));
	TRY(arena_take(&r->arena, 1, "a text of a template", &s));
	s->parent = parent;
	r->scope = s;
	return OK;
}

static int define(struct template_run *r, const char *name, struct value v)
{
	return template_map_put(r, &r->scope->variables, template_constant(name), v);
}

static int template_look_up(struct template_run *r, const char *name, struct value *out)
{
	for (const struct scope *s = r->scope; s; s = s->parent) {
		const struct value *v = template_map_find_name(&s->variables, name);
		TRY(template_steps(r, 1 + s->variables.n / 8));
		if (v) {
			*out = *v;
			return OK;
		}
	}
	*out = (struct value){.kind = template_call_is_function(r, name) ? V_FUNCTION : V_UNDEFINED,
	                      .as.name = name};
	return OK;
}

/* ---- expressions ---- */

static int add_argument(struct template_run *r, struct arguments *a, const char *keyword,
                        struct value v)
{
	if (a->n == ARGUMENTS_MAX)
		return template_error(r, "more than %d arguments", ARGUMENTS_MAX);
	if (!keyword && a->n > a->n_positional)
		return template_error(r, "a positional argument follows a named one");
	a->names[a->n] = keyword;
	a->values[a->n++] = v;
	a->n_positional += !keyword;
	return OK;
}

static int evaluate_arguments(struct template_run *r, const struct template_node *list,
                              struct arguments *a)
{
	a->n = a->n_positional = 0;
	for (; list; list = list->next) {
		const struct value *items;
		struct value        v;
		size_t              n;
		TRY(template_evaluate(r, list, &v));
		if (!list->star) {
			TRY(add_argument(r, a, list->keyword, v));
			continue;
		}
		TRY(template_items(r, &v, &items, &n));
		for (size_t i = 0; i < n; i++)
			TRY(add_argument(r, a, NULL, items[i]));
	}
	return OK;
}

static int parameter_position(const struct template_node *macro, const char *name)
{
	int k = 0;

	for (const struct template_node *p = macro->list; p; p = p->next, k++)
		if (!strcmp(p->name, name))
			return k;
	return -1;
}

/* Arguments beyond the parameters are errors, unless the body uses caller, varargs or kwargs. */
static int bind_specials(struct template_run *r, const struct template_node *macro,
                         const struct arguments *a, int n_parameters)
{
	struct template_builder rest = {0};
	struct map             *names;
	struct value            caller = {.kind = V_UNDEFINED, .as.name = "caller"};

	TRY(template_bytes(r, sizeof *names));
	TRY(arena_take(&r->arena, 1, "the names of a template", &names));
	if (a->n_positional > n_parameters && !(macro->specials & SPECIAL_VARARGS))
		return template_error(r, "macro %.64s takes %d arguments", macro->name,
		                      n_parameters);
	for (int i = n_parameters; i < a->n_positional; i++)
		TRY(template_add_item(r, &rest, a->values[i]));
	for (int i = a->n_positional; i < a->n; i++) {
		int k = parameter_position(macro, a->names[i]);
		if (k >= a->n_positional)
			continue;
		if (k >= 0)
			return template_error(r, "macro %.64s is given \"%.64s\" twice",
			                      macro->name, a->names[i]);
		if ((macro->specials & SPECIAL_CALLER) && !strcmp(a->names[i], "caller"))
			caller = a->values[i];
		else if (macro->specials & SPECIAL_KWARGS)
			TRY(template_map_put(r, names, template_constant(a->names[i]),
			                     a->values[i]));
		else
			return template_error(r, "macro %.64s takes no argument \"%.64s\"",
			                      macro->name, a->names[i]);
	}
	if ((macro->specials & SPECIAL_CALLER) && parameter_position(macro, "caller") < 0)
		TRY(define(r, "caller", caller));
	if (macro->specials & SPECIAL_VARARGS)
		TRY(define(r, "varargs", template_built(&rest)));
	return macro->specials & SPECIAL_KWARGS
	               ? define(r, "kwargs", (struct value){.kind = V_MAP, .as.map = names})
	               : OK;
}

static int bind_parameters(struct template_run *r, const struct template_node *macro,
                           const struct arguments *a)
{
	int position = 0;

	for (const struct template_node *p = macro->list; p; p = p->next, position++) {
		const struct value *given = template_argument(a, position, p->name);
		struct value        v = {.kind = V_UNDEFINED, .as.name = p->name};
		if (given)
			v = *given;
		else if (p->a)
			TRY(template_evaluate(r, p->a, &v));
		TRY(define(r, p->name, v));
	}
	return bind_specials(r, macro, a, position);
}

/* Renders a body into a text of its own. Variables that it sets are gone afterwards. */
static int capture(struct template_run *r, const struct template_node *body, struct value *out)
{
	struct text   t = {0}, *outer = r->out;
	struct scope *scope = r->scope;
	int           status;

	TRY(push_scope(r, scope));
	r->out = &t;
	status = template_execute(r, body);
	r->out = outer;
	r->scope = scope;
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

static int call_macro(struct template_run *r, const struct macro *m, const struct arguments *a,
                      struct value *out)
{
	struct scope *outer = r->scope;
	int           line = r->line;

	TRY(push_scope(r, m->scope));
	TRY(bind_parameters(r, m->node, a));
	TRY(capture(r, m->node->body, out));
	r->scope = outer;
	r->line = line;
	return OK;
}

/* `caller` is the extra argument that a call block passes, or NULL. */
static int call(struct template_run *r, const struct template_node *n, const struct value *caller,
                struct value *out)
{
	struct arguments a;
	struct value     f;

	TRY(template_evaluate(r, n->a, &f));
	TRY(evaluate_arguments(r, n->list, &a));
	if (caller)
		TRY(add_argument(r, &a, "caller", *caller));
	switch (f.kind) {
	case V_MACRO:
		return call_macro(r, f.as.macro, &a, out);
	case V_METHOD:
		return template_call_method(r, f.as.method, &a, out);
	case V_FUNCTION:
		return template_call_function(r, f.as.name, &a, out);
	case V_UNDEFINED:
		return template_error(
		        r, "there is no function or method \"%.64s\", or it is not supported",
		        f.as.name);
	default:
		return template_error(r, "%s cannot be called", template_kind_name(&f));
	}
}

static int evaluate_list(struct template_run *r, const struct template_node *n, struct value *out)
{
	struct value *items;
	size_t        count = 0, i = 0;

	for (const struct template_node *e = n->list; e; e = e->next)
		count++;
	TRY(template_bytes(r, (count + 1) * sizeof *items));
	TRY(arena_take(&r->arena, count + 1, "a list of a template", &items));
	for (const struct template_node *e = n->list; e; e = e->next)
		TRY(template_evaluate(r, e, &items[i++]));
	*out = (struct value){.kind = V_LIST, .n = count, .as.items = items};
	return OK;
}

static int evaluate_map(struct template_run *r, const struct template_node *n, struct value *out)
{
	struct map *m;

	TRY(template_bytes(r, sizeof *m));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	for (const struct template_node *e = n->list; e; e = e->next->next) {
		struct value key, v;
		TRY(template_evaluate(r, e, &key));
		TRY(template_evaluate(r, e->next, &v));
		TRY(template_map_put(r, m, key, v));
	}
	*out = (struct value){.kind = V_MAP, .as.map = m};
	return OK;
}

/* A part that is left out stays NULL. */
static int slice(struct template_run *r, const struct template_node *n, const struct value *of,
                 struct value *out)
{
	const struct template_node *nodes[3] = {n->b, n->c, n->other};
	const struct value         *parts[3] = {NULL, NULL, NULL};
	struct value                v[3];

	for (int i = 0; i < 3; i++)
		if (nodes[i]) {
			TRY(template_evaluate(r, nodes[i], &v[i]));
			parts[i] = v[i].kind == V_NONE ? NULL : &v[i];
		}
	return template_slice(r, of, parts[0], parts[1], parts[2], out);
}

static int attribute_of(struct template_run *r, const struct value *of, const char *name,
                        struct value *out)
{
	if (of->kind == V_UNDEFINED)
		return template_error(r, "\"%.64s\" is undefined, so it has no \"%.64s\"",
		                      of->as.name, name);
	return template_attribute(r, of, name, out);
}

static int item_of(struct template_run *r, const struct template_node *n, const struct value *of,
                   struct value *out)
{
	struct value key;

	if (n->kind == N_SLICE)
		return slice(r, n, of, out);
	TRY(template_evaluate(r, n->b, &key));
	if (of->kind == V_UNDEFINED)
		return template_error(r, "\"%.64s\" is undefined, so it has no elements",
		                      of->as.name);
	return template_item(r, of, &key, out);
}

static int filter_or_test(struct template_run *r, const struct template_node *n,
                          const struct value *v, struct value *out)
{
	struct arguments a;
	int              truth;

	TRY(evaluate_arguments(r, n->list, &a));
	if (n->kind == N_FILTER)
		return template_call_filter(r, n->name, v, &a, out);
	TRY(template_call_test(r, n->name, v, &a, &truth));
	*out = template_bool(truth);
	return OK;
}

/* Evaluates the nodes whose first operand `a` is already known. */
static int evaluate_from(struct template_run *r, const struct template_node *n,
                         const struct value *a, struct value *out)
{
	struct value b;
	int          truth;

	switch (n->kind) {
	case N_ATTRIBUTE:
		return attribute_of(r, a, n->name, out);
	case N_ITEM:
	case N_SLICE:
		return item_of(r, n, a, out);
	case N_FILTER:
	case N_TEST:
		return filter_or_test(r, n, a, out);
	case N_NOT:
		*out = template_bool(!template_truth(a));
		return OK;
	case N_AND:
	case N_OR:
		if (template_truth(a) != (n->kind == N_OR))
			return template_evaluate(r, n->b, out);
		*out = *a;
		return OK;
	case N_NEGATE:
		return template_negate(r, a, out);
	case N_BINARY:
		TRY(template_evaluate(r, n->b, &b));
		return template_binary(r, n->op, a, &b, out);
	case N_COMPARE:
		TRY(template_evaluate(r, n->b, &b));
		TRY(template_compare(r, n->op, a, &b, &truth));
		*out = template_bool(truth);
		return OK;
	default:
		*out = *a;
		return OK;
	}
}

static int if_else(struct template_run *r, const struct template_node *n, struct value *out)
{
	struct value condition;

	TRY(template_evaluate(r, n->b, &condition));
	if (template_truth(&condition))
		return template_evaluate(r, n->a, out);
	*out = (struct value){.kind = V_UNDEFINED, .as.name = "the value without an else"};
	return n->c ? template_evaluate(r, n->c, out) : OK;
}

/* Leaves and nodes with their own order of evaluation come here; all others evaluate their left
 * side first. */
static int evaluate_node(struct template_run *r, const struct template_node *n, struct value *out)
{
	struct value a;

	switch (n->kind) {
	case N_CONST:
		*out = n->value;
		return OK;
	case N_NAME:
		return template_look_up(r, n->name, out);
	case N_LIST:
		return evaluate_list(r, n, out);
	case N_MAP:
		return evaluate_map(r, n, out);
	case N_CALL:
		return call(r, n, NULL, out);
	case N_CAPTURE:
		return capture(r, n->body, out);
	case N_IF_ELSE:
		return if_else(r, n, out);
	default:
		TRY(template_evaluate(r, n->a, &a));
		return evaluate_from(r, n, &a, out);
	}
}

static int template_evaluate(struct template_run *r, const struct template_node *n,
                             struct value *out)
{
	int status;

	r->line = n->line;
	TRY(template_steps(r, 1));
	if (++r->depth > TEMPLATE_DEPTH)
		return template_error(r, "nested too deeply");
	status = evaluate_node(r, n, out);
	r->depth--;
	return status;
}

/* ---- statements ---- */

/* Assigns one value to one name, or the items of a list to as many names. */
static int template_assign(struct template_run *r, const struct template_node *targets,
                           struct value v)
{
	const struct value *items;
	size_t              n, i = 0;

	if (!targets->next)
		return define(r, targets->name, v);
	TRY(template_items(r, &v, &items, &n));
	for (; targets; targets = targets->next, i++) {
		if (i >= n)
			return template_error(r, "%zu values for more names", n);
		TRY(define(r, targets->name, items[i]));
	}
	return i == n ? OK : template_error(r, "%zu values for %zu names", n, i);
}

static int template_set(struct template_run *r, const struct template_node *n)
{
	struct value v, space;

	TRY(template_evaluate(r, n->a, &v));
	if (!n->name)
		return template_assign(r, n->list, v);
	TRY(template_look_up(r, n->list->name, &space));
	if (space.kind != V_NAMESPACE)
		return template_error(
		        r, "\"%.64s\" is not a namespace, so \"%.64s\" cannot be set in it",
		        n->list->name, n->name);
	return template_map_put(r, space.as.map, template_constant(n->name), v);
}

/* The variable `loop` of turn i of n. */
static int loop_variable(struct template_run *r, const struct value *items, size_t n, size_t i,
                         struct value *out)
{
	struct value none = {.kind = V_UNDEFINED, .as.name = "loop.previtem or loop.nextitem"};
	const struct loop_entry {
		const char  *name;
		struct value value;
	} entries[] = {{"index", template_int((int64_t)i + 1)},
	               {"index0", template_int((int64_t)i)},
	               {"first", template_bool(i == 0)},
	               {"last", template_bool(i + 1 == n)},
	               {"length", template_int((int64_t)n)},
	               {"revindex", template_int((int64_t)(n - i))},
	               {"revindex0", template_int((int64_t)(n - i) - 1)},
	               {"previtem", i ? items[i - 1] : none},
	               {"nextitem", i + 1 < n ? items[i + 1] : none}};
	struct map *m;

	TRY(template_bytes(r, sizeof *m));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	for (size_t k = 0; k < sizeof entries / sizeof *entries; k++)
		TRY(template_map_put(r, m, template_constant(entries[k].name), entries[k].value));
	*out = (struct value){.kind = V_NAMESPACE, .as.map = m};
	return OK;
}

static int one_turn(struct template_run *r, const struct template_node *n,
                    const struct value *items, size_t count, size_t i)
{
	struct scope *outer = r->scope;
	struct value  loop;
	int           status;

	TRY(push_scope(r, outer));
	TRY(loop_variable(r, items, count, i, &loop));
	TRY(define(r, "loop", loop));
	TRY(template_assign(r, n->list, items[i]));
	status = template_execute(r, n->body);
	r->scope = outer;
	return status;
}

/* Keeps the items that meet the loop's condition. */
static int kept_items(struct template_run *r, const struct template_node *n,
                      const struct value **items, size_t *count)
{
	struct scope *outer = r->scope;
	struct value *kept;
	size_t        m = 0;

	TRY(template_bytes(r, (*count + 1) * sizeof *kept));
	TRY(arena_take(&r->arena, *count + 1, "a list of a template", &kept));
	for (size_t i = 0; i < *count; i++) {
		struct value truth;
		TRY(push_scope(r, outer));
		TRY(template_assign(r, n->list, (*items)[i]));
		TRY(template_evaluate(r, n->b, &truth));
		if (template_truth(&truth))
			kept[m++] = (*items)[i];
		r->scope = outer;
	}
	*items = kept;
	*count = m;
	return OK;
}

/* The list is filtered before the first turn, because loop.length and loop.last count what is
 * kept. */
static int loop_over(struct template_run *r, const struct template_node *n)
{
	const struct value *items;
	struct value        over;
	size_t              count;

	TRY(template_evaluate(r, n->a, &over));
	TRY(template_items(r, &over, &items, &count));
	if (n->b)
		TRY(kept_items(r, n, &items, &count));
	for (size_t i = 0; i < count; i++) {
		int jump;
		TRY(one_turn(r, n, items, count, i));
		jump = r->jump;
		r->jump = 0;
		if (jump == N_BREAK)
			break;
	}
	return count ? OK : template_execute(r, n->other);
}

static int branch(struct template_run *r, const struct template_node *n)
{
	for (;;) {
		struct value condition;
		TRY(template_evaluate(r, n->a, &condition));
		if (template_truth(&condition))
			return template_execute(r, n->body);
		if (!n->other || n->other->kind != N_IF || n->other->next)
			return template_execute(r, n->other);
		n = n->other; /* elif */
	}
}

static int make_macro(struct template_run *r, const struct template_node *n, struct value *out)
{
	struct macro *m;

	TRY(template_bytes(r, sizeof *m));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	*m = (struct macro){.node = n, .scope = r->scope};
	*out = (struct value){.kind = V_MACRO, .as.macro = m};
	return OK;
}

static int template_print_value(struct template_run *r, const struct value *v)
{
	size_t before = r->out->n;

	TRY(template_print(r, v, 0, r->out));
	return template_bytes(r, r->out->n - before);
}

/* The block becomes a macro, which the called macro knows as `caller`. */
static int call_block(struct template_run *r, const struct template_node *n)
{
	struct value caller, v;

	TRY(make_macro(r, n, &caller));
	TRY(call(r, n->a, &caller, &v));
	return template_print_value(r, &v);
}

static int print(struct template_run *r, const struct template_node *n)
{
	struct value v;

	TRY(template_evaluate(r, n->a, &v));
	return template_print_value(r, &v);
}

/* The default case is break or continue: it only sets `jump`, which the loop reads. */
static int statement(struct template_run *r, const struct template_node *n)
{
	struct value v;

	switch (n->kind) {
	case N_PRINT:
		return print(r, n);
	case N_IF:
		return branch(r, n);
	case N_FOR:
		return loop_over(r, n);
	case N_SET:
		return template_set(r, n);
	case N_MACRO:
		TRY(make_macro(r, n, &v));
		return define(r, n->name, v);
	case N_CALL_BLOCK:
		return call_block(r, n);
	default:
		r->jump = (int)n->kind;
		return OK;
	}
}

static int template_execute(struct template_run *r, const struct template_node *body)
{
	if (++r->depth > TEMPLATE_DEPTH)
		return template_error(r, "nested too deeply");
	for (const struct template_node *n = body; n && !r->jump; n = n->next) {
		r->line = n->line;
		TRY(template_steps(r, 1));
		TRY(statement(r, n));
	}
	r->depth--;
	return OK;
}

/* ---- rendering ---- */

static int run_all(struct template_run *r, const struct template *t, const json_t *variables)
{
	const char  *name;
	json_t      *j;
	struct value v;

	TRY(push_scope(r, NULL));
	json_object_foreach((json_t *)(uintptr_t)variables, name, j)
	{
		TRY(template_from_json(r, j, &v));
		TRY(define(r, name, v));
	}
	TRY(push_scope(r, r->scope));
	TRY(template_execute(r, t->body));
	return text_status(r->out);
}

int template_render(const struct template *t, const json_t *variables, int64_t now,
                    struct text *out)
{
	struct text         rendered = {0};
	struct template_run r = {.out = &rendered, .now = now, .line = 1};
	int                 status = run_all(&r, t, variables);

	if (status == OK) {
		text_add(out, rendered.data ? rendered.data : "", rendered.n);
		status = text_status(out);
	}
	text_free(&rendered);
	arena_free(&r.arena);
	return status;
}
