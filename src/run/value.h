/* value.h - one option's value: from YAML into its field, and from its field into YAML. Driven by
 * the row alone.
 *
 * The type decides what a scalar means. Numbers are decimal (1e-6, .5, 12); 010, 0x10, 1:30 and
 * quoted numbers are refused. Truth values are true and false; yes, no, on, off are refused with a
 * hint. A range may be quoted. A text is what stands there. An empty value or null unsets an option
 * that has no default, and is an error elsewhere (a text may be ""). */
#ifndef RUN_VALUE_H
#define RUN_VALUE_H

#include "run/config_yaml.h"
#include "run/schema.h"

/* Writes the field at base + o->offset; texts and lists are copied into `a`. Messages begin with
 * node->where and name the option by `prefix` and path. */
int value_read(const struct option *o, const struct yaml_node *node, const char *prefix,
               struct arena *a, void *base);

/* One line: 1e-06, [a, "b c"], [{name: exact, weight: 1}]. */
void value_print(const struct option *o, const void *base, struct text *out);

/* A text as a YAML scalar: plain where that is safe, else in double quotes. */
void value_print_text(struct text *out, const char *s);

#endif
