/* clock.h - seconds since some fixed moment, for durations only. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_seconds(void);     /* monotonic */
double clock_wall(void);        /* since 1970: for the event files that TensorBoard reads */
double memory_peak_bytes(void); /* the largest resident size of this process so far */

#endif
