#include "verify/unit.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

/* One unit per line: its name, then its other spellings. A single letter must match in case. */
static const char *const units[] = {
        "cm centimeter centimeters centimetre centimetres cms",
        "mm millimeter millimeters millimetre millimetres",
        "m meter meters metre metres",
        "km kilometer kilometers kilometre kilometres kms",
        "nm nanometer nanometers",
        "dm decimeter decimeters decimetre decimetres",
        "inch inches in",
        "foot feet ft",
        "yard yards yd yds",
        "mile miles mi",
        "kg kilogram kilograms kgs kilo kilos",
        "g gram grams gm gms",
        "mg milligram milligrams",
        "pound pounds lb lbs gbp \xC2\xA3",
        "ounce ounces oz",
        "ton tons",
        "tonne tonnes",
        "l L liter liters litre litres",
        "ml milliliter milliliters millilitre millilitres",
        "gallon gallons gal",
        "quart quarts",
        "pint pints",
        "cup cups",
        "second seconds s sec secs",
        "minute minutes min mins",
        "hour hours h hr hrs",
        "day days",
        "week weeks",
        "month months",
        "year years yr yrs",
        "ms millisecond milliseconds",
        "dollar dollars usd",
        "cent cents \xC2\xA2",
        "euro euros eur \xE2\x82\xAC",
        "yen jpy \xC2\xA5",
        "rupee rupees \xE2\x82\xB9",
        "yuan rmb cny",
        "percent percentage pct percents",
        "degree degrees deg \xC2\xB0",
        "radian radians rad",
        "unit units",
        "a.m. am",
        "p.m. pm",
        "hz hertz",
        "khz kilohertz",
        "mhz megahertz",
        "newton newtons N",
        "joule joules J",
        "kj kilojoule kilojoules",
        "watt watts W",
        "kw kilowatt kilowatts",
        "volt volts V",
        "ampere amperes amp amps A",
        "ohm ohms",
        "pa pascal pascals",
        "kelvin K",
        "mole moles mol",
        "acre acres",
        "hectare hectares ha",
        "bit bits",
        "byte bytes",
        "point points pt pts",
        "person people persons",
        "man men",
        "woman women",
        "child children",
        "foot-pound foot-pounds",
};

static const struct {
	const char *word;
	long        times;
} multiples[] = {{"dozen", 12},           {"dozens", 12},
                 {"hundred", 100},        {"thousand", 1000},
                 {"million", 1000000},    {"millions", 1000000},
                 {"billion", 1000000000}, {"trillion", 1000000000000}};

static const char *const rates[] = {"mph mile hour", "kph km hour",  "kmph km hour",
                                    "kmh km hour",   "mps m second", "fps foot second"};

static const char meaning[] = " not no none nor never neither isn't wasn't ain't without except "
                              "unless but if when where while for from since until till than "
                              "then "
                              "more less fewer least most about around approximately approx "
                              "roughly nearly almost over under below above between beyond within "
                              "up "
                              "down off out short past ago later earlier before after plus minus "
                              "negative positive times divided multiplied added subtracted "
                              "squared "
                              "cubed factorial root power base modulo mod half halves third thirds "
                              "quarter quarters fourth fourths fifth fifths sixth sixths "
                              "seventh "
                              "eighth eighths ninth tenth tenths hundredth hundredths thousandth "
                              "thousandths pair pairs score scores gross couple hundreds "
                              "thousands "
                              "billions trillions double triple twice thrice wrong incorrect false "
                              "correct right true maybe perhaps possibly probably guess "
                              "unknown "
                              "is are was were be been being equals equal equivalent or and xor "
                              "versus vs either both all any each every other another others "
                              "else "
                              "instead actually rather th st nd rd remainder mod infinity infinite "
                              "zero one two three four five six seven eight nine ten "
                              "eleven twelve twenty thirty forty fifty sixty seventy eighty ninety "
                              "the answer answers option options choice solution solutions ";

struct unit unit_none(void)
{
	return (struct unit){.times = 1};
}

