/* markup.h - a check of a page's tags, for tests of what writes pages. */
#ifndef MARKUP_H
#define MARKUP_H

#include <ctype.h>
#include <string.h>

static inline size_t markup_name_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]))
		n++;
	return n;
}

/* 1 when every tag is closed in order, every attribute quoted, and no '<' or '&' stands for itself.
 * What a style or script holds is passed over. */
static inline int is_well_formed(const char *s)
{
	struct {
		const char *at;
		size_t      n;
	} open[64];
	int depth = 0;

	s = strstr(s, "<html");
	for (; s && *s; s++) {
		if (*s == '&' && !(s[1] == '#' && isdigit((unsigned char)s[2])))
			return 0;
		if (*s != '<')
			continue;
		int         closing = s[1] == '/', quotes = 0;
		const char *name = s + 1 + closing;
		size_t      n = markup_name_length(name);
		for (s = name; *s && (*s != '>' || quotes % 2); s++)
			quotes += *s == '"';
		if (!*s || n == 0 || quotes % 2)
			return 0;
		if (closing) {
			if (depth == 0 || open[depth - 1].n != n ||
			    strncmp(open[depth - 1].at, name, n))
				return 0;
			depth--;
		} else if (s[-1] != '/') {
			if (depth == 64)
				return 0;
			open[depth].at = name;
			open[depth++].n = n;
			if (n == 6 && !strncmp(name, "script", 6)) {
				s = strstr(s, "</script>");
				if (!s--)
					return 0;
			}
		}
	}
	return s && depth == 0;
}

#endif
