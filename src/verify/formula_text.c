#include "verify/formula_parts.h"

#include <string.h>

/* Signs of Unicode and what LaTeX writes for them. */
static const struct {
	const char *sign, *latex;
} spellings[] = {
        {"\xE2\x88\x92", "-"},
        {"\xE2\x80\x93", "-"},
        {"\xE2\x80\x90", "-"},
        {"\xE2\x80\x91", "-"},
        {"\xC3\x97", "\\times "},
        {"\xC2\xB7", "\\cdot "},
        {"\xE2\x8B\x85", "\\cdot "},
        {"\xC3\xB7", "\\div "},
        {"\xC2\xB1", "\\pm "},
        {"\xE2\x88\x93", "\\mp "},
        {"\xE2\x89\xA4", "\\le "},
        {"\xE2\x89\xA5", "\\ge "},
        {"\xE2\xA9\xBD", "\\le "},
        {"\xE2\xA9\xBE", "\\ge "},
        {"\xE2\x89\xA0", "\\ne "},
        {"\xE2\x89\x88", "\\approx "},
        {"\xE2\x88\x9E", "\\infty "},
        {"\xCF\x80", "\\pi "},
        {"\xC2\xB0", "\\degree "},
        {"\xE2\x88\xAA", "\\cup "},
        {"\xE2\x88\x88", "\\in "},
        {"\xE2\x88\x85", "\\emptyset "},
        {"\xE2\x84\x9D", "\\mathbb{R}"},
        {"\xE2\x84\xA4", "\\mathbb{Z}"},
        {"\xE2\x84\x9A", "\\mathbb{Q}"},
        {"\xE2\x84\x95", "\\mathbb{N}"},
        {"\xE2\x84\x82", "\\mathbb{C}"},
        {"\xC2\xBD", " \\frac{1}{2}"},
        {"\xC2\xBC", " \\frac{1}{4}"},
        {"\xC2\xBE", " \\frac{3}{4}"},
        {"\xE2\x85\x93", " \\frac{1}{3}"},
        {"\xE2\x85\x94", " \\frac{2}{3}"},
        {"\xE2\x85\x95", " \\frac{1}{5}"},
        {"\xE2\x85\x96", " \\frac{2}{5}"},
        {"\xE2\x85\x97", " \\frac{3}{5}"},
        {"\xE2\x85\x98", " \\frac{4}{5}"},
        {"\xE2\x85\x99", " \\frac{1}{6}"},
        {"\xE2\x85\x9A", " \\frac{5}{6}"},
        {"\xE2\x85\x9B", " \\frac{1}{8}"},
        {"\xE2\x85\x9C", " \\frac{3}{8}"},
        {"\xE2\x85\x9D", " \\frac{5}{8}"},
        {"\xE2\x85\x9E", " \\frac{7}{8}"},
        {"\xE2\x88\x9A", "\\sqrt "},
        {"\xC2\xA0", " "},
        {"\xE2\x80\x80", " "},
        {"\xE2\x80\x82", " "},
        {"\xE2\x80\x83", " "},
        {"\xE2\x80\x84", " "},
        {"\xE2\x80\x85", " "},
        {"\xE2\x80\x86", " "},
        {"\xE2\x80\x87", " "},
        {"\xE2\x80\x88", " "},
        {"\xE2\x80\x89", " "},
        {"\xE2\x80\x8A", " "},
        {"\xE2\x80\xAF", " "},
        {"\xE2\x81\x9F", " "},
        {"\xE3\x80\x80", " "},
        {"\xE2\x80\x8B", ""},
        {"\xEF\xBB\xBF", ""},
        {"\xE3\x80\x81", ","},
        {"\xE3\x80\x82", "."},
        {"\xE2\x80\xB2", "'"},
        {"\xE2\x80\x99", "'"},
        {"\xE2\x88\xB6", ":"},
        {"\xCE\xB1", "\\alpha "},
        {"\xCE\xB2", "\\beta "},
        {"\xCE\xB3", "\\gamma "},
        {"\xCE\xB8", "\\theta "},
        {"\xCE\xBB", "\\lambda "},
        {"\xCF\x86", "\\phi "},
        {"\xCF\x89", "\\omega "},
};

