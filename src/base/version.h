/* version.h - the version of the program. The commit is COMMIT, which the Makefile gives to src/cli/hone.c alone. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define HONE_VERSION "0.10"

#endif