/* Is the word in the list, whose words are separated by blanks? Case counts for single letters
 * only. */
static int unit_in_list(const char *list, struct span word)
{
	if (word.n == 0 || memchr(word.s, ' ', word.n))
		return 0;
	while (*list) {
		size_t      n = strcspn(list, " ");
		struct span one = {list, n};
		if (word.n > 1 ? span_equal_nocase(one, word) : span_equal(one, word))
			return 1;
		list += n;
		list += strspn(list, " ");
	}
	return 0;
}

int unit_changes_meaning(struct span word)
{
	return unit_in_list(meaning + 1, word);
}

int unit_dimension(struct span word)
{
	if (unit_in_list("square sq sq.", word))
		return 2;
	return unit_in_list("cubic cu", word) ? 3 : 0;
}

static const char *unit_find(struct span word)
{
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (unit_in_list(units[i], word))
			return units[i];
	return NULL;
}

int unit_is_known(struct span word)
{
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		if (unit_in_list(rates[i], (struct span){word.s, word.n}) &&
		    span_equal_nocase(word, (struct span){rates[i], strcspn(rates[i], " ")}))
			return 1;
	return unit_find(word) != NULL;
}

/* u *= name^power. Powers of one name add up, so m m is m^2 and m/m cancels. */
static int unit_multiply(struct unit *u, struct span name, int power)
{
	int i = 0;

	if (name.n >= UNIT_NAME)
		return 0;
	while (i < u->n &&
	       !(strlen(u->factor[i].name) == name.n && !memcmp(u->factor[i].name, name.s, name.n)))
		i++;
	if (i == UNIT_FACTORS)
		return 0;
	if (i == u->n) {
		memcpy(u->factor[i].name, name.s, name.n);
		u->factor[i].name[name.n] = 0;
		u->factor[i].power = 0;
		u->n++;
	}
	u->factor[i].power += power;
	return 1;
}

/* Adds a counted thing: its name in lower case and in the singular. */
static int unit_count(struct unit *u, struct span word, int power)
{
	char   name[UNIT_NAME];
	size_t n = word.n;

	if (n < 2 || n >= UNIT_NAME || unit_changes_meaning(word))
		return 0;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower((unsigned char)word.s[i]);
	if (n > 3 && name[n - 1] == 's' && name[n - 2] != 's')
		n--;
	return unit_multiply(u, (struct span){name, n}, power);
}

static int unit_add_rate(struct unit *u, struct span word, int power)
{
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		size_t first = strcspn(rates[i], " "), second = strcspn(rates[i] + first + 1, " ");
		if (span_equal_nocase(word, (struct span){rates[i], first}))
			return unit_multiply(u, (struct span){rates[i] + first + 1, second},
			                     power) &&
			       unit_multiply(u, span_of(rates[i] + first + 1 + second + 1), -power);
	}
	return 0;
}

int unit_add(struct unit *u, struct span word, int power, int counted)
{
	const char *known;

	for (size_t i = 0; i < sizeof multiples / sizeof multiples[0]; i++)
		if (span_equal_nocase(word, span_of(multiples[i].word))) {
			if (power != 1 || u->n ||
			    __builtin_mul_overflow(u->times, multiples[i].times, &u->times))
				return 0;
			return 1;
		}
	known = unit_find(word);
	if (known)
		return unit_multiply(u, (struct span){known, strcspn(known, " ")}, power);
	return unit_add_rate(u, word, power) || (counted && unit_count(u, word, power));
}

int unit_is_empty(const struct unit *a)
{
	return a->n == 0;
}

int unit_equal(const struct unit *a, const struct unit *b)
{
	if (a->n != b->n)
		return 0;
	for (int i = 0; i < a->n; i++) {
		int j = 0;
		while (j < b->n && (strcmp(a->factor[i].name, b->factor[j].name) ||
		                    a->factor[i].power != b->factor[j].power))
			j++;
		if (j == b->n)
			return 0;
	}
	return 1;
}