/* Superscripts and subscripts. */
static const struct {
	const char *sign;
	char        ascii, mark;
} raised[] = {{"\xC2\xB9", '1', '^'},     {"\xC2\xB2", '2', '^'},     {"\xC2\xB3", '3', '^'},
              {"\xE2\x81\xB0", '0', '^'}, {"\xE2\x81\xB4", '4', '^'}, {"\xE2\x81\xB5", '5', '^'},
              {"\xE2\x81\xB6", '6', '^'}, {"\xE2\x81\xB7", '7', '^'}, {"\xE2\x81\xB8", '8', '^'},
              {"\xE2\x81\xB9", '9', '^'}, {"\xE2\x81\xBB", '-', '^'}, {"\xE2\x81\xBA", '+', '^'},
              {"\xE2\x81\xBF", 'n', '^'}, {"\xE2\x82\x80", '0', '_'}, {"\xE2\x82\x81", '1', '_'},
              {"\xE2\x82\x82", '2', '_'}, {"\xE2\x82\x83", '3', '_'}, {"\xE2\x82\x84", '4', '_'},
              {"\xE2\x82\x85", '5', '_'}, {"\xE2\x82\x86", '6', '_'}, {"\xE2\x82\x87", '7', '_'},
              {"\xE2\x82\x88", '8', '_'}, {"\xE2\x82\x89", '9', '_'}};

struct spelling {
	char  *out;
	size_t n, room;
};

static void spelling_add(struct spelling *w, const char *s, size_t n)
{
	if (w->n + n <= w->room)
		memcpy(w->out + w->n, s, n);
	w->n += n;
}

/* Writes a run of superscripts or subscripts as ^{...} or _{...}. Returns the bytes read. */
static size_t spell_raised(struct span a, struct spelling *w)
{
	size_t i = 0;
	char   mark = 0;

	for (size_t j = 0; j < sizeof raised / sizeof raised[0]; j++)
		if ((mark == 0 || mark == raised[j].mark) &&
		    span_starts(span_from(a, i), raised[j].sign)) {
			if (mark == 0) {
				mark = raised[j].mark;
				spelling_add(w, mark == '^' ? "^{" : "_{", 2);
			}
			spelling_add(w, &raised[j].ascii, 1);
			i += strlen(raised[j].sign);
			j = (size_t)-1;
		}
	if (i)
		spelling_add(w, "}", 1);
	return i;
}

/* U+FF01 .. U+FF5E are full-width ASCII. */
static size_t spell_full_width(struct span a, struct spelling *w)
{
	const unsigned char *s = (const unsigned char *)a.s;
	unsigned             code;
	char                 c;

	if (a.n < 3 || s[0] != 0xEF || (s[1] != 0xBC && s[1] != 0xBD) || s[2] < 0x80 || s[2] > 0xBF)
		return 0;
	code = (unsigned)(s[1] - 0xBC) * 64 + (s[2] - 0x80u);
	if (code < 1 || code > 0x5E)
		return 0;
	c = (char)(0x20 + code);
	spelling_add(w, &c, 1);
	return 3;
}

static size_t spell_sign(struct span a, struct spelling *w)
{
	size_t n = spell_raised(a, w);

	if (n == 0)
		n = spell_full_width(a, w);
	for (size_t j = 0; n == 0 && j < sizeof spellings / sizeof spellings[0]; j++)
		if (span_starts(a, spellings[j].sign)) {
			spelling_add(w, spellings[j].latex, strlen(spellings[j].latex));
			n = strlen(spellings[j].sign);
		}
	return n;
}

size_t formula_spell(struct span text, char *out, size_t room)
{
	struct spelling w = {out, 0, room};

	for (size_t i = 0; i < text.n && w.n <= room;) {
		size_t n =
		        (unsigned char)text.s[i] >= 0x80 ? spell_sign(span_from(text, i), &w) : 0;
		if (n == 0) {
			spelling_add(&w, text.s + i, 1);
			n = 1;
		}
		i += n;
	}
	return w.n <= room ? w.n : 0;
}
