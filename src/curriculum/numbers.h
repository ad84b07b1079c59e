/* numbers.h - many numbers of a curriculum's state as one JSON text, "0.4 0.15 0", with all their
 * digits: short for people and for the file. */
#ifndef CURRICULUM_NUMBERS_H
#define CURRICULUM_NUMBERS_H

#include <jansson.h>
#include <stdint.h>

int numbers_save(json_t *object, const char *key, const double *x, int n);
int numbers_save_int(json_t *object, const char *key, const int64_t *x, int n);

struct numbers_bounds {
	double low, high;
};

/* Writes x [n], all finite and within the bounds. ERR_INPUT, naming place and key, for any other
 * number of numbers, or a wrong one; x is then undefined. */
int numbers_load(const char *place, const json_t *object, const char *key,
                 struct numbers_bounds bounds, int n, double *x);
/* from 0 on */
int numbers_load_int(const char *place, const json_t *object, const char *key, int64_t high, int n,
                     int64_t *x);

#endif
